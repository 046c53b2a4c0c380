//! Errors of changing the user's plugin directory.

use std::io;
use std::path::PathBuf;

use crate::lock_file::{LOCK_FILE, LockFileError};

/// A change of the directory that failed. Nothing was changed, unless the
/// message says so.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or directory cannot be changed.
    #[error("cannot change {}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] rdd_core::PrivateFileError),
    /// The lock file cannot be used.
    #[error(transparent)]
    LockFile(#[from] LockFileError),
    /// The lock file cannot be represented as text.
    #[error("cannot write {LOCK_FILE}; please report this")]
    Format(#[from] toml::ser::Error),
    /// Another command takes too long.
    #[error("another 'rdd plugin' command is changing {}; try again when it has ended", .0.display())]
    Busy(PathBuf),
    /// A directory of that name was not installed by this program.
    #[error("{} exists and was not installed with 'rdd plugin install'; move it to another place, then try again", .0.display())]
    Foreign(PathBuf),
    /// There is no such plugin.
    #[error("no plugin named {name:?} is installed in {}; 'rdd plugin list' shows the installed ones", dir.display())]
    NotInstalled {
        /// The requested name.
        name: String,
        /// The user's plugin directory.
        dir: PathBuf,
    },
}
