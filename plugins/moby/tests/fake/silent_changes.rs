//! Tests of changes without an event, and of dropped events.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use rdd_sdk::http::StatusCode;
use rdd_sdk::testing::EngineResponse;
use rdd_sdk::types::{ContainerState, Event, Object};
use serde_json::json;

use crate::server::{self, next};

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn container(state: &str) -> EngineResponse {
    EngineResponse::json(json!({
        "Id": ID, "Name": "/web", "State": {"Status": state, "Dead": state == "dead"},
    }))
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_partly_failed_removal_is_reported_within_seconds() {
    let state = Rc::new(Cell::new("exited"));
    let server = server::start({
        let state = Rc::clone(&state);
        move |path| match path {
            "/images/json" | "/containers/json" => EngineResponse::json(json!([])),
            "/volumes" => EngineResponse::json(json!({"Volumes": []})),
            "/containers/json?all=1" => {
                EngineResponse::json(json!([{"Id": ID, "State": state.get()}]))
            }
            path if path.starts_with("/containers/json?all=1&filters=") => match state.get() {
                "dead" => EngineResponse::json(json!([{"Id": ID, "State": "dead"}])),
                _ => EngineResponse::json(json!([])),
            },
            path if path.starts_with("/containers/") => container(state.get()),
            path if path.starts_with("/events") => EngineResponse::stalled(""),
            _ => server::refusal(StatusCode::NOT_FOUND),
        }
    });
    let mut watch = server::watch(&server).await;
    let mut seen = Vec::new();
    let started = tokio::time::Instant::now();
    'watch: loop {
        for event in next(&mut watch).await {
            match event {
                Event::InitDone => state.set("dead"),
                Event::Applied(Object::Container(container)) => {
                    seen.push(container.state);
                    // The state changes back when the engine removes the
                    // container after all, or restarts.
                    match seen.len() {
                        2 => state.set("exited"),
                        3 => break 'watch,
                        _ => {}
                    }
                }
                _ => {}
            }
        }
    }
    let expected = [
        ContainerState::Exited,
        ContainerState::Dead,
        ContainerState::Exited,
    ];
    assert_eq!(seen, expected);
    assert!(started.elapsed().as_secs() <= 30, "{:?}", started.elapsed());
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_burst_that_may_have_lost_events_leads_to_a_new_listing() {
    let events = Rc::new(RefCell::new(None));
    let name = Rc::new(RefCell::new("before".to_owned()));
    let server = server::start({
        let (events, name) = (Rc::clone(&events), Rc::clone(&name));
        move |path| match path {
            "/images/json" => EngineResponse::json(json!([])),
            "/volumes" => EngineResponse::json(json!({"Volumes": []})),
            "/containers/json?all=1" => EngineResponse::json(json!([{"Id": ID}])),
            path if path.starts_with("/containers/json") => EngineResponse::json(json!([])),
            path if path.starts_with("/containers/") => EngineResponse::json(json!({
                "Id": ID, "Name": format!("/{}", name.borrow()), "State": {"Status": "running"},
            })),
            path if path.starts_with("/events") => {
                let (sender, response) = EngineResponse::stream();
                *events.borrow_mut() = Some(sender);
                response
            }
            _ => server::refusal(StatusCode::NOT_FOUND),
        }
    });
    let mut watch = server::watch(&server).await;
    let (mut listings, mut reported) = (0, String::new());
    while listings < 2 || reported != "after" {
        for event in next(&mut watch).await {
            match event {
                Event::InitDone => {
                    listings += 1;
                    if listings == 1 {
                        // The engine drops events for slow readers: this burst
                        // has none of the container.
                        *name.borrow_mut() = "after".to_owned();
                        let other =
                            json!({"Type": "network", "Action": "create", "Actor": {"ID": "n"}});
                        let burst = format!("{other}\n").repeat(2_000).into_bytes();
                        let mut sender = events.borrow().clone().unwrap();
                        sender.send(burst).await.unwrap();
                    }
                }
                Event::Applied(Object::Container(container)) => reported = container.name,
                _ => {}
            }
        }
    }
    assert_eq!(listings, 2);
}
