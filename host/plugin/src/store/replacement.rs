//! Replacing the directory of a plugin, and completing what a killed command
//! began.

use std::fs;
use std::io;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use sha2::{Digest as _, Sha256};

use super::{StagedPlugin, StoreError, StoreGuard, staging};
use crate::lock_file::LockEntry;

/// The prefix of the directory of a plugin that is being replaced, followed by
/// its name. Only used where directories cannot be exchanged.
pub(super) const REPLACED_PREFIX: &str = ".rdd-replaced-";

impl StoreGuard {
    /// Renames the staging directory to `target`. What was there is then in the
    /// staging directory, which is removed with `staged`.
    pub(super) fn exchange(
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
    pub(super) fn replace_in_steps(&self, staging: &Path, target: &Path) -> io::Result<()> {
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
    pub(super) fn finish_interrupted(&mut self) -> Result<(), StoreError> {
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
        let path = self.dir.join(&entry.name).join(crate::MANIFEST_FILE);
        fs::read(path)
            .is_ok_and(|bytes| format!("{:x}", Sha256::digest(&bytes)) == entry.manifest_digest)
    }
}
