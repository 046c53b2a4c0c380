//! Images: listed as a whole, as no event tells which tags moved.
//!
//! An engine may have thousands of them with tens of thousands of tags. So
//! they go through one by one, and of each is kept only what a later listing
//! does not tell again.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use rdd_sdk::types::{Error, ErrorCode, Image, LogLevel, Timestamp};

use super::CONCURRENCY;
use crate::backend::Moby;
use crate::{model, objects, record};

/// The images that the host was told of.
#[derive(Default)]
pub(super) struct Images {
    by_id: HashMap<String, Known>,
    /// The number of the last listing.
    round: u64,
}

struct Known {
    /// `None` where the engine failed to tell: it is asked again.
    details: Option<Details>,
    /// Of all that the host was told.
    digest: u64,
    /// The listing that named it last.
    round: u64,
}

/// What an inspection tells of an image and a listing does not. Never changes.
#[derive(Clone)]
struct Details {
    created_at: Option<Timestamp>,
    architecture: String,
    os: String,
    size: i64,
    /// Where the listing has others.
    labels: Option<Vec<(String, String)>>,
}

impl Images {
    /// A listing begins.
    pub(super) fn begin(&mut self) {
        self.round += 1;
    }

    /// A listing names an image; false when the host was told of it as it is.
    pub(super) fn note(&mut self, listed: &Listed) -> bool {
        let Listed { image, details } = listed;
        let digest = digest(image);
        let round = self.round;
        match self.by_id.get_mut(&image.id) {
            Some(known) => {
                let is_news = known.digest != digest;
                known.digest = digest;
                known.round = round;
                if details.is_some() {
                    known.details.clone_from(details);
                }
                is_news
            }
            None => {
                let known = Known {
                    details: details.clone(),
                    digest,
                    round,
                };
                self.by_id.insert(image.id.clone(), known);
                true
            }
        }
    }

    /// The listing is whole; tells the IDs that it did not name, and forgets
    /// them.
    pub(super) fn end(&mut self) -> Vec<String> {
        let round = self.round;
        self.by_id
            .extract_if(|_, known| known.round != round)
            .map(|(id, _)| id)
            .collect()
    }

    fn details(&self, id: &str) -> Option<Details> {
        self.by_id.get(id)?.details.clone()
    }
}

/// An image as a listing has it.
pub(super) struct Listed {
    pub(super) image: Image,
    details: Option<Details>,
}

/// All images as they are now; those that are known are not inspected again.
pub(super) fn read<'a>(
    moby: &'a Moby,
    known: &'a RefCell<Images>,
) -> impl Stream<Item = Result<Listed, Error>> + 'a {
    stream::once(objects::images(&moby.api))
        .map_ok(|listing| listing.into_stream())
        .try_flatten()
        .map(move |summary| async move { one(moby, known, summary?).await })
        .buffered(CONCURRENCY)
        .try_filter_map(|listed| std::future::ready(Ok(listed)))
}

/// An image as it is now; `None` if it went since it was listed.
async fn one(
    moby: &Moby,
    known: &RefCell<Images>,
    summary: model::ImageSummary,
) -> Result<Option<Listed>, Error> {
    let listed = record::image_of_summary(summary);
    let details = known.borrow().details(&listed.id);
    let details = match details {
        Some(details) => details,
        None => match objects::image(&moby.api, &listed.id).await {
            Ok((image, _)) => Details::new(record::image(image), &listed),
            Err(error) if error.code == ErrorCode::NotFound => return Ok(None),
            Err(error) if error.code == ErrorCode::Unavailable => return Err(error),
            Err(error) => {
                moby.host.log(
                    LogLevel::Warn,
                    &format!("image {} cannot be inspected: {}", listed.id, error.message),
                );
                return Ok(Some(Listed {
                    image: listed,
                    details: None,
                }));
            }
        },
    };
    // Tags and digests of one moment, that of the listing.
    let image = Image {
        created_at: details.created_at,
        architecture: details.architecture.clone(),
        os: details.os.clone(),
        size: details.size,
        labels: details.labels.clone().unwrap_or(listed.labels),
        ..listed
    };
    Ok(Some(Listed {
        image,
        details: Some(details),
    }))
}

impl Details {
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

/// Stands for an image as the host was told of it.
fn digest(image: &Image) -> u64 {
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

    fn listed(id: &str, tags: &[&str]) -> Listed {
        let summary = model::ImageSummary {
            id: id.to_owned(),
            repo_tags: tags.iter().map(ToString::to_string).collect(),
            ..model::ImageSummary::default()
        };
        Listed {
            image: record::image_of_summary(summary),
            details: None,
        }
    }

    #[test]
    fn a_listing_tells_what_came_changed_and_went() {
        let mut images = Images::default();
        images.begin();
        assert!(images.note(&listed("a", &["a:1"])));
        assert!(images.note(&listed("b", &["b:1"])));
        assert_eq!(images.end(), Vec::<String>::new());
        images.begin();
        assert!(!images.note(&listed("a", &["a:1"])));
        assert!(images.note(&listed("c", &[])));
        assert_eq!(images.end(), ["b"]);
        // A listing that was cut short says nothing of what it did not reach.
        images.begin();
        images.begin();
        assert!(images.note(&listed("a", &["a:1", "b:1"])));
        assert!(!images.note(&listed("c", &[])));
        assert_eq!(images.end(), Vec::<String>::new());
    }
}
