//! Files that only their owner may read, written whole or not at all.

use std::io::Write as _;
use std::path::{Path, PathBuf};

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
/// content or the new, and a crash leaves one of the two.
pub fn write_private(path: &Path, content: &[u8]) -> Result<(), PrivateFileError> {
    let failed = |source| PrivateFileError {
        path: path.to_owned(),
        source,
    };
    let parent = path.parent().unwrap_or(Path::new("."));
    // A temporary file is made with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(parent).map_err(failed)?;
    file.write_all(content).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}
