//! Reads files that nobody but their owner can change.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// The permission bits for write access by the group and by everyone.
const GROUP_WRITE: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;

/// A file or directory of a plugin that cannot be used. The message is one
/// sentence with the cause and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum PluginFileError {
    /// The file does not exist.
    #[error("there is no {0}; install the plugin again or remove its directory")]
    Missing(String),
    /// The operating system denies access.
    #[error("cannot read {name}: {error}; give the daemon's user access to it")]
    Unreadable {
        /// The file.
        name: String,
        /// The error of the operating system.
        error: io::Error,
    },
    /// The file is a symbolic link.
    #[error(
        "{0} is a symbolic link, which is not followed; replace it with the file or directory itself"
    )]
    Symlink(String),
    /// A directory where a file should be, or the reverse.
    #[error("{0} has the wrong file type; install the plugin again")]
    FileType(String),
    /// Others may have changed the file.
    #[error("{name} is writable by {writers}; check its content, then run 'chmod go-w' on it")]
    Writable {
        /// The file.
        name: String,
        /// Who can write to it.
        writers: &'static str,
    },
    /// The file is too large.
    #[error("{name} is larger than the maximum of {max_bytes} bytes")]
    TooLarge {
        /// The file.
        name: String,
        /// The maximum size.
        max_bytes: u64,
    },
}

/// Rejects a directory that is a symbolic link, or that others can write to.
pub(crate) fn check_dir(path: &Path, name: &str) -> Result<(), PluginFileError> {
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => return Err(io_error(name, error)),
    };
    if metadata.is_symlink() {
        return Err(PluginFileError::Symlink(name.to_owned()));
    }
    if !metadata.is_dir() {
        return Err(PluginFileError::FileType(name.to_owned()));
    }
    check_mode(&metadata, name)
}

/// Opens a regular file that is no symbolic link, whoever can write to it. `name`
/// is its name in messages.
///
/// # Errors
///
/// Fails if there is no such file, or if it is something else.
pub fn open_regular_file(path: &Path, name: &str) -> Result<File, PluginFileError> {
    // A named pipe would block without NONBLOCK.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(|error| match std::fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_symlink() => PluginFileError::Symlink(name.to_owned()),
            _ => io_error(name, error),
        })?;
    let metadata = file.metadata().map_err(|error| io_error(name, error))?;
    if !metadata.is_file() {
        return Err(PluginFileError::FileType(name.to_owned()));
    }
    Ok(file)
}

/// Opens a file like [`open_regular_file`], and requires that others cannot
/// write to it.
pub(crate) fn open(path: &Path, name: &str) -> Result<File, PluginFileError> {
    let file = open_regular_file(path, name)?;
    // Of the open file, which cannot be exchanged any more.
    let metadata = file.metadata().map_err(|error| io_error(name, error))?;
    check_mode(&metadata, name)?;
    Ok(file)
}

/// Reads a file like [`open`], of at most `max_bytes`.
pub(crate) fn read(path: &Path, name: &str, max_bytes: u64) -> Result<Vec<u8>, PluginFileError> {
    let file = open(path, name)?;
    let mut bytes = Vec::new();
    // One byte above the maximum, to detect a larger file.
    file.take(max_bytes + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| io_error(name, error))?;
    if bytes.len() as u64 > max_bytes {
        return Err(PluginFileError::TooLarge {
            name: name.to_owned(),
            max_bytes,
        });
    }
    Ok(bytes)
}

/// Rejects what others can write to. A directory with the sticky bit lets others
/// create files, but not replace those of its owner; plugins are still not
/// looked for there, since others could add one.
fn check_mode(metadata: &Metadata, name: &str) -> Result<(), PluginFileError> {
    let mode = metadata.mode();
    let writers = match (mode & GROUP_WRITE != 0, mode & OTHERS_WRITE != 0) {
        (_, true) => "everyone",
        (true, false) => "its group",
        (false, false) => return Ok(()),
    };
    Err(PluginFileError::Writable {
        name: name.to_owned(),
        writers,
    })
}

fn io_error(name: &str, error: io::Error) -> PluginFileError {
    let name = name.to_owned();
    match error.kind() {
        io::ErrorKind::NotFound => PluginFileError::Missing(name),
        _ => PluginFileError::Unreadable { name, error },
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn only_a_regular_file_that_others_cannot_change_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let read = |max| read(&path, "file", max).map_err(|error| error.to_string());
        assert!(read(9).unwrap_err().contains("there is no file"));
        fs::write(&path, "content").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(read(7).unwrap(), b"content");
        assert!(
            read(6)
                .unwrap_err()
                .contains("larger than the maximum of 6")
        );
        for (mode, writers) in [
            (0o664, "its group"),
            (0o646, "everyone"),
            (0o666, "everyone"),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = read(9).unwrap_err();
            assert!(
                error.contains(writers) && error.contains("chmod go-w"),
                "{error}"
            );
        }
        fs::remove_file(&path).unwrap();
        symlink("/etc/hostname", &path).unwrap();
        assert!(read(9).unwrap_err().contains("symbolic link"));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(read(9).unwrap_err().contains("wrong file type"));
    }

    #[test]
    fn a_named_pipe_does_not_block() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap();
        assert!(made.success());
        let error = read(&path, "pipe", 9).unwrap_err().to_string();
        assert!(error.contains("wrong file type"), "{error}");
    }

    #[test]
    fn a_directory_is_checked_like_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dir");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        check_dir(&path, "dir").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o775)).unwrap();
        let error = check_dir(&path, "dir").unwrap_err().to_string();
        assert!(error.contains("its group"), "{error}");
        symlink(&path, dir.path().join("link")).unwrap();
        let error = check_dir(&dir.path().join("link"), "link")
            .unwrap_err()
            .to_string();
        assert!(error.contains("symbolic link"), "{error}");
    }
}
