//! Notices that plugins were installed, upgraded, enabled, disabled, or removed,
//! and starts and stops their supervisors.
//!
//! The directories are polled. The crate `notify` would need a handle for each
//! directory, including those that do not exist yet, does not see changes on
//! network file systems and in many virtual machines, and on macOS opens every
//! file. A poll queries the metadata of a few files.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use futures::future::join_all;
use rdd_plugin_contract::{BackendMetrics, EngineTransport};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, info_span};

use crate::discovery::{self, DiscoveredPlugin, PluginDirs, PluginSet, UsablePlugin};
use crate::lock_file::LOCK_FILE;
use crate::manifest::MANIFEST_FILE;
use crate::plugin_entry::PluginEntry;
use crate::plugin_table::PluginTable;
use crate::store;
use crate::supervisor::{BackendSupervisor, SupervisorContext};
use crate::supervisor_tracker::SupervisorTracker;
use crate::{EngineDialer, EngineEndpoint, TransportError};

/// How long the streams of a plugin may take to end before its successor starts
/// nevertheless.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// The connections of each backend to its engine.
pub(crate) struct EngineTransports {
    default: Arc<dyn EngineTransport>,
    by_name: BTreeMap<String, Arc<dyn EngineTransport>>,
}

impl EngineTransports {
    pub(crate) fn new(
        endpoint: EngineEndpoint,
        endpoints: BTreeMap<String, EngineEndpoint>,
    ) -> Result<Self, TransportError> {
        let dialer = |endpoint| -> Result<Arc<dyn EngineTransport>, TransportError> {
            Ok(Arc::new(EngineDialer::new(endpoint)?))
        };
        Ok(Self {
            default: dialer(endpoint)?,
            by_name: endpoints
                .into_iter()
                .map(|(name, endpoint)| Ok((name, dialer(endpoint)?)))
                .collect::<Result<_, TransportError>>()?,
        })
    }

    fn of(&self, name: &str) -> Arc<dyn EngineTransport> {
        self.by_name.get(name).unwrap_or(&self.default).clone()
    }
}

/// The plugins on disk, and what identifies the state that was read.
pub(crate) struct PluginScan {
    pub(crate) plugins: ScannedPlugins,
    pub(crate) fingerprint: DirsFingerprint,
}

/// The plugins on disk. A plugin whose fingerprint is the same is the same.
pub(crate) struct ScannedPlugins {
    set: PluginSet,
    fingerprints: BTreeMap<String, Vec<FileFingerprint>>,
}

/// The metadata of everything in the plugin directories. A change of any file
/// changes it.
pub(crate) type DirsFingerprint = Vec<FileFingerprint>;

/// What changes when a file does. Not the time of the last status change, which
/// backups and links change, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileFingerprint {
    path: PathBuf,
    /// Device, inode, size, mode, and modification time; `None` if there is no
    /// such file.
    metadata: Option<(u64, u64, u64, u32, i64, i64)>,
}

impl FileFingerprint {
    fn of(path: PathBuf) -> Self {
        let metadata = fs::symlink_metadata(&path).ok().map(|metadata| {
            (
                metadata.dev(),
                metadata.ino(),
                metadata.size(),
                metadata.mode(),
                metadata.mtime(),
                metadata.mtime_nsec(),
            )
        });
        Self { path, metadata }
    }
}

impl PluginScan {
    /// Reads the directories. Blocks.
    pub(crate) fn of(dirs: &PluginDirs) -> Self {
        // Before the files are read: a change during the scan leads to another.
        let fingerprint = fingerprint(dirs);
        let set = discovery::discover(dirs);
        let fingerprints = set
            .by_name
            .iter()
            .map(|(name, plugin)| {
                let mut files = vec![plugin.path.clone(), plugin.path.join(MANIFEST_FILE)];
                if let Ok(UsablePlugin { file, .. }) = &plugin.plugin {
                    files.push(plugin.path.join(&file.name));
                }
                let files = files.into_iter().map(FileFingerprint::of).collect();
                (name.clone(), files)
            })
            .collect();
        Self {
            plugins: ScannedPlugins { set, fingerprints },
            fingerprint,
        }
    }
}

