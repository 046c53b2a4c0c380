//! Loads one plugin by its path, for tools that supervise it themselves.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rdd_plugin_contract::{BackendLimits, BackendServices, PluginBackend};
use rdd_plugin_wasm::{
    CacheError, ComponentBackend, ComponentCache, ComponentRuntime, LinkedComponent, LoadError,
    RuntimeError,
};
use sha2::{Digest as _, Sha256};
use tokio::task::JoinError;

use crate::discovery::{self, ComponentFileError, DiscoveryError, PluginFileError};
use crate::{EngineDialer, EngineEndpoint, TransportError};

/// A plugin that cannot be loaded by its path. The message is one sentence with
/// the cause and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum LoadFileError {
    /// The path has no name from which the backend's name could be taken.
    #[error("{} does not name a plugin directory or a component (.wasm)", .0.display())]
    Path(PathBuf),
    /// The engine cannot be reached from this machine.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The directory or its manifest cannot be used.
    #[error("cannot use the plugin: {0}")]
    Plugin(String),
    /// The component does not match the contract.
    #[error(transparent)]
    Component(#[from] LoadError),
    /// The cache of compiled components cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// This machine cannot run components.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The thread that loads it panicked.
    #[error("cannot load the component; please report this")]
    Task(#[source] JoinError),
}

impl From<DiscoveryError> for LoadFileError {
    fn from(error: DiscoveryError) -> Self {
        Self::Plugin(error.to_string())
    }
}

impl From<ComponentFileError> for LoadFileError {
    fn from(error: ComponentFileError) -> Self {
        Self::Plugin(error.to_string())
    }
}

impl From<PluginFileError> for LoadFileError {
    fn from(error: PluginFileError) -> Self {
        Self::Plugin(error.to_string())
    }
}

/// A plugin that was loaded by its path.
pub struct LoadedPlugin {
    /// The name of its backend.
    pub name: String,
    /// The backend, which starts one instance after another.
    pub backend: Arc<dyn PluginBackend>,
}

impl std::fmt::Debug for LoadedPlugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedPlugin")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What is read from disk.
struct PluginFiles {
    name: String,
    component: LinkedComponent,
    limits: BackendLimits,
}

/// Loads the plugin at `path`, a plugin directory or a component, which need not
/// be in a plugin directory. The backend of a component without a manifest must
/// have the name of its file. Compiled components are cached in `cache_dir`.
///
/// # Errors
///
/// Fails if the plugin cannot be used.
pub async fn load_plugin(
    path: &Path,
    endpoint: EngineEndpoint,
    cache_dir: Option<PathBuf>,
) -> Result<LoadedPlugin, LoadFileError> {
    let transport = Arc::new(EngineDialer::new(endpoint)?);
    let path = path.to_owned();
    let load = tokio::task::spawn_blocking(move || {
        let cache = match cache_dir {
            Some(dir) => Some(ComponentCache::open(&dir)?),
            None => None,
        };
        let runtime = ComponentRuntime::new(cache)?;
        if path.is_dir() {
            load_directory(&path, &runtime)
        } else {
            load_component(&path, &runtime)
        }
    });
    let PluginFiles {
        name,
        component,
        limits,
    } = load.await.map_err(LoadFileError::Task)??;
    let services = BackendServices::new(transport);
    let backend = ComponentBackend::new(&name, component, limits, services);
    Ok(LoadedPlugin {
        name,
        backend: Arc::new(backend),
    })
}

fn load_directory(
    path: &Path,
    runtime: &Arc<ComponentRuntime>,
) -> Result<PluginFiles, LoadFileError> {
    // The name of `.` or `x/..` is that of the directory itself.
    let full_path = path
        .canonicalize()
        .map_err(|error| LoadFileError::Plugin(format!("{}: {error}", path.display())))?;
    let name = full_path
        .file_name()
        .ok_or_else(|| LoadFileError::Path(path.to_owned()))?;
    let name = name.to_string_lossy().into_owned();
    let manifest = discovery::read_manifest(&name, &full_path)?;
    let bytes = discovery::read_component(&full_path, &manifest)?;
    Ok(PluginFiles {
        component: runtime.load(&bytes, &manifest.sha256)?,
        limits: manifest.limits.apply(&BackendLimits::default()),
        name,
    })
}

fn load_component(
    path: &Path,
    runtime: &Arc<ComponentRuntime>,
) -> Result<PluginFiles, LoadFileError> {
    let name = path
        .file_stem()
        .ok_or_else(|| LoadFileError::Path(path.to_owned()))?;
    let file = path.display().to_string();
    let bytes = discovery::read_file(path, &file, discovery::MAX_COMPONENT_BYTES)?;
    let digest = format!("{:x}", Sha256::digest(&bytes));
    Ok(PluginFiles {
        component: runtime.load(&bytes, &digest)?,
        limits: BackendLimits::default(),
        name: name.to_string_lossy().into_owned(),
    })
}
