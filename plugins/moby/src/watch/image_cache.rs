//! Listing of images. All images are listed after each change, since events do
//! not contain the tags that changed.
//!
//! An engine may have thousands of images with tens of thousands of tags. So
//! images are processed one by one, and the cache holds only the fields of each
//! that the next listing does not return.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use rdd_sdk::types::{Error, ErrorCode, Image, LogLevel, Timestamp};

use super::CONCURRENCY;
use crate::backend::MobyBackend;
use crate::{model, objects, record};

/// The images that were reported to the host.
#[derive(Default)]
pub(super) struct ImageCache {
    by_id: HashMap<String, CachedImage>,
    /// The number of the current or last listing.
    generation: u64,
}

struct CachedImage {
    /// `None` if the inspection failed; it is tried again.
    details: Option<ImageDetails>,
    /// The hash of the reported record.
    digest: u64,
    /// The last listing that contained the image.
    generation: u64,
}

/// The fields of an image that only an inspection returns. They never change.
#[derive(Clone)]
struct ImageDetails {
    created_at: Option<Timestamp>,
    architecture: String,
    os: String,
    size: i64,
    /// `None` if they are the same as in the listing.
    labels: Option<Vec<(String, String)>>,
}

impl ImageCache {
    /// Begins a listing.
    pub(super) fn begin_listing(&mut self) {
        self.generation += 1;
    }

    /// Updates an image from the current listing. Returns whether the image must
    /// be reported to the host.
    pub(super) fn update(&mut self, listed: &ListedImage) -> bool {
        let ListedImage { image, details } = listed;
        let digest = hash_image(image);
        let generation = self.generation;
        match self.by_id.get_mut(&image.id) {
            Some(cached) => {
                let is_changed = cached.digest != digest;
                cached.digest = digest;
                cached.generation = generation;
                if details.is_some() {
                    cached.details.clone_from(details);
                }
                is_changed
            }
            None => {
                let cached = CachedImage {
                    details: details.clone(),
                    digest,
                    generation,
                };
                self.by_id.insert(image.id.clone(), cached);
                true
            }
        }
    }

    /// Completes the listing: removes the images that it did not contain, and
    /// returns their IDs.
    pub(super) fn finish_listing(&mut self) -> Vec<String> {
        let generation = self.generation;
        self.by_id
            .extract_if(|_, cached| cached.generation != generation)
            .map(|(id, _)| id)
            .collect()
    }

    fn details(&self, id: &str) -> Option<ImageDetails> {
        self.by_id.get(id)?.details.clone()
    }
}

/// An image of the current listing.
pub(super) struct ListedImage {
    pub(super) image: Image,
    details: Option<ImageDetails>,
}

/// Lists all images. Images in the cache are not inspected again.
pub(super) fn list<'a>(
    moby: &'a MobyBackend,
    cache: &'a RefCell<ImageCache>,
) -> impl Stream<Item = Result<ListedImage, Error>> + 'a {
    stream::once(objects::list_images(&moby.client))
        .map_ok(|listing| listing.into_stream())
        .try_flatten()
        .map(move |summary| async move { inspect_listed(moby, cache, summary?).await })
        .buffered(CONCURRENCY)
        .try_filter_map(|listed| std::future::ready(Ok(listed)))
}

/// Inspects an image unless it is in the cache. Returns `None` if it was removed
/// after it was listed.
async fn inspect_listed(
    moby: &MobyBackend,
    cache: &RefCell<ImageCache>,
    summary: model::ImageSummary,
) -> Result<Option<ListedImage>, Error> {
    let listed = record::image_from_summary(summary);
    let details = cache.borrow().details(&listed.id);
    let details = match details {
        Some(details) => details,
        None => match objects::inspect_image(&moby.client, &listed.id).await {
            Ok((image, _)) => ImageDetails::new(record::image_from_inspect(image), &listed),
            Err(error) if error.code == ErrorCode::NotFound => return Ok(None),
            Err(error) if error.code == ErrorCode::Unavailable => return Err(error),
            Err(error) => {
                moby.host.log(
                    LogLevel::Warn,
                    &format!("cannot inspect image {}: {}", listed.id, error.message),
                );
                return Ok(Some(ListedImage {
                    image: listed,
                    details: None,
                }));
            }
        },
    };
    // Tags and digests are those of the listing, so that all images are
    // consistent.
    let image = Image {
        created_at: details.created_at,
        architecture: details.architecture.clone(),
        os: details.os.clone(),
        size: details.size,
        labels: details.labels.clone().unwrap_or(listed.labels),
        ..listed
    };
    Ok(Some(ListedImage {
        image,
        details: Some(details),
    }))
}

impl ImageDetails {
    fn new(inspected: Image, listed: &Image) -> Self {
        Self {
            created_at: inspected.created_at,
            architecture: inspected.architecture,
            os: inspected.os,
            size: inspected.size,
            labels: (inspected.labels != listed.labels).then_some(inspected.labels),
        }
    }
}

/// Returns a hash of all fields of an image.
fn hash_image(image: &Image) -> u64 {
    let Image {
        id,
        namespace,
        repo_tags,
        repo_digests,
        created_at,
        architecture,
        os,
        size,
        labels,
    } = image;
    let created = created_at.map(|at| (at.seconds, at.nanoseconds));
    let mut hasher = DefaultHasher::new();
    (id, namespace, repo_tags, repo_digests).hash(&mut hasher);
    (created, architecture, os, size, labels).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(id: &str, tags: &[&str]) -> ListedImage {
        let summary = model::ImageSummary {
            id: id.to_owned(),
            repo_tags: tags.iter().map(ToString::to_string).collect(),
            ..model::ImageSummary::default()
        };
        ListedImage {
            image: record::image_from_summary(summary),
            details: None,
        }
    }

    #[test]
    fn a_listing_finds_added_changed_and_removed_images() {
        let mut images = ImageCache::default();
        images.begin_listing();
        assert!(images.update(&listed("a", &["a:1"])));
        assert!(images.update(&listed("b", &["b:1"])));
        assert_eq!(images.finish_listing(), Vec::<String>::new());
        images.begin_listing();
        assert!(!images.update(&listed("a", &["a:1"])));
        assert!(images.update(&listed("c", &[])));
        assert_eq!(images.finish_listing(), ["b"]);
        // An incomplete listing removes no images.
        images.begin_listing();
        images.begin_listing();
        assert!(images.update(&listed("a", &["a:1", "b:1"])));
        assert!(!images.update(&listed("c", &[])));
        assert_eq!(images.finish_listing(), Vec::<String>::new());
    }
}
