//! The directory that holds everything of one instance.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rdd_mirror::InstanceId;
use serde::de::DeserializeOwned;

/// The name of the instance that is meant when none is named.
const DEFAULT_INSTANCE: &str = "default";

/// The file that a running daemon holds locked.
const LOCK: &str = "lock";
/// What a daemon that is about to end writes into its lock.
const STOPPING: &[u8] = b"stopping\n";
/// How long a start waits for a daemon that is about to end: as long as that
/// may take, and a little for the system to clear up behind it.
const PREDECESSOR_STOPS: Duration = Duration::from_secs(11);
/// How long a start waits for a daemon that does not say that it ends: the
/// signal that tells it to may be on its way.
const PREDECESSOR_RUNS: Duration = Duration::from_millis(500);
/// Time between two looks at a lock that is taken.
const LOCK_POLL: Duration = Duration::from_millis(10);

/// Paths of an instance. Only its owner can read them.
#[derive(Clone, Debug)]
pub(crate) struct StateDir {
    root: PathBuf,
    instance: String,
}

/// Held by the one daemon that runs on a state directory; the system lets go
/// of it when the process ends, however it ends.
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    /// Holds the lock until the process is gone.
    pub(crate) fn keep(self) {
        std::mem::forget(self);
    }

    /// Tells whoever starts next that it need not wait for long.
    pub(crate) fn mark_stopping(&mut self) -> std::io::Result<()> {
        self.file.write_all(STOPPING)
    }
}

/// Reads a JSON file that a running daemon keeps for the commands of its user.
pub(crate) fn read_published<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read(path).with_context(|| path.display().to_string())?;
    serde_json::from_slice(&text).with_context(|| {
        format!(
            "{} is damaged; restart the daemon, which writes it again",
            path.display()
        )
    })
}

impl StateDir {
    /// `explicit`, or the directory of the instance that `RDD_INSTANCE` names.
    pub(crate) fn locate(explicit: Option<PathBuf>) -> Result<Self> {
        let var = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let instance = var("RDD_INSTANCE").unwrap_or_else(|| DEFAULT_INSTANCE.to_owned());
        if !instance
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        {
            bail!(
                "RDD_INSTANCE={instance:?} is no instance name: use lower-case letters, digits and '-'"
            );
        }
        let root = match explicit {
            Some(path) => std::path::absolute(&path)
                .with_context(|| format!("cannot use {} as state directory", path.display()))?,
            None => match (var("XDG_STATE_HOME"), std::env::home_dir()) {
                (Some(state), _) => PathBuf::from(state).join("rdd").join(&instance),
                (None, Some(home)) => home.join(".local/state/rdd").join(&instance),
                (None, None) => {
                    bail!("there is no home directory to keep state in: name one with --state-dir")
                }
            },
        };
        Ok(Self { root, instance })
    }

