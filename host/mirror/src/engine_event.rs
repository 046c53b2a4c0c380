//! What the watcher of the engine reports to the controller.

use rdd_core::{EngineError, WatchEvent};

/// An event of the engine watcher.
#[derive(Debug)]
pub(crate) enum EngineEvent {
    Watch(WatchEvent),
    /// The watch was closed in order to list again.
    Relisting,
    /// The watch failed; the watcher reconnects.
    Disconnected(EngineError),
}
