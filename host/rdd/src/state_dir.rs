//! The state directory, with all files of one instance.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rdd_mirror::InstanceId;
use serde::de::DeserializeOwned;

/// The name of the default instance.
const DEFAULT_INSTANCE: &str = "default";

/// The file that a running daemon holds locked.
const LOCK_FILE: &str = "lock";
/// The content of the lock file while its daemon is shutting down.
const STOPPING_MARKER: &[u8] = b"stopping\n";
/// How long a start waits for a daemon that is shutting down: the limit of the
/// shutdown, and some time for the system to clean up the process.
const STOPPING_DAEMON_TIMEOUT: Duration = Duration::from_secs(11);
/// How long a start waits for a daemon that is not marked as shutting down: its
/// signal may not have been delivered yet.
const RUNNING_DAEMON_TIMEOUT: Duration = Duration::from_millis(500);
/// How often a held lock is retried.
const LOCK_POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The paths of an instance, which only its owner can read.
#[derive(Clone, Debug)]
pub(crate) struct StateDir {
    root: PathBuf,
    instance: String,
}

/// The lock of a state directory, held by its only daemon. The system releases
/// it when the process ends for any reason.
pub(crate) struct StateDirLock {
    file: File,
}

impl StateDirLock {
    /// Holds the lock until the process exits.
    pub(crate) fn hold_until_exit(self) {
        std::mem::forget(self);
    }

    /// Marks the daemon as shutting down, so that the next one waits for it.
    pub(crate) fn mark_stopping(&mut self) -> std::io::Result<()> {
        self.file.write_all(STOPPING_MARKER)
    }
}

/// Reads a JSON file that the running daemon writes for the commands of its user.
pub(crate) fn read_published<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read(path).with_context(|| path.display().to_string())?;
    serde_json::from_slice(&text).with_context(|| {
        format!(
            "{} is damaged; restart the daemon to write it again",
            path.display()
        )
    })
}

impl StateDir {
    /// Returns `explicit`, or the directory of the instance in `RDD_INSTANCE`.
    pub(crate) fn locate(explicit: Option<PathBuf>) -> Result<Self> {
        let var = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let instance = var("RDD_INSTANCE").unwrap_or_else(|| DEFAULT_INSTANCE.to_owned());
        if !instance
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        {
            bail!(
                "RDD_INSTANCE={instance:?} is not an instance name; use lower-case letters, digits, and '-'"
            );
        }
        let root = match explicit {
            Some(path) => std::path::absolute(&path)
                .with_context(|| format!("cannot use {} as state directory", path.display()))?,
            None => match (var("XDG_STATE_HOME"), std::env::home_dir()) {
                (Some(state), _) => PathBuf::from(state).join("rdd").join(&instance),
                (None, Some(home)) => home.join(".local/state/rdd").join(&instance),
                (None, None) => {
                    bail!(
                        "there is no home directory for the state; choose a directory with --state-dir"
                    )
                }
            },
        };
        Ok(Self { root, instance })
    }

