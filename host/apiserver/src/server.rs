//! The server as a value: what it holds, how it opens and how it closes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
pub use rdd_apiserver_storage::SetAsideError;
use rdd_apiserver_storage::{History, OpenError as StoreError, Options as StoreOptions, Store};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use crate::admission::AdmissionPolicy;
use crate::clock::{self, Clock};
use crate::crd;
use crate::gc;
use crate::large::LargeRequests;
use crate::namespaces;
use crate::registry::Registry;
use crate::user::TokenAuthenticator;

/// What a server is opened with.
#[derive(Clone)]
pub struct Options {
    /// The database file; nothing keeps everything in memory, for tests.
    pub database: Option<PathBuf>,
    /// The time of day.
    pub clock: Clock,
    /// How many events, bytes and minutes of the past are kept for watches
    /// and paged lists.
    pub history: History,
    /// `host:port` that `/api` names as the server's address.
    pub address: String,
    /// Who answers reviews of tokens; nothing knows none.
    pub tokens: Option<Arc<dyn TokenAuthenticator>>,
    /// Who may refuse writes, asked in this order.
    pub admission: Vec<Arc<dyn AdmissionPolicy>>,
}

impl Options {
    /// A durable server.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self {
            database: Some(path.into()),
            ..Self::in_memory()
        }
    }

    /// A server that forgets everything when it is closed.
    pub fn in_memory() -> Self {
        Self {
            database: None,
            clock: clock::system(),
            history: History::default(),
            address: "127.0.0.1:6443".to_owned(),
            tokens: None,
            admission: Vec::new(),
        }
    }
}

/// Why a server could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The store could not be opened.
    #[error("cannot open the store of the API server")]
    Store(#[source] StoreError),
    /// What the store holds could not be brought up.
    #[error("cannot start the API server: {0}")]
    Start(String),
}

impl OpenError {
    /// Whether the database cannot be trusted: [`set_aside`] makes room for a
    /// new one.
    pub fn is_damaged(&self) -> bool {
        matches!(self, Self::Store(StoreError::Damaged { .. }))
    }
}

/// Renames a damaged database out of the way, and says to what.
///
/// # Errors
/// When a running server holds it, or the system refuses.
pub fn set_aside(database: &Path) -> Result<PathBuf, SetAsideError> {
    Store::set_aside(database)
}

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) registry: ArcSwap<Registry>,
    pub(crate) clock: Clock,
    pub(crate) address: String,
    pub(crate) tokens: Option<Arc<dyn TokenAuthenticator>>,
    pub(crate) admission: Vec<Arc<dyn AdmissionPolicy>>,
    /// Revision of the definitions that the registry reflects.
    pub(crate) reflected: watch::Sender<u64>,
    pub(crate) large: LargeRequests,
    /// True once the server closes: watches end.
    pub(crate) closing: watch::Sender<bool>,
    /// What runs beside the requests until the server closes, with its name.
    controllers: Mutex<Vec<(&'static str, JoinHandle<()>)>>,
}

/// An embedded Kubernetes API server. Cheap to clone: all clones are one
/// server, which runs until [`ApiServer::close`].
#[derive(Clone)]
pub struct ApiServer(pub(crate) Arc<Inner>);

impl std::fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiServer")
    }
}

impl ApiServer {
    /// Opens the store, serves what it defines, and sees to it that the
    /// namespaces every client expects exist. Must be called within a tokio
    /// runtime.
    ///
    /// # Errors
    /// When the store cannot be opened or not be written.
    pub async fn open(options: Options) -> Result<Self, OpenError> {
        let Options {
            database,
            clock,
            history,
            address,
            tokens,
            admission,
        } = options;
        let mut store_options = match database {
            Some(path) => StoreOptions::file(path),
            None => StoreOptions::in_memory(),
        };
        store_options.history = history;
        // Reading the database may take a while: not on a runtime's thread.
        let store = tokio::task::spawn_blocking(move || Store::open(store_options))
            .await
            .map_err(|error| OpenError::Start(error.to_string()))?
            .map_err(OpenError::Store)?;
        let inner = Arc::new(Inner {
            store,
            registry: ArcSwap::from_pointee(Registry::default()),
            clock,
            address,
            tokens,
            admission,
            reflected: watch::Sender::new(0),
            large: LargeRequests::default(),
            closing: watch::Sender::new(false),
            controllers: Mutex::new(Vec::new()),
        });
        let server = Self(inner);
        crate::start::namespaces(&server.0)
            .await
            .map_err(OpenError::Start)?;
        let definitions = crd::controller::start(&server.0)
            .await
            .map_err(OpenError::Start)?;
        let namespaces = namespaces::controller::start(&server.0).map_err(OpenError::Start)?;
        let garbage = gc::controller::start(&server.0).map_err(OpenError::Start)?;
        *server.0.controllers.lock().await = vec![
            ("resource definitions", definitions),
            ("namespaces", namespaces),
            ("garbage collection", garbage),
        ];
        Ok(server)
    }

    /// Ends all watches cleanly, finishes what is being written and closes the
    /// store. Requests that come later are refused.
    pub async fn close(&self) {
        self.0.closing.send_replace(true);
        for (name, controller) in std::mem::take(&mut *self.0.controllers.lock().await) {
            if let Err(error) = controller.await {
                tracing::error!(%error, "the controller of {name} failed");
            }
        }
        self.0.store.close().await;
    }
}
