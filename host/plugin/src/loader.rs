//! The seam between the supervisor and the forms of plugins.
//!
//! A [`PluginLoader`] turns the verified file of a plugin into a
//! [`PluginBackend`], which the supervisor launches, watches, and launches again.
//! What is specific to a form stays behind these traits.

use std::path::PathBuf;
use std::sync::Arc;

use rdd_core::text::is_lower_hex;
use rdd_core::{PrivateFileError, create_private_dir, write_private};
use rdd_plugin_contract::{BackendLimits, BackendServices, PluginBackend};
use rdd_plugin_dylib::{BackendLibrary, LibraryBackend, LibraryLoadError};
use rdd_plugin_wasm::{ComponentBackend, ComponentRuntime, LoadError};

/// The file of a plugin, compared with its digest, and what the plugin gets.
pub(crate) struct LoadRequest {
    /// The name of the backend.
    pub(crate) name: String,
    /// The path of the file. It may have been replaced since it was read.
    pub(crate) path: PathBuf,
    /// The content of the file.
    pub(crate) bytes: Vec<u8>,
    /// The SHA-256 of the content in hexadecimal.
    pub(crate) digest: String,
    /// The limits, of which a form applies those that it can.
    pub(crate) limits: BackendLimits,
    /// The connections to its engine, the credentials, and the directories.
    pub(crate) services: BackendServices,
}

/// Loads plugins of one form.
pub(crate) trait PluginLoader: Send + Sync + 'static {
    /// Loads a plugin. This may take minutes, and runs on a thread that may
    /// block.
    fn load(&self, request: LoadRequest) -> Result<Box<dyn PluginBackend>, LoadFailure>;
}

/// A file that a form cannot load. The message is one sentence with the cause
/// and the remedy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadFailure {
    /// The component is not valid.
    #[error(transparent)]
    Component(#[from] LoadError),
    /// The library is not valid.
    #[error("{}", with_causes(.0))]
    Library(LibraryLoadError),
    /// The private copy of the library cannot be written.
    #[error("cannot copy the library for loading: {0}; check the disk and the state directory")]
    Copy(#[from] PrivateFileError),
}

/// Joins the messages of an error and its causes, since the state of a plugin is
/// one sentence.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// The loader of components.
pub(crate) struct ComponentLoader {
    pub(crate) runtime: Arc<ComponentRuntime>,
}

impl PluginLoader for ComponentLoader {
    fn load(&self, request: LoadRequest) -> Result<Box<dyn PluginBackend>, LoadFailure> {
        let LoadRequest {
            name,
            bytes,
            digest,
            limits,
            services,
            ..
        } = request;
        let component = self.runtime.load(&bytes, &digest)?;
        Ok(Box::new(ComponentBackend::new(
            &name, component, limits, services,
        )))
    }
}

/// The number of hexadecimal digits of a SHA-256.
const SHA256_DIGITS: usize = 64;

/// The loader of dynamic libraries.
///
/// A library stays in memory for as long as the process lives, and the operating
/// system reads parts of its file later. So a copy with the digest as its name is
/// loaded, which nobody overwrites when the plugin is upgraded.
pub(crate) struct LibraryLoader {
    /// The directory of the copies. Without it, the file itself is loaded.
    dir: Option<PathBuf>,
}

impl LibraryLoader {
    /// Creates a loader with its directory for copies.
    pub(crate) fn new(dir: Option<PathBuf>) -> Self {
        Self { dir }
    }

    /// Removes the copies that an earlier process made. A library that is in use
    /// elsewhere stays in memory.
    ///
    /// # Errors
    ///
    /// Fails if the directory cannot be read, or a copy cannot be removed.
    pub(crate) fn remove_old_copies(&self) -> std::io::Result<()> {
        let Some(dir) = &self.dir else {
            return Ok(());
        };
        let entries = match std::fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let is_copy = name
                .to_str()
                .and_then(|name| name.strip_suffix(std::env::consts::DLL_SUFFIX))
                .is_some_and(|digest| is_lower_hex(digest, SHA256_DIGITS));
            if is_copy {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Returns the path of the file to load.
    fn copy(&self, request: &LoadRequest) -> Result<PathBuf, LoadFailure> {
        let Some(dir) = &self.dir else {
            return Ok(request.path.clone());
        };
        create_private_dir(dir)?;
        let path = dir.join(format!(
            "{}{}",
            request.digest,
            std::env::consts::DLL_SUFFIX
        ));
        let is_complete = std::fs::read(&path).is_ok_and(|bytes| bytes == request.bytes);
        if !is_complete {
            write_private(&path, &request.bytes)?;
        }
        Ok(path)
    }
}

impl PluginLoader for LibraryLoader {
    fn load(&self, request: LoadRequest) -> Result<Box<dyn PluginBackend>, LoadFailure> {
        let path = self.copy(&request)?;
        let library = BackendLibrary::load(&path).map_err(LoadFailure::Library)?;
        let LoadRequest {
            name,
            limits,
            services,
            ..
        } = request;
        Ok(Box::new(LibraryBackend::new(
            &name, library, limits, services,
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_copies_of_an_earlier_process_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let copy = format!("{}{}", "0a".repeat(32), std::env::consts::DLL_SUFFIX);
        for name in [copy.as_str(), "mine.so", "notes.txt"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let loader = LibraryLoader::new(Some(dir.path().to_owned()));
        loader.remove_old_copies().unwrap();
        let mut left: Vec<_> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["mine.so", "notes.txt"]);
        // A directory that does not exist has no copies.
        LibraryLoader::new(Some(dir.path().join("none")))
            .remove_old_copies()
            .unwrap();
    }
}
