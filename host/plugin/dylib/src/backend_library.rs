//! A loaded library.

use std::ffi::OsStr;
use std::fmt;
use std::mem::ManuallyDrop;
use std::path::Path;

use libloading::Library;
use rdd_core::BackendInfo;
use rdd_sdk_abi as abi;

use crate::foreign;
use crate::json;
use crate::library_fault::{CallError, LibraryFault, contract_fault};
use crate::thread_tracker::CallSite;

/// The versions of the ABI that this host supports.
const MAJOR: u32 = abi::ABI_MAJOR;
/// The oldest supported minor version.
const MIN_MINOR: u32 = 1;
/// The newest supported minor version.
const MAX_MINOR: u32 = abi::ABI_MINOR;

/// A library that cannot be used. The message is one sentence with the cause and
/// the remedy.
#[derive(Debug, thiserror::Error)]
pub enum LibraryLoadError {
    /// The dynamic linker rejects the file.
    #[error(
        "cannot load the library {path}; install the build of the plugin for this operating system and processor"
    )]
    Open {
        /// The file.
        path: String,
        /// What the dynamic linker says.
        #[source]
        source: libloading::Error,
    },
    /// The library is no backend.
    #[error(
        "the library {path} does not export {symbol}, so it is not a backend",
        symbol = abi::ENTRY_SYMBOL
    )]
    Symbol {
        /// The file.
        path: String,
        /// What the dynamic linker says.
        #[source]
        source: libloading::Error,
    },
    /// The library needs another version of the ABI.
    #[error(
        "the backend uses version {library} of the C ABI, and this daemon supports {supported}; {remedy}"
    )]
    Version {
        /// The version of the library.
        library: AbiVersion,
        /// The versions of the host.
        supported: String,
        /// Which side to replace.
        remedy: &'static str,
    },
    /// The library violates the ABI.
    #[error("the backend {0}; report this to its author")]
    Contract(String),
}

/// A version of the ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbiVersion {
    /// The major version.
    pub major: u32,
    /// The minor version.
    pub minor: u32,
}

impl fmt::Display for AbiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl From<LibraryFault> for LibraryLoadError {
    fn from(fault: LibraryFault) -> Self {
        Self::Contract(fault.to_string())
    }
}

/// A library that was loaded and whose functions were checked. It is never
/// unloaded, since its threads and its thread-local destructors may outlive
/// every use of it.
pub struct BackendLibrary {
    functions: LibraryFunctions,
    _library: Option<ManuallyDrop<Library>>,
}

impl fmt::Debug for BackendLibrary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackendLibrary").finish_non_exhaustive()
    }
}

/// The functions of a library. Those of optional capabilities may be missing.
#[derive(Clone, Copy)]
pub(crate) struct LibraryFunctions {
    pub(crate) describe: abi::Describe,
    pub(crate) create: abi::Create,
    pub(crate) destroy: unsafe extern "C" fn(*mut abi::Instance),
    pub(crate) watch: abi::StartStream,
    pub(crate) ping: abi::StartCall,
    pub(crate) inspect: abi::StartCall,
    pub(crate) get_logs: Option<abi::StartStream>,
    pub(crate) get_entries: Option<abi::StartStream>,
    pub(crate) act: Option<abi::StartCall>,
    pub(crate) remove: Option<abi::StartCall>,
    pub(crate) create_container: Option<abi::StartCall>,
    pub(crate) create_volume: Option<abi::StartCall>,
    pub(crate) exec: Option<abi::StartStream>,
    pub(crate) pull: Option<abi::StartStream>,
    pub(crate) push: Option<abi::StartStream>,
}

impl BackendLibrary {
    /// Loads the library at `path`, which runs its initializers. Blocks: call it
    /// from a blocking thread.
    ///
    /// The library gets every right of this process. The caller must have made
    /// sure that the user approved exactly this file.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be loaded, is no backend, needs another version
    /// of the ABI, or violates it.
    pub fn load(path: &Path) -> Result<Self, LibraryLoadError> {
        let display = || path.display().to_string();
        // A name without a slash would be searched for in the system's folders.
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let name: &OsStr = absolute.as_os_str();
        // SAFETY: the library's initializers run, which the user has approved.
        let library = unsafe { Library::new(name) }.map_err(|source| LibraryLoadError::Open {
            path: display(),
            source,
        })?;
        // Whatever happens below: code of the library has run.
        let library = ManuallyDrop::new(library);
        // SAFETY: the ABI says that the symbol of this name has this type.
        let entry = unsafe { library.get::<abi::Entry>(abi::ENTRY_SYMBOL.as_bytes()) };
        let entry = entry.map_err(|source| LibraryLoadError::Symbol {
            path: display(),
            source,
        })?;
        // SAFETY: the function may be called on any thread.
        let functions = unsafe { entry(MAJOR, MAX_MINOR) };
        let functions = LibraryFunctions::read(functions)?;
        Ok(Self {
            functions,
            _library: Some(library),
        })
    }

    /// Uses a library that is linked into this program, such as a test.
    ///
    /// # Errors
    ///
    /// Fails if the library needs another version of the ABI, or violates it.
    ///
    /// # Safety
    ///
    /// `entry` must be the function `rdd_backend_library` of a library that
    /// follows the ABI.
    pub unsafe fn from_entry(entry: abi::Entry) -> Result<Self, LibraryLoadError> {
        // SAFETY: the caller guarantees it.
        let functions = unsafe { entry(MAJOR, MAX_MINOR) };
        Ok(Self {
            functions: LibraryFunctions::read(functions)?,
            _library: None,
        })
    }

