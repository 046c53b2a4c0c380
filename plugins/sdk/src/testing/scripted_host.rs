//! A host in memory.

use std::any::Any;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::ready;
use std::panic::AssertUnwindSafe;
use std::rc::{Rc, Weak};
use std::time::Duration;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use tokio::time::Instant;

use super::connection_script::ConnectionScript;
use super::scripted_connection::{self, ConnectionCounter, ConnectionStatus, ScriptedConnection};
use crate::types::{Credentials, Error, LogLevel, Timestamp};
use crate::{BoxConnection, Host, HostApi};

/// The wall-clock time at the beginning of a test: 2026-01-01T00:00:00Z.
const DEFAULT_START_TIME: Timestamp = Timestamp {
    seconds: 1_767_225_600,
    nanoseconds: 0,
};

/// A line that the backend has written to the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogMessage {
    /// The severity.
    pub level: LogLevel,
    /// The line.
    pub text: String,
}

/// A host whose time, random numbers, credentials, and connections the test
/// decides. It must be created within [`run`](super::run).
///
/// ```
/// use std::time::Duration;
///
/// use rdd_sdk::testing::{self, ScriptedHost};
/// use rdd_sdk::types::LogLevel;
///
/// testing::run(async {
///     let scripted = ScriptedHost::new();
///     let host = scripted.handle(); // What a backend gets.
///     host.sleep(Duration::from_secs(3600)).await; // Takes no time.
///     assert_eq!(scripted.elapsed(), Duration::from_secs(3600));
///     host.log(LogLevel::Warn, "an hour is over");
///     assert_eq!(scripted.log_messages()[0].text, "an hour is over");
/// });
/// ```
///
/// # Panics
///
/// Dropping it panics if a connection did not go as scripted, and names what was
/// expected and what came; if a script was not played; and if the backend opened
/// a connection for which there is neither a script nor a
/// [handler](Self::serve).
pub struct ScriptedHost(Rc<HostState>);

type ConnectionHandler = Rc<dyn Fn(ScriptedConnection) -> LocalBoxFuture<'static, ()>>;

struct HostState {
    started: Instant,
    start_time: Timestamp,
    random: RefCell<fastrand::Rng>,
    credentials: RefCell<BTreeMap<String, Credentials>>,
    log: RefCell<Vec<LogMessage>>,
    scripts: RefCell<VecDeque<ConnectionScript>>,
    handler: RefCell<Option<ConnectionHandler>>,
    counts: Rc<ConnectionCounter>,
    failures: RefCell<Vec<String>>,
    connections: RefCell<Vec<Rc<ConnectionStatus>>>,
}

impl ScriptedHost {
    /// Creates a host without connections, at the beginning of 2026.
    pub fn new() -> Self {
        Self::starting_at(DEFAULT_START_TIME)
    }

    /// Creates a host whose wall clock begins with this time.
    pub fn starting_at(start_time: Timestamp) -> Self {
        Self(Rc::new(HostState {
            started: Instant::now(),
            start_time,
            random: RefCell::new(fastrand::Rng::with_seed(0)),
            credentials: RefCell::default(),
            log: RefCell::default(),
            scripts: RefCell::default(),
            handler: RefCell::default(),
            counts: Rc::default(),
            failures: RefCell::default(),
            connections: RefCell::default(),
        }))
    }

    /// Returns the handle that a backend takes.
    pub fn handle(&self) -> Host {
        Host::new(ScriptedHandle(Rc::clone(&self.0)))
    }

    /// Sets the seed of the random numbers, which is 0 otherwise.
    pub fn set_seed(&self, seed: u64) {
        *self.0.random.borrow_mut() = fastrand::Rng::with_seed(seed);
    }

    /// Sets the user's credentials for a registry.
    pub fn set_credentials(&self, registry: impl Into<String>, credentials: Credentials) {
        self.0
            .credentials
            .borrow_mut()
            .insert(registry.into(), credentials);
    }

    /// Sets the script of the next connection that has none.
    pub fn script(&self, script: ConnectionScript) {
        self.0.scripts.borrow_mut().push_back(script);
    }

    /// Sets what the engine does on all connections without a script. A panic of
    /// `serve` fails the test.
    ///
    /// ```
    /// use rdd_sdk::http::{HttpClient, HttpRequest};
    /// use rdd_sdk::testing::{self, ScriptedHost};
    ///
    /// testing::run(async {
    ///     let host = ScriptedHost::new();
    ///     host.serve(|mut connection| async move {
    ///         while let Some(head) = connection.read_head().await {
    ///             let path = head.split(' ').nth(1).unwrap();
    ///             let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len());
    ///             connection.send(response.as_bytes()).await;
    ///         }
    ///     });
    ///     let client = HttpClient::new(host.handle());
    ///     assert_eq!(client.send(HttpRequest::get("/b")).await.unwrap().body, "/b");
    /// });
    /// ```
    pub fn serve<F>(&self, serve: impl Fn(ScriptedConnection) -> F + 'static)
    where
        F: Future<Output = ()> + 'static,
    {
        let handler = move |connection| serve(connection).boxed_local();
        *self.0.handler.borrow_mut() = Some(Rc::new(handler));
    }

    /// Advances the time and runs what is due. Time also advances by itself when
    /// nothing else can go on; see [`run`](super::run).
    pub async fn advance(&self, duration: Duration) {
        tokio::time::advance(duration).await;
    }

    /// Returns the time since the host was created.
    pub fn elapsed(&self) -> Duration {
        self.0.started.elapsed()
    }

    /// Returns the lines that the backend has written to the log.
    pub fn log_messages(&self) -> Vec<LogMessage> {
        self.0.log.borrow().clone()
    }

    /// Returns the number of connections that the backend has opened so far.
    pub fn total_connections(&self) -> usize {
        self.0.counts.total.get()
    }

    /// Returns the number of connections that the backend has not closed.
    pub fn open_connections(&self) -> usize {
        self.0.counts.open.get()
    }

    /// Returns the maximum number of open connections since the last call.
    pub fn take_peak_connections(&self) -> usize {
        self.0.counts.peak.replace(self.open_connections())
    }

    /// Returns what outlives neither the host nor keeps it.
    pub(super) fn recorder(&self) -> FailureRecorder {
        FailureRecorder(Rc::downgrade(&self.0))
    }

    /// Returns a clock that reads the wall-clock time of the host.
    pub(super) fn clock(&self) -> impl Fn() -> Timestamp + 'static {
        let (started, start_time) = (self.0.started, self.0.start_time);
        move || add(start_time, started.elapsed())
    }
}

