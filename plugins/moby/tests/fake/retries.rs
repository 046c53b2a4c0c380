//! What the engine fails to tell is asked again, after waits that grow.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use rdd_sdk::native::Running;
use rdd_sdk::types::{Event, Object, ObjectKind};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::server::{Answer, Server, next};

const VOLUME: &str = "data";

/// What the engine says of its one volume.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Says {
    There,
    Gone,
    Nothing,
}

/// An engine with one volume, and a watch of it that has listed everything.
struct World {
    says: Rc<Cell<Says>>,
    /// When it was asked for the volume.
    asked: mpsc::UnboundedReceiver<Instant>,
    events: mpsc::Sender<Vec<u8>>,
    watch: Running<Event>,
    _server: Server,
}

fn volume() -> Value {
    json!({"Name": VOLUME, "CreatedAt": "2026-01-01T00:00:00Z"})
}

impl World {
    /// `name` is the test's own.
    async fn new(name: &str) -> Self {
        let says = Rc::new(Cell::new(Says::There));
        let events = Rc::new(RefCell::new(None));
        let (asks, asked) = mpsc::unbounded_channel();
        let server = Server::start(name, {
            let (says, events) = (Rc::clone(&says), Rc::clone(&events));
            move |path| match path {
                "/images/json" => Answer::json(&json!([])),
                "/volumes" => Answer::json(&json!({"Volumes": [volume()]})),
                "/volumes/data" => {
                    // A test that has ended asks no more.
                    let _ = asks.send(Instant::now());
                    match says.get() {
                        Says::There => Answer::json(&volume()),
                        Says::Gone => Answer::Missing,
                        Says::Nothing => Answer::Broken,
                    }
                }
                path if path.starts_with("/containers/json") => Answer::json(&json!([])),
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
        let events = events.borrow().clone().unwrap();
        Self {
            says,
            asked,
            events,
            watch,
            _server: server,
        }
    }

    /// The engine has an event of the volume.
    async fn event(&self, action: &str) {
        let event = json!({"Type": "volume", "Action": action, "Actor": {"ID": VOLUME}});
        let line = format!("{event}\n").into_bytes();
        self.events.send(line).await.unwrap();
    }

    /// When the engine is asked for the volume next.
    async fn asked(&mut self) -> Instant {
        self.asked.recv().await.unwrap()
    }

    /// Whether the volume is `gone` in what the watch tells next.
    async fn told(&mut self) -> Vec<&'static str> {
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

/// The waits between the next tries.
async fn waits(world: &mut World, action: &str, tries: usize) -> Vec<u64> {
    world.event(action).await;
    let mut last = world.asked().await;
    let mut waits = Vec::new();
    while waits.len() < tries {
        let at = world.asked().await;
        waits.push((at - last).as_secs());
        last = at;
    }
    waits
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn what_cannot_be_read_is_read_again_ever_more_seldom() {
    let mut world = World::new("retries").await;
    for action in ["create", "destroy"] {
        world.says.set(Says::Nothing);
        let waits = waits(&mut world, action, 9).await;
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60], "{action}");
        // Success makes it patient again.
        world.says.set(Says::There);
        world.asked().await;
        if action == "destroy" {
            // It went, and what is there is another one.
            assert_eq!(world.told().await, ["removed"]);
        }
        assert_eq!(world.told().await, ["applied"]);
    }
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn what_went_meanwhile_is_told_once() {
    let mut world = World::new("gone").await;
    world.says.set(Says::Nothing);
    world.event("create").await;
    world.asked().await;
    world.says.set(Says::Gone);
    assert_eq!(world.told().await, ["removed"]);
}

#[tokio::test(flavor = "local", start_paused = true)]
async fn one_object_has_one_wait_however_often_it_fails() {
    let mut world = World::new("one-wait").await;
    world.says.set(Says::Nothing);
    for action in ["create", "destroy"].repeat(10) {
        world.event(action).await;
        world.asked().await;
    }
    world.says.set(Says::There);
    world.asked().await;
    assert_eq!(world.told().await, ["removed"]);
    assert_eq!(world.told().await, ["applied"]);
    let more = timeout(Duration::from_secs(600), world.asked()).await;
    assert!(more.is_err(), "asked again for nothing");
}
