//! Tests of the connections of a watch.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use rdd_sdk::http::StatusCode;
use rdd_sdk::testing::{EngineResponse, ScriptedEngine};
use rdd_sdk::types::Event;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::server::{self, next};

const CONTAINERS: usize = 40;
/// The event stream, and two idle connections.
const KEPT: usize = 3;

fn id(n: usize) -> String {
    format!("{n:064x}")
}

/// Waits until the other connections are closed.
async fn wait_until_closed(server: &ScriptedEngine, timeout: Duration) {
    let deadline = Instant::now() + timeout;
    while server.open_connections() > KEPT {
        assert!(
            Instant::now() < deadline,
            "{} are open",
            server.open_connections()
        );
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn connections_of_a_burst_are_closed_and_a_change_opens_no_new_one() {
    let events = Rc::new(RefCell::new(None));
    let inspected = Rc::new(Cell::new(0));
    let server = server::start({
        let (events, inspected) = (Rc::clone(&events), Rc::clone(&inspected));
        move |path| match path {
            "/images/json" => EngineResponse::json(json!([])),
            "/volumes" => EngineResponse::json(json!({"Volumes": []})),
            "/containers/json?all=1" => {
                let list: Vec<_> = (0..CONTAINERS).map(|n| json!({"Id": id(n)})).collect();
                EngineResponse::json(json!(list))
            }
            path if path.starts_with("/containers/json") => EngineResponse::json(json!([])),
            path if path.starts_with("/containers/") => {
                inspected.set(inspected.get() + 1);
                let id = path
                    .trim_start_matches("/containers/")
                    .trim_end_matches("/json");
                EngineResponse::json(
                    json!({"Id": id, "Name": "/web", "State": {"Status": "running"}}),
                )
            }
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
    assert_eq!(inspected.get(), CONTAINERS);
    assert!(
        server.take_peak_connections() > KEPT,
        "the listing was not read concurrently"
    );
    wait_until_closed(&server, Duration::from_secs(1)).await;

    let mut sender = events.borrow().clone().unwrap();
    let restarted = |n: usize| {
        let event = json!({"Type": "container", "Action": "restart", "Actor": {"ID": id(n)}});
        format!("{event}\n")
    };
    server.take_peak_connections();
    // Successive changes use the open connections.
    for n in 0..10 {
        sender.send(restarted(n).into_bytes()).await.unwrap();
        assert_eq!(next(&mut watch).await.len(), 1);
    }
    assert!(server.take_peak_connections() <= KEPT);

    let burst: String = (0..CONTAINERS).map(restarted).collect();
    sender.send(burst.into_bytes()).await.unwrap();
    let mut reported = 0;
    while reported < CONTAINERS {
        reported += next(&mut watch).await.len();
    }
    assert!(
        server.take_peak_connections() > KEPT,
        "the burst was not read concurrently"
    );
    wait_until_closed(&server, Duration::from_secs(30)).await;
}
