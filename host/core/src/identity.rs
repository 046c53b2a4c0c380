//! Authentication of clients, independent of the transport.

use async_trait::async_trait;
use tokio::sync::watch;

/// The authenticated user of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserIdentity {
    /// The user's name.
    pub user: String,
    /// The groups that the user belongs to.
    pub groups: Vec<String>,
}

/// What a request is about to do, as far as a cluster distinguishes it when it
/// authorizes the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccessScope {
    /// Reads logs: `get` of `containers/log`. Also the scope of requests that
    /// have none of their own.
    ContainerLog,
    /// Runs processes in containers: `create` of `containers/exec`.
    ContainerExec,
}

/// The credentials of a request. Never logged.
#[derive(Clone)]
pub enum Credentials {
    /// No credentials.
    None,
    /// A bearer token, from a header or a WebSocket subprotocol.
    Bearer(String),
    /// A client certificate in DER, whose chain the TLS layer has verified.
    Certificate(Vec<u8>),
}

impl std::fmt::Debug for Credentials {
    /// Prints the kind of the credentials without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Bearer(_) => "Bearer(…)",
            Self::Certificate(_) => "Certificate(…)",
        })
    }
}

/// The reason why credentials were rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Missing or invalid credentials (401).
    #[error("{0}")]
    Unauthenticated(String),
    /// Valid credentials that do not allow the request (403).
    #[error("{0}")]
    Forbidden(String),
    /// The credentials cannot be checked now (503); a retry may succeed.
    #[error("{0}")]
    Unavailable(String),
}

/// The end of what authenticated a request. Whatever the request opened ends with
/// it.
#[derive(Clone, Debug)]
pub struct SessionEnd(watch::Receiver<()>);

impl SessionEnd {
    /// Returns the end that comes when the sender is dropped.
    pub fn channel() -> (watch::Sender<()>, Self) {
        let (sender, receiver) = watch::channel(());
        (sender, Self(receiver))
    }

    /// Waits for the end.
    pub async fn ended(&mut self) {
        // Nothing is ever sent.
        while self.0.changed().await.is_ok() {}
    }

    /// Returns whether it has come.
    pub fn has_ended(&self) -> bool {
        self.0.has_changed().is_err()
    }
}

/// Authenticates clients by their credentials.
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// Authenticates without I/O. Returns `None` if that is not possible, and
    /// [`authenticate`](Self::authenticate) has to be called.
    fn authenticate_locally(
        &self,
        credentials: &Credentials,
    ) -> Option<Result<UserIdentity, AuthError>>;

    /// Returns the end of the session that the credentials are of. Those that are
    /// valid for as long as the daemon runs have none.
    fn session_end(&self, _credentials: &Credentials) -> Option<SessionEnd> {
        None
    }

    /// Authenticates, with a request to a remote service if necessary, and checks
    /// that the user may do what `scope` says.
    async fn authenticate(
        &self,
        credentials: &Credentials,
        scope: AccessScope,
    ) -> Result<UserIdentity, AuthError>;
}
