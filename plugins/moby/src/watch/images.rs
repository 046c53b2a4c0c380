//! Images: listed as a whole, as no event tells which tags moved.

use futures::stream::{self, StreamExt};
use rdd_sdk::types::{Error, ErrorCode, Event, Image, LogLevel, Object, ObjectKind, ObjectRef};

use super::{CONCURRENCY, Known};
use crate::backend::Moby;
use crate::{model, objects, record};

/// All images as they are now, in the engine's order; those that are known
/// are not inspected again.
pub(super) async fn read(moby: &Moby, known: &Known) -> Result<Vec<Image>, Error> {
    let listed = objects::images(&moby.api).await?;
    let mut images = stream::iter(listed)
        .map(|summary| one(moby, known, summary))
        .buffered(CONCURRENCY);
    let mut found = Vec::new();
    while let Some(image) = images.next().await {
        found.extend(image?);
    }
    Ok(found)
}

/// An image as it is now; `None` if it went since it was listed.
async fn one(
    moby: &Moby,
    known: &Known,
    summary: model::ImageSummary,
) -> Result<Option<Image>, Error> {
    let listed = record::image_of_summary(summary);
    if let Some(image) = known.images.get(&listed.id) {
        return Ok(Some(Image {
            repo_tags: listed.repo_tags,
            repo_digests: listed.repo_digests,
            ..image.clone()
        }));
    }
    match objects::image(&moby.api, &listed.id).await {
        // Tags and digests of one moment, that of the listing.
        Ok((image, _)) => Ok(Some(Image {
            repo_tags: listed.repo_tags,
            repo_digests: listed.repo_digests,
            ..record::image(image)
        })),
        Err(error) if error.code == ErrorCode::NotFound => Ok(None),
        Err(error) if error.code == ErrorCode::Unavailable => Err(error),
        Err(error) => {
            moby.host.log(
                LogLevel::Warn,
                &format!("image {} cannot be inspected: {}", listed.id, error.message),
            );
            Ok(Some(listed))
        }
    }
}

/// What differs between the images that are known and those that are there.
pub(super) fn difference(known: &Known, images: Vec<Image>) -> (Vec<Object>, Vec<Event>) {
    let gone = known
        .images
        .keys()
        .filter(|id| images.iter().all(|image| image.id != **id))
        .map(|id| {
            Event::Removed(ObjectRef {
                kind: ObjectKind::Image,
                id: id.clone(),
            })
        })
        .collect();
    let applied = images
        .into_iter()
        .filter(|image| known.images.get(&image.id) != Some(image))
        .map(Object::Image)
        .collect();
    (applied, gone)
}
