//! `plugin.toml`: the manifest of a plugin, read before the plugin runs.

mod artifact;
mod directory;
mod limits;
mod schema;

// The target in `fuzz` includes this module, since the crate compiles for long.
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
#[cfg(test)]
mod tests;

use rdd_distribution::{Platform, PlatformError};
use rdd_plugin_contract::{INTERFACE, VersionError};

pub use artifact::{ArtifactFile, PluginArtifact};
pub use directory::{DirectoryGrant, DirectoryRequest, PlaceholderDirs};
pub use limits::ManifestLimits;

/// The name of the file.
pub const MANIFEST_FILE: &str = "plugin.toml";
/// The maximum size of the file in bytes: a hundred times the usual size.
pub const MAX_MANIFEST_BYTES: u64 = 64 * 1024;

/// A validated manifest.
///
/// ```
/// use rdd_plugin::PluginManifest;
///
/// let manifest = PluginManifest::parse(
///     r#"
/// name = "toy"
/// version = "0.1.0"
/// publisher = "Example"
/// kind = "component"
/// file = "toy.wasm"
/// sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
/// interface = "rancher-desktop:engine@0.1.0"
///
/// [[directories]]
/// name = "logs"
/// path = "/var/log/toy"
/// reason = "the logs of containers are files there"
/// "#,
/// )?;
/// assert_eq!(manifest.name, "toy");
/// assert_eq!(manifest.directories[0].name, "logs");
/// # Ok::<(), rdd_plugin::ManifestError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginManifest {
    /// The name by which the backend is selected: a DNS label.
    pub name: String,
    /// A semantic version.
    pub version: String,
    /// Who claims to have published the plugin. Nothing verifies it.
    pub publisher: Option<String>,
    /// A sentence about the plugin.
    pub description: Option<String>,
    /// What is loaded.
    pub artifact: PluginArtifact,
    /// The directories of this machine that the plugin asks to read.
    pub directories: Vec<DirectoryRequest>,
    /// The limits that the plugin asks for.
    pub limits: ManifestLimits,
}

/// A manifest that is not valid. The message is one sentence with the cause and
/// the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Not TOML, or not with the keys of a manifest.
    #[error("plugin.toml is not valid{}: {message}", Location(*.line))]
    Syntax {
        /// The line, counted from one.
        line: Option<usize>,
        /// The message of the parser.
        message: String,
    },
    /// Not a name of a backend.
    #[error(
        "plugin.toml has the name {0:?}; use lowercase letters, digits, and '-' between them, at most 63 characters"
    )]
    Name(String),
    /// The manifest belongs to another directory.
    #[error("plugin.toml has the name {name:?}, but its directory is {dir:?}; make them equal")]
    NameMismatch {
        /// The name in the manifest.
        name: String,
        /// The name of the directory.
        dir: String,
    },
    /// Not a semantic version.
    #[error(
        "plugin.toml has the version {version:?}, which is not a semantic version such as 1.2.3: {problem}"
    )]
    Version {
        /// The version.
        version: String,
        /// Why it is not valid.
        problem: String,
    },
    /// Not a form of a plugin.
    #[error("plugin.toml has kind = {0:?}; use \"component\" or \"library\"")]
    Kind(String),
    /// A key that the form requires, or that it does not have.
    #[error("plugin.toml has kind = {kind:?}, which {problem}")]
    KindKeys {
        /// The form.
        kind: &'static str,
        /// The end of a sentence with the remedy.
        problem: &'static str,
    },
    /// Not the name of a file in the same directory.
    #[error(
        "plugin.toml has the file {0:?}; name a file in the same directory, with letters, digits, '.', '_', and '-'"
    )]
    File(String),
    /// Not a digest.
    #[error(
        "plugin.toml has a sha256 that is not 64 lowercase hexadecimal digits; use the output of sha256sum for the file"
    )]
    Digest,
    /// Not a platform, or twice the same one.
    #[error("plugin.toml has an invalid list of libraries: {0}")]
    Platform(#[from] PlatformError),
    /// Twice the same platform.
    #[error("plugin.toml has two libraries for {0}; keep one")]
    PlatformTwice(Platform),
    /// No library for this platform.
    #[error(
        "the plugin has no library for {platform}, only for {available}; install a version that has one"
    )]
    PlatformMissing {
        /// The platform of this program.
        platform: Platform,
        /// The platforms in the manifest.
        available: String,
    },
    /// Not an interface of backends.
    #[error("plugin.toml has interface = {0:?}; use {INTERFACE:?}")]
    Interface(String),
    /// Another version of the contract.
    #[error(transparent)]
    InterfaceVersion(#[from] VersionError),
    /// A limit that is too high, or zero.
    #[error("plugin.toml has limits.{key} = {value}; use a number from 1 to {max}")]
    Limit {
        /// The key.
        key: &'static str,
        /// The value.
        value: usize,
        /// The highest value.
        max: usize,
    },
    /// A text that is empty, too long, or has control characters.
    #[error("plugin.toml has an invalid {key}; use one line of 1 to {max_bytes} bytes")]
    Text {
        /// The key.
        key: &'static str,
        /// The maximum length.
        max_bytes: usize,
    },
    /// A directory that cannot be granted.
    #[error("plugin.toml asks for the directory {name:?}, which {problem}")]
    Directory {
        /// The name of the directory, or its path if the name is not valid.
        name: String,
        /// The end of a sentence with the remedy.
        problem: String,
    },
}

/// The line of a syntax error, for [`ManifestError::Syntax`].
struct Location(Option<usize>);

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(line) => write!(f, " at line {line}"),
            None => Ok(()),
        }
    }
}

impl PluginManifest {
    /// Parses and validates a manifest.
    ///
    /// # Errors
    ///
    /// Fails if the text is not a manifest, or if a value is not valid.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        schema::parse(text)
    }

    /// Returns the file that is loaded on `platform`.
    ///
    /// # Errors
    ///
    /// Fails if the plugin is a dynamic library without a file for `platform`.
    pub fn file_for(&self, platform: &Platform) -> Result<&ArtifactFile, ManifestError> {
        self.artifact.file_for(platform)
    }

    /// Checks that the plugin is in the directory of its name.
    pub(crate) fn check_dir(&self, dir: &str) -> Result<(), ManifestError> {
        if self.name == dir {
            return Ok(());
        }
        Err(ManifestError::NameMismatch {
            name: self.name.clone(),
            dir: dir.to_owned(),
        })
    }
}