/// Returns the metadata of all files in the directories, without reading them.
fn fingerprint(dirs: &PluginDirs) -> DirsFingerprint {
    let mut files = Vec::new();
    if let Some(user) = &dirs.user {
        files.push(FileFingerprint::of(user.join(LOCK_FILE)));
    }
    for dir in &dirs.search {
        files.push(FileFingerprint::of(dir.clone()));
        // If it cannot be read, the next poll tries again.
        let mut names = discovery::plugin_names(dir).unwrap_or_default();
        names.sort();
        for name in names {
            add_files(&dir.join(name), &mut files);
        }
    }
    files
}

/// Adds a plugin's directory and the files in it.
fn add_files(dir: &Path, files: &mut DirsFingerprint) {
    /// A plugin has a manifest and a file for each platform. A change of any
    /// further file is not noticed at once.
    const MAX_FILES: usize = 64;
    files.push(FileFingerprint::of(dir.to_owned()));
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    let mut paths: Vec<_> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .take(MAX_FILES)
        .collect();
    paths.sort();
    files.extend(paths.into_iter().map(FileFingerprint::of));
}

/// Keeps the supervisors in accordance with the plugins on disk.
pub(crate) struct PluginReloader {
    pub(crate) dirs: PluginDirs,
    pub(crate) table: Arc<PluginTable>,
    pub(crate) context: Arc<SupervisorContext>,
    pub(crate) transports: EngineTransports,
    pub(crate) supervisors: Arc<SupervisorTracker>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) known: BTreeMap<String, KnownPlugin>,
    /// The generation of the latest start of each name, also of plugins that
    /// were removed: a reader must notice that a plugin was installed again.
    pub(crate) generations: BTreeMap<String, Arc<AtomicU64>>,
}

/// A plugin that was found by the latest scan.
pub(crate) struct KnownPlugin {
    entry: Arc<PluginEntry>,
    /// What was found; a plugin in error is compared by its message.
    found: Result<UsablePlugin, String>,
    files: Vec<FileFingerprint>,
    /// Stops the supervisor.
    stop: CancellationToken,
    /// Cancelled when the supervisor has ended.
    ended: CancellationToken,
}

