//! The seam between the supervisor and the forms of plugins.
//!
//! A [`PluginLoader`] turns the verified file of a plugin into a
//! [`LaunchableBackend`], which the supervisor launches, watches, and launches
//! again. What is specific to a form stays behind these traits.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use rdd_core::ContainerEngine;
use rdd_plugin_wasm::{
    BackendHandle, BackendLimits, ComponentBackend, ComponentRuntime, EngineTransport, ExitReason,
    LaunchError, LoadError,
};

use crate::manifest::DirectoryGrant;

/// The file of a plugin, compared with its digest, and what the plugin gets.
pub(crate) struct LoadRequest {
    /// The name of the backend.
    pub(crate) name: String,
    /// The path of the file. It may have been replaced since it was read.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "for forms that the operating system loads")
    )]
    pub(crate) path: PathBuf,
    /// The content of the file.
    pub(crate) bytes: Vec<u8>,
    /// The SHA-256 of the content in hexadecimal.
    pub(crate) digest: String,
    /// The limits, of which a form applies those that it can.
    pub(crate) limits: BackendLimits,
    /// The directories that the plugin may read.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "for forms that can open directories")
    )]
    pub(crate) directories: Vec<DirectoryGrant>,
    /// The connections to its engine.
    pub(crate) transport: Arc<dyn EngineTransport>,
}

/// Loads plugins of one form.
pub(crate) trait PluginLoader: Send + Sync + 'static {
    /// Loads a plugin. This may take minutes, and runs on a thread that may
    /// block.
    fn load(&self, request: LoadRequest) -> Result<Box<dyn LaunchableBackend>, LoadFailure>;
}

/// A loaded plugin. Dropping it ends it.
#[async_trait]
pub(crate) trait LaunchableBackend: Send + Sync {
    /// Starts the backend and asks it to describe itself.
    async fn launch(&self) -> Result<Arc<dyn RunningBackend>, LaunchError>;

    /// Ends everything that the backend does, and waits for it. Streams end with
    /// an error that asks to try again.
    async fn shutdown(&self);
}

/// A backend that accepts calls.
#[async_trait]
pub(crate) trait RunningBackend: Send + Sync {
    /// Returns what calls go to.
    fn engine(self: Arc<Self>) -> Arc<dyn ContainerEngine>;

    /// Waits until the backend has ended by itself.
    async fn wait_for_exit(&self) -> ExitReason;
}

/// A file that a form cannot load. The message is one sentence with the cause
/// and the remedy.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) enum LoadFailure {
    /// The component is not valid.
    Component(#[from] LoadError),
}

/// The loader of components.
pub(crate) struct ComponentLoader {
    pub(crate) runtime: Arc<ComponentRuntime>,
}

impl PluginLoader for ComponentLoader {
    fn load(&self, request: LoadRequest) -> Result<Box<dyn LaunchableBackend>, LoadFailure> {
        let LoadRequest {
            name,
            bytes,
            digest,
            limits,
            transport,
            ..
        } = request;
        let component = self.runtime.load(&bytes, &digest)?;
        Ok(Box::new(ComponentBackend::new(
            &name, component, limits, transport,
        )))
    }
}

#[async_trait]
impl LaunchableBackend for ComponentBackend {
    async fn launch(&self) -> Result<Arc<dyn RunningBackend>, LaunchError> {
        Ok(Arc::new(Self::launch(self).await?))
    }

    async fn shutdown(&self) {
        Self::shutdown(self).await;
    }
}

#[async_trait]
impl RunningBackend for BackendHandle {
    fn engine(self: Arc<Self>) -> Arc<dyn ContainerEngine> {
        self
    }

    async fn wait_for_exit(&self) -> ExitReason {
        Self::wait_for_exit(self).await
    }
}
