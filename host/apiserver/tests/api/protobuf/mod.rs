//! Protobuf bodies as client-go encodes them. Each `.bin` file is the encoding of the
//! `.json` file of the same name; `protobuf/main.go` generates both.

use serde_json::{Value, json};

use crate::client::{ApiResponse, TestClient};

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

macro_rules! fixture {
    ($name:literal) => {
        (
            include_bytes!(concat!($name, ".bin")).as_slice(),
            include_str!(concat!($name, ".json")),
        )
    };
}

async fn send_protobuf(
    client: &TestClient,
    method: &str,
    path: &str,
    body: &'static [u8],
) -> ApiResponse {
    client
        .send(
            method,
            path,
            &[("content-type", PROTOBUF), ("accept", "application/json")],
            body,
        )
        .await
}

/// Returns an object without the fields that the server sets.
fn without_server_fields(mut object: Value) -> Value {
    let metadata = object["metadata"].as_object_mut().unwrap();
    for key in [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "managedFields",
    ] {
        metadata.remove(key);
    }
    object
}

/// The same body in protobuf and in JSON creates the same object.
#[tokio::test]
async fn each_kind_is_decoded_like_its_json() {
    for (path, (binary, text)) in [
        ("/api/v1/namespaces", fixture!("namespace")),
        (
            "/api/v1/namespaces/default/configmaps",
            fixture!("configmap"),
        ),
        ("/api/v1/namespaces/default/secrets", fixture!("secret")),
        (
            "/api/v1/namespaces/default/serviceaccounts",
            fixture!("serviceaccount"),
        ),
        ("/api/v1/namespaces/default/events", fixture!("event")),
        (
            "/apis/events.k8s.io/v1/namespaces/default/events",
            fixture!("newevent"),
        ),
        (
            "/apis/coordination.k8s.io/v1/namespaces/default/leases",
            fixture!("lease"),
        ),
    ] {
        let client = TestClient::new().await;
        let read = send_protobuf(&client, "POST", path, binary).await;
        assert_eq!(read.code, 201, "{path}: {}", read.text);
        assert!(read.warnings().is_empty(), "{path}: {:?}", read.warnings());
        let other = TestClient::new().await;
        let wanted = other.post(path, &serde_json::from_str(text).unwrap()).await;
        assert_eq!(wanted.code, 201, "{path}: {}", wanted.text);
        assert_eq!(
            without_server_fields(read.body.clone()),
            without_server_fields(wanted.body),
            "{path}"
        );
        let object = format!("{path}/{}", read.body["metadata"]["name"].as_str().unwrap());
        let put = send_protobuf(&client, "PUT", &object, binary).await;
        // An update of a lease needs its version, which a fixture does not have.
        let expected = if path.ends_with("/leases") { 422 } else { 200 };
        assert_eq!(put.code, expected, "{object}: {}", put.text);
    }
}

#[tokio::test]
async fn delete_options_keep_their_preconditions() {
    let client = TestClient::new().await;
    let path = "/api/v1/namespaces/default/configmaps";
    let (binary, _) = fixture!("configmap");
    let made = send_protobuf(&client, "POST", path, binary).await;
    let object = format!("{path}/{}", made.body["metadata"]["name"].as_str().unwrap());
    // The first has another uid as precondition, the second is a dry run.
    let refused = send_protobuf(&client, "DELETE", &object, fixture!("deleteoptions").0).await;
    assert_eq!(refused.reason(), (409, "Conflict"), "{}", refused.text);
    let (binary, _) = fixture!("deletedryrun");
    assert_eq!(
        send_protobuf(&client, "DELETE", &object, binary).await.code,
        200
    );
    assert_eq!(client.get(&object).await.code, 200);
}

#[tokio::test]
async fn reviews_are_decoded() {
    let client = TestClient::new().await;
    for (path, (binary, _), allowed) in [
        (
            "selfsubjectaccessreviews",
            fixture!("selfsubjectaccessreview"),
            true,
        ),
        (
            "subjectaccessreviews",
            fixture!("subjectaccessreview"),
            false,
        ),
    ] {
        let path = format!("/apis/authorization.k8s.io/v1/{path}");
        let response = send_protobuf(&client, "POST", &path, binary).await;
        assert_eq!(
            (response.code, &response.body["status"]["allowed"]),
            (201, &json!(allowed)),
            "{}",
            response.text
        );
    }
    let rules = send_protobuf(
        &client,
        "POST",
        "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
        fixture!("selfsubjectrulesreview").0,
    )
    .await;
    assert_eq!(
        rules.body["status"]["resourceRules"][0]["verbs"],
        json!(["*"]),
        "{}",
        rules.text
    );
    let own = send_protobuf(
        &client,
        "POST",
        "/apis/authentication.k8s.io/v1/selfsubjectreviews",
        fixture!("selfsubjectreview").0,
    )
    .await;
    assert_eq!(
        own.body["status"]["userInfo"]["username"], "admin",
        "{}",
        own.text
    );
    let token = send_protobuf(
        &client,
        "POST",
        "/apis/authentication.k8s.io/v1/tokenreviews",
        fixture!("tokenreview").0,
    )
    .await;
    assert_eq!(token.code, 201);
    assert!(
        token.body["status"]["error"].is_string()
            && token.body["status"]["authenticated"].is_null()
    );
    assert!(!token.text.contains("secret-token"), "{}", token.text);
}

#[tokio::test]
async fn invalid_bodies_are_refused() {
    let client = TestClient::new().await;
    let path = "/api/v1/namespaces/default/configmaps";
    let (binary, _) = fixture!("configmap");
    let cut = send_protobuf(&client, "POST", path, &binary[..binary.len() - 40]).await;
    assert_eq!(cut.reason(), (400, "BadRequest"), "{}", cut.text);
    assert!(
        cut.text.contains("the protobuf body cannot be read"),
        "{}",
        cut.text
    );
    let other = send_protobuf(
        &client,
        "POST",
        "/api/v1/namespaces/default/secrets",
        binary,
    )
    .await;
    assert_eq!(other.reason(), (400, "BadRequest"), "{}", other.text);
    let json = send_protobuf(&client, "POST", path, b"{}").await;
    assert_eq!(json.reason(), (400, "BadRequest"));
    let definition = send_protobuf(&client, "POST", crate::client::DEFINITIONS, binary).await;
    assert_eq!(definition.reason(), (400, "BadRequest"));
}