    /// Makes the directory and takes the lock. Waits for a daemon that is
    /// about to end.
    pub(crate) async fn lock(&self) -> Result<Lock> {
        let unusable = || {
            format!(
                "cannot use {} as state directory; choose another with --state-dir",
                self.root.display()
            )
        };
        refuse_shared(&self.root).with_context(unusable)?;
        rdd_core::create_private_dir(&self.root).with_context(unusable)?;
        let path = self.root.join(LOCK);
        let file = open_lock(&path)
            .with_context(|| format!("cannot open {}", path.display()))
            .with_context(unusable)?;
        let began = Instant::now();
        let mut told = false;
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
                STOPPING => (PREDECESSOR_STOPS, true),
                _ => (PREDECESSOR_RUNS, false),
            };
            if began.elapsed() >= limit {
                bail!(
                    "another daemon runs on {}; stop it, or choose another directory with --state-dir or RDD_INSTANCE",
                    self.root.display()
                );
            }
            if stopping && !told {
                told = true;
                tracing::info!("waiting for the daemon that is stopping on this state directory");
            }
            tokio::time::sleep(LOCK_POLL).await;
        }
        file.set_len(0)
            .with_context(|| format!("cannot write {}", path.display()))
            .with_context(unusable)?;
        // Nobody else writes here now.
        rdd_core::remove_temporary_files(&self.root)
            .with_context(|| format!("cannot clear up {}", self.root.display()))?;
        Ok(Lock { file })
    }

    /// Whether a daemon runs on the directory, ready or not.
    pub(crate) fn is_locked(&self) -> bool {
        // Without a file that may be read there is none of ours.
        File::open(self.root.join(LOCK))
            .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// The directory itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The instance's name: the context in its kubeconfig.
    pub(crate) fn context_name(&self) -> String {
        match self.instance.as_str() {
            DEFAULT_INSTANCE => "rdd".to_owned(),
            instance => format!("rdd-{instance}"),
        }
    }

    /// How to reach the instance; there only while it is ready.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.root.join("kubeconfig")
    }

    /// What a ready daemon offers and where, for the commands of its user.
    pub(crate) fn discovery(&self) -> PathBuf {
        self.root.join("discovery.json")
    }

    /// The state of a running daemon's backends, for the commands of its user.
    pub(crate) fn plugin_reports(&self) -> PathBuf {
        self.root.join("plugins.json")
    }

    /// The control plane's database.
    pub(crate) fn database(&self) -> PathBuf {
        self.root.join("apiserver.db")
    }

    /// Certificates and their keys.
    pub(crate) fn tls(&self) -> PathBuf {
        self.root.join("tls")
    }

    /// The bearer token.
    pub(crate) fn token(&self) -> PathBuf {
        self.root.join("token")
    }

    /// Compiled plugins.
    pub(crate) fn plugin_cache(&self) -> PathBuf {
        self.root.join("plugin-cache")
    }

    /// The instance's ID among those that write to one cluster, made on first
    /// use and stable from then on.
    pub(crate) fn instance_id(&self) -> Result<InstanceId> {
        let path = self.root.join("instance-id");
        match std::fs::read_to_string(&path) {
            Ok(text) => InstanceId::parse(text.trim()).with_context(|| {
                format!(
                    "{} is damaged; delete it, and the daemon makes a new one: in a cluster, it then waits for the Lease of the old one to expire",
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

    /// The port of the last run, so that it stays the same where it can.
    pub(crate) fn port(&self) -> PathBuf {
        self.root.join("port")
    }
}

/// Not truncated: it may hold another daemon's words.
fn open_lock(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

/// A state directory is made private, which a directory for everybody, such
/// as /tmp, would not survive. One that is empty, such as a fresh mount, or
/// ours already does no harm to anybody.
fn refuse_shared(path: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        /// What marks a directory in which everybody may make files.
        const STICKY: u32 = 0o1000;
        // What is not there, or cannot be looked at, is told by who makes it.
        let Ok(metadata) = path.metadata() else {
            return Ok(());
        };
        if metadata.permissions().mode() & STICKY != 0
            && !path.join(LOCK).exists()
            && path.read_dir()?.next().is_some()
        {
            bail!("it is shared by all users, and holds other files");
        }
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_directory_for_everybody_is_refused_and_stays_as_it_is() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let shared = std::fs::Permissions::from_mode(0o1777);
        std::fs::set_permissions(dir.path(), shared).unwrap();
        std::fs::write(dir.path().join("somebody's"), "").unwrap();
        let state = StateDir::locate(Some(dir.path().to_owned())).unwrap();
        let Err(error) = state.lock().await else {
            panic!("taken")
        };
        assert!(format!("{error:#}").contains("shared by all"), "{error:#}");
        let mode = || dir.path().metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(), 0o1777);

        std::fs::remove_file(dir.path().join("somebody's")).unwrap();
        state.lock().await.unwrap();
        assert_eq!(
            mode(),
            0o700,
            "an empty one, such as a fresh mount, is taken"
        );
    }

    #[test]
    fn an_instance_keeps_its_id_and_says_what_to_do_about_a_damaged_one() {
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
            error.to_string().contains("another daemon runs on"),
            "{error:#}"
        );
        drop(held);
        assert!(!state.is_locked());
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
        // Longer than it waits for one that goes on.
        tokio::time::sleep(2 * PREDECESSOR_RUNS).await;
        assert!(!next.is_finished());
        drop(held);
        next.await.unwrap().unwrap();
        // The next one does not stop, whatever the file says after a crash.
        std::fs::write(dir.path().join("state").join(LOCK), STOPPING).unwrap();
        let held = state.lock().await.unwrap();
        let content = std::fs::read(dir.path().join("state").join(LOCK)).unwrap();
        assert_eq!(content, b"");
        drop(held);
    }

    #[tokio::test]
    async fn drafts_of_a_killed_daemon_go() {
        let dir = tempfile::tempdir().unwrap();
        let state = state_dir(&dir);
        drop(state.lock().await.unwrap());
        let draft = dir.path().join("state/.rdd-draft-1");
        std::fs::write(&draft, "half a token").unwrap();
        state.lock().await.unwrap();
        assert!(!draft.exists());
    }
}
