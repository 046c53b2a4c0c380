//! Authenticates the tokens of sessions, beside the credentials of the instance.

use std::sync::Arc;

use async_trait::async_trait;
use rdd_core::{AccessScope, AuthError, Authenticator, Credentials, SessionEnd, UserIdentity};
use rdd_gateway::LocalAuthenticator;

use crate::session_store::SessionStore;

/// Authenticates sessions as the user of the instance's token, and leaves all
/// other credentials to another authenticator.
pub struct SessionAuthenticator {
    sessions: Arc<SessionStore>,
    others: Arc<dyn Authenticator>,
}

impl SessionAuthenticator {
    /// Creates an authenticator for the sessions of `sessions`.
    pub fn new(sessions: Arc<SessionStore>, others: Arc<dyn Authenticator>) -> Self {
        Self { sessions, others }
    }

    fn session(&self, credentials: &Credentials) -> Option<UserIdentity> {
        match credentials {
            Credentials::Bearer(token) if self.sessions.is_session(token) => {
                Some(LocalAuthenticator::administrator())
            }
            _ => None,
        }
    }
}

#[async_trait]
impl Authenticator for SessionAuthenticator {
    fn authenticate_locally(
        &self,
        credentials: &Credentials,
    ) -> Option<Result<UserIdentity, AuthError>> {
        match self.session(credentials) {
            Some(identity) => Some(Ok(identity)),
            None => self.others.authenticate_locally(credentials),
        }
    }

    fn session_end(&self, credentials: &Credentials) -> Option<SessionEnd> {
        match credentials {
            Credentials::Bearer(token) => self.sessions.session_end(token),
            _ => None,
        }
    }

    async fn authenticate(
        &self,
        credentials: &Credentials,
        scope: AccessScope,
    ) -> Result<UserIdentity, AuthError> {
        match self.session(credentials) {
            Some(identity) => Ok(identity),
            None => self.others.authenticate(credentials, scope).await,
        }
    }
}
