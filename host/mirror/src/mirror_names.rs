//! Names of mirrors.
//!
//! A container of the default namespace and a namespace are named as in the
//! engine, as far as Kubernetes accepts the name. All other names are hashed:
//! those of images and volumes are rarely valid in Kubernetes, and several
//! namespaces may have objects of the same name. Two objects of one kind never
//! get the same name, whatever the engine calls them.
//!
//! `namespace` is the engine's namespace of the object, or `None` for the
//! default one.

use rdd_core::text;
use sha2::{Digest, Sha256};

const CONTAINER_PREFIX: &str = "ctr-";
const IMAGE_PREFIX: &str = "img-";
const VOLUME_PREFIX: &str = "vol-";
const NAMESPACE_PREFIX: &str = "ns-";

/// Returns the name of the mirror of a container.
pub(crate) fn container(namespace: Option<&str>, id: &str) -> String {
    if namespace.is_none() && can_keep(CONTAINER_PREFIX, id) {
        return id.to_owned();
    }
    hashed(CONTAINER_PREFIX, namespace, &[id])
}

/// Returns the name of the mirror of one tag of an image, or of a dangling
/// image.
pub(crate) fn image(namespace: Option<&str>, id: &str, tag: Option<&str>) -> String {
    match tag {
        Some(tag) => hashed(IMAGE_PREFIX, namespace, &[id, tag]),
        None => hashed(IMAGE_PREFIX, namespace, &[id]),
    }
}

/// Returns the name of the mirror of a volume.
pub(crate) fn volume(namespace: Option<&str>, name: &str) -> String {
    hashed(VOLUME_PREFIX, namespace, &[name])
}

/// Returns the name of the mirror of a namespace.
pub(crate) fn namespace(name: &str) -> String {
    if can_keep(NAMESPACE_PREFIX, name) {
        return name.to_owned();
    }
    hashed(NAMESPACE_PREFIX, None, &[name])
}

/// Returns whether the mirror may be named as in the engine: the name is valid
/// in Kubernetes, and no other object's hashed name is the same.
fn can_keep(prefix: &str, name: &str) -> bool {
    const DIGITS: usize = 64;
    let is_hashed = name
        .strip_prefix(prefix)
        .is_some_and(|digits| text::is_lower_hex(digits, DIGITS));
    text::is_dns_subdomain(name) && !is_hashed
}

fn hashed(prefix: &str, namespace: Option<&str>, parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    if let Some(namespace) = namespace {
        // Names contain no NUL, so what is hashed for an object of the default
        // namespace never begins with one.
        hash.update(format!("\0{namespace}\0"));
    }
    hash.update(parts.join("\0"));
    format!("{prefix}{:x}", hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashed_names_match_known_vectors() {
        // Generated with coreutils: printf 'sha256:abc\0busybox:latest' |
        // sha256sum, and so on.
        assert_eq!(
            image(None, "sha256:abc", Some("busybox:latest")),
            "img-d10a0c631c7d2380308efe0384b5dafee80fb75f0a5776347d6aa5b8d3e09ab6"
        );
        assert_eq!(
            image(None, "sha256:abc", None),
            "img-67e9bc3cfd2163c2978358dfe00d2f912cd4ee0c99f077c3583b39b48aebb124"
        );
        assert_eq!(
            volume(None, "data"),
            "vol-3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7"
        );
        // printf '\0shop\0sha256:abc\0busybox:latest' | sha256sum, and so on.
        assert_eq!(
            image(Some("shop"), "sha256:abc", Some("busybox:latest")),
            "img-7caf95a1a401ec145e8376426782cf75b9976f4c064bb87bc494d524cad9b1a8"
        );
        assert_eq!(
            image(Some("shop"), "sha256:abc", None),
            "img-dcb974e49a32bb45966acc8565e7366eed74d839c59563ad89592a8aa614ab42"
        );
        assert_eq!(
            volume(Some("shop"), "data"),
            "vol-a90356f6f7c4d29a836d55734684615a3206ba83e29f073d60d801009b2477cd"
        );
        assert_eq!(
            container(Some("shop"), "web"),
            "ctr-9601e5fb49837e8d824e48802b7fd6f43dbbdfd673cd15b130ce5e707027a954"
        );
        assert_eq!(
            container(None, "Web_1"),
            "ctr-93f4c8d00cea1ca113701de612decc533c06cc9d174b903afbf42f4c0e48f5e0"
        );
        assert_eq!(
            namespace("My_Space"),
            "ns-3629ae413d4c33c1f2be624350511e022e3ca9ff63111396e3d3755004491a82"
        );
    }

    #[test]
    fn names_that_kubernetes_accepts_are_kept_in_the_default_namespace() {
        let longest = "a".repeat(253);
        for name in ["web", "k8s.io", "0f-1", "ctr-1", "ns-1", &longest] {
            assert_eq!(container(None, name), name);
            assert_eq!(namespace(name), name);
        }
    }

    #[test]
    fn every_name_is_valid_in_kubernetes() {
        let too_long = "a".repeat(254);
        for name in [
            "",
            "Web",
            "a_b",
            "a..b",
            "a-",
            "../../secrets",
            "grün",
            "a b",
            &too_long,
        ] {
            for mirror in [
                container(None, name),
                container(Some(name), name),
                image(Some(name), name, Some(name)),
                volume(Some(name), name),
                namespace(name),
            ] {
                assert!(text::is_dns_subdomain(&mirror), "{name:?}: {mirror}");
            }
        }
    }

    #[test]
    fn different_objects_have_different_names() {
        let namespaces = [None, Some("a"), Some("b"), Some("ab")];
        let ids = ["a", "b", "ab", "A", "a_b"];
        let mut containers = Vec::new();
        let mut images = Vec::new();
        let mut volumes = Vec::new();
        for namespace in namespaces {
            for id in ids {
                containers.push(container(namespace, id));
                images.push(image(namespace, id, None));
                images.extend(ids.map(|tag| image(namespace, id, Some(tag))));
                volumes.push(volume(namespace, id));
            }
        }
        for names in [&mut containers, &mut images, &mut volumes] {
            let count = names.len();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), count);
        }
    }

    #[test]
    fn a_name_that_looks_hashed_is_hashed() {
        for hashed in [container(Some("shop"), "web"), container(None, "Web_1")] {
            assert_ne!(container(None, &hashed), hashed);
        }
        let hashed = namespace("My_Space");
        assert_ne!(namespace(&hashed), hashed);
    }
}
