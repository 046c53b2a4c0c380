//! Tests of a backend without a daemon, and without an engine. Needs the feature
//! `testing`, as a dev-dependency:
//!
//! ```toml
//! [dev-dependencies]
//! rdd-sdk = { version = "0.1", features = ["testing"] }
//! ```
//!
//! | to test | use |
//! |---|---|
//! | what a backend does with an engine's responses | [`ScriptedEngine`]: a table of routes in memory |
//! | a protocol of another kind, and faults of connections | [`ScriptedHost`] with [`ConnectionScript`] |
//! | that it works with a real engine | [`UnixHost`], in [`run_live`] |
//!
//! All of them run the backend as a host does: [`watch`], [`get_logs`],
//! [`get_entries`], and [`exec`] start a call and return what reads its stream.
//! Within [`run`], time is virtual: it advances by itself to the next timer when
//! nothing else can go on, so that a test of a back-off of an hour takes no time.
//!
//! # Example
//!
//! A whole test of the backend in the [introduction](crate):
//!
//! ```
//! # mod shelf {
//! #     use std::time::Duration;
//! #     use rdd_sdk::http::{HttpClient, HttpRequest};
//! #     use rdd_sdk::types::*;
//! #     use rdd_sdk::{Backend, Host, WatchResponder};
//! #     pub struct ShelfBackend { host: Host, client: HttpClient }
//! #     impl ShelfBackend {
//! #         async fn list(&self) -> Result<Vec<String>, Error> {
//! #             let response = self.client.send(HttpRequest::get("/volumes")).await?;
//! #             if !response.head.status.is_success() {
//! #                 return Err(Error::unavailable(format!("the engine returned {}", response.head.status)));
//! #             }
//! #             let text = String::from_utf8_lossy(&response.body);
//! #             Ok(text.lines().map(str::to_owned).collect())
//! #         }
//! #     }
//! #     fn volume(name: String) -> Object {
//! #         Object::Volume(Volume { name, namespace: "default".to_owned(), created_at: None,
//! #             driver: "shelf".to_owned(), mountpoint: String::new(), labels: Vec::new(),
//! #             scope: "local".to_owned(), options: Vec::new() })
//! #     }
//! #     impl Backend for ShelfBackend {
//! #         fn new(host: Host) -> Self { Self { client: HttpClient::new(host.clone()), host } }
//! #         fn describe() -> BackendInfo { unreachable!() }
//! #         async fn watch(&self, responder: WatchResponder) -> Result<(), Error> {
//! #             let mut names = self.list().await?;
//! #             let mut sink = responder.accept();
//! #             loop {
//! #                 let mut events = vec![Event::InitBegin];
//! #                 events.extend(names.into_iter().map(|name| Event::Applied(volume(name))));
//! #                 events.push(Event::InitDone);
//! #                 sink.send(events).await?;
//! #                 self.host.sleep(Duration::from_secs(10)).await;
//! #                 names = self.list().await?;
//! #             }
//! #         }
//! #         async fn ping(&self) -> Result<(), Error> { self.list().await.map(drop) }
//! #         async fn inspect(&self, _: ObjectRef) -> Result<Inspection, Error> { unreachable!() }
//! #     }
//! # }
//! # use shelf::ShelfBackend;
//! use std::rc::Rc;
//!
//! use rdd_sdk::Backend as _;
//! use rdd_sdk::http::{Method, StatusCode};
//! use rdd_sdk::testing::{self, EngineResponse, ScriptedEngine};
//! use rdd_sdk::types::{ErrorCode, Object};
//!
//! fn names(listing: Vec<Object>) -> Vec<String> {
//!     let name = |object| match object {
//!         Object::Volume(volume) => volume.name,
//!         other => panic!("{other:?}"),
//!     };
//!     listing.into_iter().map(name).collect()
//! }
//!
//! // #[test]
//! fn a_new_volume_is_in_the_next_listing() {
//!     testing::run(async {
//!         let engine = ScriptedEngine::new();
//!         engine.route(Method::GET, "/volumes", |_| EngineResponse::text("a"));
//!         let shelf = Rc::new(ShelfBackend::new(engine.host()));
//!
//!         let mut watch = testing::watch(&shelf).await.unwrap();
//!         assert_eq!(names(watch.listing().await), ["a"]);
//!
//!         engine.route(Method::GET, "/volumes", |_| EngineResponse::text("a\nb"));
//!         assert_eq!(names(watch.listing().await), ["a", "b"]);
//!         assert_eq!(engine.elapsed().as_secs(), 10);
//!
//!         // Ends the call as a host does. The client keeps an idle connection.
//!         watch.cancel().await;
//!         assert_eq!(engine.open_connections(), 1);
//!     });
//! }
//!
//! // #[test]
//! fn an_error_of_the_engine_fails_the_call() {
//!     testing::run(async {
//!         let engine = ScriptedEngine::new();
//!         engine.route(Method::GET, "/volumes", |_| {
//!             EngineResponse::status(StatusCode::INTERNAL_SERVER_ERROR)
//!         });
//!         let shelf = ShelfBackend::new(engine.host());
//!         assert_eq!(shelf.ping().await.unwrap_err().code, ErrorCode::Unavailable);
//!     });
//! }
//! # a_new_volume_is_in_the_next_listing();
//! # an_error_of_the_engine_fails_the_call();
//! ```
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod runtime;

mod call_handle;
mod calls;
mod watch_reader;

mod connection_script;
mod scripted_connection;
mod scripted_host;

mod engine_message;
mod scripted_engine;

mod unix_host;

pub use call_handle::CallHandle;
pub use calls::{CallOutcome, collect_output, exec, get_entries, get_logs, watch};
pub use connection_script::ConnectionScript;
pub use engine_message::{BodySender, EngineRequest, EngineResponse};
pub use runtime::{run, run_live};
pub use scripted_connection::ScriptedConnection;
pub use scripted_engine::ScriptedEngine;
pub use scripted_host::{LogMessage, ScriptedHost};
pub use unix_host::UnixHost;
pub use watch_reader::WatchReader;
