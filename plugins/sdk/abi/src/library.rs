//! Instances, and the functions of the library.

use crate::host::Host;
use crate::object::{Call, Stream};
use crate::value::{Bytes, Error, Status};

/// An instance, which only the library can look into (`rdd_instance`).
#[repr(C)]
#[derive(Debug)]
pub struct Instance {
    _private: [u8; 0],
}

/// The type of functions that begin a call with one result (`rdd_start_call`).
pub type StartCall = unsafe extern "C" fn(
    instance: *mut Instance,
    parameters: Bytes,
    call: *mut *mut Call,
    error: *mut Error,
) -> Status;

/// The type of functions that begin a stream (`rdd_start_stream`).
pub type StartStream = unsafe extern "C" fn(
    instance: *mut Instance,
    parameters: Bytes,
    stream: *mut *mut Stream,
    error: *mut Error,
) -> Status;

/// The type of [`Library::describe`].
pub type Describe = unsafe extern "C" fn(info: *mut Bytes, error: *mut Error) -> Status;

/// The type of [`Library::create`].
pub type Create = unsafe extern "C" fn(
    host: *const Host,
    instance: *mut *mut Instance,
    error: *mut Error,
) -> Status;

/// The functions of a library (`rdd_library`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Library {
    /// The size of this structure in bytes.
    pub size: usize,
    /// The major version that the library uses.
    pub major: u32,
    /// The minor version that the library uses.
    pub minor: u32,
    /// Returns the backend's description of itself.
    pub describe: Option<Describe>,
    /// Creates an instance.
    pub create: Option<Create>,
    /// Frees an instance.
    pub destroy: Option<unsafe extern "C" fn(instance: *mut Instance)>,
    /// `engine.watch`
    pub watch: Option<StartStream>,
    /// `engine.ping`
    pub ping: Option<StartCall>,
    /// `engine.inspect`
    pub inspect: Option<StartCall>,
    /// `logs.get-logs`
    pub get_logs: Option<StartStream>,
    /// `logs.get-entries`
    pub get_entries: Option<StartStream>,
    /// `lifecycle.act`
    pub act: Option<StartCall>,
    /// `lifecycle.remove`
    pub remove: Option<StartCall>,
    /// `lifecycle.create-container`
    pub create_container: Option<StartCall>,
    /// `lifecycle.create-volume`
    pub create_volume: Option<StartCall>,
    /// `processes.exec`
    pub exec: Option<StartStream>,
    /// `images.pull`
    pub pull: Option<StartStream>,
    /// `images.push`
    pub push: Option<StartStream>,
}

/// The type of the exported function [`ENTRY_SYMBOL`](crate::ENTRY_SYMBOL).
pub type Entry = unsafe extern "C" fn(host_major: u32, host_minor: u32) -> *const Library;
