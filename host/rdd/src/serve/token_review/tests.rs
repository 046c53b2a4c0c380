//! Token reviews by a fake cluster.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use kube::client::Body;
use rdd_gateway::BearerToken;
use serde_json::{Value, json};

use super::*;

/// Accepts the token `jane`, and returns whether she may do what is asked.
#[derive(Default)]
struct FakeCluster {
    is_down: Mutex<bool>,
    allowed: Mutex<bool>,
    reviews: Mutex<Vec<(String, Value)>>,
}

impl FakeCluster {
    async fn answer(self: Arc<Self>, request: Request<Body>) -> Result<Response<Body>, Infallible> {
        let (parts, body) = request.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let mut review: Value = serde_json::from_slice(&bytes).unwrap();
        let spec = review["spec"].clone();
        let kind = parts.uri.path().rsplit('/').next().unwrap().to_owned();
        review["status"] = match kind.as_str() {
            "tokenreviews" if spec["token"] == "jane" => json!({
                "authenticated": true,
                "user": {"username": "jane", "groups": ["devs"]},
            }),
            "tokenreviews" => json!({"authenticated": false}),
            _ => json!({"allowed": *self.allowed.lock().unwrap()}),
        };
        self.reviews.lock().unwrap().push((kind, spec));
        let code = if *self.is_down.lock().unwrap() {
            StatusCode::INTERNAL_SERVER_ERROR
        } else {
            StatusCode::CREATED
        };
        let body = Body::from(review.to_string().into_bytes());
        Ok(Response::builder().status(code).body(body).unwrap())
    }

    /// Returns the kind and spec of the reviews since the last call.
    fn take_reviews(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut *self.reviews.lock().unwrap())
    }
}

struct TestAuthenticator {
    cluster: Arc<FakeCluster>,
    authenticator: ClusterAuthenticator,
    own: String,
}

impl TestAuthenticator {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let token = BearerToken::load_or_create(&dir.path().join("token")).unwrap();
        let own = token.reveal().to_owned();
        let cluster = Arc::new(FakeCluster::default());
        let server = Arc::clone(&cluster);
        let service = tower::service_fn(move |request| Arc::clone(&server).answer(request));
        let client = Client::new(service, "default");
        Self {
            cluster,
            authenticator: ClusterAuthenticator::new(LocalAuthenticator::new(token), client),
            own,
        }
    }

    async fn authenticate(&self, token: &str) -> Result<UserIdentity, AuthError> {
        self.authenticate_for(token, AccessScope::ContainerLog)
            .await
    }

    async fn authenticate_for(
        &self,
        token: &str,
        scope: AccessScope,
    ) -> Result<UserIdentity, AuthError> {
        let credentials = Credentials::Bearer(token.to_owned());
        self.authenticator.authenticate(&credentials, scope).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_whose_user_may_read_logs_is_accepted() {
    let fixture = TestAuthenticator::new();
    *fixture.cluster.allowed.lock().unwrap() = true;
    for _ in 0..2 {
        let identity = fixture.authenticate("jane").await.unwrap();
        assert_eq!(
            (&*identity.user, &*identity.groups),
            ("jane", &["devs".to_owned()][..])
        );
    }
    let reviews = fixture.cluster.take_reviews();
    let kinds: Vec<&str> = reviews.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(
        kinds,
        ["tokenreviews", "subjectaccessreviews"],
        "reviewed once"
    );
    assert_eq!(
        reviews[1].1,
        json!({
            "user": "jane", "groups": ["devs"],
            "resourceAttributes": {
                "group": "containers.rancherdesktop.io", "resource": "containers",
                "subresource": "log", "verb": "get",
            },
        })
    );
}

#[tokio::test(start_paused = true)]
async fn a_user_who_may_read_logs_needs_another_right_to_run_processes() {
    let fixture = TestAuthenticator::new();
    *fixture.cluster.allowed.lock().unwrap() = true;
    fixture.authenticate("jane").await.unwrap();
    fixture.cluster.take_reviews();
    *fixture.cluster.allowed.lock().unwrap() = false;
    let result = fixture
        .authenticate_for("jane", AccessScope::ContainerExec)
        .await;
    assert!(
        matches!(&result, Err(AuthError::Forbidden(reason)) if reason.contains("create containers/exec")),
        "{result:?}"
    );
    let reviews = fixture.cluster.take_reviews();
    assert_eq!(
        reviews[1].1["resourceAttributes"],
        json!({
            "group": "containers.rancherdesktop.io", "resource": "containers",
            "subresource": "exec", "verb": "create",
        })
    );
}

#[tokio::test(start_paused = true)]
async fn each_reason_for_a_rejection_has_its_own_error() {
    let fixture = TestAuthenticator::new();
    let result = fixture.authenticate("joe").await;
    assert!(
        matches!(result, Err(AuthError::Unauthenticated(_))),
        "{result:?}"
    );
    let result = fixture.authenticate("jane").await;
    assert!(
        matches!(&result, Err(AuthError::Forbidden(reason)) if reason.contains("jane")),
        "{result:?}"
    );
    let down = TestAuthenticator::new();
    *down.cluster.is_down.lock().unwrap() = true;
    let result = down.authenticate("jane").await;
    assert!(
        matches!(result, Err(AuthError::Unavailable(_))),
        "{result:?}"
    );
    // The next request is reviewed again.
    *down.cluster.is_down.lock().unwrap() = false;
    *down.cluster.allowed.lock().unwrap() = true;
    assert!(down.authenticate("jane").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn only_foreign_tokens_are_reviewed_by_the_cluster() {
    let fixture = TestAuthenticator::new();
    assert_eq!(
        fixture.authenticate(&fixture.own).await.unwrap().user,
        "rdd-admin"
    );
    let none = fixture
        .authenticator
        .authenticate(&Credentials::None, AccessScope::ContainerLog)
        .await;
    assert!(
        matches!(none, Err(AuthError::Unauthenticated(_))),
        "{none:?}"
    );
    let known = |credentials| fixture.authenticator.authenticate_locally(&credentials);
    assert!(matches!(known(Credentials::None), Some(Err(_))));
    assert!(matches!(
        known(Credentials::Bearer(fixture.own.clone())),
        Some(Ok(_))
    ));
    assert!(known(Credentials::Bearer("jane".to_owned())).is_none());
    assert_eq!(fixture.cluster.take_reviews(), []);
}

#[tokio::test(start_paused = true)]
async fn users_who_are_known_without_their_token_do_nothing_unless_they_are_administrators() {
    let fixture = TestAuthenticator::new();
    let authorize = |group: &str, scope| {
        let identity = UserIdentity {
            user: "jane".to_owned(),
            groups: vec![group.to_owned()],
        };
        fixture.authenticator.authorize(&identity, scope)
    };
    for scope in [
        AccessScope::ContainerLog,
        AccessScope::ContainerExec,
        AccessScope::DaemonMetrics,
    ] {
        assert!(authorize("system:masters", scope).is_ok());
        let refused = authorize("system:authenticated", scope);
        assert!(matches!(refused, Err(AuthError::Forbidden(_))), "{scope:?}");
    }
}
