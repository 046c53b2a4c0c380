//! The files of a database: lock, creation, access rights, setting aside.
//!
//! Written by hand rather than with `tempfile`: the temporary name is fixed,
//! so that the next start removes what an interrupted one left, and the
//! directory is synced after each rename.

use std::ffi::OsString;
use std::fmt::Debug;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::error::{BackupError, SetAsideError, StoreOpenError};
use crate::file_interface::{FileInterface, SystemInterface};

/// The suffix that SQLite adds for the write-ahead log.
const WAL_SUFFIX: &str = "-wal";

/// The suffix of a database that is being created.
const TEMPORARY_SUFFIX: &str = ".new";

/// A failed file operation, which becomes the error of the caller's operation.
#[derive(Debug)]
pub(crate) struct FileError {
    pub(crate) action: &'static str,
    pub(crate) path: PathBuf,
    pub(crate) source: io::Error,
}

/// Each of these errors has the same variant for a failed file operation.
macro_rules! from_file_error {
    ($($error:ty),+) => {$(
        impl From<FileError> for $error {
            fn from(error: FileError) -> Self {
                let FileError {
                    action,
                    path,
                    source,
                } = error;
                Self::Io {
                    action,
                    path,
                    source,
                }
            }
        }
    )+};
}

from_file_error!(StoreOpenError, SetAsideError, BackupError);

fn file_error<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> FileError + 'a {
    move |source| FileError {
        action,
        path: path.to_owned(),
        source,
    }
}

/// Returns `path` with `suffix` appended to its file name.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// The lock of a database, until it is dropped.
pub(crate) type DatabaseLock = Box<dyn Debug + Send>;

/// Locks the database for this process. Returns `None` if another process holds the
/// lock.
///
/// The lock is a separate file, which is never deleted: SQLite's own locks
/// belong to the process and are lost when any descriptor of the file is
/// closed.
pub(crate) fn lock(
    files: &dyn FileInterface,
    path: &Path,
) -> Result<Option<DatabaseLock>, FileError> {
    let path = with_suffix(path, ".lock");
    files.lock(&path).map_err(file_error("lock", &path))
}

/// The state of the database files before SQLite opens them.
pub(crate) enum DatabaseFileState {
    Missing,
    Present,
    /// A state that no run of this program leaves behind.
    Damaged(&'static str),
}

/// Inspects the files before SQLite does. SQLite would treat an empty file as
/// a new database and replay an unrelated log into it, which would lose all
/// data silently.
pub(crate) fn inspect(
    files: &dyn FileInterface,
    path: &Path,
) -> Result<DatabaseFileState, FileError> {
    let length = files.length(path).map_err(file_error("read", path))?;
    let wal = with_suffix(path, WAL_SUFFIX);
    let wal_length = files.length(&wal).map_err(file_error("read", &wal))?;
    let has_wal = wal_length.is_some();
    Ok(match (length, has_wal) {
        (None, false) => DatabaseFileState::Missing,
        (None, true) => DatabaseFileState::Damaged(
            "its main file is missing, only the log of recent writes is left",
        ),
        (Some(0), _) => DatabaseFileState::Damaged("the file is empty"),
        (Some(_), _) => DatabaseFileState::Present,
    })
}

/// Creates an empty file under a temporary name, for a new database.
pub(crate) fn create_temporary(
    files: &dyn FileInterface,
    path: &Path,
) -> Result<PathBuf, FileError> {
    let temporary = with_suffix(path, TEMPORARY_SUFFIX);
    // Leftovers of an interrupted creation.
    for old in [temporary.clone(), with_suffix(&temporary, WAL_SUFFIX)] {
        match files.remove(&old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(file_error("remove", &old)(error));
            }
            _ => {}
        }
    }
    create_private(files, &temporary)?;
    Ok(temporary)
}

/// Creates an empty file that only its owner can read. It must not exist.
pub(crate) fn create_private(files: &dyn FileInterface, path: &Path) -> Result<(), FileError> {
    files.create(path).map_err(file_error("create", path))
}

/// Makes the content of a file survive a power loss.
pub(crate) fn sync(path: &Path) -> Result<(), FileError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(file_error("sync", path))
}