impl Default for ScriptedHost {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for ScriptedHost {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let mut failures = self.0.failures.take();
        for connection in self.0.connections.take() {
            if let Some(expected) = connection.take_pending() {
                failures.push(format!(
                    "connection {}: expected {expected}, but nothing came until the end of the test",
                    connection.number()
                ));
            }
        }
        let unused = self.0.scripts.borrow().len();
        if unused > 0 {
            failures.push(format!(
                "expected {unused} more connections, but the backend opened only {}",
                self.0.counts.total.get()
            ));
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }
}

/// What records failures of a test.
#[derive(Clone)]
pub(super) struct FailureRecorder(Weak<HostState>);

impl FailureRecorder {
    /// Records that the test fails.
    pub(super) fn record(&self, failure: String) {
        if let Some(state) = self.0.upgrade() {
            state.failures.borrow_mut().push(failure);
        }
    }

    /// Serves a connection in a task.
    pub(super) fn spawn(&self, serving: LocalBoxFuture<'static, ()>, status: Rc<ConnectionStatus>) {
        spawn_serving(serving, status, self.clone());
    }
}

/// The handle of a backend.
struct ScriptedHandle(Rc<HostState>);

impl HostState {
    fn connect(self: &Rc<Self>) -> Result<BoxConnection, Error> {
        let script = self.scripts.borrow_mut().pop_front();
        let handler = self.handler.borrow().clone();
        if let Some(refusal) = script.as_ref().and_then(ConnectionScript::refusal) {
            return Err(refusal.clone());
        }
        let serve = move |engine| match (script, handler) {
            (Some(script), _) => Some(script.play(engine).boxed_local()),
            (None, Some(handler)) => Some(handler(engine)),
            (None, None) => None,
        };
        let (backend, engine) = scripted_connection::connect(&self.counts);
        let status = Rc::clone(engine.status());
        let Some(serving) = serve(engine) else {
            let failure = format!(
                "expected {} connections, but the backend opened another one; call ScriptedHost::script or serve before",
                status.number()
            );
            self.failures.borrow_mut().push(failure.clone());
            return Err(Error::unavailable(failure));
        };
        self.connections.borrow_mut().push(Rc::clone(&status));
        spawn_serving(serving, status, FailureRecorder(Rc::downgrade(self)));
        Ok(Box::new(backend))
    }
}

/// Serves a connection in a task. A panic is recorded, and fails the connection.
fn spawn_serving(
    serving: LocalBoxFuture<'static, ()>,
    status: Rc<ConnectionStatus>,
    recorder: FailureRecorder,
) {
    tokio::task::spawn_local(async move {
        if let Err(panic) = AssertUnwindSafe(serving).catch_unwind().await {
            let failure = panic_message(&*panic);
            status.take_pending();
            status.set_fault(failure.clone());
            recorder.record(failure);
        }
    });
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
        (Some(message), _) => message.clone(),
        (None, Some(message)) => (*message).to_owned(),
        (None, None) => "the engine's end of a connection panicked".to_owned(),
    }
}

fn add(time: Timestamp, duration: Duration) -> Timestamp {
    let nanoseconds = u64::from(time.nanoseconds) + u64::from(duration.subsec_nanos());
    let seconds = duration.as_secs() + nanoseconds / 1_000_000_000;
    Timestamp {
        seconds: time.seconds.saturating_add_unsigned(seconds),
        // Less than a billion.
        nanoseconds: (nanoseconds % 1_000_000_000) as u32,
    }
}

impl HostApi for ScriptedHandle {
    fn connect(&self) -> LocalBoxFuture<'static, Result<BoxConnection, Error>> {
        ready(self.0.connect()).boxed_local()
    }

    fn sleep(&self, duration: Duration) -> LocalBoxFuture<'static, ()> {
        tokio::time::sleep(duration).boxed_local()
    }

    fn now(&self) -> Timestamp {
        add(self.0.start_time, self.0.started.elapsed())
    }

    fn monotonic_now(&self) -> Duration {
        self.0.started.elapsed()
    }

    fn random(&self) -> u64 {
        self.0.random.borrow_mut().u64(..)
    }

    fn credentials(
        &self,
        registry: String,
    ) -> LocalBoxFuture<'static, Result<Option<Credentials>, Error>> {
        let found = self.0.credentials.borrow().get(&registry).cloned();
        ready(Ok(found)).boxed_local()
    }

    fn log(&self, level: LogLevel, message: &str) {
        self.0.log.borrow_mut().push(LogMessage {
            level,
            text: message.to_owned(),
        });
    }
}
