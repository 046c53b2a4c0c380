//! Images: listed as a whole, as no event tells which tags moved.

use std::collections::BTreeSet;

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
    let ids = images.iter().map(|image| &image.id);
    let gone = missing(known.images.keys(), ids)
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

/// What is not there any more, in the order of `known`.
fn missing<T: Ord>(
    known: impl Iterator<Item = T>,
    there: impl Iterator<Item = T>,
) -> impl Iterator<Item = T> {
    let there: BTreeSet<T> = there.collect();
    known.filter(move |one| !there.contains(one))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::cmp::Ordering;

    use super::*;

    thread_local! {
        static COMPARISONS: Cell<usize> = const { Cell::new(0) };
    }

    #[derive(PartialEq, Eq)]
    struct Counted(usize);

    impl PartialOrd for Counted {
        fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
            Some(self.cmp(other))
        }
    }

    impl Ord for Counted {
        fn cmp(&self, other: &Self) -> Ordering {
            COMPARISONS.set(COMPARISONS.get() + 1);
            self.0.cmp(&other.0)
        }
    }

    #[test]
    fn thousands_of_images_are_compared_in_few_steps() {
        const MANY: usize = 10_000;
        let gone: Vec<_> = missing((0..MANY).map(Counted), (1..=MANY).map(Counted)).collect();
        assert!(gone == [Counted(0)]);
        let each = COMPARISONS.get() / MANY;
        assert!(each < 64, "{each} comparisons for each image");
    }
}
