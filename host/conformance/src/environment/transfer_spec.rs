//! The images that are transferred between a real engine and registries.

/// The images that may be transferred between a real engine and registries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransferSpec {
    /// The tag of an image that a registry has and the engine does not have. What
    /// was pulled is removed afterward.
    pub pull: Option<ImageReference>,
    /// A tag that the engine has and whose registry accepts it.
    pub push: Option<ImageReference>,
}

/// A tag as an image is listed with, such as `registry.example:5000/app:1.0`.
///
/// ```
/// use rdd_conformance::ImageReference;
///
/// let tag: ImageReference = "localhost:5000/app".parse()?;
/// assert_eq!(tag.to_string(), "localhost:5000/app:latest");
/// assert!("localhost:5000/app@sha256:00".parse::<ImageReference>().is_err());
/// # Ok::<(), rdd_conformance::ImageReferenceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageReference {
    repository: String,
    tag: String,
}

/// A name of an image that is no tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the tag of an image; name one such as registry.example:5000/app:1.0")]
pub struct ImageReferenceError(String);

impl std::str::FromStr for ImageReference {
    type Err = ImageReferenceError;

    fn from_str(name: &str) -> Result<Self, ImageReferenceError> {
        let (repository, tag) = match name.rsplit_once(':') {
            // Otherwise it is the port of the registry.
            Some((repository, tag)) if !tag.contains('/') => (repository, tag),
            _ => (name, "latest"),
        };
        let is_odd = |text: &str| text.contains(['@', ' ']) || text.is_empty();
        if is_odd(repository) || is_odd(tag) {
            return Err(ImageReferenceError(
                rdd_core::text::truncate(name, 80).to_owned(),
            ));
        }
        Ok(Self {
            repository: repository.to_owned(),
            tag: tag.to_owned(),
        })
    }
}

impl ImageReference {
    /// Returns the reference to another tag of the repository.
    pub(super) fn with_tag(&self, tag: &str) -> Self {
        Self {
            repository: self.repository.clone(),
            tag: tag.to_owned(),
        }
    }
}

impl std::fmt::Display for ImageReference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_has_a_tag() {
        for (name, expected) in [
            ("busybox", "busybox:latest"),
            ("localhost:5000/a/b", "localhost:5000/a/b:latest"),
            ("localhost:5000/a:1", "localhost:5000/a:1"),
        ] {
            let reference: ImageReference = name.parse().unwrap();
            assert_eq!(reference.to_string(), expected);
            assert!(reference.with_tag("2").to_string().ends_with(":2"));
        }
        for name in ["", ":1", "a:", "a@sha256:00", "a b"] {
            let error = name.parse::<ImageReference>().unwrap_err().to_string();
            assert!(error.contains("registry.example:5000/app:1.0"), "{error}");
        }
    }
}
