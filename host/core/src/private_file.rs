//! Files that only their owner may read, written whole or not at all.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What the name of a file begins with that is still being written. Nobody
/// else names a file so: those that are left are removed.
const DRAFT: &str = ".rdd-draft-";

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
    write_private_parts(path, &[content])
}

/// The same for a file whose parts lie apart in memory: what is large is not
/// copied for it.
pub fn write_private_parts(path: &Path, parts: &[&[u8]]) -> Result<(), PrivateFileError> {
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
    for part in parts {
        file.write_all(part).map_err(failed)?;
    }
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
    remove_drafts_before(dir, None)
}

/// The same where others may be writing: what was written to within `age` is
/// theirs, and stays.
pub fn remove_old_drafts(dir: &Path, age: Duration) -> std::io::Result<()> {
    match SystemTime::now().checked_sub(age) {
        Some(limit) => remove_drafts_before(dir, Some(limit)),
        None => Ok(()),
    }
}

fn remove_drafts_before(dir: &Path, limit: Option<SystemTime>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with(DRAFT) || !entry.file_type()?.is_file()
        {
            continue;
        }
        let remove = || match limit {
            Some(limit) if entry.metadata()?.modified()? >= limit => Ok(()),
            _ => std::fs::remove_file(entry.path()),
        };
        match remove() {
            // Its writer was done meanwhile.
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
        std::fs::write(dir.path().join(".rdd-draft-x7"), "half").unwrap();
        // The directory may hold what is somebody else's.
        for kept in ["token", ".draft-letter.txt", "rdd-draft-x7"] {
            std::fs::write(dir.path().join(kept), "whole").unwrap();
        }
        std::fs::create_dir(dir.path().join(".rdd-draft-directory")).unwrap();
        remove_drafts(dir.path()).unwrap();
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
    fn a_draft_that_may_still_be_written_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (
            dir.path().join(".rdd-draft-1"),
            dir.path().join(".rdd-draft-2"),
        );
        let file = std::fs::File::create(&old).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(7200))
            .unwrap();
        std::fs::write(&new, "half").unwrap();
        remove_old_drafts(dir.path(), Duration::from_secs(3600)).unwrap();
        assert!(!old.exists());
        assert!(new.exists());
    }
}
