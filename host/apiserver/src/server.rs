//! The server: how it opens and closes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rdd_apiserver_storage::{
    BackupError, BackupSummary, RestoreOutcome, SetAsideError, Store, StoreMetrics, StoreOptions,
};

use crate::audit::{self, ExternalRecord, ExternalRequest, OpenAuditLog};
use crate::controllers;
use crate::metrics::ApiMetrics;
use crate::open_error::OpenError;
use crate::rbac::{AccessOutcome, AccessRequest};
use crate::server_options::ApiServerOptions;
use crate::server_state::ServerState;
use crate::tasks::ServerTask;
use crate::user::UserInfo;

/// Renames a damaged database and returns its new path.
///
/// # Errors
/// Fails if a running server has opened the database, or if the operating
/// system refuses.
pub fn set_aside(database: &Path) -> Result<PathBuf, SetAsideError> {
    Store::set_aside(database)
}

/// Writes a backup of a database that no server has opened, without a change of it.
/// Blocks until it is on disk. A running server responds with one at `/backup`.
///
/// # Errors
/// See [`BackupError`].
pub fn back_up(database: &Path, path: &Path) -> Result<BackupSummary, BackupError> {
    Store::back_up_closed(database, path)
}

/// Reads and checks a backup. Blocks meanwhile.
///
/// # Errors
/// See [`BackupError`].
pub fn check_backup(path: &Path) -> Result<BackupSummary, BackupError> {
    Store::check_backup(path)
}

/// Replaces a database that no server has opened with the content of a backup, and
/// keeps the old one under another name. Blocks until it is on disk.
///
/// # Errors
/// See [`BackupError`]. Nothing was changed, unless a file could not be renamed.
pub fn restore(backup: &Path, database: &Path) -> Result<RestoreOutcome, BackupError> {
    Store::restore(backup, database)
}

/// An embedded Kubernetes API server. Cheap to clone: all clones are handles
/// of one server, which runs until [`ApiServer::close`].
#[derive(Clone)]
pub struct ApiServer(pub(crate) Arc<ServerState>);

impl std::fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiServer")
    }
}

