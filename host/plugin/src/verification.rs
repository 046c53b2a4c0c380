//! Verifies the installed plugins without running them.

use std::path::PathBuf;

use rdd_distribution::Platform;
use rdd_plugin_contract::is_backend_name;

use crate::discovery::{self, DiscoveredPlugin, PluginDirs, UsablePlugin};
use crate::manifest::{
    MANIFEST_FILE, MAX_MANIFEST_BYTES, ManifestError, PluginArtifact, PluginManifest,
};
use crate::trusted_file::{self, PluginFileError};
use crate::{ComponentInterface, DiscoveryError};

/// A plugin on disk, and whether its files are what they should be.
#[derive(Clone, Debug)]
pub struct VerifiedPlugin {
    /// The name.
    pub name: String,
    /// Its directory.
    pub path: PathBuf,
    /// The version in the manifest, if that can be read.
    pub version: Option<String>,
    /// The manifest, if the plugin may run.
    pub manifest: Option<PluginManifest>,
    /// The SHA-256 of the file that is loaded, if it is the expected one.
    pub digest: Option<String>,
    /// Why the plugin is not loaded: one sentence with the cause and the remedy.
    pub problem: Option<String>,
    /// Whether the user disabled the plugin, which is no error.
    pub is_disabled: bool,
}

/// Reads every plugin and compares its files with their digests. Blocks for as
/// long as it takes to read the files.
pub fn verify(dirs: &PluginDirs) -> Vec<VerifiedPlugin> {
    let set = discovery::discover(dirs);
    let mut plugins: Vec<_> = set.by_name.into_values().chain(set.unused).collect();
    plugins.sort_by(|a, b| (&a.name, &a.path).cmp(&(&b.name, &b.path)));
    plugins.into_iter().map(verify_plugin).collect()
}

fn verify_plugin(found: DiscoveredPlugin) -> VerifiedPlugin {
    let DiscoveredPlugin {
        name,
        path,
        version,
        plugin,
    } = found;
    let (manifest, digest, problem, is_disabled) = match plugin {
        Err(error) => {
            let is_disabled = matches!(error, DiscoveryError::Disabled(_));
            (None, None, Some(error.to_string()), is_disabled)
        }
        Ok(UsablePlugin { manifest, file, .. }) => {
            let checked = discovery::read_artifact(&path, &manifest, &file)
                .map_err(|error| error.to_string())
                .and_then(|bytes| match manifest.artifact {
                    PluginArtifact::Component(_) => ComponentInterface::read(&bytes)
                        .map(drop)
                        .map_err(|error| format!("{}: {error}", file.name)),
                    PluginArtifact::Library(_) => Ok(()),
                });
            match checked {
                Ok(()) => (Some(manifest), Some(file.sha256), None, false),
                Err(problem) => (Some(manifest), None, Some(problem), false),
            }
        }
    };
    VerifiedPlugin {
        name,
        path,
        version,
        manifest,
        digest,
        problem,
        is_disabled,
    }
}

/// A plugin whose library cannot be allowed.
#[derive(Debug, thiserror::Error)]
pub enum NativeDigestError {
    /// There is no such plugin.
    #[error("no plugin named {0:?} is installed; 'rdd plugin list' shows the installed ones")]
    NotInstalled(String),
    /// The manifest cannot be read.
    #[error(transparent)]
    File(#[from] PluginFileError),
    /// The manifest is not text.
    #[error("{MANIFEST_FILE} of {0} is not UTF-8; save it as UTF-8")]
    Encoding(String),
    /// The manifest is not valid.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The plugin runs in the sandbox.
    #[error("{0} is a component, which runs in a sandbox; leave out --allow-native")]
    NotNative(String),
}

/// Returns the SHA-256 of the dynamic library that the plugin of this name would
/// load, so that the user can allow it.
///
/// # Errors
///
/// Fails if there is no such plugin, or if it is not a dynamic library.
pub fn native_digest(dirs: &PluginDirs, name: &str) -> Result<String, NativeDigestError> {
    let is_name = is_backend_name(name);
    let dir = dirs
        .search
        .iter()
        .filter(|_| is_name)
        .map(|dir| dir.join(name))
        .find(|dir| dir.is_dir())
        .ok_or_else(|| NativeDigestError::NotInstalled(name.to_owned()))?;
    let bytes = trusted_file::read(&dir.join(MANIFEST_FILE), MANIFEST_FILE, MAX_MANIFEST_BYTES)?;
    let text =
        String::from_utf8(bytes).map_err(|_| NativeDigestError::Encoding(name.to_owned()))?;
    let manifest = PluginManifest::parse(&text)?;
    if !manifest.artifact.is_native() {
        return Err(NativeDigestError::NotNative(name.to_owned()));
    }
    Ok(manifest.file_for(&Platform::current())?.sha256.clone())
}
