//! The seam between the supervisor and the forms of plugins.
//!
//! A [`PluginLoader`] turns the verified file of a plugin into a
//! [`PluginBackend`], which the supervisor launches, watches, and launches again.
//! What is specific to a form stays behind these traits.

use std::path::PathBuf;
use std::sync::Arc;

use rdd_plugin_contract::{BackendLimits, BackendServices, PluginBackend};
use rdd_plugin_wasm::{ComponentBackend, ComponentRuntime, LoadError};

/// The file of a plugin, compared with its digest, and what the plugin gets.
pub(crate) struct LoadRequest {
    /// The name of the backend.
    pub(crate) name: String,
    /// The path of the file. It may have been replaced since it was read.
    #[expect(dead_code, reason = "for forms that the operating system loads")]
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
