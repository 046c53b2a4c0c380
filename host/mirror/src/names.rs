//! Names of mirrors: what the engine calls an object is seldom a name that
//! Kubernetes takes.

use sha2::{Digest, Sha256};

/// Longest name of a Kubernetes object (a DNS subdomain).
const MAX_NAME: usize = 253;

/// Name of the mirror of one tag of an image, or of a dangling image.
pub(crate) fn image(id: &str, tag: Option<&str>) -> String {
    let mut hash = Sha256::new().chain_update(id);
    if let Some(tag) = tag {
        hash = hash.chain_update("\0").chain_update(tag);
    }
    format!("img-{:x}", hash.finalize())
}

/// Name of the mirror of a volume.
pub(crate) fn volume(name: &str) -> String {
    format!("vol-{:x}", Sha256::digest(name))
}

/// Whether Kubernetes takes `name` as the name of an object. What it does not
/// take must not reach a URL either.
pub(crate) fn is_object_name(name: &str) -> bool {
    name.len() <= MAX_NAME && name.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = label.as_bytes();
    bytes.first().is_some_and(alphanumeric)
        && bytes.last().is_some_and(alphanumeric)
        && bytes.iter().all(|b| alphanumeric(b) || *b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashed_names_match_known_vectors() {
        // Made with coreutils: printf 'sha256:abc\0busybox:latest' | sha256sum, and so on.
        assert_eq!(
            image("sha256:abc", Some("busybox:latest")),
            "img-d10a0c631c7d2380308efe0384b5dafee80fb75f0a5776347d6aa5b8d3e09ab6"
        );
        assert_eq!(
            image("sha256:abc", None),
            "img-67e9bc3cfd2163c2978358dfe00d2f912cd4ee0c99f077c3583b39b48aebb124"
        );
        assert_eq!(
            volume("data"),
            "vol-3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7"
        );
    }

    #[test]
    fn object_names_are_dns_subdomains() {
        for good in ["a", "a-b", "0", "a.b", &"a".repeat(253)] {
            assert!(is_object_name(good), "{good}");
        }
        for bad in [
            "",
            "A",
            "a_b",
            "-a",
            "a-",
            "a..b",
            ".",
            "../x",
            "a/b",
            "é",
            &"a".repeat(254),
        ] {
            assert!(!is_object_name(bad), "{bad}");
        }
    }
}
