//! What the host provides to a backend.

use std::path::PathBuf;
use std::sync::Arc;

use rdd_core::{NoCredentialStore, RegistryCredentialStore};

use crate::{BackendMetrics, EngineTransport};

/// What the host provides to one backend.
#[derive(Clone)]
pub struct BackendServices {
    /// The connections to its engine.
    pub transport: Arc<dyn EngineTransport>,
    /// The user's credentials for registries.
    pub credentials: Arc<dyn RegistryCredentialStore>,
    /// The directories that the user has granted.
    pub directories: Vec<GrantedDirectory>,
    /// What the host counts about it.
    pub metrics: Arc<BackendMetrics>,
}

/// A directory that a backend may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantedDirectory {
    /// The name by which the backend opens it.
    pub name: String,
    /// The path on this machine.
    pub path: PathBuf,
}

impl BackendServices {
    /// Returns services without credentials and directories.
    pub fn new(transport: Arc<dyn EngineTransport>) -> Self {
        Self {
            transport,
            credentials: Arc::new(NoCredentialStore),
            directories: Vec::new(),
            metrics: Arc::default(),
        }
    }
}

/// Returns the registry that an image reference names, as a host with an
/// optional port; `docker.io` if it names none.
///
/// Written by hand, since crates for references reject what only some engines
/// allow, and the registry is a prefix.
///
/// ```
/// use rdd_plugin_contract::image_registry;
///
/// assert_eq!(image_registry("busybox:1.36"), "docker.io");
/// assert_eq!(image_registry("library/busybox"), "docker.io");
/// assert_eq!(image_registry("registry.example:5000/app@sha256:00"), "registry.example:5000");
/// assert_eq!(image_registry("localhost/app"), "localhost");
/// ```
pub fn image_registry(image: &str) -> &str {
    const DOCKER_HUB: &str = "docker.io";
    match image.split_once('/') {
        Some(("index.docker.io" | "registry-1.docker.io", _)) => DOCKER_HUB,
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => DOCKER_HUB,
    }
}
