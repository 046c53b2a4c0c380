//! Finds plugins in the plugin directories and reads their files.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rdd_plugin_contract::is_backend_name;
use sha2::{Digest as _, Sha256};

use crate::manifest::{ManifestError, PluginManifest};

const MANIFEST_FILE: &str = "plugin.toml";
/// The maximum size of a manifest in bytes: a hundred times the usual size.
const MAX_MANIFEST_BYTES: u64 = 64 * 1024;
/// The maximum size of a component in bytes: thirty times the default backend.
pub(crate) const MAX_COMPONENT_BYTES: u64 = 64 * 1024 * 1024;
/// The maximum number of plugins in one directory. A directory with more is
/// probably not a plugin directory.
const MAX_PLUGINS: usize = 256;

/// A plugin that was found on disk.
#[derive(Debug)]
pub(crate) struct DiscoveredPlugin {
    /// The directory's name, which is the plugin's name if it is a valid one.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) manifest: Result<PluginManifest, DiscoveryError>,
}

/// A plugin that cannot be used. The message is one sentence with the cause and
/// the remedy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DiscoveryError {
    /// A plugin with the same name was found earlier.
    #[error("another plugin with this name takes precedence, in {}; remove one of them", .0.display())]
    Shadowed(PathBuf),
    /// A plugin directory cannot be listed.
    #[error("cannot read the plugin directory: {0}; give the daemon's user access to it")]
    Directory(io::Error),
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
}

/// A component that cannot be read or is not the one in the manifest.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ComponentFileError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] PluginFileError),
    /// The file is not the one that the manifest was written for.
    #[error(
        "the SHA-256 of {file} is {actual}, but {MANIFEST_FILE} has {expected}; install the plugin again"
    )]
    Digest {
        file: String,
        actual: String,
        expected: String,
    },
}

/// A file or directory of a plugin that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PluginFileError {
    #[error("there is no {0}; install the plugin again or remove its directory")]
    Missing(String),
    #[error("cannot read {name}: {error}; give the daemon's user access to it")]
    Unreadable { name: String, error: io::Error },
    #[error(
        "{0} is a symbolic link, which is not followed; replace it with the file or directory itself"
    )]
    Symlink(String),
    #[error("{0} has the wrong file type; install the plugin again")]
    FileType(String),
    #[error("{0} is writable by everyone; check its content, then run 'chmod o-w' on it")]
    WorldWritable(String),
    #[error("{name} is larger than the maximum of {max_bytes} bytes")]
    TooLarge { name: String, max_bytes: u64 },
}

/// The plugins in the plugin directories.
#[derive(Debug, Default)]
pub(crate) struct PluginSet {
    /// The plugin to use for each name, unless it has an error.
    pub(crate) by_name: BTreeMap<String, DiscoveredPlugin>,
    /// Plugins that can never be used, sorted by name and path: those shadowed
    /// by an earlier one and those without a valid name.
    pub(crate) unused: Vec<DiscoveredPlugin>,
}

/// Scans each of `dirs`. The first plugin of a name wins even if it is refused,
/// so that a broken plugin is never replaced silently.
pub(crate) fn discover(dirs: &[PathBuf]) -> PluginSet {
    let mut plugins = PluginSet::default();
    for dir in dirs {
        for plugin in scan_dir(dir) {
            match plugins.by_name.get(&plugin.name) {
                Some(first) => {
                    let error = DiscoveryError::Shadowed(first.path.clone());
                    plugins.unused.push(DiscoveredPlugin {
                        manifest: Err(error),
                        ..plugin
                    });
                }
                None if is_backend_name(&plugin.name) => {
                    plugins.by_name.insert(plugin.name.clone(), plugin);
                }
                None => plugins.unused.push(plugin),
            }
        }
    }
    plugins
        .unused
        .sort_by(|a, b| (&a.name, &a.path).cmp(&(&b.name, &b.path)));
    plugins
}

