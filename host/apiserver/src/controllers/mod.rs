//! The controllers: each watches objects in the store and reconciles what they ask for.
//!
//! All are supervised: the server cannot be relied on when one has failed.

mod crd;
mod gc;
mod namespaces;
mod policies;
mod roles;

mod controller_loop;
mod record_writes;
mod system_namespaces;

use std::sync::Arc;

use rdd_apiserver_storage::WatchError;

use crate::open_error::OpenError;
use crate::server_state::ServerState;
use crate::tasks::ServerTask;

/// Creates the namespaces and roles that exist in each cluster, and starts the
/// controllers. On return, all definitions, policies, roles, and bindings in the store
/// are in force.
///
/// # Errors
/// The store cannot be written, or not be watched.
pub(crate) async fn start(server: &Arc<ServerState>) -> Result<(), OpenError> {
    system_namespaces::create_missing(server).await?;
    roles::bootstrap::reconcile(server).await?;
    start_all(server).await.map_err(OpenError::Controllers)
}

async fn start_all(server: &Arc<ServerState>) -> Result<(), WatchError> {
    let shutdown = || server.controllers.shutdown_token();
    for (task, controller) in [
        (
            ServerTask::DefinitionController,
            crd::start(server, shutdown()).await?,
        ),
        (
            ServerTask::PolicyController,
            policies::start(server, shutdown()).await?,
        ),
        (
            ServerTask::RoleController,
            roles::start(server, shutdown()).await?,
        ),
        (
            ServerTask::NamespaceController,
            namespaces::start(server, shutdown())?,
        ),
        (ServerTask::GarbageCollector, gc::start(server, shutdown())?),
    ] {
        server.controllers.supervise(task, controller).await;
    }
    Ok(())
}
