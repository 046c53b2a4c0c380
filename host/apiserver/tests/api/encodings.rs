//! The encodings of responses: protobuf, gzip, and the order of fields.

use http_body_util::BodyExt as _;
use serde_json::json;

use crate::client::{
    CONFIG_MAPS, DEFINITIONS, TestClient, WIDGETS, config_map, sized_version, widget,
};

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// The code, the content type, and the body of a response.
type RawResponse = (u16, String, Vec<u8>);

async fn get_as(client: &TestClient, path: &str, accept: &str) -> RawResponse {
    let response = client
        .send_raw("GET", path, &[("accept", accept)], "")
        .await;
    let content_type = response.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    let code = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (code, content_type, body.to_vec())
}

#[tokio::test]
async fn built_in_kinds_are_sent_in_protobuf() {
    let client = TestClient::new().await;
    client.post(CONFIG_MAPS, &config_map("a")).await;
    client.define_widgets(sized_version()).await;
    for (path, kind) in [
        ("/api/v1/namespaces/default", "Namespace"),
        ("/api/v1/namespaces", "NamespaceList"),
        (&*format!("{CONFIG_MAPS}/a"), "ConfigMap"),
        (CONFIG_MAPS, "ConfigMapList"),
        (
            &format!("{DEFINITIONS}/widgets.example.com"),
            "CustomResourceDefinition",
        ),
        ("/apis/events.k8s.io/v1/events", "EventList"),
        ("/api", "APIVersions"),
        ("/apis", "APIGroupList"),
        ("/apis/example.com", "APIGroup"),
        ("/api/v1", "APIResourceList"),
    ] {
        let (code, content_type, body) = get_as(&client, path, PROTOBUF).await;
        assert_eq!((code, content_type.as_str()), (200, PROTOBUF), "{path}");
        assert!(body.starts_with(b"k8s\0"), "{path}");
        assert!(
            body.windows(kind.len()).any(|part| part == kind.as_bytes()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_status_is_sent_in_protobuf() {
    let client = TestClient::new().await;
    let (code, content_type, body) =
        get_as(&client, &format!("{CONFIG_MAPS}/none"), PROTOBUF).await;
    assert_eq!((code, content_type.as_str()), (404, PROTOBUF));
    let text = String::from_utf8_lossy(&body);
    assert!(
        text.contains("Status") && text.contains("NotFound"),
        "{text:?}"
    );
}

#[tokio::test]
async fn custom_resources_have_only_metadata_in_protobuf() {
    let client = TestClient::new().await;
    client.define_widgets(sized_version()).await;
    client.post(WIDGETS, &widget("w", json!({"size": 1}))).await;
    let path = format!("{WIDGETS}/w");
    // The refusal itself is in protobuf.
    let (code, content_type, _) = get_as(&client, &path, PROTOBUF).await;
    assert_eq!((code, content_type.as_str()), (406, PROTOBUF));
    let either = format!("{PROTOBUF},application/json");
    let (code, content_type, _) = get_as(&client, &path, &either).await;
    assert_eq!((code, content_type.as_str()), (200, "application/json"));
    let metadata = format!("{PROTOBUF};as=PartialObjectMetadata;g=meta.k8s.io;v=v1");
    let (code, content_type, _) = get_as(&client, &path, &metadata).await;
    assert_eq!((code, content_type.as_str()), (200, PROTOBUF));
    let table = format!("{PROTOBUF};as=Table;g=meta.k8s.io;v=v1");
    assert_eq!(get_as(&client, CONFIG_MAPS, &table).await.0, 406);
}

#[tokio::test]
async fn a_watch_in_protobuf_has_the_length_before_each_event() {
    let client = TestClient::new().await;
    client.post(CONFIG_MAPS, &config_map("a")).await;
    let path = format!("{CONFIG_MAPS}?watch=true&timeoutSeconds=1&fieldSelector=metadata.name%3Da");
    let (code, content_type, body) = get_as(&client, &path, PROTOBUF).await;
    assert_eq!(
        (code, content_type.as_str()),
        (200, "application/vnd.kubernetes.protobuf;stream=watch")
    );
    let (length, event) = body.split_at(4);
    let length = u32::from_be_bytes(length.try_into().unwrap());
    assert_eq!(usize::try_from(length).unwrap(), event.len());
    assert!(event.starts_with(b"\n\x05ADDED"), "{event:?}");
    assert_eq!(get_as(&client, &path, "application/yaml").await.0, 406);
}

#[tokio::test]
async fn a_large_response_is_compressed_for_clients_that_accept_it() {
    let client = TestClient::new().await;
    let mut big = config_map("big");
    big["data"]["k"] = "x".repeat(200_000).into();
    client.post(CONFIG_MAPS, &big).await;
    client.post(CONFIG_MAPS, &config_map("small")).await;
    let small = format!("{CONFIG_MAPS}/small");
    for (path, accepted, is_compressed) in [
        (CONFIG_MAPS, "gzip", true),
        (CONFIG_MAPS, "deflate, gzip", true),
        (CONFIG_MAPS, "identity", false),
        (CONFIG_MAPS, "gzip;q=0.5", false),
        (&small, "gzip", false),
    ] {
        let headers = [("accept-encoding", accepted)];
        let response = client.send_raw("GET", path, &headers, "").await;
        let header = |name: &str| {
            response
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        let expected = is_compressed.then_some("gzip");
        assert_eq!(
            header("content-encoding").as_deref(),
            expected,
            "{accepted}"
        );
        assert_eq!(header("vary").is_some(), is_compressed);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body.starts_with(&[0x1f, 0x8b]), is_compressed);
        assert!(!is_compressed || body.len() < 10_000);
    }
}

#[tokio::test]
async fn every_response_has_an_audit_id() {
    let client = TestClient::new().await;
    for path in ["/version", CONFIG_MAPS, "/nope", "/readyz"] {
        let response = client.get(path).await;
        assert!(!response.headers["audit-id"].is_empty(), "{path}");
    }
    let sent = [("audit-id", "mine")];
    let response = client.send("GET", CONFIG_MAPS, &sent, "").await;
    assert_eq!(response.headers["audit-id"], "mine");
}

#[tokio::test]
async fn documents_have_their_fields_in_the_order_of_kubernetes() {
    let client = TestClient::new().await;
    client.define_widgets(sized_version()).await;
    assert_eq!(
        client.get("/apis/example.com").await.text,
        "{\"kind\":\"APIGroup\",\"apiVersion\":\"v1\",\"name\":\"example.com\",\"versions\":[{\"groupVersion\":\"example.com/v1\",\"version\":\"v1\"}],\"preferredVersion\":{\"groupVersion\":\"example.com/v1\",\"version\":\"v1\"}}\n"
    );
    let missing = client.get(&format!("{CONFIG_MAPS}/none")).await.text;
    assert_eq!(
        missing,
        "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":\"configmaps \\\"none\\\" not found\",\"reason\":\"NotFound\",\"details\":{\"name\":\"none\",\"kind\":\"configmaps\"},\"code\":404}\n"
    );
}
