//! The directory that holds everything of one instance.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// The name of the instance that is meant when none is named.
const DEFAULT_INSTANCE: &str = "default";

/// The file that a running daemon holds locked.
const LOCK: &str = "lock";

/// Paths of an instance. Only its owner can read them.
#[derive(Clone, Debug)]
pub(crate) struct StateDir {
    root: PathBuf,
    instance: String,
}

/// Held by the one daemon that runs on a state directory; the system lets go
/// of it when the process ends, however it ends.
pub(crate) struct Lock {
    _file: File,
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

    /// Makes the directory and takes the lock.
    pub(crate) fn lock(&self) -> Result<Lock> {
        let unusable = || {
            format!(
                "cannot use {} as state directory; choose another with --state-dir",
                self.root.display()
            )
        };
        refuse_shared(&self.root).with_context(unusable)?;
        rdd_core::create_private_dir(&self.root).with_context(unusable)?;
        let path = self.root.join(LOCK);
        let file = File::create(&path)
            .with_context(|| format!("cannot open {}", path.display()))
            .with_context(unusable)?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) => bail!(
                "another daemon runs on {}; stop it, or choose another directory with --state-dir or RDD_INSTANCE",
                self.root.display()
            ),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
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

    /// The port of the last run, so that it stays the same where it can.
    pub(crate) fn port(&self) -> PathBuf {
        self.root.join("port")
    }
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

    #[test]
    fn a_directory_for_everybody_is_refused_and_stays_as_it_is() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let shared = std::fs::Permissions::from_mode(0o1777);
        std::fs::set_permissions(dir.path(), shared).unwrap();
        std::fs::write(dir.path().join("somebody's"), "").unwrap();
        let state = StateDir::locate(Some(dir.path().to_owned())).unwrap();
        let Err(error) = state.lock() else {
            panic!("taken")
        };
        assert!(format!("{error:#}").contains("shared by all"), "{error:#}");
        let mode = || dir.path().metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(), 0o1777);

        std::fs::remove_file(dir.path().join("somebody's")).unwrap();
        state.lock().unwrap();
        assert_eq!(
            mode(),
            0o700,
            "an empty one, such as a fresh mount, is taken"
        );
    }

    #[test]
    fn only_one_daemon_runs_on_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::locate(Some(dir.path().join("state"))).unwrap();
        let held = state.lock().unwrap();
        let Err(error) = state.lock() else {
            panic!("locked twice")
        };
        assert!(
            error.to_string().contains("another daemon runs on"),
            "{error:#}"
        );
        drop(held);
        state.lock().unwrap();
    }
}
