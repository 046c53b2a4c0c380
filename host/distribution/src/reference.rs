//! References to artifacts in a registry.

use std::fmt;

use crate::digest::ContentDigest;

/// The tag of a reference without one, as in the docker CLI.
const DEFAULT_TAG: &str = "latest";
/// The maximum number of bytes of a repository's name in OCI's specification.
const MAX_REPOSITORY_BYTES: usize = 255;
/// The maximum number of bytes of a tag in OCI's specification.
const MAX_TAG_BYTES: usize = 128;

/// The name of an artifact in a registry: `registry/repository:tag` or
/// `registry/repository@sha256:…`.
///
/// Unlike in the docker CLI, there is no default registry: a plugin's origin is
/// written out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactReference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<ContentDigest>,
}

/// A text that is not a reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// The text does not begin with a registry.
    #[error(
        "{0:?} does not name a registry; write it out, as in registry.example/team/backend:1.0"
    )]
    Registry(String),
    /// The repository is not valid.
    #[error(
        "{0:?} does not name a repository; use lower-case letters, digits, and '.', '_', '-', and '/' between them"
    )]
    Repository(String),
    /// The tag is not valid.
    #[error(
        "{0:?} does not end with a valid tag; use letters, digits, '_', '.', and '-', at most 128 characters"
    )]
    Tag(String),
    /// The digest is not valid.
    #[error(
        "{0:?} does not end with a valid digest; use '@sha256:' and 64 lower-case hexadecimal digits"
    )]
    Digest(String),
}

impl ArtifactReference {
    /// Parses a reference.
    ///
    /// # Errors
    ///
    /// Fails if a part is missing or is not valid.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let quoted = || rdd_core::text::truncate(text, 300).to_owned();
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => {
                let digest = digest
                    .parse()
                    .map_err(|_| ReferenceError::Digest(quoted()))?;
                (name, Some(digest))
            }
            None => (text, None),
        };
        let (registry, rest) = name
            .split_once('/')
            .filter(|(registry, _)| is_registry(registry))
            .ok_or_else(|| ReferenceError::Registry(quoted()))?;
        let (repository, tag) = match rest.split_once(':') {
            Some((_, tag)) if !is_tag(tag) => return Err(ReferenceError::Tag(quoted())),
            Some((repository, tag)) => (repository, Some(tag.to_owned())),
            None => (rest, None),
        };
        if !is_repository(repository) {
            return Err(ReferenceError::Repository(quoted()));
        }
        Ok(Self {
            registry: registry.to_ascii_lowercase(),
            repository: repository.to_owned(),
            tag,
            digest,
        })
    }

    /// Returns whether `text` looks like a reference rather than a path: it
    /// begins with a registry.
    pub fn is_like(text: &str) -> bool {
        !text.starts_with(['.', '/'])
            && text
                .split_once('/')
                .is_some_and(|(registry, _)| is_registry(registry))
    }

    /// Returns the registry: a host name or address, and its port unless it is
    /// the default one.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Returns the repository, such as `team/backend`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Returns the tag, if the reference has one.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Returns the digest, if the reference has one.
    pub fn digest(&self) -> Option<&ContentDigest> {
        self.digest.as_ref()
    }

    /// Returns what identifies the manifest in a request: the digest, or else
    /// the tag, which is `latest` if there is none.
    pub fn tag_or_digest(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => DEFAULT_TAG.to_owned(),
        }
    }
}

impl fmt::Display for ArtifactReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        match (&self.digest, &self.tag) {
            (Some(digest), Some(tag)) => write!(f, ":{tag}@{digest}"),
            (Some(digest), None) => write!(f, "@{digest}"),
            (None, Some(tag)) => write!(f, ":{tag}"),
            (None, None) => write!(f, ":{DEFAULT_TAG}"),
        }
    }
}

/// Whether the first part of a reference is a registry. As in the docker CLI, a
/// name without a dot and a port is a part of the repository.
fn is_registry(text: &str) -> bool {
    /// The longest name in DNS.
    const MAX_BYTES: usize = 253;
    let (host, port) = match text.rsplit_once(':') {
        // The colons of an IPv6 address are in brackets.
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    let is_address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
    let is_name = host.len() <= MAX_BYTES
        && rdd_core::text::is_dns_subdomain(&host.to_ascii_lowercase())
        && (host.contains('.') || port.is_some() || host.eq_ignore_ascii_case("localhost"));
    (is_name || is_address) && port.is_none_or(is_port)
}

fn is_repository(text: &str) -> bool {
    let is_part = |part: &str| {
        let is_edge = |byte: Option<&u8>| {
            byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        let bytes = part.as_bytes();
        is_edge(bytes.first())
            && is_edge(bytes.last())
            && !part.contains("..")
            && bytes.iter().all(|byte| {
                byte.is_ascii_lowercase()
                    || byte.is_ascii_digit()
                    || matches!(byte, b'.' | b'_' | b'-')
            })
    };
    text.len() <= MAX_REPOSITORY_BYTES && text.split('/').all(is_part)
}

fn is_tag(text: &str) -> bool {
    text.len() <= MAX_TAG_BYTES
        && text
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_alphanumeric() || first == b'_')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_has_a_registry_a_repository_and_a_tag_or_digest() {
        let digest = ContentDigest::of(b"");
        for (text, registry, repository, last) in [
            ("ghcr.io/a/b:1.0", "ghcr.io", "a/b", "1.0"),
            ("localhost/a", "localhost", "a", "latest"),
            ("box:5000/a_b/c-d", "box:5000", "a_b/c-d", "latest"),
            ("127.0.0.1:5000/a:v_1", "127.0.0.1:5000", "a", "v_1"),
            ("[::1]:5000/a:x", "[::1]:5000", "a", "x"),
            ("Ghcr.IO/a:X", "ghcr.io", "a", "X"),
        ] {
            let reference = ArtifactReference::parse(text).unwrap();
            assert_eq!(reference.registry(), registry, "{text}");
            assert_eq!(reference.repository(), repository, "{text}");
            assert_eq!(reference.tag_or_digest(), last, "{text}");
            assert!(ArtifactReference::is_like(text), "{text}");
        }
        let pinned = ArtifactReference::parse(&format!("a.b/c:1@{digest}")).unwrap();
        assert_eq!(pinned.tag_or_digest(), digest.to_string());
        assert_eq!(pinned.to_string(), format!("a.b/c:1@{digest}"));
    }

    #[test]
    fn an_invalid_reference_is_rejected_by_its_part() {
        for (text, part) in [
            ("moby", "registry"),
            ("library/moby", "registry"),
            ("a.b:0/c", "registry"),
            ("a.b:70000/c", "registry"),
            ("a b.c/d", "registry"),
            ("a@b.c/d:1", "digest"),
            ("a.b/", "repository"),
            ("a.b/../c", "repository"),
            ("a.b/C", "repository"),
            ("a.b//c", "repository"),
            ("a.b/c?x=1", "repository"),
            ("a.b/c:", "tag"),
            ("a.b/c:../d", "tag"),
            ("a.b/c@sha256:00", "digest"),
        ] {
            let error = ArtifactReference::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_path_is_not_like_a_reference() {
        for path in [
            "./a.b/c",
            "/a.b/c",
            "../a.b/c",
            "plugins/moby",
            "moby.wasm",
            "oci",
        ] {
            assert!(!ArtifactReference::is_like(path), "{path}");
        }
    }
}
