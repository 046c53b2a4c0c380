//! What a plugin is loaded from: a component, or a dynamic library for each
//! platform.

use std::collections::BTreeMap;

use rdd_core::text::is_lower_hex;
use rdd_distribution::Platform;
use serde::Deserialize;

use super::ManifestError;

/// The form of a plugin, with its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PluginArtifact {
    /// A WebAssembly component, which runs in a sandbox.
    Component(ArtifactFile),
    /// A dynamic library for each platform: native code with all rights of the
    /// daemon.
    Library(BTreeMap<Platform, ArtifactFile>),
}

/// A file in the directory of a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactFile {
    /// The file's name.
    pub name: String,
    /// The file's SHA-256: 64 lowercase hexadecimal digits.
    pub sha256: String,
}

/// One library before validation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct LibraryTable {
    platform: String,
    file: String,
    sha256: String,
}

impl PluginArtifact {
    pub(super) fn validate(
        kind: &str,
        file: Option<String>,
        sha256: Option<String>,
        libraries: Vec<LibraryTable>,
    ) -> Result<Self, ManifestError> {
        let keys = |kind, problem| Err(ManifestError::KindKeys { kind, problem });
        match (kind, file, sha256) {
            ("component", Some(file), Some(sha256)) if libraries.is_empty() => {
                Ok(Self::Component(ArtifactFile::validate(file, sha256)?))
            }
            ("component", Some(_), Some(_)) => {
                keys("component", "has no [[libraries]]; remove them")
            }
            ("component", ..) => keys("component", "requires the keys file and sha256; add them"),
            ("library", None, None) if libraries.is_empty() => keys(
                "library",
                "requires a table [[libraries]] with platform, file, and sha256; add it",
            ),
            ("library", None, None) => {
                let mut files = BTreeMap::new();
                for library in libraries {
                    let platform: Platform = library.platform.parse()?;
                    let file = ArtifactFile::validate(library.file, library.sha256)?;
                    if files.insert(platform.clone(), file).is_some() {
                        return Err(ManifestError::PlatformTwice(platform));
                    }
                }
                Ok(Self::Library(files))
            }
            ("library", ..) => keys(
                "library",
                "has its file and sha256 in [[libraries]]; move them there",
            ),
            _ => Err(ManifestError::Kind(kind.to_owned())),
        }
    }

    pub(super) fn file_for(&self, platform: &Platform) -> Result<&ArtifactFile, ManifestError> {
        match self {
            Self::Component(file) => Ok(file),
            Self::Library(files) => files.get(platform).ok_or_else(|| {
                let names: Vec<_> = files.keys().map(Platform::to_string).collect();
                ManifestError::PlatformMissing {
                    platform: platform.clone(),
                    available: names.join(", "),
                }
            }),
        }
    }

    /// Returns the value of `kind`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Component(_) => "component",
            Self::Library(_) => "library",
        }
    }

    /// Returns whether the plugin is native code outside of the sandbox.
    pub fn is_native(&self) -> bool {
        matches!(self, Self::Library(_))
    }

    /// Returns the maximum size of a file in bytes.
    pub fn max_bytes(&self) -> u64 {
        /// Thirty times the default backend, and three times a component that
        /// contains an interpreter.
        const COMPONENT: u64 = 64 * 1024 * 1024;
        /// A library with debug information.
        const LIBRARY: u64 = 256 * 1024 * 1024;
        match self {
            Self::Component(_) => COMPONENT,
            Self::Library(_) => LIBRARY,
        }
    }
}

impl ArtifactFile {
    fn validate(name: String, sha256: String) -> Result<Self, ManifestError> {
        if !is_file_name(&name) {
            return Err(ManifestError::File(name));
        }
        if !is_lower_hex(&sha256, 64) {
            return Err(ManifestError::Digest);
        }
        Ok(Self { name, sha256 })
    }
}

/// Whether `name` is a plain file name that cannot leave its directory.
fn is_file_name(name: &str) -> bool {
    /// Every file system supports names of this many bytes.
    const MAX_BYTES: usize = 128;
    !name.is_empty()
        && name.len() <= MAX_BYTES
        && !name.starts_with('.')
        && name != super::MANIFEST_FILE
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}
