//! Requests that list and inspect objects.

use rdd_sdk::http::{HttpRequest, HttpResponse};
use rdd_sdk::types::Error;
use serde_json::json;

use crate::client::{DockerClient, ListResponse, parse};
use crate::lenient::LenientList;
use crate::{model, url};

/// The maximum size of one object's document, more than an engine ever sends.
const MAX_OBJECT_BYTES: usize = 16 << 20;

/// Lists all containers, running or not.
pub(crate) async fn list_containers(
    client: &DockerClient,
) -> Result<ListResponse<'_, model::ContainerSummary>, Error> {
    client.list("/containers/json?all=1", None).await
}

/// Lists the containers whose removal is in progress or was not completed. The
/// engine sends no event for either state.
pub(crate) async fn list_half_removed(
    client: &DockerClient,
) -> Result<ListResponse<'_, model::ContainerSummary>, Error> {
    let filters = json!({"status": ["dead", "removing"]});
    client.list(&containers_path(&filters), None).await
}

/// Lists all images except the intermediate ones of builds.
pub(crate) async fn list_images(
    client: &DockerClient,
) -> Result<ListResponse<'_, model::ImageSummary>, Error> {
    client.list("/images/json", None).await
}

/// Lists all volumes.
pub(crate) async fn list_volumes(
    client: &DockerClient,
) -> Result<ListResponse<'_, model::Volume>, Error> {
    client.list("/volumes", Some("Volumes")).await
}

/// Inspects a container and also returns the engine's response. Since IDs are
/// never reused, success proves that earlier requests with this ID referred to
/// this container.
pub(crate) async fn inspect_container(
    client: &DockerClient,
    id: &str,
) -> Result<(model::ContainerInspectResponse, HttpResponse), Error> {
    let path = format!("/containers/{}/json", url::container_id(id)?);
    let response = get_object(client, &path).await?;
    let container: model::ContainerInspectResponse = parse(&response.body)?;
    // The engine also accepts a name in place of an ID.
    if container.id != id {
        return Err(Error::not_found(format!("no such container: {id}")));
    }
    Ok((container, response))
}

/// Inspects the container that the engine resolves a text to: by ID, by name,
/// or by a prefix of the ID.
pub(crate) async fn resolve_container(
    client: &DockerClient,
    text: &str,
) -> Result<model::ContainerInspectResponse, Error> {
    let path = format!("/containers/{}/json", url::path_segment(text));
    parse(&get_object(client, &path).await?.body)
}

/// Fails if another container has this ID as its name: once the container with
/// this ID is gone, the engine would resolve the ID to the other one.
pub(crate) async fn ensure_id_is_not_a_name(client: &DockerClient, id: &str) -> Result<(), Error> {
    let id = url::container_id(id)?;
    // The engine expects a regular expression; hexadecimal digits need no
    // escape.
    let path = containers_path(&json!({"name": [format!("^/?{id}$")]}));
    let named: LenientList<model::ContainerSummary> = client.get(&path, MAX_OBJECT_BYTES).await?;
    let has_name = |names: &[String]| names.iter().any(|name| name.trim_start_matches('/') == id);
    match named
        .into_vec()
        .iter()
        .find(|other| other.id != id && has_name(&other.names))
    {
        None => Ok(()),
        Some(other) => Err(Error::conflict(format!(
            "container {0} has the ID of container {id} as its name, and the engine may confuse them; rename or remove container {0} first",
            other.id
        ))),
    }
}

/// Inspects an image by ID and also returns the engine's response.
pub(crate) async fn inspect_image(
    client: &DockerClient,
    id: &str,
) -> Result<(model::ImageInspect, HttpResponse), Error> {
    let path = format!("/images/{}/json", url::image_id(id)?);
    let response = get_object(client, &path).await?;
    let image: model::ImageInspect = parse(&response.body)?;
    if image.id != id {
        return Err(Error::not_found(format!("no such image: {id}")));
    }
    Ok((image, response))
}

/// Inspects the image that a tag refers to.
pub(crate) async fn resolve_image_tag(
    client: &DockerClient,
    tag: &str,
) -> Result<model::ImageInspect, Error> {
    let path = format!("/images/{}/json", url::image_tag(tag)?);
    parse(&get_object(client, &path).await?.body)
}

/// Inspects a volume and also returns the engine's response.
pub(crate) async fn inspect_volume(
    client: &DockerClient,
    name: &str,
) -> Result<(model::Volume, HttpResponse), Error> {
    let path = format!("/volumes/{}", url::volume_name(name)?);
    let response = get_object(client, &path).await?;
    Ok((parse(&response.body)?, response))
}

fn containers_path(filters: &serde_json::Value) -> String {
    let parameters = [("all", "1".to_owned()), ("filters", filters.to_string())];
    url::with_query("/containers/json", parameters)
}

async fn get_object(client: &DockerClient, path: &str) -> Result<HttpResponse, Error> {
    client
        .send(path, |path| {
            HttpRequest::get(path).max_body_bytes(MAX_OBJECT_BYTES)
        })
        .await
}

/// Returns the error of a reference to another namespace than Docker's only one.
pub(crate) fn unknown_namespace(namespace: &str) -> Error {
    Error::not_found(format!("no such namespace: {namespace}"))
}
