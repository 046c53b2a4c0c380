//! How many connections a watch keeps.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use rdd_sdk::types::Event;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::server::{Answer, Server, next};

const CONTAINERS: usize = 40;
/// The engine's events, and two for what is read next.
const KEPT: usize = 3;

fn id(n: usize) -> String {
    format!("{n:064x}")
}

/// Waits until no more connections are open than are kept.
async fn trimmed(server: &Server, patience: Duration) {
    let until = Instant::now() + patience;
    while server.open() > KEPT {
        assert!(Instant::now() < until, "{} are open", server.open());
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn what_a_burst_opened_is_closed_again_and_a_change_needs_no_new_one() {
    let events = Rc::new(RefCell::new(None));
    let inspected = Rc::new(Cell::new(0));
    let server = Server::start("connections", {
        let (events, inspected) = (Rc::clone(&events), Rc::clone(&inspected));
        move |path| match path {
            "/images/json" => Answer::json(&json!([])),
            "/volumes" => Answer::json(&json!({"Volumes": []})),
            "/containers/json?all=1" => {
                let list: Vec<_> = (0..CONTAINERS).map(|n| json!({"Id": id(n)})).collect();
                Answer::json(&json!(list))
            }
            path if path.starts_with("/containers/json") => Answer::json(&json!([])),
            path if path.starts_with("/containers/") => {
                inspected.set(inspected.get() + 1);
                let id = path
                    .trim_start_matches("/containers/")
                    .trim_end_matches("/json");
                Answer::json(&json!({"Id": id, "Name": "/web", "State": {"Status": "running"}}))
            }
            path if path.starts_with("/events") => {
                let (sender, receiver) = mpsc::channel(1);
                *events.borrow_mut() = Some(sender);
                Answer::Pieces(receiver)
            }
            _ => Answer::Missing,
        }
    });
    let mut watch = server.watch().await;
    while !next(&mut watch).await.contains(&Event::InitDone) {}
    assert_eq!(inspected.get(), CONTAINERS);
    assert!(server.peak() > KEPT, "the listing reads side by side");
    trimmed(&server, Duration::from_secs(1)).await;

    let sender = events.borrow().clone().unwrap();
    let restarted = |n: usize| {
        let event = json!({"Type": "container", "Action": "restart", "Actor": {"ID": id(n)}});
        format!("{event}\n")
    };
    server.peak();
    // One change after another goes over what is open.
    for n in 0..10 {
        sender.send(restarted(n).into_bytes()).await.unwrap();
        assert_eq!(next(&mut watch).await.len(), 1);
    }
    assert!(server.peak() <= KEPT);

    let burst: String = (0..CONTAINERS).map(restarted).collect();
    sender.send(burst.into_bytes()).await.unwrap();
    let mut told = 0;
    while told < CONTAINERS {
        told += next(&mut watch).await.len();
    }
    assert!(server.peak() > KEPT, "a burst is read side by side");
    trimmed(&server, Duration::from_secs(30)).await;
}
