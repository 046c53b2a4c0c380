//! The next step for one mirror: a write in the API, and a request to the engine.

use std::sync::Arc;

use rdd_api::ActionName;
use rdd_core::{Container, RemoveRequest};

use crate::desired_state::{MirrorStatus, RequestFailure};
use crate::entry::ResourceVersion;

/// A write of one object in the API.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum WriteRequest {
    /// Apply metadata, status, or both.
    Apply {
        backend: Box<str>,
        metadata: bool,
        status: Option<Box<MirrorStatus>>,
        /// The version that the status may replace; any if `None`.
        expected_version: Option<ResourceVersion>,
    },
    /// Remove our finalizer, then delete the mirror, without an engine request.
    /// Conditional on the version that was seen, so that our deletion cannot be
    /// mistaken for a client's: see the documentation of `plan`.
    Prune {
        uid: Arc<str>,
        version: ResourceVersion,
        finalizer: Option<usize>,
        /// False if it has already been deleted.
        delete: bool,
    },
    /// Remove the action annotation if it still has this value, together with
    /// the claim. Without a value, remove only the claim.
    ClearAction {
        uid: Arc<str>,
        value: Option<Box<str>>,
    },
}

/// A request to the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EngineRequest {
    /// Remove the object that the mirror with this UID represents.
    Remove {
        uid: Arc<str>,
        request: RemoveRequest,
    },
    /// Perform the action that the annotation with this value requests.
    Act {
        value: Box<str>,
        action: ActionName,
        container: Arc<Container>,
    },
    /// Report in the status why the action that the annotation with this value
    /// requests is not performed, without a call to the engine.
    Reject {
        value: Box<str>,
        failure: RequestFailure,
    },
}

/// The next step; empty if the mirror is up to date.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ReconcilePlan {
    pub(crate) write: Option<WriteRequest>,
    pub(crate) engine_request: Option<EngineRequest>,
}

impl ReconcilePlan {
    /// Returns the plan for a write alone.
    pub(super) fn write(write: WriteRequest) -> Self {
        Self {
            write: Some(write),
            engine_request: None,
        }
    }
}
