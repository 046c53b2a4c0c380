//! The controller of roles and bindings: it publishes the snapshot, and writes the
//! rules of aggregated ClusterRoles.

use std::collections::BTreeMap;
use std::sync::Arc;

use rdd_apiserver_storage::{StoreEvent, StoreSnapshot, StoreWatch, WatchError};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::controllers::controller_loop::{StoreController, run_controller};
use crate::controllers::record_writes;
use crate::limits::MAX_OBJECT_BYTES;
use crate::rbac::{CLUSTER_ROLE_PREFIX, KEY_PREFIX, RbacSnapshot, aggregate};
use crate::records;
use crate::server_state::ServerState;
use crate::tasks::{ControllerHandle, ServerTask, spawn_controller};

struct RoleController {
    server: Arc<ServerState>,
    /// The revision that the published snapshot reflects.
    published_revision: u64,
    /// The rules that are in force, but not in their ClusterRoles yet, by name.
    unwritten_rules: BTreeMap<String, Value>,
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
        unwritten_rules: BTreeMap::new(),
    };
    let watch = controller.relist().await?;
    // A server that has been opened does not write by itself.
    controller.retry_pending().await;
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
        self.retry_pending().await;
    }

    fn has_pending_work(&self) -> bool {
        !self.unwritten_rules.is_empty()
    }

    async fn retry_pending(&mut self) {
        for (name, rules) in std::mem::take(&mut self.unwritten_rules) {
            if let Err(error) = self.write_rules(&name, &rules).await {
                tracing::warn!(%error, name, "cannot write the rules of an aggregated role");
                self.unwritten_rules.insert(name, rules);
            }
        }
    }
}

impl RoleController {
    /// Publishes the roles and bindings of a state of the store.
    fn publish(&mut self, snapshot: &StoreSnapshot) {
        let mut published = RbacSnapshot::default();
        let mut cluster_roles = BTreeMap::new();
        for record in snapshot.range(KEY_PREFIX, None) {
            let object = match records::read(record) {
                Ok(object) => object,
                // Without it, less is allowed.
                Err(error) => {
                    tracing::error!(%error, "cannot read a role or a binding");
                    continue;
                }
            };
            let rest = record.key.strip_prefix(KEY_PREFIX).unwrap_or_default();
            match record.key.strip_prefix(CLUSTER_ROLE_PREFIX) {
                Some(name) => {
                    cluster_roles.insert(name.to_owned(), object);
                }
                None => published.insert(rest.split('/').next().unwrap_or_default(), &object),
            }
        }
        // In force at once: what was withdrawn from a role must not last in others.
        let changed = aggregate(&mut cluster_roles);
        self.unwritten_rules = changed
            .into_iter()
            .filter_map(|name| {
                let rules = cluster_roles.get(&name)?["rules"].clone();
                Some((name, rules))
            })
            .collect();
        for object in cluster_roles.values() {
            published.insert("clusterroles", object);
        }
        self.server.rbac.store(Arc::new(published));
        self.published_revision = snapshot.revision();
        self.server
            .rbac_revision
            .send_replace(self.published_revision);
    }

    /// Writes the rules of an aggregated role, for those who read it.
    async fn write_rules(&self, name: &str, rules: &Value) -> Result<(), records::RecordError> {
        let key = format!("{CLUSTER_ROLE_PREFIX}{name}");
        let Some(record) = self.server.store.snapshot().get(&key).cloned() else {
            return Ok(());
        };
        let mut object = records::read(&record)?;
        let Some(fields) = object.as_object_mut() else {
            return Ok(());
        };
        fields.insert("rules".to_owned(), rules.clone());
        if object.to_string().len() > MAX_OBJECT_BYTES {
            tracing::warn!(
                name,
                "the rules of an aggregated role are in force, but too large to be shown in it"
            );
            return Ok(());
        }
        match record_writes::replace(&self.server, &record, &object, false).await {
            // The event of the other write follows.
            Err(error) if error.is_conflict() => Ok(()),
            result => result.map(drop),
        }
    }
}
