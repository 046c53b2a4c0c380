//! Impersonation, which is refused.

use bytes::Bytes;

use crate::client::{CONFIG_MAPS, TestClient};

#[tokio::test]
async fn impersonation_is_refused_on_every_path() {
    let client = TestClient::new().await;
    for path in [
        CONFIG_MAPS,
        "/api",
        "/apis",
        "/version",
        "/openapi/v3",
        "/nope",
    ] {
        for header in [
            "Impersonate-User",
            "Impersonate-Group",
            "Impersonate-Uid",
            "Impersonate-Extra-scopes",
        ] {
            let response = client
                .send("GET", path, &[(header, "alice")], Bytes::new())
                .await;
            assert_eq!(response.reason(), (403, "Forbidden"), "{path} {header}");
            let message = response.body["message"].as_str().unwrap();
            assert!(
                message.contains("alice") && message.contains("cannot impersonate"),
                "{message}"
            );
        }
    }
    let wrote = client
        .send(
            "DELETE",
            "/api/v1/namespaces/kube-node-lease",
            &[("impersonate-user", "nobody")],
            Bytes::new(),
        )
        .await;
    assert_eq!(wrote.code, 403);
    let kept = client.get("/api/v1/namespaces/kube-node-lease").await;
    assert_eq!(kept.body["status"]["phase"], "Active");
}
