//! Tests of the retries of failed reads.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use rdd_sdk::http::StatusCode;
use rdd_sdk::testing::{BodySender, CallHandle, EngineResponse, ScriptedEngine};
use rdd_sdk::types::{Event, Object, ObjectKind};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::server::{self, next};

const VOLUME: &str = "data";

/// The engine's response for its only volume.
#[derive(Clone, Copy, PartialEq, Eq)]
enum VolumeResponse {
    Found,
    NotFound,
    Failed,
}

/// An engine with one volume, and a watch after its listing.
struct RetryFixture {
    response: Rc<Cell<VolumeResponse>>,
    /// The times of the requests for the volume.
    requests: mpsc::UnboundedReceiver<Instant>,
    events: BodySender,
    watch: CallHandle<Event>,
    _server: ScriptedEngine,
}

fn volume() -> Value {
    json!({"Name": VOLUME, "CreatedAt": "2026-01-01T00:00:00Z"})
}

impl RetryFixture {
    async fn new() -> Self {
        let response = Rc::new(Cell::new(VolumeResponse::Found));
        let events = Rc::new(RefCell::new(None));
        let (sender, requests) = mpsc::unbounded_channel();
        let server = server::start({
            let (response, events) = (Rc::clone(&response), Rc::clone(&events));
            move |path| match path {
                "/images/json" => EngineResponse::json(json!([])),
                "/volumes" => EngineResponse::json(json!({"Volumes": [volume()]})),
                "/volumes/data" => {
                    // The test may have ended.
                    sender.send(Instant::now()).ok();
                    match response.get() {
                        VolumeResponse::Found => EngineResponse::json(volume()),
                        VolumeResponse::NotFound => server::refusal(StatusCode::NOT_FOUND),
                        VolumeResponse::Failed => {
                            server::refusal(StatusCode::INTERNAL_SERVER_ERROR)
                        }
                    }
                }
                path if path.starts_with("/containers/json") => EngineResponse::json(json!([])),
                path if path.starts_with("/events") => {
                    let (sender, response) = EngineResponse::stream();
                    *events.borrow_mut() = Some(sender);
                    response
                }
                _ => server::refusal(StatusCode::NOT_FOUND),
            }
        });
        let mut watch = server::watch(&server).await;
        while !next(&mut watch).await.contains(&Event::InitDone) {}
        let events = events.borrow().clone().unwrap();
        Self {
            response,
            requests,
            events,
            watch,
            _server: server,
        }
    }

    /// Sends an event of the volume.
    async fn send_event(&mut self, action: &str) {
        let event = json!({"Type": "volume", "Action": action, "Actor": {"ID": VOLUME}});
        let line = format!("{event}\n").into_bytes();
        self.events.send(line).await.unwrap();
    }

    /// Waits for the next request for the volume and returns its time.
    async fn next_request(&mut self) -> Instant {
        self.requests.recv().await.unwrap()
    }

    /// Returns the kinds of the next events, which must be those of the volume.
    async fn next_events(&mut self) -> Vec<&'static str> {
        let name = |event: &Event| match event {
            Event::Applied(Object::Volume(volume)) if volume.name == VOLUME => "applied",
            Event::Removed(object) => {
                assert_eq!((object.kind, &*object.id), (ObjectKind::Volume, VOLUME));
                "removed"
            }
            other => panic!("{other:?}"),
        };
        next(&mut self.watch).await.iter().map(name).collect()
    }
}

/// Returns the seconds between the next requests.
async fn waits(fixture: &mut RetryFixture, action: &str, count: usize) -> Vec<u64> {
    fixture.send_event(action).await;
    let mut last = fixture.next_request().await;
    let mut waits = Vec::new();
    while waits.len() < count {
        let at = fixture.next_request().await;
        waits.push((at - last).as_secs());
        last = at;
    }
    waits
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_failed_read_is_retried_with_backoff() {
    let mut fixture = RetryFixture::new().await;
    for action in ["create", "destroy"] {
        fixture.response.set(VolumeResponse::Failed);
        let waits = waits(&mut fixture, action, 9).await;
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60], "{action}");
        // Success resets the back-off.
        fixture.response.set(VolumeResponse::Found);
        fixture.next_request().await;
        if action == "destroy" {
            // The volume was removed, and the one that is read is new.
            assert_eq!(fixture.next_events().await, ["removed"]);
        }
        assert_eq!(fixture.next_events().await, ["applied"]);
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_object_that_was_removed_meanwhile_is_reported_once() {
    let mut fixture = RetryFixture::new().await;
    fixture.response.set(VolumeResponse::Failed);
    fixture.send_event("create").await;
    fixture.next_request().await;
    fixture.response.set(VolumeResponse::NotFound);
    assert_eq!(fixture.next_events().await, ["removed"]);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn an_object_has_one_pending_retry_however_often_it_fails() {
    let mut fixture = RetryFixture::new().await;
    fixture.response.set(VolumeResponse::Failed);
    for action in ["create", "destroy"].repeat(10) {
        fixture.send_event(action).await;
        fixture.next_request().await;
    }
    fixture.response.set(VolumeResponse::Found);
    fixture.next_request().await;
    assert_eq!(fixture.next_events().await, ["removed"]);
    assert_eq!(fixture.next_events().await, ["applied"]);
    let more = timeout(Duration::from_secs(600), fixture.next_request()).await;
    assert!(more.is_err(), "the volume was requested again");
}