    pub(crate) fn functions(&self) -> &LibraryFunctions {
        &self.functions
    }

    /// Returns the backend's description of itself, as the library gives it: it
    /// is not validated yet.
    pub(crate) fn describe(&self) -> Result<BackendInfo, CallError> {
        const SITE: CallSite = CallSite::new("describe", "");
        let mut info = abi::Bytes::EMPTY;
        let mut error = abi::Error::new();
        // SAFETY: the function may be called on any thread, with valid pointers.
        let status = unsafe { (self.functions.describe)(&raw mut info, &raw mut error) };
        if status != abi::READY {
            // SAFETY: the texts live until the next call of the library.
            return Err(unsafe { foreign::failure(SITE, status, &error) });
        }
        // SAFETY: the text lives as long as the process.
        let info = unsafe { foreign::text(SITE, "backend-info", info)? };
        let info = json::backend_info(&info)?;
        self.check_capabilities(&info)?;
        Ok(info)
    }

    /// Checks that there is a function for each capability.
    fn check_capabilities(&self, info: &BackendInfo) -> Result<(), LibraryFault> {
        let functions = &self.functions;
        let capabilities = info.capabilities;
        for (capability, is_set, function, is_missing) in [
            (
                "logs",
                capabilities.logs,
                "get_logs",
                functions.get_logs.is_none(),
            ),
            (
                "entries",
                capabilities.entries,
                "get_entries",
                functions.get_entries.is_none(),
            ),
            (
                "actions",
                capabilities.actions,
                "act",
                functions.act.is_none(),
            ),
            (
                "removals",
                capabilities.removals,
                "remove",
                functions.remove.is_none(),
            ),
            (
                "create-containers",
                capabilities.create_containers,
                "create_container",
                functions.create_container.is_none(),
            ),
            (
                "create-volumes",
                capabilities.create_volumes,
                "create_volume",
                functions.create_volume.is_none(),
            ),
            ("exec", capabilities.exec, "exec", functions.exec.is_none()),
            ("pull", capabilities.pull, "pull", functions.pull.is_none()),
            ("push", capabilities.push, "push", functions.push.is_none()),
        ] {
            if is_set && is_missing {
                return Err(contract_fault!(
                    "describe returned the capability {capability}, but the function {function} is NULL"
                ));
            }
        }
        Ok(())
    }
}

impl LibraryFunctions {
    /// Reads and checks what the entry function returned.
    fn read(library: *const abi::Library) -> Result<Self, LibraryLoadError> {
        const SITE: CallSite = CallSite::new(abi::ENTRY_SYMBOL, "");
        check_version(SITE, library)?;
        // SAFETY: the ABI demands that the pointer refers to a structure of its
        // size, and the version was checked.
        let library = unsafe { foreign::read_struct(SITE, library)? };
        let abi::Library {
            size: _,
            major: _,
            minor: _,
            describe,
            create,
            destroy,
            watch,
            ping,
            inspect,
            get_logs,
            get_entries,
            act,
            remove,
            create_container,
            create_volume,
            exec,
            pull,
            push,
        } = library;
        macro_rules! required {
            ($function:ident) => {
                foreign::required(SITE, "rdd_library", stringify!($function), $function)?
            };
        }
        Ok(Self {
            describe: required!(describe),
            create: required!(create),
            destroy: required!(destroy),
            watch: required!(watch),
            ping: required!(ping),
            inspect: required!(inspect),
            get_logs,
            get_entries,
            act,
            remove,
            create_container,
            create_volume,
            exec,
            pull,
            push,
        })
    }
}

/// The part of `rdd_library` that is the same in all versions.
#[repr(C)]
#[derive(Clone, Copy)]
struct LibraryHead {
    size: usize,
    major: u32,
    minor: u32,
}

impl foreign::SizedStruct for LibraryHead {
    const NAME: &'static str = "rdd_library";
}

fn check_version(site: CallSite, library: *const abi::Library) -> Result<(), LibraryLoadError> {
    // SAFETY: the ABI demands that the pointer refers to a structure of its size,
    // which in all versions begins with these fields.
    let LibraryHead { major, minor, .. } =
        unsafe { foreign::read_struct(site, library.cast::<LibraryHead>())? };
    let library = AbiVersion { major, minor };
    let remedy = if (major, minor) > (MAJOR, MAX_MINOR) {
        "upgrade the daemon, or install an older version of the plugin"
    } else if (major, minor) < (MAJOR, MIN_MINOR) {
        "install a newer version of the plugin"
    } else {
        return Ok(());
    };
    Err(LibraryLoadError::Version {
        library,
        supported: supported_versions(),
        remedy,
    })
}

/// Returns the supported versions, such as `0.1` or `0.1 to 0.3`.
fn supported_versions() -> String {
    let version = |minor| AbiVersion {
        major: MAJOR,
        minor,
    };
    let (first, last) = (version(MIN_MINOR), version(MAX_MINOR));
    if first == last {
        last.to_string()
    } else {
        format!("{first} to {last}")
    }
}
