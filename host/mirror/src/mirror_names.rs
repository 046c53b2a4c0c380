//! Names of mirrors: the names of images and volumes in the engine are rarely
//! valid names in Kubernetes, so they are hashed.

use sha2::{Digest, Sha256};

/// Returns the name of the mirror of one tag of an image, or of a dangling
/// image.
pub(crate) fn image(id: &str, tag: Option<&str>) -> String {
    let mut hash = Sha256::new().chain_update(id);
    if let Some(tag) = tag {
        hash = hash.chain_update("\0").chain_update(tag);
    }
    format!("img-{:x}", hash.finalize())
}

/// Returns the name of the mirror of a volume.
pub(crate) fn volume(name: &str) -> String {
    format!("vol-{:x}", Sha256::digest(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashed_names_match_known_vectors() {
        // Generated with coreutils: printf 'sha256:abc\0busybox:latest' |
        // sha256sum, and so on.
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
}