    /// Creates the directory and acquires the lock. Waits for a daemon that is
    /// shutting down.
    pub(crate) async fn lock(&self) -> Result<StateDirLock> {
        let unusable = || {
            format!(
                "cannot use {} as state directory; choose another with --state-dir",
                self.root.display()
            )
        };
        reject_shared(&self.root).with_context(unusable)?;
        rdd_core::create_private_dir(&self.root).with_context(unusable)?;
        let path = self.root.join(LOCK_FILE);
        let file = open_lock(&path)
            .with_context(|| format!("cannot open {}", path.display()))
            .with_context(unusable)?;
        let began = Instant::now();
        let mut is_logged = false;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("cannot lock {}", path.display()));
                }
            }
            let content =
                std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let (limit, stopping) = match content.as_slice() {
                STOPPING_MARKER => (STOPPING_DAEMON_TIMEOUT, true),
                _ => (RUNNING_DAEMON_TIMEOUT, false),
            };
            if began.elapsed() >= limit {
                bail!(
                    "another daemon is running on {}; stop it, or choose another directory with --state-dir or RDD_INSTANCE",
                    self.root.display()
                );
            }
            if stopping && !is_logged {
                is_logged = true;
                tracing::info!("waiting for the previous daemon to shut down");
            }
            tokio::time::sleep(LOCK_POLL_INTERVAL).await;
        }
        file.set_len(0)
            .with_context(|| format!("cannot write {}", path.display()))
            .with_context(unusable)?;
        // With the lock held, no other process writes to the directory.
        rdd_core::remove_temporary_files(&self.root)
            .with_context(|| format!("cannot clean up {}", self.root.display()))?;
        Ok(StateDirLock { file })
    }

    /// Returns whether a daemon is running on the directory, ready or not.
    pub(crate) fn is_locked(&self) -> bool {
        // A missing or unreadable file means that no daemon of this user runs.
        File::open(self.root.join(LOCK_FILE))
            .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// Returns the directory itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the name of the context in the kubeconfig.
    pub(crate) fn context_name(&self) -> String {
        match self.instance.as_str() {
            DEFAULT_INSTANCE => "rdd".to_owned(),
            instance => format!("rdd-{instance}"),
        }
    }

    /// The kubeconfig of the instance, which exists only while it is ready.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.root.join("kubeconfig")
    }

    /// The discovery entry of a ready daemon, for the commands of its user.
    pub(crate) fn discovery(&self) -> PathBuf {
        self.root.join("discovery.json")
    }

    /// The state of the running daemon's backends, for the commands of its user.
    pub(crate) fn plugin_reports(&self) -> PathBuf {
        self.root.join("plugins.json")
    }

    /// The database of the embedded API server.
    pub(crate) fn database(&self) -> PathBuf {
        self.root.join("apiserver.db")
    }

    /// The directory of certificates and their keys.
    pub(crate) fn tls(&self) -> PathBuf {
        self.root.join("tls")
    }

    /// The bearer token.
    pub(crate) fn token(&self) -> PathBuf {
        self.root.join("token")
    }

    /// The cache of compiled backends.
    pub(crate) fn plugin_cache(&self) -> PathBuf {
        self.root.join("plugin-cache")
    }

    /// Returns the ID of the instance, which distinguishes daemons on one cluster.
    /// It is created on first use and never changes.
    pub(crate) fn instance_id(&self) -> Result<InstanceId> {
        let path = self.root.join("instance-id");
        match std::fs::read_to_string(&path) {
            Ok(text) => InstanceId::parse(text.trim()).with_context(|| {
                format!(
                    "{} is damaged; delete it and start the daemon to create a new one: in a cluster, it first waits for the Lease of the old ID to expire",
                    path.display()
                )
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let text = uuid::Uuid::new_v4().to_string();
                let id = InstanceId::parse(&text)?;
                rdd_core::write_private(&path, text.as_bytes())?;
                Ok(id)
            }
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// The file with the port of the last run.
    pub(crate) fn port(&self) -> PathBuf {
        self.root.join("port")
    }

    /// The file with the port of the web page in the last run.
    pub(crate) fn web_port(&self) -> PathBuf {
        self.root.join("web-port")
    }
}

/// Opens the lock file without truncating it: it may hold the marker of another
/// daemon.
fn open_lock(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

/// Rejects a directory that all users share, such as /tmp: the state directory
/// is made private. An empty directory, such as a fresh mount, and an existing
/// state directory are accepted.
fn reject_shared(path: &Path) -> Result<()> {
    /// The mode bit of directories in which all users may create files.
    const STICKY: u32 = 0o1000;
    // The caller creates the directory, and reports a path that cannot be used.
    let Ok(metadata) = path.metadata() else {
        return Ok(());
    };
    if metadata.permissions().mode() & STICKY != 0
        && !path.join(LOCK_FILE).exists()
        && path.read_dir()?.next().is_some()
    {
        bail!("it is shared by all users and contains other files");
    }
    Ok(())
}

/// Waits until no daemon holds the lock. A child of a test that runs at the same time
/// has it, too, until it executes its program.
#[cfg(test)]
pub(crate) async fn wait_until_free(state: &StateDir) {
    rdd_testkit::eventually("the lock is free", || async {
        match state.is_locked() {
            true => Err("locked".to_owned()),
            false => Ok(()),
        }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_shared_directory_is_rejected_and_not_changed() {
        let dir = tempfile::tempdir().unwrap();
        let shared = std::fs::Permissions::from_mode(0o1777);
        std::fs::set_permissions(dir.path(), shared).unwrap();
        std::fs::write(dir.path().join("foreign-file"), "").unwrap();
        let state = StateDir::locate(Some(dir.path().to_owned())).unwrap();
        let Err(error) = state.lock().await else {
            panic!("accepted")
        };
        assert!(format!("{error:#}").contains("shared by all"), "{error:#}");
        let mode = || dir.path().metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(), 0o1777);

        std::fs::remove_file(dir.path().join("foreign-file")).unwrap();
        state.lock().await.unwrap();
        assert_eq!(
            mode(),
            0o700,
            "an empty one, such as a fresh mount, is accepted"
        );
    }

    #[test]
    fn an_instance_keeps_its_id_and_a_damaged_one_is_rejected_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::locate(Some(dir.path().to_owned())).unwrap();
        let id = state.instance_id().unwrap();
        assert_eq!(state.instance_id().unwrap(), id);
        let other = tempfile::tempdir().unwrap();
        let other = StateDir::locate(Some(other.path().to_owned())).unwrap();
        assert_ne!(other.instance_id().unwrap(), id);
        for damage in ["", "not an ID"] {
            std::fs::write(dir.path().join("instance-id"), damage).unwrap();
            let error = state.instance_id().unwrap_err();
            assert!(format!("{error:#}").contains("delete it"), "{error:#}");
        }
    }

    fn state_dir(dir: &tempfile::TempDir) -> StateDir {
        StateDir::locate(Some(dir.path().join("state"))).unwrap()
    }

    #[tokio::test]
    async fn only_one_daemon_runs_on_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let state = state_dir(&dir);
        assert!(!state.is_locked());
        let held = state.lock().await.unwrap();
        assert!(state.is_locked());
        let Err(error) = state.lock().await else {
            panic!("locked twice")
        };
        assert!(
            error.to_string().contains("another daemon is running on"),
            "{error:#}"
        );
        drop(held);
        wait_until_free(&state).await;
        state.lock().await.unwrap();
    }

    #[tokio::test]
    async fn a_start_waits_for_a_daemon_that_is_stopping() {
        let dir = tempfile::tempdir().unwrap();
        let state = state_dir(&dir);
        let mut held = state.lock().await.unwrap();
        held.mark_stopping().unwrap();
        let next = tokio::spawn({
            let state = state.clone();
            async move { state.lock().await.map(drop) }
        });
        // Longer than it waits for a daemon that is not marked.
        tokio::time::sleep(2 * RUNNING_DAEMON_TIMEOUT).await;
        assert!(!next.is_finished());
        drop(held);
        next.await.unwrap().unwrap();
        // The next daemon clears the marker that a crash may leave.
        std::fs::write(dir.path().join("state").join(LOCK_FILE), STOPPING_MARKER).unwrap();
        let held = state.lock().await.unwrap();
        let content = std::fs::read(dir.path().join("state").join(LOCK_FILE)).unwrap();
        assert_eq!(content, b"");
        drop(held);
    }

    #[tokio::test]
    async fn drafts_of_a_killed_daemon_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let state = state_dir(&dir);
        drop(state.lock().await.unwrap());
        let draft = dir.path().join("state/.rdd-draft-1");
        std::fs::write(&draft, "half a token").unwrap();
        state.lock().await.unwrap();
        assert!(!draft.exists());
    }
}
