//! The backend that is tested.

use std::sync::Arc;

use async_trait::async_trait;
use rdd_core::ContainerEngine;

/// A backend of any form, connected to the engine of the test.
#[async_trait]
pub trait BackendTarget: Send + Sync + 'static {
    /// Starts a fresh instance of the backend. Instances that were started
    /// earlier may continue.
    ///
    /// # Errors
    ///
    /// Fails if the backend cannot be started.
    async fn launch(&self) -> Result<Arc<dyn ContainerEngine>, TargetError>;

    /// Returns what all instances use now, as far as this form can tell.
    fn usage(&self) -> ResourceUsage {
        ResourceUsage::default()
    }
}

/// A backend that cannot be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TargetError(pub String);

/// What a backend uses; `None` means that its form cannot tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResourceUsage {
    /// The number of open streams of all calls.
    pub streams: Option<usize>,
    /// The number of open connections to the engine.
    pub connections: Option<usize>,
    /// The memory of its instances in bytes.
    pub memory_bytes: Option<u64>,
}
