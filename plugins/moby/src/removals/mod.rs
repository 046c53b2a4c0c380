//! `remove`: nothing but what the caller meant.
//!
//! A container's and an image's ID is never used again, but a container may
//! bear another's ID as its name: see [`container`]. The engine refuses to make
//! a tag of an image's ID. A tag and a volume's name are used again: they are
//! looked at right before the removal. The engine has no conditional removal,
//! so a tag moved within the milliseconds between the two requests cannot be
//! told; nor a volume replaced in them.

mod container;

pub(crate) use container::own_name;

use rdd_sdk::http::{Call, Method};
use rdd_sdk::types::{Error, ErrorCode, Removal, Timestamp};

use crate::backend::Moby;
use crate::event::Decoder;
use crate::record::tags;
use crate::{name, objects, time};

/// How many seconds back the engine is asked whether a volume was removed: the
/// watch knows of all that is older.
const LOOK_BACK: i64 = 30;

/// Events of one volume within [`LOOK_BACK`].
const MAX_EVENTS: usize = 1 << 20;

/// Answers `remove`.
pub(crate) async fn run(moby: &Moby, target: Removal) -> Result<(), Error> {
    match target {
        Removal::Container(id) => container::remove(moby, &id).await,
        Removal::ImageTag((tag, id)) => image_tag(moby, &tag, &id).await,
        Removal::Image(id) => image(moby, &id).await,
        Removal::Volume((name, created)) => volume(moby, &name, created).await,
    }
}

async fn image_tag(moby: &Moby, tag: &str, id: &str) -> Result<(), Error> {
    let image = objects::tagged_image(&moby.api, tag).await?;
    if image.id != id {
        return Err(Error::replaced(format!(
            "{tag} is the tag of another image by now: {}",
            image.id
        )));
    }
    delete(moby, &format!("/images/{}", name::image_tag(tag)?)).await
}

async fn image(moby: &Moby, id: &str) -> Result<(), Error> {
    let (image, _) = objects::image(&moby.api, id).await?;
    let tags = tags(image.repo_tags);
    if !tags.is_empty() {
        return Err(Error::replaced(format!(
            "image {id} bears tags by now: {}",
            tags.join(", ")
        )));
    }
    delete(moby, &format!("/images/{id}")).await
}

async fn volume(moby: &Moby, name: &str, created: Option<Timestamp>) -> Result<(), Error> {
    let (volume, response) = objects::volume(&moby.api, name).await?;
    let engine = time::parse(&volume.created_at);
    if engine != created {
        let known = moby.volume_times.borrow().reported(name, engine);
        let date = response.head.headers.get("date");
        let now = date
            .and_then(|date| date.to_str().ok())
            .and_then(time::parse_http_date);
        let same = known == created
            && match now {
                Some(now) => !was_removed(moby, name, now).await?,
                None => false,
            };
        if !same {
            return Err(Error::replaced(format!(
                "volume {name} is another one by now, created at {}",
                volume.created_at
            )));
        }
        moby.volume_times.borrow_mut().moved(name, engine);
    }
    delete(moby, &format!("/volumes/{}", name::volume(name)?)).await
}

/// Whether a volume of this name came or went a moment ago, which the watch
/// may not know yet. Takes up to two seconds, and is asked only where the
/// engine's creation time has moved.
async fn was_removed(moby: &Moby, name: &str, now: Timestamp) -> Result<bool, Error> {
    let filter = name::encode(
        &serde_json::json!({"type": ["volume"], "event": ["create", "destroy", "prune"]})
            .to_string(),
    );
    let path = format!(
        "/events?filters={filter}&since={}&until={}",
        time::to_query(time::shift(now, -LOOK_BACK)),
        // The clock is known to the second below: until its end.
        time::to_query(time::shift(now, 1))
    );
    let response = moby
        .api
        .send(&path, |path| Call::get(path).max_body(MAX_EVENTS))
        .await?;
    let mut decoder = Decoder::default();
    let mut removed = false;
    decoder.push(&response.body, |change| {
        use crate::event::Change::{Anything, Volume, VolumeGone, Volumes};
        removed |= match change {
            Volume(other) | VolumeGone(other) => other == name,
            Volumes | Anything => true,
            _ => false,
        };
    });
    Ok(removed)
}

async fn delete(moby: &Moby, path: &str) -> Result<(), Error> {
    let sent = moby
        .api
        .send(path, |path| Call::new(Method::DELETE, path))
        .await;
    match sent {
        Ok(_) => Ok(()),
        Err(error) if error.code == ErrorCode::Internal && error.message.contains("in use") => {
            Err(Error::conflict(error.message))
        }
        Err(error) => Err(error),
    }
}
