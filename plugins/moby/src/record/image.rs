//! Conversion of images.

use rdd_sdk::types::Image;

use super::{NAMESPACE, NONE_PLACEHOLDER};
use crate::{model, time};

/// Converts the response of an inspect request.
pub(crate) fn image_from_inspect(from: model::ImageInspect) -> Image {
    let model::ImageInspect {
        id,
        repo_tags,
        repo_digests,
        created,
        architecture,
        os,
        size,
        config,
    } = from;
    Image {
        id,
        namespace: NAMESPACE.to_owned(),
        repo_tags: normalize_tags(repo_tags),
        repo_digests: normalize_digests(repo_digests),
        created_at: time::parse(&created),
        architecture,
        os,
        size,
        labels: config.labels.into_iter().collect(),
    }
}

/// Converts an element of a list response. The record has no architecture and
/// no operating system.
pub(crate) fn image_from_summary(from: model::ImageSummary) -> Image {
    let model::ImageSummary {
        id,
        repo_tags,
        repo_digests,
        created,
        size,
        labels,
    } = from;
    Image {
        id,
        namespace: NAMESPACE.to_owned(),
        repo_tags: normalize_tags(repo_tags),
        repo_digests: normalize_digests(repo_digests),
        created_at: time::parse_seconds(created),
        architecture: String::new(),
        os: String::new(),
        size,
        labels: labels.into_iter().collect(),
    }
}

/// Sorts tags and removes the placeholder of a dangling image.
pub(crate) fn normalize_tags(mut tags: Vec<String>) -> Vec<String> {
    tags.retain(|tag| {
        !tag.is_empty()
            && !tag.starts_with(NONE_PLACEHOLDER)
            && !tag.ends_with(&format!(":{NONE_PLACEHOLDER}"))
    });
    tags.sort();
    tags.dedup();
    tags
}

fn normalize_digests(mut digests: Vec<String>) -> Vec<String> {
    digests.retain(|digest| !digest.is_empty() && !digest.starts_with(NONE_PLACEHOLDER));
    digests.sort();
    digests.dedup();
    digests
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tags_are_sorted_and_placeholders_are_removed() {
        let record = image_from_inspect(
            serde_json::from_value(json!({
                "Id": "sha256:1", "RepoTags": ["b:1", "a:2", "<none>:<none>", "a:<none>"],
                "RepoDigests": ["<none>@<none>", "b@sha256:2", "a@sha256:3"],
                "Created": "1970-01-01T00:00:00Z", "Architecture": "arm64", "Os": "linux", "Size": 9,
                "Config": {"Env": ["K=s3cret"], "Labels": null}
            }))
            .unwrap(),
        );
        assert_eq!(record.repo_tags, ["a:2", "b:1"]);
        assert_eq!(record.repo_digests, ["a@sha256:3", "b@sha256:2"]);
        assert_eq!(record.created_at, Some(time::from_unix_seconds(0)));
        assert!(record.labels.is_empty());
        assert!(!format!("{record:?}").contains("s3cret"));
    }

    #[test]
    fn the_lists_of_a_dangling_image_may_be_null() {
        let summary = image_from_summary(
            serde_json::from_value(json!({
                "Id": "sha256:1", "RepoTags": null, "RepoDigests": null, "Created": -1, "Size": "big"
            }))
            .unwrap(),
        );
        assert!(summary.repo_tags.is_empty());
        assert_eq!(summary.size, 0);
    }
}
