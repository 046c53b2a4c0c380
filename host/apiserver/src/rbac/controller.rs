//! The controller of roles and bindings: it publishes the snapshot.

use std::sync::Arc;

use rdd_apiserver_storage::{StoreEvent, StoreSnapshot, StoreWatch, WatchError};
use tokio_util::sync::CancellationToken;

use super::KEY_PREFIX;
use super::snapshot::RbacSnapshot;
use crate::controller_loop::{ControllerHandle, StoreController, run_controller, spawn_controller};
use crate::records;
use crate::server::ServerState;
use crate::tasks::ServerTask;

struct RoleController {
    server: Arc<ServerState>,
    /// The revision that the published snapshot reflects.
    published_revision: u64,
}

/// Starts the controller. On return, all roles and bindings in the store are in
/// force.
pub(crate) async fn start(
    server: &Arc<ServerState>,
    shutdown: CancellationToken,
) -> Result<ControllerHandle, WatchError> {
    let mut controller = RoleController {
        server: Arc::clone(server),
        published_revision: 0,
    };
    let watch = controller.relist().await?;
    Ok(spawn_controller(
        ServerTask::RoleController,
        run_controller(controller, watch, shutdown),
    ))
}

impl StoreController for RoleController {
    const WATCHED: &'static str = "roles and bindings";

    async fn relist(&mut self) -> Result<StoreWatch, WatchError> {
        let snapshot = self.server.store.snapshot();
        let watch = self.server.store.watch(KEY_PREFIX, snapshot.revision())?;
        self.publish(&snapshot);
        Ok(watch)
    }

    async fn handle_event(&mut self, event: &StoreEvent) {
        // One snapshot reflects many events.
        if event.revision > self.published_revision {
            let snapshot = self.server.store.snapshot();
            self.publish(&snapshot);
        }
    }

    fn has_pending_work(&self) -> bool {
        false
    }

    async fn retry_pending(&mut self) {}
}

impl RoleController {
    /// Publishes the roles and bindings of a state of the store.
    fn publish(&mut self, snapshot: &StoreSnapshot) {
        let mut published = RbacSnapshot::default();
        for record in snapshot.range(KEY_PREFIX, None) {
            let rest = record.key.strip_prefix(KEY_PREFIX).unwrap_or_default();
            let resource = rest.split('/').next().unwrap_or_default();
            match records::read(record) {
                Ok(object) => published.insert(resource, &object),
                // Without it, less is allowed.
                Err(error) => tracing::error!(%error, "cannot read a role or a binding"),
            }
        }
        self.server.rbac.store(Arc::new(published));
        self.published_revision = snapshot.revision();
        self.server
            .rbac_revision
            .send_replace(self.published_revision);
    }
}
