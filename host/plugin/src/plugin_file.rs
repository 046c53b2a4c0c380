//! Loads one plugin by its path, for tools that supervise it themselves.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rdd_core::RegistryCredentialStore;
use rdd_distribution::Platform;
use rdd_plugin_contract::{BackendLimits, BackendServices, PluginBackend};
use rdd_plugin_wasm::{CacheError, ComponentCache, ComponentRuntime, RuntimeError};
use sha2::{Digest as _, Sha256};
use tokio::task::JoinError;

use crate::discovery;
use crate::discovery_error::ArtifactFileError;
use crate::loader::{ComponentLoader, LibraryLoader, LoadFailure, LoadRequest, PluginLoader as _};
use crate::manifest::{
    MANIFEST_FILE, MAX_MANIFEST_BYTES, ManifestError, PluginArtifact, PluginManifest,
};
use crate::trusted_file::{self, PluginFileError};
use crate::{EngineDialer, EngineEndpoint, TransportError};

/// The maximum size of a component in bytes, as for one with a manifest.
const MAX_COMPONENT_BYTES: u64 = 64 * 1024 * 1024;

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
    /// A file of the plugin cannot be read.
    #[error(transparent)]
    File(#[from] PluginFileError),
    /// The manifest is not text.
    #[error("{MANIFEST_FILE} is not UTF-8; save it as UTF-8")]
    Encoding,
    /// The manifest is not valid, or has nothing for this platform.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The artifact is not the one in the manifest.
    #[error(transparent)]
    Artifact(#[from] ArtifactFileError),
    /// The artifact does not match the contract.
    #[error("{0}")]
    Form(String),
    /// The plugin is native code, and the caller did not allow it.
    #[error(
        "{} is a dynamic library, which runs with all your rights; pass --allow-native if you trust it", .0.display()
    )]
    Native(PathBuf),
    /// The cache of compiled components cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// This machine cannot run components.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The thread that loads it panicked.
    #[error("cannot load the plugin; please report this")]
    Task(#[source] JoinError),
}

impl From<LoadFailure> for LoadFileError {
    fn from(failure: LoadFailure) -> Self {
        Self::Form(failure.to_string())
    }
}

/// How a plugin is loaded by its path.
#[derive(Clone)]
pub struct LoadFileOptions {
    /// The engine to connect to.
    pub endpoint: EngineEndpoint,
    /// The directory of compiled components; without it, they are compiled each
    /// time.
    pub cache_dir: Option<PathBuf>,
    /// Whether native code may be loaded.
    pub allow_native: bool,
    /// The user's credentials for registries.
    pub credentials: Arc<dyn RegistryCredentialStore>,
    /// How long a stream may go on after it was stopped, before it is ended. `None`
    /// for the time that the daemon gives it.
    pub stop_grace: Option<Duration>,
}

/// A plugin that was loaded by its path.
pub struct LoadedPlugin {
    /// The name of its backend.
    pub name: String,
    /// The backend, which starts one instance after another.
    pub backend: Box<dyn PluginBackend>,
}

impl std::fmt::Debug for LoadedPlugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadedPlugin")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Loads the plugin at `path`, a plugin directory or a component, which need not
/// be in a plugin directory. The backend of a component without a manifest must
/// have the name of its file.
///
/// # Errors
///
/// Fails if the plugin cannot be used.
pub async fn load_plugin(
    path: &Path,
    options: LoadFileOptions,
) -> Result<LoadedPlugin, LoadFileError> {
    let LoadFileOptions {
        endpoint,
        cache_dir,
        allow_native,
        credentials,
        stop_grace,
    } = options;
    let mut limits = BackendLimits::default();
    limits.stop_grace = stop_grace.unwrap_or(limits.stop_grace);
    let services = BackendServices {
        credentials,
        ..BackendServices::new(Arc::new(EngineDialer::new(endpoint)?))
    };
    let path = path.to_owned();
    let load = tokio::task::spawn_blocking(move || {
        let (request, is_native) = if path.is_dir() {
            directory_request(&path, services, &limits)?
        } else {
            (component_request(&path, services, limits)?, false)
        };
        let name = request.name.clone();
        let backend = if is_native {
            if !allow_native {
                return Err(LoadFileError::Native(path));
            }
            LibraryLoader::new(None).load(request)?
        } else {
            let cache = match cache_dir {
                Some(dir) => Some(ComponentCache::open(&dir)?),
                None => None,
            };
            let runtime = ComponentRuntime::new(cache)?;
            ComponentLoader { runtime }.load(request)?
        };
        Ok(LoadedPlugin { name, backend })
    });
    load.await.map_err(LoadFileError::Task)?
}

fn directory_request(
    path: &Path,
    services: BackendServices,
    limits: &BackendLimits,
) -> Result<(LoadRequest, bool), LoadFileError> {
    let text = trusted_file::read(&path.join(MANIFEST_FILE), MANIFEST_FILE, MAX_MANIFEST_BYTES)?;
    let text = String::from_utf8(text).map_err(|_| LoadFileError::Encoding)?;
    let manifest = PluginManifest::parse(&text)?;
    let file = manifest.file_for(&Platform::current())?.clone();
    let bytes = discovery::read_artifact(path, &manifest, &file)?;
    let is_native = matches!(manifest.artifact, PluginArtifact::Library(_));
    let request = LoadRequest {
        limits: manifest.limits.effective(manifest.limits, limits),
        path: path.join(&file.name),
        name: manifest.name,
        digest: file.sha256,
        bytes,
        services,
    };
    Ok((request, is_native))
}

fn component_request(
    path: &Path,
    services: BackendServices,
    limits: BackendLimits,
) -> Result<LoadRequest, LoadFileError> {
    let name = path
        .file_stem()
        .ok_or_else(|| LoadFileError::Path(path.to_owned()))?;
    let file = path.display().to_string();
    let bytes = trusted_file::read(path, &file, MAX_COMPONENT_BYTES)?;
    Ok(LoadRequest {
        name: name.to_string_lossy().into_owned(),
        path: path.to_owned(),
        digest: format!("{:x}", Sha256::digest(&bytes)),
        bytes,
        limits,
        services,
    })
}
