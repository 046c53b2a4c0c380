//! Why a plugin is refused.

use std::io;
use std::path::PathBuf;

use crate::manifest::{MANIFEST_FILE, ManifestError};
use crate::trusted_file::PluginFileError;

/// A plugin that cannot be used. The message is one sentence with the cause and
/// the remedy.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// A plugin with the same name was found earlier.
    #[error("another plugin with this name takes precedence, in {}; remove one of them", .0.display())]
    Shadowed(PathBuf),
    /// A plugin directory cannot be listed.
    #[error("cannot read the plugin directory: {0}; give the daemon's user access to it")]
    Directory(io::Error),
    /// Others can add plugins to a plugin directory.
    #[error("no plugin is loaded from this directory: {0}")]
    UntrustedDirectory(PluginFileError),
    /// The directory's name is not a plugin name.
    #[error(
        "{0:?} is not a valid plugin name; use lowercase letters, digits, and '-' between them, at most 63 characters"
    )]
    Name(String),
    /// The manifest is not text.
    #[error("{MANIFEST_FILE} is not UTF-8; save it as UTF-8")]
    Encoding,
    /// The directory or the manifest cannot be used.
    #[error(transparent)]
    File(#[from] PluginFileError),
    /// The content of the manifest is not valid.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The lock file cannot be used, so that it is unknown what is allowed.
    #[error("{0}")]
    Lock(String),
    /// The plugin is in the user's directory but not in the lock file.
    #[error(
        "it was not installed with 'rdd plugin install'; run 'rdd plugin install' with its path, after moving it to another directory"
    )]
    NotInstalled,
    /// The manifest is not the installed one.
    #[error(
        "{MANIFEST_FILE} was changed since the plugin was installed from {source_name}; run 'rdd plugin install {source_name}' if you trust that source"
    )]
    Changed {
        /// Where the plugin was installed from.
        source_name: String,
    },
    /// The plugin is in the lock file, but its directory is not there.
    #[error(
        "its directory is missing; run 'rdd plugin install {source_name}', or 'rdd plugin remove {name}'"
    )]
    Gone {
        /// The plugin.
        name: String,
        /// Where the plugin was installed from.
        source_name: String,
    },
    /// The user disabled the plugin.
    #[error("it is disabled; run 'rdd plugin enable {0}' to load it")]
    Disabled(String),
    /// The plugin is native code that the user did not allow.
    #[error(
        "it is a dynamic library, which runs with all rights of the daemon and was not allowed to; run 'rdd plugin enable {0} --allow-native' if you trust its publisher"
    )]
    NativeNotAllowed(String),
    /// The plugin asks for a directory that the user did not grant.
    #[error(
        "it asks to read {path}, which was not granted; install it again to grant the directory"
    )]
    DirectoryNotGranted {
        /// The path in the manifest.
        path: String,
    },
    /// A placeholder in a path has no value.
    #[error("it asks to read {path}, but {} is not set; set it for the daemon", path.split('/').next().unwrap_or_default())]
    Placeholder {
        /// The path in the manifest.
        path: String,
    },
}

/// A file of a plugin that is not the one in its manifest.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactFileError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] PluginFileError),
    /// The file is not the one that the manifest was written for.
    #[error(
        "the SHA-256 of {file} is {actual}, but {MANIFEST_FILE} has {expected}; install the plugin again"
    )]
    Digest {
        /// The file.
        file: String,
        /// Its digest.
        actual: String,
        /// The digest in the manifest.
        expected: String,
    },
}
