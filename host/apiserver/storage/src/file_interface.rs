//! What the store needs of the system for its files, which tests replace.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Read and write for the owner only: the database contains Secrets.
const OWNER_ONLY_MODE: u32 = 0o600;

/// The bytes that are read and written at a time: few calls, little memory.
const COPY_BYTES: usize = 256 << 10;

/// The operations on files that open and create a database: those of SQLite, by the
/// name of its VFS, and those that the store does itself.
///
/// A test can replace both by one disk that it controls.
pub trait FileInterface: Debug + Send + Sync {
    /// Returns the name of the VFS that SQLite uses; `None` for its default.
    fn vfs(&self) -> Option<&str>;

    /// Locks the file, after creating it if it is missing, as long as the returned
    /// value exists. Returns `None` if it is locked.
    ///
    /// # Errors
    /// Those of the system; so in all methods.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Debug + Send>>>;

    /// Returns the length of the file in bytes; `None` if there is none.
    fn length(&self, path: &Path) -> io::Result<Option<u64>>;

    /// Creates an empty file that only its owner can read. It must not exist.
    fn create(&self, path: &Path) -> io::Result<()>;

    /// Removes the access rights of all users but the owner.
    fn restrict(&self, path: &Path) -> io::Result<()>;

    /// Removes the file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Writes the content of the file over itself, and syncs it.
    fn rewrite(&self, path: &Path) -> io::Result<()>;

    /// Renames the file, over another one if there is one.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Makes the names in the directory survive a power loss.
    fn sync_directory(&self, directory: &Path) -> io::Result<()>;
}

/// The files of the system.
#[derive(Debug)]
pub(crate) struct SystemInterface;

impl FileInterface for SystemInterface {
    fn vfs(&self) -> Option<&str> {
        None
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Debug + Send>>> {
        let file = owner_only(OpenOptions::new().write(true).create(true)).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn length(&self, path: &Path) -> io::Result<Option<u64>> {
        match fs::metadata(path) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn create(&self, path: &Path) -> io::Result<()> {
        owner_only(OpenOptions::new().write(true).create_new(true)).open(path)?;
        Ok(())
    }

    fn restrict(&self, path: &Path) -> io::Result<()> {
        fs::set_permissions(path, fs::Permissions::from_mode(OWNER_ONLY_MODE))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn rewrite(&self, path: &Path) -> io::Result<()> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let mut buffer = vec![0; COPY_BYTES];
        let mut offset = 0;
        loop {
            let length = file.read_at(&mut buffer, offset)?;
            let Some(part) = buffer.get(..length).filter(|part| !part.is_empty()) else {
                return file.sync_all();
            };
            file.write_all_at(part, offset)?;
            offset += part.len() as u64;
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        File::open(directory)?.sync_all()
    }
}

fn owner_only(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(OWNER_ONLY_MODE)
}
