//! What readers and watches share with the writer.

use arc_swap::ArcSwap;

use crate::broadcaster::EventBroadcaster;
use crate::metrics::StoreMetrics;
use crate::snapshot::StoreState;

/// The part of the store that readers and watches share with the writer.
#[derive(Debug)]
pub(crate) struct SharedState {
    pub(crate) state: ArcSwap<StoreState>,
    pub(crate) broadcaster: EventBroadcaster,
    pub(crate) metrics: StoreMetrics,
}
