//! The user's plugin directory: installing, removing, enabling, and disabling.
//!
//! Every change is atomic. A plugin is prepared in a staging directory, whose
//! name begins with a dot, and renamed into place. During an upgrade, the lock
//! file first has the entries of both versions, then the directories are
//! exchanged, then the old entry is removed: whenever a command is killed, what
//! is on disk matches an entry.

mod staging;

#[cfg(test)]
mod tests;

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::lock_file::{LOCK_FILE, LockEntry, LockFile, LockFileError, OverrideEntry};
pub use staging::StagedPlugin;

/// The file that commands lock while they change the directory, and that the
/// daemon locks while it reads it. Its name begins with a dot, so that it is no
/// plugin.
const GUARD_FILE: &str = ".rdd-guard";
/// How long a command waits for another one. Each holds the guard for
/// milliseconds.
const GUARD_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a held guard is tried again.
const GUARD_POLL_INTERVAL: Duration = Duration::from_millis(20);
/// The prefix of the directory of a plugin that is being replaced, followed by
/// its name. Only used where directories cannot be exchanged.
const REPLACED_PREFIX: &str = ".rdd-replaced-";

/// The user's plugin directory.
///
/// ```no_run
/// use rdd_plugin::PluginStore;
///
/// let store = PluginStore::new("/home/me/.local/share/rdd/plugins".into());
/// let mut guard = store.lock()?;
/// guard.set_enabled("moby", false)?;
/// # Ok::<(), rdd_plugin::StoreError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PluginStore {
    dir: PathBuf,
}

/// The right to change the directory, held by one command at a time.
#[derive(Debug)]
pub struct StoreGuard {
    dir: PathBuf,
    lock: LockFile,
    /// Unlocked when it is closed.
    _file: File,
}

/// What an installation replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstallOutcome {
    /// Nothing.
    Installed,
    /// The plugin of the same name with this version.
    Replaced(String),
}

/// A change of the directory that failed. Nothing was changed, unless the
/// message says so.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or directory cannot be changed.
    #[error("cannot change {}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] rdd_core::PrivateFileError),
    /// The lock file cannot be used.
    #[error(transparent)]
    LockFile(#[from] LockFileError),
    /// The lock file cannot be represented as text.
    #[error("cannot write {LOCK_FILE}; please report this")]
    Format(#[from] toml::ser::Error),
    /// Another command takes too long.
    #[error("another 'rdd plugin' command is changing {}; try again when it has ended", .0.display())]
    Busy(PathBuf),
    /// A directory of that name was not installed by this program.
    #[error("{} exists and was not installed with 'rdd plugin install'; move it to another place, then try again", .0.display())]
    Foreign(PathBuf),
    /// There is no such plugin.
    #[error("no plugin named {name:?} is installed in {}; 'rdd plugin list' shows the installed ones", dir.display())]
    NotInstalled {
        /// The requested name.
        name: String,
        /// The user's plugin directory.
        dir: PathBuf,
    },
}

impl PluginStore {
    /// Creates a store in `dir`, which need not exist.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Returns the directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Reads the lock file.
    ///
    /// # Errors
    ///
    /// Fails if the file is not valid.
    pub fn lock_file(&self) -> Result<LockFile, LockFileError> {
        LockFile::read(&self.dir)
    }

    /// Creates an empty staging directory for a plugin. It is removed when the
    /// value is dropped, or by the next command if this one is killed.
    ///
    /// # Errors
    ///
    /// Fails if the directory cannot be written to.
    pub fn stage(&self) -> Result<StagedPlugin, StoreError> {
        self.create()?;
        staging::remove_leftovers(&self.dir);
        StagedPlugin::create(&self.dir)
    }

    /// Acquires the right to change the directory, which is created if it does
    /// not exist. Blocks for up to ten seconds while another command has it.
    ///
    /// # Errors
    ///
    /// Fails if another command keeps it, or if the lock file is not valid.
    pub fn lock(&self) -> Result<StoreGuard, StoreError> {
        self.create()?;
        let path = self.dir.join(GUARD_FILE);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|source| StoreError::Io {
                path: path.clone(),
                source,
            })?;
        let started = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if started.elapsed() >= GUARD_TIMEOUT => {
                    return Err(StoreError::Busy(self.dir.clone()));
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(GUARD_POLL_INTERVAL),
                Err(TryLockError::Error(source)) => return Err(StoreError::Io { path, source }),
            }
        }
        staging::remove_leftovers(&self.dir);
        let mut guard = StoreGuard {
            lock: LockFile::read(&self.dir)?,
            dir: self.dir.clone(),
            _file: file,
        };
        guard.finish_interrupted()?;
        Ok(guard)
    }

    fn create(&self) -> Result<(), StoreError> {
        let failed = |source| StoreError::Io {
            path: self.dir.clone(),
            source,
        };
        if self.dir.is_dir() {
            return Ok(());
        }
        if let Some(parent) = self.dir.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        Ok(rdd_core::create_private_dir(&self.dir)?)
    }
}

