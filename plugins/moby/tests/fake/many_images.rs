//! Tests with thousands of images, and with slow list responses.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use rdd_sdk::http::StatusCode;
use rdd_sdk::testing::{CallHandle, EngineResponse};
use rdd_sdk::types::{Event, Object, ObjectKind};
use serde_json::json;

use crate::server::{self, next};

const IMAGES: usize = 5_000;
const TAGS: usize = 4;

fn id(n: usize) -> String {
    format!("sha256:{n:064x}")
}

/// Returns an element of the list response, about as large as a real one with
/// labels.
fn summary(n: usize, tags: usize) -> String {
    let tags: Vec<String> = (0..tags)
        .map(|tag| format!("registry.example/image-{n}:{tag}"))
        .collect();
    json!({
        "Id": id(n), "RepoTags": tags, "RepoDigests": [format!("registry.example/image-{n}@{}", id(n))],
        "Created": 1_700_000_000, "Size": 5, "Labels": {"description": "x".repeat(1_000)},
    })
    .to_string()
}

fn inspection(path: &str) -> EngineResponse {
    let id = path
        .trim_start_matches("/images/")
        .trim_end_matches("/json");
    EngineResponse::json(json!({
        "Id": id, "Created": "9999-12-31T23:59:59Z", "Architecture": "arm64", "Os": "linux", "Size": 5,
        "Config": {"Labels": {"description": "x".repeat(1_000)}},
    }))
}

/// Sends a list of these summaries, with a pause before each.
fn send(pause: Duration, summaries: impl Iterator<Item = String> + 'static) -> EngineResponse {
    let (mut sender, response) = EngineResponse::stream();
    tokio::task::spawn_local(async move {
        let mut separator = "[";
        for summary in summaries {
            tokio::time::sleep(pause).await;
            // The backend may have closed the connection.
            let piece = format!("{separator}{summary}").into_bytes();
            sender.send(piece).await.ok();
            separator = ",";
        }
        sender.send("]").await.ok();
    });
    response
}

/// Reads to the end of the listing and returns the number of tags of each image.
async fn listing(watch: &mut CallHandle<Event>) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    loop {
        for event in next(watch).await {
            match event {
                Event::Applied(Object::Image(image)) => {
                    assert_eq!(image.architecture, "arm64");
                    assert_eq!(image.created_at.unwrap().seconds, 253_402_300_799);
                    assert_eq!(image.labels.len(), 1);
                    found.insert(image.id, image.repo_tags.len());
                }
                Event::InitDone => return found,
                _ => {}
            }
        }
    }
}

#[tokio::test(flavor = "local")]
async fn thousands_of_images_are_listed_and_then_only_changes_are_reported() {
    let inspected = Rc::new(Cell::new(0));
    // After the first listing, one image is added, one is removed, and one loses
    // tags.
    let changed = Rc::new(Cell::new(false));
    let events = Rc::new(RefCell::new(None));
    let server = server::start({
        let (inspected, changed, events) = (
            Rc::clone(&inspected),
            Rc::clone(&changed),
            Rc::clone(&events),
        );
        move |path| match path {
            "/images/json" if changed.get() => send(
                Duration::ZERO,
                (1..=IMAGES).map(|n| summary(n, if n == 7 { 1 } else { TAGS })),
            ),
            "/images/json" => send(Duration::ZERO, (0..IMAGES).map(|n| summary(n, TAGS))),
            "/volumes" => EngineResponse::json(json!({"Volumes": null})),
            path if path.starts_with("/containers/json") => EngineResponse::json(json!([])),
            path if path.starts_with("/events") => {
                let (sender, response) = EngineResponse::stream();
                *events.borrow_mut() = Some(sender);
                response
            }
            path if path.starts_with("/images/") => {
                inspected.set(inspected.get() + 1);
                inspection(path)
            }
            _ => server::refusal(StatusCode::NOT_FOUND),
        }
    });
    let mut watch = server::watch(&server).await;
    let found = listing(&mut watch).await;
    assert_eq!(found.len(), IMAGES);
    assert_eq!(found.values().sum::<usize>(), IMAGES * TAGS);
    assert_eq!(inspected.get(), IMAGES);

    changed.set(true);
    let mut sender = events.borrow().clone().unwrap();
    let event = json!({"Type": "image", "Action": "untag", "Actor": {"ID": id(7)}});
    sender
        .send(format!("{event}\n").into_bytes())
        .await
        .unwrap();
    let (mut applied, mut removed) = (BTreeMap::new(), Vec::new());
    while removed.is_empty() {
        for event in next(&mut watch).await {
            match event {
                Event::Applied(Object::Image(image)) => {
                    applied.insert(image.id, image.repo_tags.len());
                }
                Event::Removed(object) => {
                    assert_eq!(object.kind, ObjectKind::Image);
                    removed.push(object.id);
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(removed, [id(0)]);
    assert_eq!(applied.len(), 2);
    assert_eq!(applied, BTreeMap::from([(id(7), 1), (id(IMAGES), TAGS)]));
    assert_eq!(inspected.get(), IMAGES + 1);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_listing_may_take_as_long_as_the_engine_sends() {
    let server = server::start(|path| match path {
        // Half an hour in total, with pauses of less than a minute.
        "/images/json" => send(Duration::from_secs(45), (0..40).map(|n| summary(n, 1))),
        "/volumes" => EngineResponse::json(json!({"Volumes": []})),
        path if path.starts_with("/containers/json") => EngineResponse::json(json!([])),
        path if path.starts_with("/events") => EngineResponse::stalled(""),
        path if path.starts_with("/images/") => inspection(path),
        _ => server::refusal(StatusCode::NOT_FOUND),
    });
    let mut watch = server::watch(&server).await;
    let mut found = 0;
    'listing: loop {
        for event in next(&mut watch).await {
            match event {
                Event::Applied(Object::Image(_)) => found += 1,
                Event::InitDone => break 'listing,
                _ => {}
            }
        }
    }
    assert_eq!(found, 40);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_stalled_listing_times_out() {
    let server = server::start(|path| match path {
        "/images/json" => EngineResponse::stalled("["),
        "/volumes" => EngineResponse::json(json!({"Volumes": []})),
        path if path.starts_with("/events") => EngineResponse::stalled(""),
        _ => server::refusal(StatusCode::NOT_FOUND),
    });
    let mut watch = server::watch(&server).await;
    while watch.next().await.is_some() {}
    let error = watch.result().await.unwrap_err();
    assert!(
        error
            .message
            .contains("did not send more of /images/json within 60 s"),
        "{}",
        error.message
    );
}