/// Opens a file and deletes its name, so that nothing is left of it once it is
/// closed, whatever happens to this process.
pub(crate) fn open_unnamed(path: &Path) -> Result<File, FileError> {
    let file = File::open(path).map_err(file_error("open", path))?;
    fs::remove_file(path).map_err(file_error("remove", path))?;
    Ok(file)
}

/// Renames a complete database to its final name and makes that durable.
pub(crate) fn rename_into_place(
    files: &dyn FileInterface,
    temporary: &Path,
    path: &Path,
) -> Result<(), FileError> {
    files
        .rename(temporary, path)
        .map_err(file_error("create", path))?;
    sync_directory(files, path)
}

/// Makes the database and its log of recent writes survive a power loss, before anybody
/// reads them.
///
/// A killed process may have left names and commits that it did not sync, or could not.
/// A sync of the log alone would not be enough after an error: the system counts what it
/// could not write as written.
pub(crate) fn sync_recovered(files: &dyn FileInterface, path: &Path) -> Result<(), FileError> {
    let wal = with_suffix(path, WAL_SUFFIX);
    match files.rewrite(&wal) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(file_error("sync", &wal)(error));
        }
        _ => {}
    }
    sync_directory(files, path)
}

/// Removes the access rights of all users but the owner.
pub(crate) fn restrict_to_owner(files: &dyn FileInterface, path: &Path) -> Result<(), FileError> {
    files
        .restrict(path)
        .map_err(file_error("restrict the access rights of", path))
}

/// Renames a damaged database; see [`Store::set_aside`](crate::Store::set_aside).
pub(crate) fn set_aside(path: &Path) -> Result<PathBuf, SetAsideError> {
    let Some(_lock) = lock(&SystemInterface, path)? else {
        return Err(SetAsideError::Locked {
            path: path.to_owned(),
        });
    };
    Ok(move_aside(path, "damaged")?)
}

/// Renames a database and its log, and returns the new path. `why` becomes a part
/// of the name.
fn move_aside(path: &Path, why: &str) -> Result<PathBuf, FileError> {
    let aside = unused_name(path, why)?;
    // The main file first: without it, nothing is opened by mistake. A main
    // file without its log would open and lack the latest writes.
    for suffix in ["", WAL_SUFFIX, "-shm"] {
        let from = with_suffix(path, suffix);
        match fs::rename(&from, with_suffix(&aside, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(file_error("rename", &from)(error));
            }
            _ => {}
        }
    }
    sync_directory(&SystemInterface, path)?;
    Ok(aside)
}

/// Puts a complete database into the place of the one at `path`, which is kept
/// under the name that is returned.
///
/// `is_closed` says that the old database is complete without its log. Then there
/// is a database at `path` at any time, if the file system has hard links.
pub(crate) fn replace(
    temporary: &Path,
    path: &Path,
    is_closed: bool,
) -> Result<PathBuf, FileError> {
    const WHY: &str = "replaced";
    let wal = with_suffix(path, WAL_SUFFIX);
    let has_wal = wal.try_exists().map_err(file_error("read", &wal))?;
    let aside = unused_name(path, WHY)?;
    let is_linked = is_closed && !has_wal && fs::hard_link(path, &aside).is_ok();
    let aside = if is_linked {
        aside
    } else {
        move_aside(path, WHY)?
    };
    rename_into_place(&SystemInterface, temporary, path)?;
    Ok(aside)
}

fn unused_name(path: &Path, why: &str) -> Result<PathBuf, FileError> {
    let now = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let mut name = with_suffix(path, &format!(".{why}-{now}"));
    let mut number = 1_u32;
    while name.try_exists().map_err(file_error("read", &name))? {
        number += 1;
        name = with_suffix(path, &format!(".{why}-{now}-{number}"));
    }
    Ok(name)
}

/// Makes the file names in the directory of `path` survive a power loss.
fn sync_directory(files: &dyn FileInterface, path: &Path) -> Result<(), FileError> {
    let directory = match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    files
        .sync_directory(directory)
        .map_err(file_error("sync", directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_stays_in_its_place_until_another_one_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("some.db");
        fs::write(&path, b"old").unwrap();
        let missing = directory.path().join("missing");
        replace(&missing, &path, true).unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        // With a log, the two must not be separated.
        fs::write(with_suffix(&path, WAL_SUFFIX), b"log").unwrap();
        replace(&missing, &path, true).unwrap_err();
        assert!(!path.exists());
    }
}
