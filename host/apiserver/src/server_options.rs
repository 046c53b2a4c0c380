//! The options of a server.

use std::path::PathBuf;
use std::sync::Arc;

use rdd_apiserver_storage::{Clock, HistoryLimits, SystemClock};

use crate::admission::AdmissionPolicy;
use crate::audit::AuditOptions;
use crate::user::TokenAuthenticator;

/// The options of [`ApiServer::open`](crate::ApiServer::open).
#[derive(Clone)]
pub struct ApiServerOptions {
    /// The database file. `None` keeps everything in memory, for tests.
    pub database: Option<PathBuf>,
    /// The source of the time, for objects and for the age of the history.
    pub clock: Arc<dyn Clock>,
    /// How much history is kept for watches and paged lists.
    pub history: HistoryLimits,
    /// The address of the server, `host:port`, that `/api` reports.
    pub address: String,
    /// The authenticator for `TokenReview`s. `None` rejects all tokens.
    pub tokens: Option<Arc<dyn TokenAuthenticator>>,
    /// The policies that may refuse writes, in the order in which they are
    /// called.
    pub admission: Vec<Arc<dyn AdmissionPolicy>>,
    /// The audit log; `None` writes none.
    pub audit: Option<AuditOptions>,
    /// The names of users whom nobody may impersonate, such as the embedder's own.
    pub reserved_users: Vec<String>,
}

impl ApiServerOptions {
    /// Returns the options of a server with a database file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self {
            database: Some(path.into()),
            ..Self::in_memory()
        }
    }

    /// Returns the options of a server that loses all objects when it is
    /// closed.
    pub fn in_memory() -> Self {
        Self {
            database: None,
            clock: Arc::new(SystemClock::default()),
            history: HistoryLimits::default(),
            address: "127.0.0.1:6443".to_owned(),
            tokens: None,
            admission: Vec::new(),
            audit: None,
            reserved_users: Vec::new(),
        }
    }
}