/// Locks the directory for reading. `None` if a command is changing it. Without a
/// guard file, no command has changed it yet, and there is nothing to lock.
pub(crate) fn try_lock_shared(dir: &Path) -> Option<Option<File>> {
    match File::open(dir.join(GUARD_FILE)) {
        Ok(file) => match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => None,
            // Where files cannot be locked, a half-finished change is read once
            // more after it is finished.
            Ok(()) | Err(TryLockError::Error(_)) => Some(Some(file)),
        },
        Err(_) => Some(None),
    }
}

impl StoreGuard {
    /// Returns the content of the lock file.
    pub fn lock_file(&self) -> &LockFile {
        &self.lock
    }

    /// Puts a staged plugin into place, instead of an installed one of the same
    /// name. When this returns, the plugin is on disk.
    ///
    /// # Errors
    ///
    /// Fails if a directory of that name exists that was not installed, or if
    /// the directory cannot be changed.
    pub fn install(
        &mut self,
        staged: StagedPlugin,
        entry: LockEntry,
    ) -> Result<InstallOutcome, StoreError> {
        let target = self.dir.join(&entry.name);
        let previous = self.lock.entries(&entry.name).next().cloned();
        let exists = fs::symlink_metadata(&target).is_ok();
        if exists && previous.is_none() {
            return Err(StoreError::Foreign(target));
        }
        staged.sync()?;
        let before = self.lock.clone();
        let name = entry.name.clone();
        // Installed twice, the same manifest has one entry.
        self.lock
            .plugins
            .retain(|known| known.name != name || known.manifest_digest != entry.manifest_digest);
        self.lock.plugins.push(entry.clone());
        self.save().inspect_err(|_| {
            // In memory as on disk.
            self.lock = before.clone();
        })?;
        if let Err(error) = self.exchange(&staged, &target, exists) {
            self.lock = before;
            self.save()?;
            return Err(error);
        }
        self.lock
            .plugins
            .retain(|known| known.name != name || *known == entry);
        self.save()?;
        Ok(match previous {
            Some(previous) => InstallOutcome::Replaced(previous.version),
            None => InstallOutcome::Installed,
        })
    }

