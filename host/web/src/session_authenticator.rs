//! Authenticates the tokens of sessions, beside the credentials of the instance.

use std::sync::Arc;

use async_trait::async_trait;
use rdd_core::{AccessScope, AuthError, Authenticator, Credentials, SessionEnd, UserIdentity};

use crate::session_store::SessionStore;

/// Authenticates sessions as the user who requested their code, and leaves all
/// other credentials, and what users may do, to another authenticator.
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
            Credentials::Bearer(token) => Some(self.sessions.session(token)?.identity),
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
            Credentials::Bearer(token) => self
                .sessions
                .session_end(token)
                .or_else(|| self.others.session_end(credentials)),
            _ => self.others.session_end(credentials),
        }
    }

    fn authorize(&self, identity: &UserIdentity, scope: AccessScope) -> Result<(), AuthError> {
        self.others.authorize(identity, scope)
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
