//! Files that only their owner may read, written whole or not at all.

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// What the name of a file begins with that is still being written.
const DRAFT: &str = ".draft-";

/// A private file or directory could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", path.display())]
pub struct PrivateFileError {
    /// What was to be written.
    pub path: PathBuf,
    /// The system's words.
    #[source]
    pub source: std::io::Error,
}

/// Makes `path` and its parents with mode 0700, or takes an existing directory
/// as it is but for its mode.
pub fn create_private_dir(path: &Path) -> Result<(), PrivateFileError> {
    let failed = |source| PrivateFileError {
        path: path.to_owned(),
        source,
    };
    std::fs::create_dir_all(path).map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).map_err(failed)?;
    }
    Ok(())
}

/// Replaces `path` in one step with a file of mode 0600: a reader sees the old
/// content or the new, and a crash or a power failure leaves one of the two.
/// When this returns, the new content is on disk.
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), PrivateFileError> {
    let failed = |source| PrivateFileError {
        path: path.to_owned(),
        source,
    };
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    // A temporary file is made with mode 0600.
    let mut file = tempfile::Builder::new()
        .prefix(DRAFT)
        .tempfile_in(parent)
        .map_err(failed)?;
    file.write_all(content).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    // The new name is an entry of the directory, which has to reach the disk, too.
    #[cfg(unix)]
    std::fs::File::open(parent)
        .and_then(|directory| directory.sync_all())
        .map_err(failed)?;
    Ok(())
}

/// Removes what writers left in `dir` that were killed before they were done.
/// Only for a caller that knows that nobody writes there now.
pub fn remove_drafts(dir: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(DRAFT) && entry.file_type()?.is_file() {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "a longer text that was there before").unwrap();
        write_private(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = path.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let left: Vec<_> = dir.path().read_dir().unwrap().collect();
        assert_eq!(left.len(), 1, "no draft is left: {left:?}");
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_content_and_no_draft() {
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
    fn drafts_of_a_killed_writer_go_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(".draft-x7"), "half").unwrap();
        std::fs::write(dir.path().join("token"), "whole").unwrap();
        std::fs::create_dir(dir.path().join(".draft-directory")).unwrap();
        remove_drafts(dir.path()).unwrap();
        assert!(!dir.path().join(".draft-x7").exists());
        assert!(dir.path().join("token").exists());
        assert!(dir.path().join(".draft-directory").exists());
    }
}
