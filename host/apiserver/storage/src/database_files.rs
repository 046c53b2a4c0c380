use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::error::{SetAsideError, StoreOpenError};

/// What SQLite appends to the name of the file that holds recent commits.
const WAL_SUFFIX: &str = "-wal";

/// What is appended to the name of a database that is being made.
const TEMPORARY_SUFFIX: &str = ".new";

/// A step that the system refused; becomes the error of the operation.
#[derive(Debug)]
pub(crate) struct FileError {
    pub(crate) action: &'static str,
    pub(crate) path: PathBuf,
    pub(crate) source: io::Error,
}

impl From<FileError> for StoreOpenError {
    fn from(refused: FileError) -> Self {
        let FileError {
            action,
            path,
            source,
        } = refused;
        Self::Io {
            action,
            path,
            source,
        }
    }
}

impl From<FileError> for SetAsideError {
    fn from(refused: FileError) -> Self {
        let FileError {
            action,
            path,
            source,
        } = refused;
        Self::Io {
            action,
            path,
            source,
        }
    }
}

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

/// `path` with `suffix` appended to its last part.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Claims the database for this process, as long as the file is open. None
/// when somebody else has it.
///
/// The lock is a file of its own, which stays: SQLite's locks belong to a
/// process and are lost when any descriptor of the file is closed.
pub(crate) fn lock(path: &Path) -> Result<Option<File>, FileError> {
    let path = with_suffix(path, ".lock");
    let file = owner_only(OpenOptions::new().write(true).create(true))
        .open(&path)
        .map_err(file_error("open lock file", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(file_error("lock", &path)(source)),
    }
}

/// What stands at the place of a database.
pub(crate) enum DatabaseFileState {
    Missing,
    Database,
    /// What no run of this program leaves behind.
    Damaged(&'static str),
}

/// Looks at the files before SQLite does: it would take an empty file for a
/// new database and replay a stray log into it, and so lose everything
/// without a word.
pub(crate) fn inspect(path: &Path) -> Result<DatabaseFileState, FileError> {
    let length = match fs::metadata(path) {
        Ok(metadata) => Some(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(file_error("read", path)(error)),
    };
    let wal = with_suffix(path, WAL_SUFFIX);
    let wal = wal.try_exists().map_err(file_error("read", &wal))?;
    Ok(match (length, wal) {
        (None, false) => DatabaseFileState::Missing,
        (None, true) => DatabaseFileState::Damaged(
            "its main file is gone, only the log of recent writes is there",
        ),
        (Some(0), _) => DatabaseFileState::Damaged("the file is empty"),
        (Some(_), _) => DatabaseFileState::Database,
    })
}

/// An empty file under a passing name, for a database to be made in.
pub(crate) fn create_temporary(path: &Path) -> Result<PathBuf, FileError> {
    let unfinished = with_suffix(path, TEMPORARY_SUFFIX);
    // What an interrupted first start left.
    for old in [unfinished.clone(), with_suffix(&unfinished, WAL_SUFFIX)] {
        match fs::remove_file(&old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(file_error("remove", &old)(error));
            }
            _ => {}
        }
    }
    owner_only(OpenOptions::new().write(true).create_new(true))
        .open(&unfinished)
        .map_err(file_error("create", &unfinished))?;
    Ok(unfinished)
}

/// Gives a finished database its name, for good.
pub(crate) fn rename_into_place(unfinished: &Path, path: &Path) -> Result<(), FileError> {
    fs::rename(unfinished, path).map_err(file_error("create", path))?;
    sync_directory(path)
}

/// Takes the rights of everybody but the owner away.
pub(crate) fn restrict_to_owner(path: &Path) -> Result<(), FileError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(OWNER_ONLY_MODE))
            .map_err(file_error("restrict the access rights of", path))?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Renames a damaged database; see [`Store::set_aside`](crate::Store::set_aside).
pub(crate) fn set_aside(path: &Path) -> Result<PathBuf, SetAsideError> {
    let Some(_lock) = lock(path)? else {
        return Err(SetAsideError::Locked {
            path: path.to_owned(),
        });
    };
    let aside = unused_name(path)?;
    // The main file first: without it nothing is opened by mistake, whereas
    // a main file without its log would open and lack the latest writes.
    for suffix in ["", WAL_SUFFIX, "-shm"] {
        let from = with_suffix(path, suffix);
        match fs::rename(&from, with_suffix(&aside, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(file_error("rename", &from)(error).into());
            }
            _ => {}
        }
    }
    sync_directory(path)?;
    Ok(aside)
}

fn unused_name(path: &Path) -> Result<PathBuf, FileError> {
    let now = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let mut name = with_suffix(path, &format!(".damaged-{now}"));
    let mut number = 1_u32;
    while name.try_exists().map_err(file_error("read", &name))? {
        number += 1;
        name = with_suffix(path, &format!(".damaged-{now}-{number}"));
    }
    Ok(name)
}

/// Read and write for the owner: the database holds Secrets.
#[cfg(unix)]
const OWNER_ONLY_MODE: u32 = 0o600;

fn owner_only(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, OWNER_ONLY_MODE);
    options
}

/// Makes the names in a folder survive a power loss.
fn sync_directory(path: &Path) -> Result<(), FileError> {
    #[cfg(unix)]
    {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(file_error("sync", folder))?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}
