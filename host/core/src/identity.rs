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
    /// Reads the metrics of the daemon: `get` of the path `/metrics`.
    DaemonMetrics,
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
pub struct SessionEnd {
    own: watch::Receiver<()>,
    /// Of what the session was begun with.
    earlier: Vec<watch::Receiver<()>>,
}

impl SessionEnd {
    /// Returns the end that comes when the sender is dropped.
    pub fn channel() -> (watch::Sender<()>, Self) {
        let (sender, receiver) = watch::channel(());
        let end = Self {
            own: receiver,
            earlier: Vec::new(),
        };
        (sender, end)
    }

    /// Returns an end that comes with this one or with `earlier`, whichever is
    /// first.
    #[must_use]
    pub fn or(mut self, earlier: Self) -> Self {
        self.earlier.push(earlier.own);
        self.earlier.extend(earlier.earlier);
        self
    }

    /// Waits for the end.
    pub async fn ended(&mut self) {
        let own = std::iter::once(&mut self.own);
        let ends = own.chain(&mut self.earlier).map(|receiver| {
            // Nothing is ever sent.
            Box::pin(async move { while receiver.changed().await.is_ok() {} })
        });
        futures::future::select_all(ends).await;
    }

    /// Returns whether it has come.
    pub fn has_ended(&self) -> bool {
        let mut ends = std::iter::once(&self.own).chain(&self.earlier);
        ends.any(|receiver| receiver.has_changed().is_err())
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

    /// Checks, without I/O, that a user whom
    /// [`authenticate_locally`](Self::authenticate_locally) has returned may do what
    /// `scope` says.
    ///
    /// # Errors
    ///
    /// Fails with [`AuthError::Forbidden`] only.
    fn authorize(&self, identity: &UserIdentity, scope: AccessScope) -> Result<(), AuthError>;

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

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn a_session_ends_with_the_first_of_its_ends() {
        for is_own in [true, false] {
            let (own_sender, own) = SessionEnd::channel();
            let (earlier_sender, earlier) = SessionEnd::channel();
            let mut end = own.or(earlier);
            assert!(!end.has_ended() && end.ended().now_or_never().is_none());
            let _kept = match is_own {
                true => {
                    drop(own_sender);
                    earlier_sender
                }
                false => {
                    drop(earlier_sender);
                    own_sender
                }
            };
            assert!(end.has_ended() && end.ended().now_or_never().is_some());
        }
    }
}
