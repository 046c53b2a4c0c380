//! The directory that holds everything of one instance.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// The name of the instance that is meant when none is named.
const DEFAULT_INSTANCE: &str = "default";

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
        rdd_front::create_private_dir(&self.root).with_context(unusable)?;
        let path = self.root.join("lock");
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

#[cfg(test)]
mod tests {
    use super::*;

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
