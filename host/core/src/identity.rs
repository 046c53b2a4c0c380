//! Who is calling, in terms that every room shares.

use async_trait::async_trait;

/// Who a request comes from, once its credentials were found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserIdentity {
    /// The user's name.
    pub user: String,
    /// The groups that the user belongs to.
    pub groups: Vec<String>,
}

/// What a client showed. Never logged.
#[derive(Clone)]
pub enum Credentials {
    /// Nothing.
    None,
    /// A bearer token, from a header or a subprotocol.
    Bearer(String),
    /// The DER of a client certificate whose chain the TLS layer has verified.
    Certificate(Vec<u8>),
}

impl std::fmt::Debug for Credentials {
    /// Says which kind, never the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Bearer(_) => "Bearer(…)",
            Self::Certificate(_) => "Certificate(…)",
        })
    }
}

/// Why credentials were not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// There are none, or they are wrong: 401.
    #[error("{0}")]
    Unauthenticated(String),
    /// They are good, and do not allow this: 403.
    #[error("{0}")]
    Forbidden(String),
    /// They cannot be checked now: 503. Worth a retry.
    #[error("{0}")]
    Unavailable(String),
}

/// Checks credentials.
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// Whose these credentials are, where that can be told without asking
    /// anybody; `None` where [`authenticate`](Self::authenticate) has to ask.
    fn known(&self, credentials: &Credentials) -> Option<Result<UserIdentity, AuthError>>;

    /// Whose these credentials are.
    async fn authenticate(&self, credentials: &Credentials) -> Result<UserIdentity, AuthError>;
}
