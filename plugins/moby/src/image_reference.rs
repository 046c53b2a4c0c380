//! References to images, as the engine splits them.

/// The tag of an image that is named without one.
const DEFAULT_TAG: &str = "latest";
/// The registry of an image that is named without one.
pub(crate) const DOCKER_HUB: &str = "docker.io";

/// The parts of an image reference.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ImageReference<'a> {
    pub(crate) repository: &'a str,
    /// A tag or a digest.
    pub(crate) tag: &'a str,
}

impl<'a> ImageReference<'a> {
    pub(crate) fn parse(image: &'a str) -> Self {
        let (repository, tag) = match image.rsplit_once('@') {
            Some((repository, digest)) => (repository, digest),
            None => match image.rsplit_once(':') {
                // Otherwise it is the port of the registry.
                Some((repository, tag)) if !tag.contains('/') => (repository, tag),
                _ => (image, DEFAULT_TAG),
            },
        };
        Self { repository, tag }
    }

    pub(crate) fn registry(&self) -> &'a str {
        match self.repository.split_once('/') {
            Some(("index.docker.io" | "registry-1.docker.io", _)) => DOCKER_HUB,
            Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
            _ => DOCKER_HUB,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_reference_has_a_repository_a_tag_and_a_registry() {
        for (image, repository, tag, registry) in [
            ("busybox", "busybox", "latest", "docker.io"),
            ("busybox:1.36", "busybox", "1.36", "docker.io"),
            (
                "localhost:5000/a/b",
                "localhost:5000/a/b",
                "latest",
                "localhost:5000",
            ),
            (
                "localhost:5000/a:1",
                "localhost:5000/a",
                "1",
                "localhost:5000",
            ),
            (
                "r.example/a@sha256:00",
                "r.example/a",
                "sha256:00",
                "r.example",
            ),
        ] {
            let reference = ImageReference::parse(image);
            assert_eq!(reference, ImageReference { repository, tag }, "{image}");
            assert_eq!(reference.registry(), registry, "{image}");
        }
    }
}
