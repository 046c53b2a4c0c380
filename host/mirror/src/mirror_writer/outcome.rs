//! The outcomes of writes.

use std::sync::Arc;

use super::error::WriteError;
use crate::entry::{MirrorObject, ResourceVersion};

/// The outcome of a write.
#[derive(Debug)]
pub(crate) enum WriteOutcome {
    /// The API has the object in this state.
    Written(MirrorObject),
    /// The mirror no longer exists.
    Pruned {
        uid: Arc<str>,
        version: ResourceVersion,
    },
    /// A request failed, possibly because our state was stale. The object was
    /// read again.
    Refreshed {
        object: Option<MirrorObject>,
        error: WriteError,
    },
    /// The write failed and is retried with back-off.
    Failed(WriteError),
}
