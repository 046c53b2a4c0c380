use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::error::{OpenError, SetAsideError};

/// What SQLite appends to the name of the file that holds recent commits.
const WAL: &str = "-wal";

/// What is appended to the name of a database that is being made.
const UNFINISHED: &str = ".new";

/// A step that the system refused; becomes the error of the operation.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) action: &'static str,
    pub(crate) path: PathBuf,
    pub(crate) source: io::Error,
}

impl From<Refused> for OpenError {
    fn from(refused: Refused) -> Self {
        let Refused {
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

impl From<Refused> for SetAsideError {
    fn from(refused: Refused) -> Self {
        let Refused {
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

fn refused<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Refused + 'a {
    move |source| Refused {
        action,
        path: path.to_owned(),
        source,
    }
}

/// `path` with `suffix` appended to its last part.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Claims the database for this process, as long as the file is open. None
/// when somebody else has it.
///
/// The lock is a file of its own, which stays: SQLite's locks belong to a
/// process and are lost when any descriptor of the file is closed.
pub(crate) fn lock(path: &Path) -> Result<Option<File>, Refused> {
    let path = beside(path, ".lock");
    let file = private(OpenOptions::new().write(true).create(true))
        .open(&path)
        .map_err(refused("open lock file", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(refused("lock", &path)(source)),
    }
}

/// What stands at the place of a database.
pub(crate) enum Found {
    Nothing,
    Database,
    /// What no run of this program leaves behind.
    Damaged(&'static str),
}

/// Looks at the files before SQLite does: it would take an empty file for a
/// new database and replay a stray log into it, and so lose everything
/// without a word.
pub(crate) fn look(path: &Path) -> Result<Found, Refused> {
    let length = match fs::metadata(path) {
        Ok(metadata) => Some(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(refused("read", path)(error)),
    };
    let wal = beside(path, WAL);
    let wal = wal.try_exists().map_err(refused("read", &wal))?;
    Ok(match (length, wal) {
        (None, false) => Found::Nothing,
        (None, true) => {
            Found::Damaged("its main file is gone, only the log of recent writes is there")
        }
        (Some(0), _) => Found::Damaged("the file is empty"),
        (Some(_), _) => Found::Database,
    })
}

/// An empty file under a passing name, for a database to be made in.
pub(crate) fn unfinished(path: &Path) -> Result<PathBuf, Refused> {
    let unfinished = beside(path, UNFINISHED);
    // What an interrupted first start left.
    for old in [unfinished.clone(), beside(&unfinished, WAL)] {
        match fs::remove_file(&old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(refused("remove", &old)(error));
            }
            _ => {}
        }
    }
    private(OpenOptions::new().write(true).create_new(true))
        .open(&unfinished)
        .map_err(refused("create", &unfinished))?;
    Ok(unfinished)
}

/// Gives a finished database its name, for good.
pub(crate) fn finish(unfinished: &Path, path: &Path) -> Result<(), Refused> {
    fs::rename(unfinished, path).map_err(refused("create", path))?;
    sync_folder(path)
}

/// Takes the rights of everybody but the owner away.
pub(crate) fn make_private(path: &Path) -> Result<(), Refused> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(OWNER_ONLY))
            .map_err(refused("restrict the access rights of", path))?;
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
    let aside = free_name(path)?;
    // The main file first: without it nothing is opened by mistake, whereas
    // a main file without its log would open and lack the latest writes.
    for suffix in ["", WAL, "-shm"] {
        let from = beside(path, suffix);
        match fs::rename(&from, beside(&aside, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(refused("rename", &from)(error).into());
            }
            _ => {}
        }
    }
    sync_folder(path)?;
    Ok(aside)
}

fn free_name(path: &Path) -> Result<PathBuf, Refused> {
    let now = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let mut name = beside(path, &format!(".damaged-{now}"));
    let mut number = 1_u32;
    while name.try_exists().map_err(refused("read", &name))? {
        number += 1;
        name = beside(path, &format!(".damaged-{now}-{number}"));
    }
    Ok(name)
}

/// Read and write for the owner: the database holds Secrets.
#[cfg(unix)]
const OWNER_ONLY: u32 = 0o600;

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, OWNER_ONLY);
    options
}

/// Makes the names in a folder survive a power loss.
fn sync_folder(path: &Path) -> Result<(), Refused> {
    #[cfg(unix)]
    {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(refused("sync", folder))?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}