fn scan_dir(dir: &Path) -> Vec<DiscoveredPlugin> {
    let unreadable = |error: io::Error| {
        vec![DiscoveredPlugin {
            name: dir.display().to_string(),
            path: dir.to_owned(),
            manifest: Err(DiscoveryError::Directory(error)),
        }]
    };
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            tracing::debug!(dir = %dir.display(), "plugin directory does not exist");
            return Vec::new();
        }
        Err(error) => return unreadable(error),
    };
    let mut plugins = Vec::new();
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => return unreadable(error),
        };
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        // Regular files (a README) and hidden entries are not plugins. A
        // symbolic link was meant to be one, so it is reported as refused.
        let is_regular_file = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file());
        if is_regular_file || name.starts_with('.') {
            continue;
        }
        if plugins.len() == MAX_PLUGINS {
            tracing::error!(
                dir = %dir.display(),
                max = MAX_PLUGINS,
                "too many plugins in one directory; ignoring the rest"
            );
            break;
        }
        plugins.push(DiscoveredPlugin {
            manifest: read_manifest(&name, &path),
            name,
            path,
        });
    }
    plugins.sort_by(|a, b| a.name.cmp(&b.name));
    plugins
}

pub(crate) fn read_manifest(name: &str, path: &Path) -> Result<PluginManifest, DiscoveryError> {
    if !is_backend_name(name) {
        return Err(DiscoveryError::Name(name.to_owned()));
    }
    require_trusted(path, "directory", fs::Metadata::is_dir)?;
    let bytes = read_file(&path.join(MANIFEST_FILE), MANIFEST_FILE, MAX_MANIFEST_BYTES)?;
    let text = String::from_utf8(bytes).map_err(|_| DiscoveryError::Encoding)?;
    Ok(PluginManifest::parse(&text, name)?)
}

/// Reads the component of a plugin and compares it with the digest in the
/// manifest.
pub(crate) fn read_component(
    path: &Path,
    manifest: &PluginManifest,
) -> Result<Vec<u8>, ComponentFileError> {
    let PluginManifest { file, sha256, .. } = manifest;
    let bytes = read_file(&path.join(file), file, MAX_COMPONENT_BYTES)?;
    let actual = format!("{:x}", Sha256::digest(&bytes));
    if actual != *sha256 {
        return Err(ComponentFileError::Digest {
            file: file.clone(),
            actual,
            expected: sha256.clone(),
        });
    }
    Ok(bytes)
}

pub(crate) fn read_file(
    path: &Path,
    name: &str,
    max_bytes: u64,
) -> Result<Vec<u8>, PluginFileError> {
    require_trusted(path, name, fs::Metadata::is_file)?;
    let unreadable = |error| PluginFileError::Unreadable {
        name: name.to_owned(),
        error,
    };
    let file = fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    // One byte above the maximum, to detect a larger file.
    file.take(max_bytes + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > max_bytes {
        return Err(PluginFileError::TooLarge {
            name: name.to_owned(),
            max_bytes,
        });
    }
    Ok(bytes)
}

/// Rejects symbolic links and anything that every user could change.
fn require_trusted(
    path: &Path,
    name: &str,
    is_expected_type: impl Fn(&fs::Metadata) -> bool,
) -> Result<(), PluginFileError> {
    /// The permission bit for write access by everyone.
    const OTHERS_WRITE: u32 = 0o002;
    let name = name.to_owned();
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(PluginFileError::Missing(name));
        }
        Err(error) => return Err(PluginFileError::Unreadable { name, error }),
    };
    if metadata.is_symlink() {
        return Err(PluginFileError::Symlink(name));
    }
    if !is_expected_type(&metadata) {
        return Err(PluginFileError::FileType(name));
    }
    if metadata.mode() & OTHERS_WRITE != 0 {
        return Err(PluginFileError::WorldWritable(name));
    }
    Ok(())
}
