//! Removal of objects (`remove`), only of the object that the caller specified.
//!
//! IDs of containers and images are never reused, but a container may have the
//! ID of another one as its name: see [`container`]. The engine does not allow
//! an image's ID as a tag. Tags and names of volumes are reused, so they are
//! inspected right before the removal. The engine has no conditional removal: a
//! tag that is moved, or a volume that is replaced, in the milliseconds between
//! the two requests is not detected.

mod container;

use rdd_sdk::http::{HttpRequest, Method};
use rdd_sdk::types::{Error, ErrorCode, Removal, RemovalTarget, Timestamp};
use serde_json::json;

use crate::backend::MobyBackend;
use crate::event::{ChangeEvent, EventDecoder, events_path};
use crate::record::{self, normalize_tags};
use crate::{objects, time, url};

/// The period of events that are searched for the removal of a volume. The watch
/// has processed all older ones.
const LOOKBACK_SECONDS: i64 = 30;

/// The maximum size of the events within [`LOOKBACK_SECONDS`].
const MAX_EVENTS_BYTES: usize = 1 << 20;

/// Removes an object.
pub(crate) async fn run(moby: &MobyBackend, removal: Removal) -> Result<(), Error> {
    let Removal { namespace, target } = removal;
    if namespace != record::NAMESPACE {
        return Err(objects::unknown_namespace(&namespace));
    }
    match target {
        RemovalTarget::Container(id) => container::remove(moby, &id).await,
        RemovalTarget::ImageTag((tag, id)) => remove_image_tag(moby, &tag, &id).await,
        RemovalTarget::Image(id) => remove_image(moby, &id).await,
        RemovalTarget::Volume((name, created)) => remove_volume(moby, &name, created).await,
    }
}

async fn remove_image_tag(moby: &MobyBackend, tag: &str, id: &str) -> Result<(), Error> {
    let image = objects::resolve_image_tag(&moby.client, tag).await?;
    if image.id != id {
        return Err(Error::replaced(format!(
            "{tag} is now the tag of another image: {}",
            image.id
        )));
    }
    delete(moby, &format!("/images/{}", url::image_tag(tag)?)).await
}

async fn remove_image(moby: &MobyBackend, id: &str) -> Result<(), Error> {
    let (image, _) = objects::inspect_image(&moby.client, id).await?;
    let tags = normalize_tags(image.repo_tags);
    if !tags.is_empty() {
        return Err(Error::replaced(format!(
            "image {id} now has tags: {}",
            tags.join(", ")
        )));
    }
    delete(moby, &format!("/images/{id}")).await
}

async fn remove_volume(
    moby: &MobyBackend,
    name: &str,
    created: Option<Timestamp>,
) -> Result<(), Error> {
    let (volume, response) = objects::inspect_volume(&moby.client, name).await?;
    let engine = time::parse(&volume.created_at);
    if engine != created {
        let reported = moby.volume_times.borrow().reported(name, engine);
        let date = response.head.headers.get("date");
        let now = date
            .and_then(|date| date.to_str().ok())
            .and_then(time::parse_http_date);
        let is_same = reported == created
            && match now {
                Some(now) => !was_recently_replaced(moby, name, now).await?,
                None => false,
            };
        if !is_same {
            return Err(Error::replaced(format!(
                "volume {name} was replaced by another one, created at {}",
                volume.created_at
            )));
        }
        moby.volume_times.borrow_mut().update_latest(name, engine);
    }
    delete(moby, &format!("/volumes/{}", url::volume_name(name)?)).await
}

/// Returns whether a volume of this name was recently created or removed, which
/// the watch may not have processed yet. Takes up to two seconds and is called
/// only if the engine's creation time has changed.
async fn was_recently_replaced(
    moby: &MobyBackend,
    name: &str,
    now: Timestamp,
) -> Result<bool, Error> {
    let path = events_path(
        &json!({"type": ["volume"], "event": ["create", "destroy", "prune"]}),
        Some(time::add_seconds(now, -LOOKBACK_SECONDS)),
        // The clock is rounded down to the second.
        Some(time::add_seconds(now, 1)),
    );
    let response = moby
        .client
        .send(&path, |path| {
            HttpRequest::get(path).max_body_bytes(MAX_EVENTS_BYTES)
        })
        .await?;
    let mut decoder = EventDecoder::default();
    let mut was_replaced = false;
    decoder.push(&response.body, |change| {
        was_replaced |= match change {
            ChangeEvent::Volume(other) | ChangeEvent::VolumeRemoved(other) => other == name,
            ChangeEvent::Volumes | ChangeEvent::Anything => true,
            _ => false,
        };
    });
    Ok(was_replaced)
}

async fn delete(moby: &MobyBackend, path: &str) -> Result<(), Error> {
    let sent = moby
        .client
        .send(path, |path| HttpRequest::new(Method::DELETE, path))
        .await;
    match sent {
        Ok(_) => Ok(()),
        Err(error) if error.code == ErrorCode::Internal && error.message.contains("in use") => {
            Err(Error::conflict(error.message))
        }
        Err(error) => Err(error),
    }
}
