//! Authenticates the credentials of an external cluster by token reviews.

mod cache;

use async_trait::async_trait;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::Client;
use kube::api::{Api, PostParams};
use rdd_core::{AccessScope, AuthError, Authenticator, Credentials, UserIdentity};
use rdd_gateway::{ADMIN_GROUP, LocalAuthenticator};

use self::cache::ReviewCache;

/// Accepts the token of the instance, and tokens of the cluster whose user may
/// do what a request is about to do.
pub(crate) struct ClusterAuthenticator {
    local: LocalAuthenticator,
    client: Client,
    reviews: ReviewCache,
}

impl ClusterAuthenticator {
    /// Creates an authenticator that sends reviews to the cluster of `client`.
    pub(crate) fn new(local: LocalAuthenticator, client: Client) -> Self {
        Self {
            local,
            client,
            reviews: ReviewCache::default(),
        }
    }

    async fn review(&self, token: &str, scope: AccessScope) -> Result<UserIdentity, AuthError> {
        let identity = self.review_token(token).await?;
        self.review_access(&identity, scope).await?;
        Ok(identity)
    }

    async fn review_token(&self, token: &str) -> Result<UserIdentity, AuthError> {
        let review = TokenReview {
            spec: TokenReviewSpec {
                token: Some(token.to_owned()),
                audiences: None,
            },
            ..TokenReview::default()
        };
        let api: Api<TokenReview> = Api::all(self.client.clone());
        let status = api
            .create(&PostParams::default(), &review)
            .await
            .map_err(unavailable)?
            .status
            .unwrap_or_default();
        if status.authenticated != Some(true) {
            return Err(AuthError::Unauthenticated(
                "the cluster rejected the token".to_owned(),
            ));
        }
        let user = status.user.unwrap_or_default();
        Ok(UserIdentity {
            user: user.username.unwrap_or_default(),
            groups: user.groups.unwrap_or_default(),
        })
    }

    async fn review_access(
        &self,
        identity: &UserIdentity,
        scope: AccessScope,
    ) -> Result<(), AuthError> {
        // The verbs and subresources of pods.
        let (verb, subresource) = match scope {
            // Whoever reads logs may read metrics, which have no resource.
            AccessScope::ContainerLog | AccessScope::DaemonMetrics => ("get", "log"),
            AccessScope::ContainerExec => ("create", "exec"),
        };
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(identity.user.clone()),
                groups: Some(identity.groups.clone()),
                resource_attributes: Some(ResourceAttributes {
                    group: Some(rdd_api::CONTAINERS_GROUP.to_owned()),
                    resource: Some("containers".to_owned()),
                    subresource: Some(subresource.to_owned()),
                    verb: Some(verb.to_owned()),
                    ..ResourceAttributes::default()
                }),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let api: Api<SubjectAccessReview> = Api::all(self.client.clone());
        let status = api
            .create(&PostParams::default(), &review)
            .await
            .map_err(unavailable)?
            .status
            .unwrap_or_default();
        if status.allowed {
            return Ok(());
        }
        Err(AuthError::Forbidden(format!(
            "user {:?} may not {verb} containers/{subresource} in group {}; grant it with a role in the cluster",
            identity.user,
            rdd_api::CONTAINERS_GROUP
        )))
    }
}

fn unavailable(error: kube::Error) -> AuthError {
    AuthError::Unavailable(format!(
        "the cluster cannot review the credentials now: {error}"
    ))
}

#[async_trait]
impl Authenticator for ClusterAuthenticator {
    fn authenticate_locally(
        &self,
        credentials: &Credentials,
    ) -> Option<Result<UserIdentity, AuthError>> {
        match (self.local.check(credentials), credentials) {
            (Err(AuthError::Unauthenticated(_)), Credentials::Bearer(_)) => None,
            (decided, _) => Some(decided),
        }
    }

    /// Only the cluster can tell what its users may do, and it is asked about their
    /// tokens. Sessions of the web page have none, nor have client certificates.
    fn authorize(&self, identity: &UserIdentity, _: AccessScope) -> Result<(), AuthError> {
        if identity.groups.iter().any(|group| group == ADMIN_GROUP) {
            return Ok(());
        }
        Err(AuthError::Forbidden(format!(
            "user {:?} may do this with a token of the cluster only; the web page is for whoever has the token of the instance ('rdd dashboard')",
            identity.user
        )))
    }

    async fn authenticate(
        &self,
        credentials: &Credentials,
        scope: AccessScope,
    ) -> Result<UserIdentity, AuthError> {
        match (self.authenticate_locally(credentials), credentials) {
            (None, Credentials::Bearer(token)) => {
                self.reviews
                    .get_or_review(token, scope, || self.review(token, scope))
                    .await
            }
            (Some(decided), _) => decided,
            // The cluster reviews tokens only.
            (None, _) => self.local.check(credentials),
        }
    }
}

#[cfg(test)]
mod tests;
