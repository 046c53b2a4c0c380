//! The backend: its connection to the engine, and its state.

use std::cell::RefCell;

use rdd_sdk::Host;

use crate::client::DockerClient;
use crate::stale_set::StaleSet;
use crate::volume_times::VolumeTimes;

/// The backend for Docker Engine, and for other engines with its API.
pub struct MobyBackend {
    pub(crate) host: Host,
    pub(crate) client: DockerClient,
    /// Never borrowed across an await.
    pub(crate) volume_times: RefCell<VolumeTimes>,
    /// The objects that the watch must read again. Never borrowed across an
    /// await.
    pub(crate) stale: RefCell<StaleSet>,
}
