//! SQLite's access to the simulated disks: the boundary to C.
//!
//! Written by hand: `sqlite-plugin` has a safe interface, but generates its bindings
//! with bindgen, so that the tests would need libclang, and does not say whether a
//! deletion syncs the directory; `sqlite-vfs` calls itself a prototype. The store opens
//! its database in exclusive mode, in which SQLite keeps the index of the write-ahead
//! log in its own memory, so version 1 of the interface is enough: no shared memory, no
//! mapped files, and no locks, for which the store has its own file.
#![allow(
    unsafe_code,
    reason = "SQLite calls a VFS through C functions; each does nothing but convert its arguments"
)]

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use rusqlite::ffi;

use super::disk_call::DiskError;
use super::simulated_disk::SimulatedDisk;
use super::simulated_file::FileId;

/// The name of the VFS.
pub(super) const NAME: &str = "rdd-simulated";

const MAX_PATH_BYTES: c_int = 512;

static DISKS: Mutex<Option<HashMap<String, SimulatedDisk>>> = Mutex::new(None);

/// Registers a disk under the name of its directory, and returns the path of a file in
/// it.
pub(super) fn mount(directory: &str, disk: &SimulatedDisk) -> PathBuf {
    static REGISTERED: OnceLock<()> = OnceLock::new();
    REGISTERED.get_or_init(register);
    let mut disks = DISKS.lock().unwrap_or_else(PoisonError::into_inner);
    let disks = disks.get_or_insert_default();
    let other = disks.insert(directory.to_owned(), disk.clone());
    assert!(other.is_none(), "{directory} is mounted already");
    PathBuf::from(format!("/{directory}/state.db"))
}

pub(super) fn unmount(directory: &str) {
    let mut disks = DISKS.lock().unwrap_or_else(PoisonError::into_inner);
    disks.get_or_insert_default().remove(directory);
}

fn disk(path: &str) -> Option<SimulatedDisk> {
    let directory = path.strip_prefix('/')?.split('/').next()?;
    let disks = DISKS.lock().unwrap_or_else(PoisonError::into_inner);
    disks.as_ref()?.get(directory).cloned()
}

/// What SQLite allocates for an open file.
#[repr(C)]
struct FileHandle {
    base: ffi::sqlite3_file,
    file: *mut OpenFile,
}

