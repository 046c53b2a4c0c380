//! How long tracking takes on an object as the mirror writes it: 2 KB, three managers.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops at whatever goes wrong"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use rdd_apiserver_fieldmanager::{TrackingRequest, ObjectType, apply, apply_if_changed, update};
use serde_json::{Value, json};

/// Short batches, so that the best of them was not interrupted; the median shows what the machine made of the rest.
const ROUNDS: u32 = 50;
const BATCHES: usize = 200;

fn schema() -> Value {
    let text = json!({"type": "string"});
    let texts = json!({"type": "object", "additionalProperties": text});
    let port = json!({"type": "object", "properties": {"containerPort": {"type": "integer"}, "hostPort": {"type": "integer"},
        "hostIP": text, "protocol": {"type": "string", "default": "TCP"}}});
    let condition = json!({"type": "object", "properties": {"type": text, "status": text, "reason": text, "message": text,
        "lastTransitionTime": {"type": "string", "format": "date-time"}, "observedGeneration": {"type": "integer"}}});
    json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {"state": text}},
        "status": {"type": "object", "properties": {
            "id": text, "name": text, "image": text, "imageID": text, "status": text, "pid": {"type": "integer"},
            "startedAt": {"type": "string", "format": "date-time"}, "labels": texts, "env": {"type": "array", "items": text},
            "command": {"type": "array", "items": text},
            "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["containerPort", "protocol"], "items": port},
            "conditions": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"], "items": condition}}}}})
}

fn by_mirror() -> Value {
    let labels: Value = (0..12)
        .map(|i| {
            (
                format!("com.example.label-{i}"),
                json!(format!("value {i}")),
            )
        })
        .collect();
    let ports: Value = (0..4).map(|i| json!({"containerPort": 8080 + i, "hostPort": 18080 + i, "hostIP": "127.0.0.1", "protocol": "TCP"})).collect();
    let conditions: Value = ["Ready", "Synced", "Healthy"]
        .map(|name| json!({"type": name, "status": "True", "reason": "AsExpected", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}))
        .into_iter()
        .collect();
    json!({"apiVersion": "containers.example.com/v1", "kind": "Container",
        "metadata": {"name": "c", "namespace": "default", "labels": {"app": "x"}, "finalizers": ["example.com/engine"]},
        "status": {"id": "0123456789abcdef".repeat(4), "name": "web", "image": "example.com/web:1", "imageID": "sha256:".to_owned() + &"ab".repeat(32),
            "status": "running", "pid": 4711, "startedAt": "2026-01-01T00:00:00Z", "labels": labels,
            "env": ["PATH=/usr/bin", "HOME=/root"], "command": ["/bin/sh", "-c", "serve"], "ports": ports, "conditions": conditions}})
}

fn measure(what: &str, mut act: impl FnMut(u32)) {
    let mut batches: Vec<Duration> = (0..BATCHES)
        .map(|_| {
            let start = Instant::now();
            (0..ROUNDS).for_each(&mut act);
            start.elapsed()
        })
        .collect();
    batches.sort();
    let micros = |batch: Option<&Duration>| batch.unwrap().as_secs_f64() * 1e6 / f64::from(ROUNDS);
    let (best, median) = (micros(batches.first()), micros(batches.get(BATCHES / 2)));
    println!("{what}: best {best:.1} µs, median {median:.1} µs");
}

fn main() {
    let types = ObjectType::from_openapi(&schema());
    let request = |manager| TrackingRequest {
        manager,
        api_version: "containers.example.com/v1",
        subresource: None,
        now: "2026-01-01T00:00:00Z",
        object_type: &types,
        versions: &[],
        reset_fields: &[],
    };
    let configuration = by_mirror();
    let mut live = apply(None, &configuration, false, &request("mirror")).unwrap();
    live["metadata"]["uid"] = json!("11111111-1111-1111-1111-111111111111");
    let mut annotated = live.clone();
    annotated["metadata"]["annotations"] = json!({"containers.example.com/action": "stop"});
    let live = update(Some(&live), annotated, &request("kubectl-annotate")).unwrap();
    let own = json!({"apiVersion": "containers.example.com/v1", "kind": "Container", "metadata": {"name": "c"}, "spec": {"state": "running"}});
    let live = apply(Some(&live), &own, false, &request("user")).unwrap();
    println!(
        "object: {} bytes, of which managedFields {}",
        live.to_string().len(),
        live["metadata"]["managedFields"].to_string().len()
    );

    let mirror = request("mirror");
    measure("apply, nothing changes", |_| {
        assert!(
            apply_if_changed(
                Some(black_box(&live)),
                black_box(&configuration),
                true,
                &mirror
            )
            .unwrap()
            .is_none()
        );
    });
    let mut changed = configuration.clone();
    changed["status"]["status"] = json!("exited");
    measure("apply, one field changes", |_| {
        assert!(
            apply_if_changed(Some(black_box(&live)), black_box(&changed), true, &mirror)
                .unwrap()
                .is_some()
        );
    });
    let mut less = configuration.clone();
    less["status"].as_object_mut().unwrap().remove("labels");
    measure("apply, a map is given up", |_| {
        assert!(
            apply_if_changed(Some(black_box(&live)), black_box(&less), true, &mirror)
                .unwrap()
                .is_some()
        );
    });
    measure("apply, create", |_| {
        black_box(apply(None, black_box(&configuration), true, &mirror).unwrap());
    });
    let mut edited = live.clone();
    edited["status"]["pid"] = json!(1);
    let other = request("other");
    measure("update, one field changes", |_| {
        black_box(update(Some(black_box(&live)), edited.clone(), &other).unwrap());
    });
    measure("(a copy of the object)", |_| {
        black_box(live.clone());
    });
}
