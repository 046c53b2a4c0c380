//! Leader election: whether this instance mirrors or stands by.

use std::sync::Arc;

use rdd_api::SYSTEM_NAMESPACE;
use tracing::{info, warn};

use super::MirrorController;
use crate::lease::{LeaseHandle, LeaseScope, LeaseState, LeaseTask};

/// Waits for a change of the Lease's state, or forever if there is no Lease.
/// Returns false if the task that renews it has ended.
pub(super) async fn lease_changed(lease: &mut Option<LeaseTask>) -> bool {
    match lease {
        Some(lease) => lease.handle.changed().await,
        None => std::future::pending().await,
    }
}

impl MirrorController {
    /// Starts acquiring the Lease of the selected scope, instead of any other.
    pub(super) fn acquire_lease(&mut self, scope: &LeaseScope) {
        if self
            .lease
            .as_ref()
            .is_some_and(|lease| lease.scope == *scope)
        {
            return;
        }
        self.state.set_lease_held(false);
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

    /// Returns whether it is decided that this instance mirrors or stands by.
    pub(super) fn is_role_known(&self) -> bool {
        self.lease.as_ref().is_none_or(|lease| {
            !matches!(lease.handle.state(), LeaseState::Unknown { reason: None })
        })
    }

    /// Handles the acquisition, renewal, or loss of the Lease.
    pub(super) fn on_lease_changed(&mut self) {
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
            } => Some(format!("cannot acquire the Lease {name}: {reason}").into()),
        };
        if standby != self.standby {
            match &standby {
                Some(reason) => warn!(%reason, "standing by; this instance only serves logs"),
                None => info!(lease = name, "this instance mirrors"),
            }
        }
        self.standby = standby;
        self.state.set_lease_held(self.is_lease_held());
    }
}
