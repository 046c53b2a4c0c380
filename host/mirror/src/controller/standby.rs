//! Whether this instance mirrors, or another one does.

use std::sync::Arc;

use rdd_api::SYSTEM_NAMESPACE;
use tracing::{info, warn};

use super::Controller;
use crate::lease::{LeaseHandle, LeaseScope, LeaseState, LeaseTask};

/// Waits for the Lease to change hands or be renewed; for ever when there is
/// none. False when nobody looks after it any more.
pub(super) async fn lease_changed(lease: &mut Option<LeaseTask>) -> bool {
    match lease {
        Some(lease) => lease.handle.changed().await,
        None => std::future::pending().await,
    }
}

impl Controller {
    /// Holds the Lease of what is chosen from now on, and no other.
    pub(super) fn hold_lease(&mut self, scope: &LeaseScope) {
        if self
            .lease
            .as_ref()
            .is_some_and(|lease| lease.scope == *scope)
        {
            return;
        }
        self.state.set_held(false);
        self.standby = None;
        self.lease = (!scope.backend.is_empty()).then(|| {
            LeaseTask::start(
                self.options.client.clone(),
                scope.clone(),
                &self.options.instance,
                self.options.timing.lease,
                Arc::clone(&self.options.clock),
            )
        });
    }

    pub(super) fn lease_handle(&self) -> Option<LeaseHandle> {
        self.lease.as_ref().map(|lease| lease.handle.clone())
    }

    pub(super) fn is_lease_held(&self) -> bool {
        self.lease
            .as_ref()
            .is_some_and(|lease| lease.handle.is_held())
    }

    /// Whether it is known if this instance mirrors or another one does.
    pub(super) fn is_role_known(&self) -> bool {
        self.lease.as_ref().is_none_or(|lease| {
            !matches!(lease.handle.state(), LeaseState::Unknown { reason: None })
        })
    }

    /// The Lease was won, renewed or lost.
    pub(super) fn on_lease(&mut self) {
        let Some(lease) = &self.lease else {
            return;
        };
        let name = format!("{SYSTEM_NAMESPACE}/{}", lease.scope.lease_name());
        let standby: Option<Arc<str>> = match lease.handle.state() {
            LeaseState::Held { .. } => None,
            LeaseState::HeldBy { holder } => {
                Some(format!("instance {holder} mirrors here: it holds the Lease {name}").into())
            }
            LeaseState::Unknown { reason: None } => return,
            LeaseState::Unknown {
                reason: Some(reason),
            } => Some(format!("the Lease {name} cannot be had: {reason}").into()),
        };
        if standby != self.standby {
            match &standby {
                Some(reason) => warn!(
                    instance = %self.options.instance,
                    %reason,
                    "this instance mirrors nothing; it serves logs all the same"
                ),
                None => info!(lease = name, "this instance mirrors"),
            }
        }
        self.standby = standby;
        self.state.set_held(self.is_lease_held());
    }
}