impl PluginReloader {
    /// Applies changes until the host shuts down.
    pub(crate) async fn run(mut self, interval: Duration, mut latest: DirsFingerprint) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                () = self.shutdown.cancelled() => return,
            }
            let (dirs, before) = (self.dirs.clone(), latest.clone());
            // On a file system that hangs, only this task waits.
            let scan = tokio::task::spawn_blocking(move || scan_if_changed(&dirs, &before));
            let scan = tokio::select! {
                scan = scan => scan,
                () = self.shutdown.cancelled() => return,
            };
            match scan {
                Ok(Some(PluginScan {
                    plugins,
                    fingerprint,
                })) => {
                    latest = fingerprint;
                    self.apply(plugins).await;
                }
                Ok(None) => {}
                Err(error) => tracing::error!(%error, "the search for plugins failed"),
            }
        }
    }

    /// Stops the plugins that are gone or different, then starts the new ones.
    pub(crate) async fn apply(&mut self, plugins: ScannedPlugins) {
        let ScannedPlugins {
            set: PluginSet { by_name, unused },
            mut fingerprints,
        } = plugins;
        let mut kept = BTreeMap::new();
        let mut changed = Vec::new();
        for (name, plugin) in by_name {
            let files = fingerprints.remove(&name).unwrap_or_default();
            let found = plugin.plugin.as_ref().map_err(ToString::to_string);
            match self.known.remove(&name) {
                Some(known)
                    if known.found.as_ref().map_err(Clone::clone) == found
                        && known.files == files =>
                {
                    kept.insert(name, known);
                }
                predecessor => changed.push((name, plugin, files, predecessor)),
            }
        }
        let gone = std::mem::take(&mut self.known);
        for name in gone.keys() {
            tracing::info!(backend = name, "plugin removed");
        }
        // The entries of plugins that end stay in the table until their streams
        // have ended, so that viewers are told to try again.
        let replaced = changed
            .iter()
            .filter_map(|(_, _, _, predecessor)| predecessor.as_ref());
        join_all(gone.values().chain(replaced).map(stop)).await;
        for (name, plugin, files, predecessor) in changed {
            let metrics = predecessor.map(|known| known.entry.metrics().clone());
            let known = self.start(&plugin, files, metrics.unwrap_or_default());
            kept.insert(name, known);
        }
        self.known = kept;
        let entries = self
            .known
            .iter()
            .map(|(name, known)| (name.clone(), known.entry.clone()))
            .collect();
        let unused = unused
            .iter()
            .map(|plugin| {
                let changes = self.table.changes().clone();
                PluginEntry::new(plugin, Arc::default(), Arc::default(), changes).report()
            })
            .inspect(|report| {
                tracing::warn!(
                    error = report.reason,
                    path = %report.path.display(),
                    "plugin ignored"
                );
            })
            .collect();
        self.table.replace(entries, unused);
    }

    /// Starts the supervisor of a plugin that may run.
    fn start(
        &mut self,
        plugin: &DiscoveredPlugin,
        files: Vec<FileFingerprint>,
        metrics: Arc<BackendMetrics>,
    ) -> KnownPlugin {
        let generations = self.generations.entry(plugin.name.clone()).or_default();
        let entry = Arc::new(PluginEntry::new(
            plugin,
            generations.clone(),
            metrics,
            self.table.changes().clone(),
        ));
        let stop = self.shutdown.child_token();
        let ended = CancellationToken::new();
        let name = &plugin.name;
        match &plugin.plugin {
            Ok(usable) => {
                let supervisor = BackendSupervisor {
                    context: self.context.clone(),
                    entry: entry.clone(),
                    path: plugin.path.clone(),
                    plugin: usable.clone(),
                    transport: self.transports.of(name),
                    shutdown: stop.clone(),
                };
                // Also cancelled by a panic.
                let guard = ended.clone().drop_guard();
                let task = async move {
                    let _guard = guard;
                    supervisor.run().await;
                };
                self.supervisors
                    .spawn(name, task.instrument(info_span!("backend", name)));
            }
            Err(error @ crate::DiscoveryError::Disabled(_)) => {
                tracing::info!(backend = name, reason = %error, "plugin not loaded");
                ended.cancel();
            }
            Err(error) => {
                tracing::error!(
                    %error,
                    backend = name,
                    path = %plugin.path.display(),
                    "plugin refused"
                );
                ended.cancel();
            }
        }
        KnownPlugin {
            entry,
            found: plugin
                .plugin
                .as_ref()
                .map(Clone::clone)
                .map_err(ToString::to_string),
            files,
            stop,
            ended,
        }
    }
}

/// Stops a supervisor, and waits for its streams to end.
async fn stop(known: &KnownPlugin) {
    known.stop.cancel();
    if tokio::time::timeout(STOP_TIMEOUT, known.ended.cancelled())
        .await
        .is_err()
    {
        tracing::warn!(
            backend = known.entry.name,
            "the backend has not ended yet; continuing without waiting for it"
        );
    }
}

/// Reads the directories if something in them was changed. `None` also while a
/// command changes them: the next poll sees the result.
fn scan_if_changed(dirs: &PluginDirs, before: &DirsFingerprint) -> Option<PluginScan> {
    if fingerprint(dirs) == *before {
        return None;
    }
    let _guard = match &dirs.user {
        Some(user) => store::try_lock_shared(user)?,
        None => None,
    };
    Some(PluginScan::of(dirs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PluginStore;

    #[tokio::test]
    async fn a_change_is_read_once_no_command_holds_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let dirs = PluginDirs {
            search: vec![dir.path().to_owned()],
            user: Some(dir.path().to_owned()),
        };
        let store = PluginStore::new(dir.path().to_owned());
        // The first command creates the file to lock.
        drop(store.lock().unwrap());
        let before = fingerprint(&dirs);
        assert!(scan_if_changed(&dirs, &before).is_none());
        let guard = store.lock().unwrap();
        fs::create_dir(dir.path().join("half-written")).unwrap();
        assert!(scan_if_changed(&dirs, &before).is_none());
        drop(guard);
        // A process that another test starts holds the lock until it runs its program.
        let scan = async || scan_if_changed(&dirs, &before).ok_or("it is locked".to_owned());
        let scan = rdd_testkit::eventually("the directory is read", scan).await;
        assert!(scan.plugins.set.by_name.contains_key("half-written"));
        assert!(scan_if_changed(&dirs, &scan.fingerprint).is_none());
    }
}
