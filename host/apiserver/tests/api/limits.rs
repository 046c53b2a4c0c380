//! Requests that are made to be expensive.

use std::sync::{Arc, Mutex};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use rdd_apiserver::{
    AdmissionError, AdmissionPolicy, AdmissionRequest, ApiServer, ApiServerOptions,
};
use serde_json::{Value, json};

use crate::client::{
    ApiResponse, CONFIG_MAPS, DEFINITIONS, JSON, MERGE, TestClient, WIDGETS, config_map,
    sized_version, widget,
};

/// Far longer than any of these requests may take in a debug build, and far shorter
/// than they took without limits.
const MAX_DURATION: Duration = Duration::from_secs(10);
const MIB: usize = 1 << 20;
const YAML: &str = "application/yaml";

fn open_version() -> Value {
    json!({"schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}})
}

async fn send_body(client: &TestClient, media: &str, body: String) -> ApiResponse {
    let start = Instant::now();
    let path = if body.contains("Widget") {
        WIDGETS
    } else {
        CONFIG_MAPS
    };
    let response = client
        .send("POST", path, &[("content-type", media)], body)
        .await;
    assert!(start.elapsed() < MAX_DURATION, "{:?}", start.elapsed());
    assert!(
        response.text.len() < MIB,
        "a response of {} bytes",
        response.text.len()
    );
    response
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(json!({}), |inner, _| json!({"a": inner}))
}

#[tokio::test]
async fn aliases_cannot_expand_without_bound() {
    let client = TestClient::new().await;
    let mut body = format!(
        "metadata: {{name: a, annotations: {{a: &a \"{}\"}}}}\ndata:\n",
        "x".repeat(MIB)
    );
    for index in 0..10_000 {
        body.push_str(&format!("  k{index}: *a\n"));
    }
    let refused = send_body(&client, YAML, body).await;
    assert_eq!(refused.reason(), (400, "BadRequest"));
    assert!(
        refused.text.contains("excessive aliasing"),
        "{}",
        refused.text
    );
    // An anchor on each level copies everything below it, even if it is not used.
    let anchored = (0..90).fold(format!("\"{}\"", "x".repeat(MIB)), |inner, level| {
        format!("&a{level} [{inner}]")
    });
    let refused = send_body(
        &client,
        YAML,
        format!("kind: ConfigMap\ndata: {anchored}\n"),
    )
    .await;
    assert!(
        refused.text.contains("excessive aliasing"),
        "{}",
        refused.text
    );
    let fine = send_body(
        &client,
        YAML,
        "metadata: {name: b}\ndata: {a: &a yes it is, b: *a}\n".to_owned(),
    )
    .await;
    assert_eq!(
        (fine.code, &fine.body["data"]["b"]),
        (201, &json!("yes it is"))
    );
}

#[tokio::test]
async fn a_long_name_above_many_values_is_cheap() {
    let client = TestClient::new().await;
    client.define_widgets(open_version()).await;
    let key = "k".repeat(MIB);
    let items = vec!["1"; 1_000_000].join(",");
    let refused = send_body(
        &client,
        JSON,
        format!("{{\"kind\":\"Widget\",\"{key}\":[{items}]}}"),
    )
    .await;
    assert_eq!(refused.reason(), (400, "BadRequest"));
    // Within the limits, with a duplicate name in each item.
    let key = "k".repeat(16_000);
    let items = vec!["{\"a\":1,\"a\":2}"; 20_000].join(",");
    let body = format!(
        "{{\"apiVersion\":\"example.com/v1\",\"kind\":\"Widget\",\"metadata\":{{\"name\":\"a\"}},\"{key}\":[{items}]}}"
    );
    let made = send_body(&client, JSON, body).await;
    assert_eq!(made.code, 201);
    let warned: usize = made.warnings().iter().map(|text| text.len()).sum();
    assert!(warned < 16 * 1024, "{warned}");
}

#[tokio::test]
async fn a_status_has_at_most_a_hundred_causes() {
    let client = TestClient::new().await;
    client
        .define_widgets(json!({"schema": {"openAPIV3Schema": {"type": "object", "properties": {
            "list": {"type": "array", "items": {"type": "object", "additionalProperties": {"type": "integer"}}},
        }}}}))
        .await;
    let mut body = widget("a", json!({}));
    body["list"] = json!(vec![json!({"k": "no number"}); 40_000]);
    let invalid = send_body(&client, JSON, body.to_string()).await;
    assert_eq!(invalid.reason(), (422, "Invalid"));
    let causes = invalid.body["details"]["causes"].as_array().unwrap();
    assert_eq!(causes.len(), 100);
    assert!(causes[99]["message"].as_str().unwrap().contains("more"));
    body["list"] = json!(vec![json!({"k": "no number"}); 160_000]);
    assert_eq!(
        send_body(&client, JSON, body.to_string()).await.reason(),
        (400, "BadRequest")
    );
}

#[tokio::test]
async fn many_references_that_quote_all_of_them_are_cheap() {
    let client = TestClient::new().await;
    let owner =
        json!({"apiVersion": "v1", "kind": "K", "name": "n", "uid": "u", "controller": true});
    let mut body = config_map("owned");
    body["metadata"]["ownerReferences"] = json!(vec![owner; 12_000]);
    let invalid = send_body(&client, JSON, body.to_string()).await;
    assert_eq!(invalid.reason(), (422, "Invalid"));
    let causes = invalid.body["details"]["causes"].as_array().unwrap();
    assert_eq!(causes.len(), 100);
    assert_eq!(causes[99]["message"], "and 11900 more; correct these first");
}

#[tokio::test]
async fn a_patch_of_a_list_with_many_items_is_cheap() {
    let client = TestClient::new().await;
    let mut body = config_map("a");
    body["metadata"]["finalizers"] = json!(["example.com/first"]);
    assert_eq!(client.post(CONFIG_MAPS, &body).await.code, 201);
    let many: Vec<_> = (0..60_000).map(|n| format!("example.com/{n}")).collect();
    let patch = json!({"metadata": {"finalizers": many}});
    let start = Instant::now();
    let path = format!("{CONFIG_MAPS}/a");
    let media_type = "application/strategic-merge-patch+json";
    let patched = client.patch(&path, media_type, &patch).await;
    assert!(start.elapsed() < MAX_DURATION, "{:?}", start.elapsed());
    assert_eq!(patched.code, 200, "{}", patched.text);
    let finalizers = patched.body["metadata"]["finalizers"].as_array().unwrap();
    assert_eq!(finalizers.len(), 60_001);
}

#[tokio::test]
async fn every_object_that_can_be_stored_can_be_read_and_deleted() {
    let client = TestClient::new().await;
    client.define_widgets(open_version()).await;
    for levels in [98, 99, 100, 120, 122, 126, 140] {
        let mut body = widget("deep", json!({}));
        body["spec"] = nested(levels);
        let path = format!("{WIDGETS}/deep");
        let made = client.post(WIDGETS, &body).await;
        if levels < 100 {
            assert_eq!(made.code, 201, "{levels}: {}", made.text);
            assert_eq!(client.get(&path).await.code, 200);
            assert_eq!(client.get(WIDGETS).await.names(), ["deep"]);
            let deeper = json!({"spec": {"a": nested(120)}});
            assert_eq!(client.patch(&path, MERGE, &deeper).await.code, 400);
            assert_eq!(client.delete(&path).await.code, 200);
        } else {
            assert_eq!(made.reason(), (400, "BadRequest"), "{levels}");
            assert!(made.text.contains("100 levels"), "{levels}: {}", made.text);
        }
    }
    let crd = format!("{DEFINITIONS}/widgets.example.com");
    client.delete(&crd).await;
    client.wait_until_gone(&crd).await;
}

#[tokio::test]
async fn warnings_stay_below_the_limits_of_clients() {
    let client = TestClient::new().await;
    client.define_widgets(sized_version()).await;
    for (count, length) in [(150, 1), (90, 1), (20, 3_000), (60, 60)] {
        let mut spec = json!({});
        for index in 0..count {
            spec[format!("{}{index}", "x".repeat(length))] = 1.into();
        }
        let name = format!("w{count}");
        let made = client.post(WIDGETS, &widget(&name, spec)).await;
        assert_eq!(made.code, 201);
        let warnings = made.warnings();
        let bytes: usize = warnings.iter().map(|text| text.len()).sum();
        assert!(
            warnings.len() <= 50 && bytes < 8 * 1024,
            "{} {bytes}",
            warnings.len()
        );
        assert!(
            warnings.last().unwrap().contains("more warnings"),
            "{warnings:?}"
        );
    }
    let few = client
        .post(WIDGETS, &widget("few", json!({"x": 1, "y": 1})))
        .await;
    assert_eq!(few.warnings().len(), 2);
}

#[tokio::test]
async fn defaults_and_patches_cannot_grow_an_object_without_bound() {
    let client = TestClient::new().await;
    client
        .define_widgets(
            json!({"schema": {"openAPIV3Schema": {"type": "object", "properties": {
                "list": {"type": "array", "items": {"type": "object", "properties": {
                    "text": {"type": "string", "default": "x".repeat(100 * 1024)},
                }}},
                "text": {"type": "object", "additionalProperties": {"type": "string"}},
            }}}}),
        )
        .await;
    let mut body = widget("a", json!({}));
    body["list"] = json!(vec![json!({}); 50_000]);
    let refused = send_body(&client, JSON, body.to_string()).await;
    assert_eq!(refused.reason(), (413, "RequestEntityTooLarge"));
    body["list"] = json!([{}]);
    assert_eq!(client.post(WIDGETS, &body).await.code, 201);
    let mut refused = None;
    for index in 0..4 {
        let more = json!({"text": {format!("k{index}"): "x".repeat(MIB)}});
        let response = client.patch(&format!("{WIDGETS}/a"), MERGE, &more).await;
        if response.code != 200 {
            refused = Some(response);
            break;
        }
    }
    assert_eq!(refused.unwrap().reason(), (413, "RequestEntityTooLarge"));
}

#[tokio::test]
async fn long_queries_and_selectors_are_refused() {
    let client = TestClient::new().await;
    let long = format!("{CONFIG_MAPS}?labelSelector=a{}", "x".repeat(40_000));
    assert_eq!(client.get(&long).await.reason(), (400, "BadRequest"));
    let terms: Vec<String> = (0..2_000).map(|index| format!("a{index}")).collect();
    for selector in [terms.join(","), format!("a in ({})", terms.join(","))] {
        let many = client
            .get(&format!(
                "{CONFIG_MAPS}?labelSelector={}",
                selector.replace(' ', "%20")
            ))
            .await;
        assert_eq!(many.reason(), (400, "BadRequest"), "{}", many.text);
        assert!(many.text.contains("1000"), "{}", many.text);
    }
}

/// Records the thread on which each object is written.
#[derive(Debug, Default)]
struct ThreadRecorder(Mutex<Vec<(String, ThreadId)>>);

impl AdmissionPolicy for ThreadRecorder {
    fn admit(&self, request: &AdmissionRequest<'_>) -> Result<(), AdmissionError> {
        let seen = (request.name.to_owned(), std::thread::current().id());
        self.0.lock().unwrap().push(seen);
        Ok(())
    }
}

/// Large writes, and small writes of large objects, run on blocking threads, so that
/// they do not delay other requests.
#[tokio::test]
async fn a_large_write_runs_on_a_blocking_thread() {
    let threads = Arc::new(ThreadRecorder::default());
    let options = ApiServerOptions {
        admission: vec![threads.clone()],
        ..ApiServerOptions::in_memory()
    };
    let client = TestClient(ApiServer::open(options).await.unwrap());
    let mut large = config_map("large");
    large["data"]["k"] = "x".repeat(100 * 1024).into();
    let change = json!({"metadata": {"labels": {"a": "b"}}});
    assert_eq!(
        client.post(CONFIG_MAPS, &config_map("small")).await.code,
        201
    );
    assert_eq!(client.post(CONFIG_MAPS, &large).await.code, 201);
    for name in ["small", "large"] {
        let path = format!("{CONFIG_MAPS}/{name}");
        assert_eq!(client.patch(&path, MERGE, &change).await.code, 200);
    }
    let here = std::thread::current().id();
    let seen: Vec<(String, bool)> = threads
        .0
        .lock()
        .unwrap()
        .iter()
        .map(|(name, thread)| (name.clone(), *thread == here))
        .collect();
    let expected = [
        ("small", true),
        ("large", false),
        ("small", true),
        ("large", false),
    ];
    assert_eq!(seen, expected.map(|(name, same)| (name.to_owned(), same)));
}