struct OpenFile {
    disk: SimulatedDisk,
    id: FileId,
    /// Whether the next sync is that of the directory, too. SQLite's own VFS syncs it
    /// with the first sync of a log or a journal.
    syncs_directory: bool,
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 1,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(lock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: None,
    xShmLock: None,
    xShmBarrier: None,
    xShmUnmap: None,
    xFetch: None,
    xUnfetch: None,
};

fn register() {
    // SAFETY: SQLite has a default VFS on all systems that the store supports. The copy
    // is never freed, and neither is its name. What is not replaced (random numbers and
    // the time) does not depend on the other fields.
    let code = unsafe {
        let default = ffi::sqlite3_vfs_find(std::ptr::null());
        assert!(!default.is_null(), "SQLite has no default VFS");
        let vfs = Box::leak(Box::new(*default));
        vfs.iVersion = 1;
        vfs.szOsFile = size_of::<FileHandle>() as c_int;
        vfs.mxPathname = MAX_PATH_BYTES;
        vfs.pNext = std::ptr::null_mut();
        vfs.zName = CString::new(NAME).expect("a name without zeros").into_raw();
        vfs.xOpen = Some(open);
        vfs.xDelete = Some(delete);
        vfs.xAccess = Some(access);
        vfs.xFullPathname = Some(full_path);
        ffi::sqlite3_vfs_register(vfs, 0)
    };
    assert_eq!(code, ffi::SQLITE_OK);
}

/// Returns the code of an error: `io_code` unless the disk is full.
fn code(result: Result<(), DiskError>, io_code: c_int) -> c_int {
    match result {
        Ok(()) => ffi::SQLITE_OK,
        Err(DiskError::Full) => ffi::SQLITE_FULL,
        Err(_) => io_code,
    }
}

/// # Safety
/// `path` is null or a C string that outlives the result.
unsafe fn text<'a>(path: *const c_char) -> Option<&'a str> {
    if path.is_null() {
        return None;
    }
    // SAFETY: the caller says so.
    unsafe { CStr::from_ptr(path) }.to_str().ok()
}

/// # Safety
/// `file` is a file that [`open`] has opened and [`close`] has not closed.
unsafe fn opened<'a>(file: *mut ffi::sqlite3_file) -> &'a mut OpenFile {
    // SAFETY: SQLite passes what `open` has filled, to one call at a time.
    unsafe { &mut *(*file.cast::<FileHandle>()).file }
}

unsafe extern "C" fn open(
    _vfs: *mut ffi::sqlite3_vfs,
    path: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    flags_out: *mut c_int,
) -> c_int {
    let handle = file.cast::<FileHandle>();
    // SAFETY: SQLite allocates `szOsFile` bytes, and passes a C string or null. It calls
    // no method of a file whose methods are null.
    let path = unsafe {
        (*handle).base.pMethods = std::ptr::null();
        text(path)
    };
    // Temporary files are on a disk without faults.
    let found = match path {
        Some(path) => disk(path),
        None => Some(SimulatedDisk::new(super::random_source::RandomSource::new(
            0,
        ))),
    };
    let Some(disk) = found else {
        return ffi::SQLITE_CANTOPEN;
    };
    let creates = flags & ffi::SQLITE_OPEN_CREATE != 0;
    let id = match disk.open(path, creates) {
        Ok(id) => id,
        Err(_) => return ffi::SQLITE_CANTOPEN,
    };
    let logs = ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_MAIN_JOURNAL;
    let opened = OpenFile {
        disk,
        id,
        syncs_directory: creates && flags & logs != 0,
    };
    // SAFETY: as above; `flags_out` is null or valid.
    unsafe {
        (*handle).file = Box::into_raw(Box::new(opened));
        (*handle).base.pMethods = &raw const METHODS;
        if let Some(out) = flags_out.as_mut() {
            *out = flags;
        }
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: `open` has allocated it, and SQLite closes a file once.
    unsafe {
        drop(Box::from_raw((*file.cast::<FileHandle>()).file));
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    buffer: *mut c_void,
    length: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: the file is open, and the buffer has this length.
    let (file, buffer) = unsafe {
        let buffer = std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length as usize);
        (opened(file), buffer)
    };
    match file.disk.read(file.id, offset as usize, buffer) {
        Ok(length) if length == buffer.len() => ffi::SQLITE_OK,
        Ok(length) => {
            buffer[length..].fill(0);
            ffi::SQLITE_IOERR_SHORT_READ
        }
        Err(error) => code(Err(error), ffi::SQLITE_IOERR_READ),
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    data: *const c_void,
    length: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: the file is open, and the data have this length.
    let (file, data) = unsafe {
        let data = std::slice::from_raw_parts(data.cast::<u8>(), length as usize);
        (opened(file), data)
    };
    let written = file.disk.write(file.id, offset as usize, data);
    code(written, ffi::SQLITE_IOERR_WRITE)
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, length: ffi::sqlite3_int64) -> c_int {
    // SAFETY: the file is open.
    let file = unsafe { opened(file) };
    let truncated = file.disk.truncate(file.id, length as usize);
    code(truncated, ffi::SQLITE_IOERR_TRUNCATE)
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: the file is open.
    let file = unsafe { opened(file) };
    let synced = file.disk.sync(file.id, file.syncs_directory);
    if synced.is_ok() {
        file.syncs_directory = false;
    }
    code(synced, ffi::SQLITE_IOERR_FSYNC)
}

unsafe extern "C" fn file_size(
    file: *mut ffi::sqlite3_file,
    size: *mut ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: the file is open.
    let file = unsafe { opened(file) };
    match file.disk.file_length(file.id) {
        Ok(length) => {
            // SAFETY: SQLite passes a valid pointer.
            unsafe { *size = length as ffi::sqlite3_int64 };
            ffi::SQLITE_OK
        }
        Err(error) => code(Err(error), ffi::SQLITE_IOERR_FSTAT),
    }
}

unsafe extern "C" fn lock(_file: *mut ffi::sqlite3_file, _level: c_int) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved_lock(_: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: SQLite passes a valid pointer.
    unsafe { *out = 0 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_control(_: *mut ffi::sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

/// As SQLite's own VFS.
unsafe extern "C" fn sector_size(_: *mut ffi::sqlite3_file) -> c_int {
    4_096
}

/// As SQLite's own VFS: a write changes no byte beside it.
unsafe extern "C" fn device_characteristics(_: *mut ffi::sqlite3_file) -> c_int {
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn delete(
    _vfs: *mut ffi::sqlite3_vfs,
    path: *const c_char,
    sync_directory: c_int,
) -> c_int {
    // SAFETY: SQLite passes a C string.
    let Some(path) = (unsafe { text(path) }) else {
        return ffi::SQLITE_IOERR_DELETE;
    };
    match disk(path).map(|disk| disk.remove(path, sync_directory != 0)) {
        Some(Err(DiskError::NotFound)) => ffi::SQLITE_IOERR_DELETE_NOENT,
        Some(result) => code(result, ffi::SQLITE_IOERR_DELETE),
        None => ffi::SQLITE_IOERR_DELETE,
    }
}

unsafe extern "C" fn access(
    _vfs: *mut ffi::sqlite3_vfs,
    path: *const c_char,
    _flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite passes a C string.
    let Some(path) = (unsafe { text(path) }) else {
        return ffi::SQLITE_IOERR_ACCESS;
    };
    match disk(path).map(|disk| disk.exists(path)) {
        Some(Ok(exists)) => {
            // SAFETY: SQLite passes a valid pointer.
            unsafe { *out = c_int::from(exists) };
            ffi::SQLITE_OK
        }
        _ => ffi::SQLITE_IOERR_ACCESS,
    }
}

unsafe extern "C" fn full_path(
    _vfs: *mut ffi::sqlite3_vfs,
    path: *const c_char,
    length: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: SQLite passes a C string and a buffer of this length.
    unsafe {
        let path = CStr::from_ptr(path).to_bytes_with_nul();
        if path.len() > length as usize {
            return ffi::SQLITE_CANTOPEN;
        }
        std::ptr::copy_nonoverlapping(path.as_ptr().cast(), out, path.len());
    }
    ffi::SQLITE_OK
}
