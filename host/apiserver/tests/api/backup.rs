//! `/backup`, and what is restored from it.

use std::path::Path;

use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Empty};
use rdd_apiserver::{ApiServer, ApiServerOptions, ResponseBody, UserInfo};
use rdd_testkit::eventually;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::client::{CONFIG_MAPS, TestClient, admin, config_map, user};

async fn open(database: &Path) -> TestClient {
    TestClient(
        ApiServer::open(ApiServerOptions::file(database))
            .await
            .unwrap(),
    )
}

async fn request(client: &TestClient, user: &UserInfo) -> http::Response<ResponseBody> {
    let request = Request::get("/backup")
        .extension(user.clone())
        .body(Empty::<bytes::Bytes>::new())
        .unwrap();
    client.0.clone().oneshot(request).await.unwrap()
}

async fn content(response: http::Response<ResponseBody>) -> (HeaderMap, Vec<u8>) {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.headers, body.to_vec())
}

#[tokio::test]
async fn a_backup_of_a_running_server_is_restored() {
    let dir = tempfile::tempdir().unwrap();
    let (database, file) = (dir.path().join("db"), dir.path().join("backup"));
    let client = open(&database).await;
    let created = client.post(CONFIG_MAPS, &config_map("before")).await;
    // More than one piece.
    let mut large = config_map("large");
    large["data"] = json!({"text": "x".repeat(600_000)});
    client.post(CONFIG_MAPS, &large).await;
    let (headers, backup) = content(request(&client, &admin()).await).await;
    assert_eq!(headers["content-length"], backup.len().to_string());
    assert_eq!(headers["content-type"], "application/vnd.sqlite3");
    std::fs::write(&file, &backup).unwrap();
    let later = client.post(CONFIG_MAPS, &config_map("later")).await;
    let list = client.get(CONFIG_MAPS).await;
    client.0.close().await;

    let summary = rdd_apiserver::check_backup(&file).unwrap();
    let outcome = rdd_apiserver::restore(&file, &database).unwrap();
    assert_eq!(outcome.backup, summary);
    let client = open(&database).await;
    let restored = client.get(&format!("{CONFIG_MAPS}/before")).await;
    assert_eq!(restored.body, created.body);
    assert_eq!(client.get(&format!("{CONFIG_MAPS}/later")).await.code, 404);
    // A client that resumes where it was lists again.
    let revision = list.resource_version();
    let watch = client
        .watch(&format!(
            "{CONFIG_MAPS}?watch=true&resourceVersion={revision}"
        ))
        .await
        .next()
        .await
        .unwrap();
    assert_eq!(watch["object"]["code"], 410, "{watch}");
    let again = client.post(CONFIG_MAPS, &config_map("later")).await;
    assert!(again.resource_version() > later.resource_version());
    client.0.close().await;
}

#[tokio::test]
async fn a_backup_is_for_administrators_and_whom_they_grant_it() {
    let dir = tempfile::tempdir().unwrap();
    let client = open(&dir.path().join("db")).await;
    let alice = user("alice", &[]);
    let (_, refused) = content(request(&client, &alice).await).await;
    let refused: Value = serde_json::from_slice(&refused).unwrap();
    assert_eq!(refused["code"], 403, "{refused}");
    let post = client.post("/backup", &Value::Null).await;
    assert_eq!(post.code, 405);
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "backup"},
        "rules": [{"nonResourceURLs": ["/backup"], "verbs": ["get"]}],
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "backup"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "backup"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "alice"}],
    });
    let kinds = "/apis/rbac.authorization.k8s.io/v1/clusterrole";
    assert_eq!(client.post(&format!("{kinds}s"), &role).await.code, 201);
    assert_eq!(
        client
            .post(&format!("{kinds}bindings"), &binding)
            .await
            .code,
        201
    );
    let (_, backup) = content(request(&client, &alice).await).await;
    assert!(backup.starts_with(b"SQLite format 3"));
    client.0.close().await;
}

#[tokio::test]
async fn one_backup_is_sent_at_a_time_and_none_of_objects_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let client = open(&dir.path().join("db")).await;
    let first = request(&client, &admin()).await;
    let second = request(&client, &admin()).await;
    assert_eq!(second.status(), 429);
    assert_eq!(second.headers()["retry-after"], "1");
    drop(first);
    let (_, backup) = content(request(&client, &admin()).await).await;
    assert!(!backup.is_empty());
    let names = std::fs::read_dir(dir.path()).unwrap();
    let left: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    let is_backup = |name: &std::ffi::OsString| name.to_string_lossy().contains("backup");
    assert!(!left.iter().any(is_backup), "{left:?}");
    client.0.close().await;

    let server = ApiServer::open(ApiServerOptions::in_memory())
        .await
        .unwrap();
    let client = TestClient(server);
    assert_eq!(request(&client, &admin()).await.status(), 501);
    client.0.close().await;
}

/// A backup is written on, and the next one must not take its file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_disconnects_does_not_damage_the_next_backup() {
    let dir = tempfile::tempdir().unwrap();
    let client = open(&dir.path().join("db")).await;
    let mut large = config_map("large");
    large["data"] = json!({"text": "x".repeat(900_000)});
    for number in 0..20 {
        large["metadata"]["name"] = json!(format!("large-{number}"));
        client.post(CONFIG_MAPS, &large).await;
    }
    for round in 0..5 {
        let disconnecting = admin();
        let mut first = Box::pin(request(&client, &disconnecting));
        // Most often it is pending.
        drop(futures::poll!(first.as_mut()));
        drop(first);
        let response = eventually("the next backup", || async {
            let response = request(&client, &admin()).await;
            match response.status().as_u16() {
                429 => Err("429".to_owned()),
                _ => Ok(response),
            }
        })
        .await;
        assert_eq!(response.status(), 200, "round {round}");
        let (_, backup) = content(response).await;
        let file = dir.path().join(format!("backup-{round}"));
        std::fs::write(&file, backup).unwrap();
        rdd_apiserver::check_backup(&file).unwrap();
    }
    client.0.close().await;
}
