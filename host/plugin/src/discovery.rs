//! Finds plugins in the plugin directories, and decides which of them may run.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rdd_distribution::Platform;
use rdd_plugin_contract::is_backend_name;
use sha2::{Digest as _, Sha256};

use crate::lock_file::{LockEntry, LockFile, LockFileError};
use crate::manifest::{
    ArtifactFile, DirectoryGrant, MANIFEST_FILE, MAX_MANIFEST_BYTES, ManifestError, ManifestLimits,
    PlaceholderDirs, PluginManifest,
};
use crate::trusted_file::{self, PluginFileError};

/// The maximum number of plugins in one directory. A directory with more is
/// probably not a plugin directory.
const MAX_PLUGINS: usize = 256;

/// Where plugins are looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginDirs {
    /// The directories that contain plugins as `<dir>/<name>/plugin.toml`. The
    /// first plugin of a name wins. A missing directory counts as empty.
    pub search: Vec<PathBuf>,
    /// The user's own directory, with the lock file. It need not be in `search`:
    /// the lock file also has the user's decisions about other plugins.
    pub user: Option<PathBuf>,
}

/// Returns whether two paths name the same directory.
pub fn is_same_dir(a: &Path, b: &Path) -> bool {
    let identity = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    a == b || identity(a).is_some_and(|a| Some(a) == identity(b))
}

/// A plugin that was found on disk.
#[derive(Debug)]
pub(crate) struct DiscoveredPlugin {
    /// The directory's name, which is the plugin's name if it is a valid one.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// The version in the manifest, if that is valid.
    pub(crate) version: Option<String>,
    pub(crate) plugin: Result<UsablePlugin, DiscoveryError>,
}

/// A plugin that may run, with what it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UsablePlugin {
    pub(crate) manifest: PluginManifest,
    /// The file for this platform.
    pub(crate) file: ArtifactFile,
    pub(crate) grant: PluginGrant,
}

/// What a plugin gets in addition to the connection to its engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginGrant {
    /// The directories that it may read.
    pub directories: Vec<DirectoryGrant>,
    /// The highest limits that the user allows.
    pub limits: ManifestLimits,
}

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

/// The plugins in the plugin directories.
#[derive(Debug, Default)]
pub(crate) struct PluginSet {
    /// The plugin to use for each name, unless it has an error.
    pub(crate) by_name: BTreeMap<String, DiscoveredPlugin>,
    /// Plugins that can never be used, sorted by name and path: those shadowed
    /// by an earlier one and those without a valid name.
    pub(crate) unused: Vec<DiscoveredPlugin>,
}

