//! A cluster that is asked about tokens.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use kube::client::Body;
use rdd_gateway::Token;
use serde_json::{Value, json};

use super::*;

/// Knows the token `jane`, and says whether she may read logs.
#[derive(Default)]
struct FakeCluster {
    is_down: Mutex<bool>,
    allowed: Mutex<bool>,
    asked: Mutex<Vec<(String, Value)>>,
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
        self.asked.lock().unwrap().push((kind, spec));
        let code = if *self.is_down.lock().unwrap() {
            StatusCode::INTERNAL_SERVER_ERROR
        } else {
            StatusCode::CREATED
        };
        let body = Body::from(review.to_string().into_bytes());
        Ok(Response::builder().status(code).body(body).unwrap())
    }

    /// What it was asked since this was called last.
    fn asked(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

struct Door {
    cluster: Arc<FakeCluster>,
    authenticator: ClusterAuthenticator,
    own: String,
}

impl Door {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let token = Token::load_or_create(&dir.path().join("token")).unwrap();
        let own = token.reveal().to_owned();
        let cluster = Arc::new(FakeCluster::default());
        let asked = Arc::clone(&cluster);
        let service = tower::service_fn(move |request| Arc::clone(&asked).answer(request));
        let client = Client::new(service, "default");
        Self {
            cluster,
            authenticator: ClusterAuthenticator::new(LocalAuthenticator::new(token), client),
            own,
        }
    }

    async fn show(&self, token: &str) -> Result<UserIdentity, AuthError> {
        let credentials = Credentials::Bearer(token.to_owned());
        self.authenticator.authenticate(&credentials).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_the_cluster_knows_and_lets_read_logs_is_let_in() {
    let door = Door::new();
    *door.cluster.allowed.lock().unwrap() = true;
    for _ in 0..2 {
        let identity = door.show("jane").await.unwrap();
        assert_eq!(
            (&*identity.user, &*identity.groups),
            ("jane", &["devs".to_owned()][..])
        );
    }
    let asked = door.cluster.asked();
    let kinds: Vec<&str> = asked.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(
        kinds,
        ["tokenreviews", "subjectaccessreviews"],
        "asked once"
    );
    assert_eq!(
        asked[1].1,
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
async fn refusals_are_told_apart() {
    let door = Door::new();
    let refused = door.show("joe").await;
    assert!(
        matches!(refused, Err(AuthError::Unauthenticated(_))),
        "{refused:?}"
    );
    let refused = door.show("jane").await;
    assert!(
        matches!(&refused, Err(AuthError::Forbidden(why)) if why.contains("jane")),
        "{refused:?}"
    );
    let down = Door::new();
    *down.cluster.is_down.lock().unwrap() = true;
    let refused = down.show("jane").await;
    assert!(
        matches!(refused, Err(AuthError::Unavailable(_))),
        "{refused:?}"
    );
    // It is asked again as soon as somebody comes.
    *down.cluster.is_down.lock().unwrap() = false;
    *down.cluster.allowed.lock().unwrap() = true;
    assert!(down.show("jane").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn only_tokens_of_others_are_the_clusters_business() {
    let door = Door::new();
    assert_eq!(door.show(&door.own).await.unwrap().user, "rdd-admin");
    let none = door.authenticator.authenticate(&Credentials::None).await;
    assert!(
        matches!(none, Err(AuthError::Unauthenticated(_))),
        "{none:?}"
    );
    let known = |credentials| door.authenticator.authenticate_locally(&credentials);
    assert!(matches!(known(Credentials::None), Some(Err(_))));
    assert!(matches!(
        known(Credentials::Bearer(door.own.clone())),
        Some(Ok(_))
    ));
    assert!(known(Credentials::Bearer("jane".to_owned())).is_none());
    assert_eq!(door.cluster.asked(), []);
}
