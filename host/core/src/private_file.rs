//! Files that only their owner can read, written atomically.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The prefix of the name of a file that is being written. Nothing else uses
/// this prefix, so a leftover file with it can be removed.
const TEMPORARY_PREFIX: &str = ".rdd-draft-";

/// A failure to write a private file or directory.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", path.display())]
pub struct PrivateFileError {
    /// The file or directory.
    pub path: PathBuf,
    /// The error of the operating system.
    #[source]
    pub source: std::io::Error,
}

/// Creates the directory `path` and its missing parents, and sets its mode to
/// 0700 even if it exists.
///
/// # Errors
///
/// Fails if the directory cannot be created or its mode cannot be changed.
pub fn create_private_dir(path: &Path) -> Result<(), PrivateFileError> {
    let failed = |source| PrivateFileError {
        path: path.to_owned(),
        source,
    };
    std::fs::create_dir_all(path).map_err(failed)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(failed)
}

/// Replaces the file `path` atomically with one of mode 0600: a reader gets the
/// old content or the new one, and so does the next start after a crash or a
/// power failure. When this returns, the new content is on disk.
///
/// ```
/// let dir = tempfile::tempdir()?;
/// let path = dir.path().join("token");
/// rdd_core::write_private(&path, b"secret")?;
/// assert_eq!(std::fs::read(&path)?, b"secret");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Fails if the directory of `path` cannot be written to, or the disk is full.
/// The old content is kept.
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), PrivateFileError> {
    write_private_parts(path, &[content])
}

/// Writes a file like [`write_private`], from several buffers. This saves the
/// caller from copying large parts into one buffer.
///
/// # Errors
///
/// Fails like [`write_private`].
pub fn write_private_parts(path: &Path, parts: &[&[u8]]) -> Result<(), PrivateFileError> {
    let failed = |source| PrivateFileError {
        path: path.to_owned(),
        source,
    };
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    // tempfile creates files with mode 0600.
    let mut file = tempfile::Builder::new()
        .prefix(TEMPORARY_PREFIX)
        .tempfile_in(parent)
        .map_err(failed)?;
    for part in parts {
        file.write_all(part).map_err(failed)?;
    }
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    // The directory holds the new name and must reach the disk, too.
    std::fs::File::open(parent)
        .and_then(|directory| directory.sync_all())
        .map_err(failed)
}

/// Removes the temporary files that writers left in `dir` because they were
/// killed. Call it only while no other process or thread writes to `dir`.
///
/// # Errors
///
/// Fails if `dir` cannot be read or a file cannot be removed.
pub fn remove_temporary_files(dir: &Path) -> std::io::Result<()> {
    remove_temporary_files_before(dir, None)
}

/// Removes temporary files like [`remove_temporary_files`] while others may
/// write to `dir`: keeps the files that were modified within `age`.
///
/// # Errors
///
/// Fails like [`remove_temporary_files`].
pub fn remove_old_temporary_files(dir: &Path, age: Duration) -> std::io::Result<()> {
    match SystemTime::now().checked_sub(age) {
        Some(limit) => remove_temporary_files_before(dir, Some(limit)),
        None => Ok(()),
    }
}

fn remove_temporary_files_before(dir: &Path, limit: Option<SystemTime>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if !entry
            .file_name()
            .to_string_lossy()
            .starts_with(TEMPORARY_PREFIX)
            || !entry.file_type()?.is_file()
        {
            continue;
        }
        let remove = || match limit {
            Some(limit) if entry.metadata()?.modified()? >= limit => Ok(()),
            _ => std::fs::remove_file(entry.path()),
        };
        match remove() {
            // Its writer renamed it in the meantime.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            removed => removed?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "a longer text than the new one").unwrap();
        write_private(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let files: Vec<_> = dir.path().read_dir().unwrap().collect();
        assert_eq!(files.len(), 1, "a temporary file is left: {files:?}");
    }

    #[test]
    fn a_failed_write_keeps_the_old_content_and_leaves_no_temporary_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("occupied");
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("inner"), "kept").unwrap();
        let error = write_private(&path, b"new").unwrap_err();
        assert!(error.to_string().contains("occupied"), "{error}");
        assert_eq!(std::fs::read(path.join("inner")).unwrap(), b"kept");
        assert_eq!(dir.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn only_the_temporary_files_of_a_killed_writer_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(".rdd-draft-x7"), "half").unwrap();
        // The directory may also hold files of others.
        for kept in ["token", ".draft-letter.txt", "rdd-draft-x7"] {
            std::fs::write(dir.path().join(kept), "whole").unwrap();
        }
        std::fs::create_dir(dir.path().join(".rdd-draft-directory")).unwrap();
        remove_temporary_files(dir.path()).unwrap();
        assert!(!dir.path().join(".rdd-draft-x7").exists());
        for kept in [
            "token",
            ".draft-letter.txt",
            "rdd-draft-x7",
            ".rdd-draft-directory",
        ] {
            assert!(dir.path().join(kept).exists(), "{kept}");
        }
    }

    #[test]
    fn a_temporary_file_that_may_still_be_written_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (
            dir.path().join(".rdd-draft-1"),
            dir.path().join(".rdd-draft-2"),
        );
        let file = std::fs::File::create(&old).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(7200))
            .unwrap();
        std::fs::write(&new, "half").unwrap();
        remove_old_temporary_files(dir.path(), Duration::from_secs(3600)).unwrap();
        assert!(!old.exists());
        assert!(new.exists());
    }
}
