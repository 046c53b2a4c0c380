//! What an engine does without an event, and events that it drops.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use rdd_sdk::types::{ContainerState, Event, Object};
use serde_json::json;
use tokio::sync::mpsc;

use crate::server::{Answer, Server, next};

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn container(state: &str) -> Answer {
    Answer::json(&json!({
        "Id": ID, "Name": "/web", "State": {"Status": state, "Dead": state == "dead"},
    }))
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_removal_that_failed_half_way_shows_within_seconds() {
    let state = Rc::new(Cell::new("exited"));
    let server = Server::start("dead", {
        let state = Rc::clone(&state);
        move |path| match path {
            "/images/json" | "/containers/json" => Answer::json(&json!([])),
            "/volumes" => Answer::json(&json!({"Volumes": []})),
            "/containers/json?all=1" => Answer::json(&json!([{"Id": ID, "State": state.get()}])),
            path if path.starts_with("/containers/json?all=1&filters=") => match state.get() {
                "dead" => Answer::json(&json!([{"Id": ID, "State": "dead"}])),
                _ => Answer::json(&json!([])),
            },
            path if path.starts_with("/containers/") => container(state.get()),
            path if path.starts_with("/events") => Answer::Stalled(""),
            _ => Answer::Missing,
        }
    });
    let mut watch = server.watch().await;
    let mut seen = Vec::new();
    let begun = tokio::time::Instant::now();
    'watch: loop {
        for event in next(&mut watch).await {
            match event {
                Event::InitDone => state.set("dead"),
                Event::Applied(Object::Container(container)) => {
                    seen.push(container.state);
                    // And back again: the engine can remove it after all, or
                    // was started anew.
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
    assert!(begun.elapsed().as_secs() <= 30, "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn a_burst_that_may_have_lost_events_brings_a_new_listing() {
    let events = Rc::new(RefCell::new(None));
    let name = Rc::new(RefCell::new("before".to_owned()));
    let server = Server::start("burst", {
        let (events, name) = (Rc::clone(&events), Rc::clone(&name));
        move |path| match path {
            "/images/json" => Answer::json(&json!([])),
            "/volumes" => Answer::json(&json!({"Volumes": []})),
            "/containers/json?all=1" => Answer::json(&json!([{"Id": ID}])),
            path if path.starts_with("/containers/json") => Answer::json(&json!([])),
            path if path.starts_with("/containers/") => Answer::json(&json!({
                "Id": ID, "Name": format!("/{}", name.borrow()), "State": {"Status": "running"},
            })),
            path if path.starts_with("/events") => {
                let (sender, receiver) = mpsc::channel(1);
                *events.borrow_mut() = Some(sender);
                Answer::Pieces(receiver)
            }
            _ => Answer::Missing,
        }
    });
    let mut watch = server.watch().await;
    let (mut listings, mut shown) = (0, String::new());
    while listings < 2 || shown != "after" {
        for event in next(&mut watch).await {
            match event {
                Event::InitDone => {
                    listings += 1;
                    if listings == 1 {
                        // The engine drops what a slow reader has no room for:
                        // nothing in this burst is about the container.
                        *name.borrow_mut() = "after".to_owned();
                        let other =
                            json!({"Type": "network", "Action": "create", "Actor": {"ID": "n"}});
                        let burst = format!("{other}\n").repeat(2_000).into_bytes();
                        let sender = events.borrow().clone().unwrap();
                        sender.try_send(burst).unwrap();
                    }
                }
                Event::Applied(Object::Container(container)) => shown = container.name,
                _ => {}
            }
        }
    }
    assert_eq!(listings, 2);
}
