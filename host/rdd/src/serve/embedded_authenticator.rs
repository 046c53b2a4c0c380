//! Authenticates the users of the embedded API server, and authorizes what they do
//! beside it by its roles.

use async_trait::async_trait;
use rdd_apiserver::{AccessRequest, ApiServer, ResourceAccessRequest};
use rdd_core::{AccessScope, AuthError, Authenticator, Credentials, SessionEnd, UserIdentity};
use rdd_gateway::LocalAuthenticator;

use super::cluster::user_info;
use super::issued_tokens::TokenReader;

/// Accepts the token of the instance, client certificates of its authority, and the
/// tokens of `rdd token create`.
pub(crate) struct EmbeddedAuthenticator {
    local: LocalAuthenticator,
    issued: TokenReader,
    server: ApiServer,
}

impl EmbeddedAuthenticator {
    /// Creates an authenticator for the users of `server`.
    pub(crate) fn new(local: LocalAuthenticator, issued: TokenReader, server: ApiServer) -> Self {
        Self {
            local,
            issued,
            server,
        }
    }

    fn check(&self, credentials: &Credentials) -> Result<UserIdentity, AuthError> {
        match self.issued.find(credentials) {
            Some((identity, _)) => Ok(identity),
            None => self.local.check(credentials),
        }
    }
}

/// Returns what a role has to allow, and what a person calls it.
pub(super) fn access_request(scope: AccessScope) -> (AccessRequest<'static>, &'static str) {
    let of_containers = |verb, subresource| {
        AccessRequest::Resource(ResourceAccessRequest {
            verb,
            group: rdd_api::CONTAINERS_GROUP,
            resource: "containers",
            subresource,
            ..ResourceAccessRequest::default()
        })
    };
    match scope {
        AccessScope::ContainerLog => (of_containers("get", "log"), "get containers/log"),
        AccessScope::ContainerExec => (of_containers("create", "exec"), "create containers/exec"),
        AccessScope::DaemonMetrics => {
            let metrics = AccessRequest::NonResource {
                verb: "get",
                path: "/metrics",
            };
            (metrics, "get /metrics")
        }
    }
}

#[async_trait]
impl Authenticator for EmbeddedAuthenticator {
    fn authenticate_locally(
        &self,
        credentials: &Credentials,
    ) -> Option<Result<UserIdentity, AuthError>> {
        Some(self.check(credentials))
    }

    fn session_end(&self, credentials: &Credentials) -> Option<SessionEnd> {
        self.issued.find(credentials).map(|(_, end)| end)
    }

    fn authorize(&self, identity: &UserIdentity, scope: AccessScope) -> Result<(), AuthError> {
        let (request, description) = access_request(scope);
        let user = user_info(identity.clone());
        if self.server.authorize(&user, &request).allowed {
            return Ok(());
        }
        let name = &user.name;
        Err(AuthError::Forbidden(format!(
            "user {name:?} may not {description}; use a token whose role allows it ('rdd token create --role logs' for logs), or grant it with a role"
        )))
    }

    async fn authenticate(
        &self,
        credentials: &Credentials,
        scope: AccessScope,
    ) -> Result<UserIdentity, AuthError> {
        let identity = self.check(credentials)?;
        self.authorize(&identity, scope)?;
        Ok(identity)
    }
}
