//! Bodies that are made to cost much.

use std::sync::{Arc, Mutex};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use rdd_apiserver::{
    AdmissionError, AdmissionPolicy, AdmissionRequest, ApiServer, ApiServerOptions,
};
use serde_json::{Value, json};

use crate::client::{Answer, CMS, CRDS, Client, JSON, MERGE, WIDGETS, config_map, sized, widget};

/// Far more than any of these bodies may cost in a debug build, and far less
/// than they did.
const QUICK: Duration = Duration::from_secs(10);
const MIB: usize = 1 << 20;
const YAML: &str = "application/yaml";

fn open() -> Value {
    json!({"schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}})
}

async fn send(client: &Client, media: &str, body: String) -> Answer {
    let begun = Instant::now();
    let path = if body.contains("Widget") {
        WIDGETS
    } else {
        CMS
    };
    let answer = client
        .ask("POST", path, &[("content-type", media)], body)
        .await;
    assert!(begun.elapsed() < QUICK, "{:?}", begun.elapsed());
    assert!(
        answer.text.len() < MIB,
        "an answer of {} bytes",
        answer.text.len()
    );
    answer
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(json!({}), |inner, _| json!({"a": inner}))
}

#[tokio::test]
async fn aliases_do_not_multiply() {
    let client = Client::new().await;
    let mut body = format!(
        "metadata: {{name: a, annotations: {{a: &a \"{}\"}}}}\ndata:\n",
        "x".repeat(MIB)
    );
    for index in 0..10_000 {
        body.push_str(&format!("  k{index}: *a\n"));
    }
    let refused = send(&client, YAML, body).await;
    assert_eq!(refused.reason(), (400, "BadRequest"));
    assert!(
        refused.text.contains("excessive aliasing"),
        "{}",
        refused.text
    );
    // An anchor on each level copies everything below it, used or not.
    let anchored = (0..90).fold(format!("\"{}\"", "x".repeat(MIB)), |inner, level| {
        format!("&a{level} [{inner}]")
    });
    let refused = send(
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
    let fine = send(
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
async fn a_long_name_above_many_values_costs_nothing() {
    let client = Client::new().await;
    client.widgets(open()).await;
    let key = "k".repeat(MIB);
    let items = vec!["1"; 1_000_000].join(",");
    let refused = send(
        &client,
        JSON,
        format!("{{\"kind\":\"Widget\",\"{key}\":[{items}]}}"),
    )
    .await;
    assert_eq!(refused.reason(), (400, "BadRequest"));
    // Within the budgets, and twice the same name in each item.
    let key = "k".repeat(16_000);
    let items = vec!["{\"a\":1,\"a\":2}"; 20_000].join(",");
    let body = format!(
        "{{\"apiVersion\":\"example.com/v1\",\"kind\":\"Widget\",\"metadata\":{{\"name\":\"a\"}},\"{key}\":[{items}]}}"
    );
    let made = send(&client, JSON, body).await;
    assert_eq!(made.code, 201);
    let warned: usize = made.warnings().iter().map(|text| text.len()).sum();
    assert!(warned < 16 * 1024, "{warned}");
}

#[tokio::test]
async fn an_answer_names_a_hundred_causes() {
    let client = Client::new().await;
    client
        .widgets(json!({"schema": {"openAPIV3Schema": {"type": "object", "properties": {
            "list": {"type": "array", "items": {"type": "object", "additionalProperties": {"type": "integer"}}},
        }}}}))
        .await;
    let mut body = widget("a", json!({}));
    body["list"] = json!(vec![json!({"k": "no number"}); 40_000]);
    let invalid = send(&client, JSON, body.to_string()).await;
    assert_eq!(invalid.reason(), (422, "Invalid"));
    let causes = invalid.body["details"]["causes"].as_array().unwrap();
    assert_eq!(causes.len(), 100);
    assert!(causes[99]["message"].as_str().unwrap().contains("more"));
    body["list"] = json!(vec![json!({"k": "no number"}); 160_000]);
    assert_eq!(
        send(&client, JSON, body.to_string()).await.reason(),
        (400, "BadRequest")
    );
}

#[tokio::test]
async fn what_can_be_stored_can_be_read_and_deleted() {
    let client = Client::new().await;
    client.widgets(open()).await;
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
    let crd = format!("{CRDS}/widgets.example.com");
    client.delete(&crd).await;
    client.gone(&crd).await;
}

#[tokio::test]
async fn warnings_stay_below_what_clients_take() {
    let client = Client::new().await;
    client.widgets(sized()).await;
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
    let client = Client::new().await;
    client
        .widgets(
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
    let refused = send(&client, JSON, body.to_string()).await;
    assert_eq!(refused.reason(), (413, "RequestEntityTooLarge"));
    body["list"] = json!([{}]);
    assert_eq!(client.post(WIDGETS, &body).await.code, 201);
    let mut refused = None;
    for index in 0..4 {
        let more = json!({"text": {format!("k{index}"): "x".repeat(MIB)}});
        let answer = client.patch(&format!("{WIDGETS}/a"), MERGE, &more).await;
        if answer.code != 200 {
            refused = Some(answer);
            break;
        }
    }
    assert_eq!(refused.unwrap().reason(), (413, "RequestEntityTooLarge"));
}

#[tokio::test]
async fn long_queries_are_refused() {
    let client = Client::new().await;
    let long = format!("{CMS}?labelSelector=a{}", "x".repeat(40_000));
    assert_eq!(client.get(&long).await.reason(), (400, "BadRequest"));
    let terms: Vec<String> = (0..2_000).map(|index| format!("a{index}")).collect();
    for selector in [terms.join(","), format!("a in ({})", terms.join(","))] {
        let many = client
            .get(&format!(
                "{CMS}?labelSelector={}",
                selector.replace(' ', "%20")
            ))
            .await;
        assert_eq!(many.reason(), (400, "BadRequest"), "{}", many.text);
        assert!(many.text.contains("1000"), "{}", many.text);
    }
}

/// Notes on which thread each config map and widget is written.
#[derive(Debug, Default)]
struct Threads(Mutex<Vec<(String, ThreadId)>>);

impl AdmissionPolicy for Threads {
    fn admit(&self, request: &AdmissionRequest<'_>) -> Result<(), AdmissionError> {
        let seen = (request.name.to_owned(), std::thread::current().id());
        self.0.lock().unwrap().push(seen);
        Ok(())
    }
}

/// Large writes, and small ones of large objects, are no work for the threads
/// that serve everybody: here the only one.
#[tokio::test]
async fn a_large_write_leaves_the_thread_that_serves_everybody() {
    let threads = Arc::new(Threads::default());
    let options = ApiServerOptions {
        admission: vec![threads.clone()],
        ..ApiServerOptions::in_memory()
    };
    let client = Client(ApiServer::open(options).await.unwrap());
    let mut large = config_map("large");
    large["data"]["k"] = "x".repeat(100 * 1024).into();
    let change = json!({"metadata": {"labels": {"a": "b"}}});
    assert_eq!(client.post(CMS, &config_map("small")).await.code, 201);
    assert_eq!(client.post(CMS, &large).await.code, 201);
    for name in ["small", "large"] {
        let path = format!("{CMS}/{name}");
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