    /// Renames the staging directory to `target`. What was there is then in the
    /// staging directory, which is removed with `staged`.
    fn exchange(
        &self,
        staged: &StagedPlugin,
        target: &Path,
        exists: bool,
    ) -> Result<(), StoreError> {
        let failed = |source: io::Error| StoreError::Io {
            path: target.to_owned(),
            source,
        };
        let staging = staged.path();
        if !exists {
            renameat_with(CWD, staging, CWD, target, RenameFlags::NOREPLACE)
                .or_else(|error| match error {
                    // A file system without this flag. The guard excludes other
                    // commands.
                    rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS => {
                        rustix::fs::rename(staging, target)
                    }
                    error => Err(error),
                })
                .map_err(|error| failed(error.into()))?;
            return self.sync();
        }
        match renameat_with(CWD, staging, CWD, target, RenameFlags::EXCHANGE) {
            Ok(()) => {}
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                self.replace_in_steps(staging, target).map_err(failed)?;
            }
            Err(error) => return Err(failed(error.into())),
        }
        self.sync()
    }

    /// Replaces a directory where the file system cannot exchange two. If this is
    /// interrupted, the next command puts the old directory back.
    fn replace_in_steps(&self, staging: &Path, target: &Path) -> io::Result<()> {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let aside = self.dir.join(format!("{REPLACED_PREFIX}{name}"));
        fs::rename(target, &aside)?;
        if let Err(error) = fs::rename(staging, target) {
            fs::rename(&aside, target)?;
            return Err(error);
        }
        // The caller removes the staging directory.
        fs::rename(&aside, staging)
    }

    /// Completes what a killed command began.
    fn finish_interrupted(&mut self) -> Result<(), StoreError> {
        self.restore_replaced()?;
        let mut plugins: Vec<LockEntry> = Vec::new();
        for entry in &self.lock.plugins {
            let has_twin = self.lock.entries(&entry.name).count() > 1;
            if !has_twin || self.is_on_disk(entry) {
                plugins.push(entry.clone());
            }
        }
        // If neither is on disk, the plugin is refused, and both are kept.
        plugins.extend(
            self.lock
                .plugins
                .iter()
                .filter(|entry| plugins.iter().all(|kept| kept.name != entry.name))
                .cloned()
                .collect::<Vec<_>>(),
        );
        if plugins != self.lock.plugins {
            self.lock.plugins = plugins;
            self.save()?;
        }
        Ok(())
    }

    fn restore_replaced(&self) -> Result<(), StoreError> {
        let failed = |source| StoreError::Io {
            path: self.dir.clone(),
            source,
        };
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let file_name = entry.file_name();
            let Some(name) = file_name
                .to_str()
                .and_then(|name| name.strip_prefix(REPLACED_PREFIX))
            else {
                continue;
            };
            let target = self.dir.join(name);
            match fs::symlink_metadata(&target) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    fs::rename(entry.path(), target).map_err(failed)?;
                }
                _ => staging::remove_dir(&entry.path()).map_err(failed)?,
            }
        }
        Ok(())
    }

    fn is_on_disk(&self, entry: &LockEntry) -> bool {
        use sha2::{Digest as _, Sha256};
        let path = self.dir.join(&entry.name).join(crate::MANIFEST_FILE);
        fs::read(path)
            .is_ok_and(|bytes| format!("{:x}", Sha256::digest(&bytes)) == entry.manifest_digest)
    }

    /// Removes an installed plugin, and the user's decisions about it. Returns
    /// its version.
    ///
    /// # Errors
    ///
    /// Fails if it is not installed in this directory, or cannot be removed.
    pub fn remove(&mut self, name: &str) -> Result<String, StoreError> {
        let Some(entry) = self.lock.entries(name).next().cloned() else {
            return Err(StoreError::NotInstalled {
                name: name.to_owned(),
                dir: self.dir.clone(),
            });
        };
        let target = self.dir.join(name);
        let failed = |source| StoreError::Io {
            path: target.clone(),
            source,
        };
        // The directory disappears at once, and is then emptied.
        let staged = StagedPlugin::create(&self.dir)?;
        let aside = staged.path().join("removed");
        match fs::rename(&target, &aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        self.lock.plugins.retain(|entry| entry.name != name);
        self.save()?;
        self.sync()?;
        drop(staged);
        Ok(entry.version)
    }

    /// Enables or disables a plugin: an installed one, or else one of another
    /// directory. Returns whether that is a change.
    ///
    /// # Errors
    ///
    /// Fails if the lock file cannot be written.
    pub fn set_enabled(&mut self, name: &str, enabled: bool) -> Result<bool, StoreError> {
        let mut is_changed = false;
        let mut is_installed = false;
        for entry in &mut self.lock.plugins {
            if entry.name == name {
                is_installed = true;
                is_changed |= entry.enabled != enabled;
                entry.enabled = enabled;
            }
        }
        if !is_installed {
            let other = self.other_mut(name);
            is_changed = other.enabled != enabled;
            other.enabled = enabled;
        }
        self.save_if(is_changed)
    }

    /// Allows the file with this SHA-256 to be loaded as native code. Returns
    /// whether that is a change.
    ///
    /// # Errors
    ///
    /// Fails if the lock file cannot be written.
    pub fn allow_native(&mut self, name: &str, digest: &str) -> Result<bool, StoreError> {
        let mut is_changed = false;
        let mut is_installed = false;
        for entry in &mut self.lock.plugins {
            if entry.name == name {
                is_installed = true;
            }
            if entry.name == name && entry.digest == digest {
                is_changed |= !entry.allow_native;
                entry.allow_native = true;
            }
        }
        if !is_installed {
            let other = self.other_mut(name);
            is_changed = other.allow_native.as_deref() != Some(digest);
            other.allow_native = Some(digest.to_owned());
        }
        self.save_if(is_changed)
    }

    fn other_mut(&mut self, name: &str) -> &mut OverrideEntry {
        let others = &mut self.lock.others;
        let index = others
            .iter()
            .position(|other| other.name == name)
            .unwrap_or_else(|| {
                others.push(OverrideEntry {
                    name: name.to_owned(),
                    enabled: true,
                    allow_native: None,
                });
                others.len() - 1
            });
        &mut others[index]
    }

    fn save_if(&mut self, is_changed: bool) -> Result<bool, StoreError> {
        if is_changed {
            // A decision that equals the default needs no entry.
            self.lock
                .others
                .retain(|other| !other.enabled || other.allow_native.is_some());
            self.save()?;
        }
        Ok(is_changed)
    }

    fn save(&self) -> Result<(), StoreError> {
        let text = self.lock.to_text()?;
        Ok(rdd_core::write_private(
            &self.dir.join(LOCK_FILE),
            text.as_bytes(),
        )?)
    }

    /// Writes the names in the directory to disk.
    fn sync(&self) -> Result<(), StoreError> {
        File::open(&self.dir)
            .and_then(|dir| dir.sync_all())
            .map_err(|source| StoreError::Io {
                path: self.dir.clone(),
                source,
            })
    }
}
