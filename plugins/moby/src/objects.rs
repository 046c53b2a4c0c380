//! Reading objects: all of a kind, or one.

use rdd_sdk::http::{Call, Response};
use rdd_sdk::types::{Error, Inspection, Object, ObjectKind, ObjectRef};

use crate::api::{Api, Listing, parse};
use crate::backend::Moby;
use crate::lenient::List;
use crate::{model, name, record, time};

/// No engine says more of one object.
const MAX_OBJECT: usize = 16 << 20;

/// All containers, running or not.
pub(crate) async fn containers(api: &Api) -> Result<Listing<'_, model::ContainerSummary>, Error> {
    api.list("/containers/json?all=1", None).await
}

/// Containers whose removal is under way, or has failed half-way: the engine
/// has no event for either.
pub(crate) async fn half_removed(api: &Api) -> Result<Listing<'_, model::ContainerSummary>, Error> {
    /// `{"status":["dead","removing"]}`
    const PATH: &str =
        "/containers/json?all=1&filters=%7B%22status%22%3A%5B%22dead%22%2C%22removing%22%5D%7D";
    api.list(PATH, None).await
}

/// All images but the intermediate ones of builds.
pub(crate) async fn images(api: &Api) -> Result<Listing<'_, model::ImageSummary>, Error> {
    api.list("/images/json", None).await
}

/// All volumes.
pub(crate) async fn volumes(api: &Api) -> Result<Listing<'_, model::Volume>, Error> {
    api.list("/volumes", Some("Volumes")).await
}

/// One container, with the engine's JSON. As IDs are never used again, this
/// proves that whatever was asked of the ID until now was asked of this one.
pub(crate) async fn container(api: &Api, id: &str) -> Result<(model::Container, Response), Error> {
    let path = format!("/containers/{}/json", name::container(id)?);
    let response = document(api, &path).await?;
    let container: model::Container = parse(&response.body)?;
    // The engine takes a name where an ID is asked for.
    if container.id != id {
        return Err(Error::not_found(format!("no such container: {id}")));
    }
    Ok((container, response))
}

/// The container that a text leads to: by ID, by name, or by the beginning of
/// its ID.
pub(crate) async fn container_named(api: &Api, text: &str) -> Result<model::Container, Error> {
    let path = format!("/containers/{}/json", name::encode(text));
    parse(&document(api, &path).await?.body)
}

/// Refuses where another container bears this ID as its name: once the one of
/// this ID is gone, the engine would take the other for it.
pub(crate) async fn unambiguous(api: &Api, id: &str) -> Result<(), Error> {
    let id = name::container(id)?;
    // A regular expression to the engine: the digits stand for themselves.
    let filters = serde_json::json!({"name": [format!("^/?{id}$")]}).to_string();
    let path = format!("/containers/json?all=1&filters={}", name::encode(&filters));
    let named: List<model::ContainerSummary> = api.get(&path, MAX_OBJECT).await?;
    let named = named.into_vec();
    let bears = |names: &[String]| names.iter().any(|name| name.trim_start_matches('/') == id);
    match named
        .iter()
        .find(|other| other.id != id && bears(&other.names))
    {
        None => Ok(()),
        Some(other) => Err(Error::conflict(format!(
            "container {} is named {id}, which is the ID of this container, and the engine may take one for the other: rename it or remove it first",
            other.id
        ))),
    }
}

/// One image by ID, with the engine's JSON.
pub(crate) async fn image(api: &Api, id: &str) -> Result<(model::Image, Response), Error> {
    let path = format!("/images/{}/json", name::image_id(id)?);
    let response = document(api, &path).await?;
    let image: model::Image = parse(&response.body)?;
    if image.id != id {
        return Err(Error::not_found(format!("no such image: {id}")));
    }
    Ok((image, response))
}

/// The image that a tag points at.
pub(crate) async fn tagged_image(api: &Api, tag: &str) -> Result<model::Image, Error> {
    let path = format!("/images/{}/json", name::image_tag(tag)?);
    parse(&document(api, &path).await?.body)
}

/// One volume, with the engine's JSON.
pub(crate) async fn volume(api: &Api, name: &str) -> Result<(model::Volume, Response), Error> {
    let path = format!("/volumes/{}", name::volume(name)?);
    let response = document(api, &path).await?;
    Ok((parse(&response.body)?, response))
}

async fn document(api: &Api, path: &str) -> Result<Response, Error> {
    api.send(path, |path| Call::get(path).max_body(MAX_OBJECT))
        .await
}

/// Answers `inspect`.
pub(crate) async fn inspect(moby: &Moby, object: &ObjectRef) -> Result<Inspection, Error> {
    let ObjectRef { kind, id } = object;
    let (mut object, raw) = match kind {
        ObjectKind::Container => {
            let (container, response) = container(&moby.api, id).await?;
            let raw = record::raw(&response.body)?;
            (Object::Container(record::container(container)), raw)
        }
        ObjectKind::Image => {
            let (image, response) = image(&moby.api, id).await?;
            let raw = record::raw(&response.body)?;
            (Object::Image(record::image(image)), raw)
        }
        ObjectKind::Volume => {
            let (volume, response) = volume(&moby.api, id).await?;
            let raw = record::raw(&response.body)?;
            let times = moby.volume_times.borrow();
            let created = times.reported(&volume.name, time::parse(&volume.created_at));
            (Object::Volume(record::volume(volume, created)), raw)
        }
        ObjectKind::Namespace if id == record::NAMESPACE => {
            (Object::Namespace(id.clone()), String::new())
        }
        ObjectKind::Namespace => {
            return Err(Error::not_found(format!("no such namespace: {id}")));
        }
    };
    record::fit(&mut object);
    Ok(Inspection { object, raw })
}