/// Scans the directories. The first plugin of a name wins even if it is refused,
/// so that a broken plugin is never replaced silently.
pub(crate) fn discover(dirs: &PluginDirs) -> PluginSet {
    let lock = match &dirs.user {
        Some(user) => LockFile::read(user),
        None => Ok(LockFile::default()),
    };
    let mut plugins = PluginSet::default();
    for dir in &dirs.search {
        let is_user_dir = dirs
            .user
            .as_ref()
            .is_some_and(|user| is_same_dir(user, dir));
        for plugin in scan_dir(dir, is_user_dir, &lock) {
            match plugins.by_name.get(&plugin.name) {
                Some(first) => {
                    let error = DiscoveryError::Shadowed(first.path.clone());
                    plugins.unused.push(DiscoveredPlugin {
                        plugin: Err(error),
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

fn scan_dir(
    dir: &Path,
    is_user_dir: bool,
    lock: &Result<LockFile, LockFileError>,
) -> Vec<DiscoveredPlugin> {
    let refused = |error: DiscoveryError| {
        vec![DiscoveredPlugin {
            name: dir.display().to_string(),
            path: dir.to_owned(),
            version: None,
            plugin: Err(error),
        }]
    };
    let names = match plugin_names(dir) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            tracing::debug!(dir = %dir.display(), "plugin directory does not exist");
            Vec::new()
        }
        Err(error) => return refused(DiscoveryError::Directory(error)),
    };
    // The directory itself may be a link: the user chose it.
    if !names.is_empty()
        && let Err(error) = fs::canonicalize(dir)
            .map_err(DiscoveryError::Directory)
            .and_then(|real| {
                trusted_file::check_dir(&real, "it").map_err(DiscoveryError::UntrustedDirectory)
            })
    {
        return refused(error);
    }
    let mut plugins: Vec<_> = names
        .into_iter()
        .map(|name| {
            let path = dir.join(&name);
            let mut version = None;
            DiscoveredPlugin {
                plugin: read_plugin(&name, &path, is_user_dir, lock, &mut version),
                version,
                name,
                path,
            }
        })
        .collect();
    if is_user_dir && let Ok(lock) = lock {
        for entry in &lock.plugins {
            if plugins.iter().all(|plugin| plugin.name != entry.name) {
                plugins.push(missing(dir, entry));
            }
        }
    }
    plugins.sort_by(|a, b| a.name.cmp(&b.name));
    plugins
}

/// Returns the names of the plugins in a directory, in no particular order.
/// Regular files (a README) and hidden entries are not plugins. A symbolic link
/// was meant to be one, so it is included, and refused later.
pub(crate) fn plugin_names(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || entry.file_type()?.is_file() {
            continue;
        }
        if names.len() == MAX_PLUGINS {
            tracing::error!(
                dir = %dir.display(),
                max = MAX_PLUGINS,
                "too many plugins in one directory; ignoring the rest"
            );
            break;
        }
        names.push(name);
    }
    Ok(names)
}

/// Returns the report of a plugin whose directory was removed by hand.
fn missing(dir: &Path, entry: &LockEntry) -> DiscoveredPlugin {
    DiscoveredPlugin {
        name: entry.name.clone(),
        path: dir.join(&entry.name),
        version: Some(entry.version.clone()),
        plugin: Err(DiscoveryError::Gone {
            name: entry.name.clone(),
            source_name: entry.source.clone(),
        }),
    }
}

fn read_plugin(
    name: &str,
    path: &Path,
    is_user_dir: bool,
    lock: &Result<LockFile, LockFileError>,
    version: &mut Option<String>,
) -> Result<UsablePlugin, DiscoveryError> {
    if !is_backend_name(name) {
        return Err(DiscoveryError::Name(name.to_owned()));
    }
    trusted_file::check_dir(path, "directory")?;
    let bytes = trusted_file::read(&path.join(MANIFEST_FILE), MANIFEST_FILE, MAX_MANIFEST_BYTES)?;
    let digest = format!("{:x}", Sha256::digest(&bytes));
    let text = String::from_utf8(bytes).map_err(|_| DiscoveryError::Encoding)?;
    let parsed = PluginManifest::parse(&text);
    if let Ok(manifest) = &parsed {
        *version = Some(manifest.version.clone());
    }
    let lock = lock
        .as_ref()
        .map_err(|error| DiscoveryError::Lock(error.to_string()))?;
    // A disabled plugin is reported as such, whatever else is wrong with it.
    let entry = if is_user_dir {
        if lock.entries(name).any(|entry| !entry.enabled) {
            return Err(DiscoveryError::Disabled(name.to_owned()));
        }
        let Some(any) = lock.entries(name).next() else {
            return Err(DiscoveryError::NotInstalled);
        };
        let source_name = any.source.clone();
        let entry = lock
            .entries(name)
            .find(|entry| entry.manifest_digest == digest);
        Some(entry.ok_or(DiscoveryError::Changed { source_name })?)
    } else {
        if lock.other(name).is_some_and(|other| !other.enabled) {
            return Err(DiscoveryError::Disabled(name.to_owned()));
        }
        None
    };
    let manifest = parsed?;
    manifest.check_dir(name)?;
    let file = manifest.file_for(&Platform::current())?.clone();
    let is_allowed = match entry {
        Some(entry) => entry.allow_native && entry.digest == file.sha256,
        None => lock
            .other(name)
            .is_some_and(|other| other.allow_native.as_deref() == Some(file.sha256.as_str())),
    };
    if manifest.artifact.is_native() && !is_allowed {
        return Err(DiscoveryError::NativeNotAllowed(name.to_owned()));
    }
    let grant = match entry {
        Some(entry) => installed_grant(&manifest, entry)?,
        // The directory's owner decided what is in it.
        None => PluginGrant {
            directories: grant_all(&manifest)?,
            limits: ManifestLimits::default(),
        },
    };
    Ok(UsablePlugin {
        manifest,
        file,
        grant,
    })
}

/// Returns what the user granted, if it is everything that the plugin asks for.
fn installed_grant(
    manifest: &PluginManifest,
    entry: &LockEntry,
) -> Result<PluginGrant, DiscoveryError> {
    let directories = manifest
        .directories
        .iter()
        .map(|request| {
            entry
                .directories
                .iter()
                .find(|grant| grant.name == request.name && grant.requested == request.path)
                .cloned()
                .ok_or_else(|| DiscoveryError::DirectoryNotGranted {
                    path: request.path.clone(),
                })
        })
        .collect::<Result<_, _>>()?;
    Ok(PluginGrant {
        directories,
        limits: entry.limits,
    })
}

fn grant_all(manifest: &PluginManifest) -> Result<Vec<DirectoryGrant>, DiscoveryError> {
    let dirs = PlaceholderDirs::read();
    manifest
        .directories
        .iter()
        .map(|request| {
            request
                .grant(&dirs)
                .ok_or_else(|| DiscoveryError::Placeholder {
                    path: request.path.clone(),
                })
        })
        .collect()
}

/// Reads the file of a plugin and compares it with the digest in the manifest.
pub(crate) fn read_artifact(
    dir: &Path,
    manifest: &PluginManifest,
    file: &ArtifactFile,
) -> Result<Vec<u8>, ArtifactFileError> {
    let ArtifactFile { name, sha256 } = file;
    let bytes = trusted_file::read(&dir.join(name), name, manifest.artifact.max_bytes())?;
    let actual = format!("{:x}", Sha256::digest(&bytes));
    if actual != *sha256 {
        return Err(ArtifactFileError::Digest {
            file: name.clone(),
            actual,
            expected: sha256.clone(),
        });
    }
    Ok(bytes)
}
