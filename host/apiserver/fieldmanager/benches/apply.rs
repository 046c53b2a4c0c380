//! The duration of applies and updates of an object like those that the mirror writes: 2 KB, three
//! managers.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints its results and stops at the first failure"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use rdd_apiserver_fieldmanager::{ObjectType, TrackingRequest, apply, apply_if_changed, update};
use serde_json::{Value, json};

/// Batches are short, so that the best one runs without interruption. The median shows the typical
/// duration on this machine.
const ROUNDS: u32 = 50;
const BATCHES: usize = 200;

fn schema() -> Value {
    let string = json!({"type": "string"});
    let string_map = json!({"type": "object", "additionalProperties": string});
    let port = json!({"type": "object", "properties": {"containerPort": {"type": "integer"}, "hostPort": {"type": "integer"},
        "hostIP": string, "protocol": {"type": "string", "default": "TCP"}}});
    let condition = json!({"type": "object", "properties": {"type": string, "status": string, "reason": string, "message": string,
        "lastTransitionTime": {"type": "string", "format": "date-time"}, "observedGeneration": {"type": "integer"}}});
    json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": {"state": string}},
        "status": {"type": "object", "properties": {
            "id": string, "name": string, "image": string, "imageID": string, "status": string, "pid": {"type": "integer"},
            "startedAt": {"type": "string", "format": "date-time"}, "labels": string_map, "env": {"type": "array", "items": string},
            "command": {"type": "array", "items": string},
            "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["containerPort", "protocol"], "items": port},
            "conditions": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"], "items": condition}}}}})
}

fn mirror_configuration() -> Value {
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

fn measure(name: &str, mut operation: impl FnMut(u32)) {
    let mut batches: Vec<Duration> = (0..BATCHES)
        .map(|_| {
            let start = Instant::now();
            (0..ROUNDS).for_each(&mut operation);
            start.elapsed()
        })
        .collect();
    batches.sort();
    let micros = |batch: Option<&Duration>| batch.unwrap().as_secs_f64() * 1e6 / f64::from(ROUNDS);
    let (best, median) = (micros(batches.first()), micros(batches.get(BATCHES / 2)));
    println!("{name}: best {best:.1} µs, median {median:.1} µs");
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
        zero: None,
        reset_fields: &[],
    };
    let configuration = mirror_configuration();
    let mut live = apply(None, &configuration, false, &request("mirror")).unwrap();
    live["metadata"]["uid"] = json!("11111111-1111-1111-1111-111111111111");
    let mut annotated = live.clone();
    annotated["metadata"]["annotations"] = json!({"containers.example.com/action": "stop"});
    let live = update(Some(&live), annotated, &request("kubectl-annotate")).unwrap();
    let user_configuration = json!({"apiVersion": "containers.example.com/v1", "kind": "Container", "metadata": {"name": "c"}, "spec": {"state": "running"}});
    let live = apply(Some(&live), &user_configuration, false, &request("user")).unwrap();
    println!(
        "object: {} bytes, including {} bytes of managedFields",
        live.to_string().len(),
        live["metadata"]["managedFields"].to_string().len()
    );

    let mirror = request("mirror");
    measure("apply, no change", |_| {
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
    let mut without_labels = configuration.clone();
    without_labels["status"]
        .as_object_mut()
        .unwrap()
        .remove("labels");
    measure("apply, a map is no longer applied", |_| {
        assert!(
            apply_if_changed(
                Some(black_box(&live)),
                black_box(&without_labels),
                true,
                &mirror
            )
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
    measure("(cloning the object)", |_| {
        black_box(live.clone());
    });
}
