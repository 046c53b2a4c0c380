//! Staging directories: where a plugin is prepared before it is installed.

use std::fs::{self, File, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::StoreError;

/// The prefix of a staging directory's name. Nothing else uses it, so that
/// leftovers can be removed.
const STAGING_PREFIX: &str = ".rdd-staging-";
/// How long temporary files of the lock file are kept: longer than any write.
const DRAFT_AGE: Duration = Duration::from_secs(60);

/// A plugin that is being prepared. Dropping it removes its directory.
#[derive(Debug)]
pub struct StagedPlugin {
    dir: tempfile::TempDir,
    /// Locked while the directory is in use, so that no other command takes it
    /// for a leftover.
    handle: File,
}

impl StagedPlugin {
    pub(super) fn create(parent: &Path) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Io {
            path: parent.to_owned(),
            source,
        };
        // Mode 0700.
        let dir = tempfile::Builder::new()
            .prefix(STAGING_PREFIX)
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(parent)
            .map_err(failed)?;
        let handle = File::open(dir.path()).map_err(failed)?;
        // Where files cannot be locked, a concurrent command may take the
        // directory for a leftover, and this one fails.
        if let Err(error) = handle.try_lock() {
            tracing::debug!(%error, "cannot lock the staging directory");
        }
        Ok(Self { dir, handle })
    }

    /// Returns the directory.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Creates a file in the directory that only its owner can read.
    ///
    /// # Errors
    ///
    /// Fails if the file exists or the disk is full.
    pub fn create_file(&self, name: &str) -> Result<File, StoreError> {
        let path = self.path().join(name);
        File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|source| StoreError::Io { path, source })
    }

    /// Creates a file with this content.
    ///
    /// # Errors
    ///
    /// Fails if the file exists or the disk is full.
    pub fn write_file(&self, name: &str, content: &[u8]) -> Result<(), StoreError> {
        self.create_file(name)?
            .write_all(content)
            .map_err(|source| StoreError::Io {
                path: self.path().join(name),
                source,
            })
    }

    /// Writes all files to disk.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        let sync = || -> io::Result<()> {
            for entry in fs::read_dir(self.path())? {
                File::open(entry?.path())?.sync_all()?;
            }
            self.handle.sync_all()
        };
        sync().map_err(|source| StoreError::Io {
            path: self.path().to_owned(),
            source,
        })
    }
}

/// Removes what killed commands left. What cannot be removed is tried again by
/// the next command.
pub(super) fn remove_leftovers(dir: &Path) {
    let leftovers = match staging_dirs(dir) {
        Ok(leftovers) => leftovers,
        Err(error) => {
            tracing::warn!(%error, dir = %dir.display(), "cannot look for leftovers");
            return;
        }
    };
    for path in leftovers {
        if let Err(error) = remove_unless_used(&path) {
            tracing::warn!(%error, path = %path.display(), "cannot remove a leftover");
        }
    }
    if let Err(error) = rdd_core::remove_old_temporary_files(dir, DRAFT_AGE) {
        tracing::warn!(%error, dir = %dir.display(), "cannot remove temporary files");
    }
}

fn staging_dirs(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let is_ours = entry
            .file_name()
            .to_string_lossy()
            .starts_with(STAGING_PREFIX);
        if is_ours && entry.file_type()?.is_dir() {
            paths.push(entry.path());
        }
    }
    Ok(paths)
}

fn remove_unless_used(path: &Path) -> io::Result<()> {
    match File::open(path) {
        Ok(handle) => match handle.try_lock() {
            Ok(()) => remove_dir(path),
            Err(TryLockError::WouldBlock) => Ok(()),
            Err(TryLockError::Error(error)) => Err(error),
        },
        // Another command removed it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes a directory of ours, unless it is gone.
pub(super) fn remove_dir(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