impl ApiServer {
    /// Opens the store, creates the namespaces that all clients expect, and
    /// starts the controllers. On return, all definitions in the store are
    /// served. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// See [`OpenError`].
    ///
    /// # Examples
    /// ```
    /// use http::{Request, StatusCode};
    /// use http_body_util::{BodyExt as _, Empty};
    /// use rdd_apiserver::{ApiServer, ApiServerOptions, UserInfo};
    /// use tower::ServiceExt as _;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = ApiServer::open(ApiServerOptions::in_memory()).await?;
    ///
    /// // Without a user, the response is 401.
    /// let request = Request::get("/api/v1/namespaces/default")
    ///     .extension(UserInfo {
    ///         name: "admin".to_owned(),
    ///         groups: vec!["system:masters".to_owned()],
    ///         ..UserInfo::default()
    ///     })
    ///     .body(Empty::<bytes::Bytes>::new())?;
    /// let response = server.clone().oneshot(request).await?;
    /// assert_eq!(response.status(), StatusCode::OK);
    ///
    /// let body = response.into_body().collect().await?.to_bytes();
    /// let namespace: serde_json::Value = serde_json::from_slice(&body)?;
    /// assert_eq!(namespace["status"]["phase"], "Active");
    /// server.close().await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn open(options: ApiServerOptions) -> Result<Self, OpenError> {
        let mut store_options = match &options.database {
            Some(path) => StoreOptions::file(path),
            None => StoreOptions::in_memory(),
        };
        store_options.history = options.history.clone();
        store_options.clock = Arc::clone(&options.clock);
        // Reading the database may block for a while.
        let store = tokio::task::spawn_blocking(move || Store::open(store_options))
            .await
            .map_err(OpenError::StoreTask)?
            .map_err(OpenError::Store)?;
        let (queue, log) = match options.audit.clone() {
            Some(options) => Some(OpenAuditLog::open(options)?),
            None => None,
        }
        .unzip();
        let server = Self(ServerState::new(store, options, queue));
        if let Some(log) = log {
            let controllers = &server.0.controllers;
            let clock = Arc::clone(&server.0.clock);
            let task = audit::start(log, clock, controllers.shutdown_token());
            controllers.supervise(ServerTask::AuditLog, task).await;
        }
        controllers::start(&server.0).await?;
        Ok(server)
    }

    /// Waits until `task` fails and returns the reason. From then on the
    /// server cannot be relied on: close it and open a new one.
    pub async fn task_failed(&self, task: ServerTask) -> String {
        if task != ServerTask::StorageWriter {
            return self.0.controllers.wait_for_failure(task).await;
        }
        match self.0.store.writer_exited().await {
            Err(error) => error.to_string(),
            // The store was closed.
            Ok(()) => std::future::pending().await,
        }
    }

    /// Decides, by the roles and bindings in force, whether a user may do
    /// something. Never waits.
    pub fn authorize(&self, user: &UserInfo, request: &AccessRequest<'_>) -> AccessOutcome {
        self.0.rbac.load().authorize(user, request)
    }

    /// Begins the audit events of a request that the embedder serves beside the API.
    /// `None` without an audit log.
    pub fn begin_record(&self, request: &ExternalRequest<'_>) -> Option<ExternalRecord> {
        let queue = self.0.audit.as_ref()?;
        let id = audit::audit_id(request.headers);
        // The ID is ASCII.
        let id = id.to_str().unwrap_or_default();
        Some(ExternalRecord::new(queue, &self.0.clock, request, id))
    }

    /// Ends all watches cleanly; later watches end at once. All other requests
    /// are served until [`ApiServer::close`].
    pub fn end_watches(&self) {
        self.0.shutdown.cancel();
    }

    /// Ends all watches cleanly, stops the controllers, finishes queued
    /// writes, and closes the store. Later writes are refused.
    pub async fn close(&self) {
        self.end_watches();
        self.0.controllers.close().await;
        self.0.store.close().await;
    }

    /// Returns what the server counts about requests.
    pub fn metrics(&self) -> &ApiMetrics {
        &self.0.metrics
    }

    /// Returns what the store counts about writes.
    pub fn store_metrics(&self) -> &StoreMetrics {
        self.store().metrics()
    }

    /// Returns the number of writes that wait for the store.
    pub fn queued_writes(&self) -> usize {
        self.store().queued_writes()
    }

    /// Returns the number of open watches, those of the server's own controllers
    /// included.
    pub fn watch_count(&self) -> usize {
        self.store().watch_count()
    }

    /// Returns how many events the slowest watch has not read.
    pub fn events_behind(&self) -> usize {
        self.store().events_behind()
    }

    fn store(&self) -> &Store {
        &self.0.store
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health;
    use crate::tasks::ControllerError;

    async fn body(response: http::Response<crate::ResponseBody>) -> (u16, String) {
        use http_body_util::BodyExt as _;
        let status = response.status().as_u16();
        let collected = response.into_body().collect().await;
        let bytes = collected.map(|body| body.to_bytes()).unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_failed_controller_is_named_by_the_health_checks() {
        let server = ApiServer::open(ApiServerOptions::in_memory())
            .await
            .unwrap();
        let (status, text) = body(health::health(&server.0, "readyz", None, true)).await;
        assert_eq!(status, 200);
        for task in ServerTask::ALL {
            assert!(text.contains(&format!("[+]{} ok\n", task.name())), "{text}");
        }
        let failed = tokio::spawn(async { Err(ControllerError::StoreClosed) });
        let task = ServerTask::DefinitionController;
        server.0.controllers.supervise(task, failed).await;
        assert_eq!(server.task_failed(task).await, "the store was closed");
        for name in ["readyz", "livez"] {
            let (status, text) = body(health::health(&server.0, name, None, false)).await;
            assert_eq!(status, 503);
            assert!(text.contains("[-]crd-controller failed: "), "{text}");
            assert!(text.contains("[+]storage-writer ok\n"), "{text}");
        }
        server.close().await;
    }

    #[tokio::test]
    async fn a_closed_server_has_not_failed() {
        let server = ApiServer::open(ApiServerOptions::in_memory())
            .await
            .unwrap();
        server.close().await;
        for task in ServerTask::ALL {
            let failed = server.task_failed(task);
            assert!(futures::FutureExt::now_or_never(failed).is_none());
        }
    }
}
