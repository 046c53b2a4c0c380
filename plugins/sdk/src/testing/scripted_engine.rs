//! An engine in memory that speaks HTTP.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::FutureExt;
use http_body_util::{Either, Full, StreamBody};
use hyper::body::Incoming;
use hyper::header::DATE;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;

use super::engine_message::{EngineRequest, EngineResponse, ResponseStream};
use super::scripted_connection::{ConnectionStatus, ScriptedConnection};
use super::scripted_host::{FailureRecorder, ScriptedHost};
use crate::Host;
use crate::http::{HeaderValue, Method, StatusCode};
use crate::types::Timestamp;

type RouteHandler = Rc<dyn Fn(&EngineRequest) -> Option<EngineResponse>>;

/// An engine with a table of routes, over a [`ScriptedHost`]. It must be created
/// within [`run`](super::run); see there for the time. Responses have a header
/// `Date` with the time of the host's clock.
///
/// ```
/// use rdd_sdk::http::{HttpClient, HttpRequest, Method};
/// use rdd_sdk::testing::{self, EngineResponse, ScriptedEngine};
///
/// testing::run(async {
///     let engine = ScriptedEngine::new();
///     engine.route(Method::GET, "/containers/{}/json", |request| {
///         let id = request.path().split('/').nth(2).unwrap();
///         EngineResponse::json(format!(r#"{{"Id":"{id}"}}"#))
///     });
///     let client = HttpClient::new(engine.host());
///     let response = client.send(HttpRequest::get("/containers/ab/json?size=1")).await.unwrap();
///     assert_eq!(response.body, r#"{"Id":"ab"}"#);
///     assert_eq!(engine.requests()[0].query(), "size=1");
/// });
/// ```
///
/// # Panics
///
/// Dropping it panics if the backend sent a request without a route, and names
/// the request and the routes. The backend gets a response with status 404.
pub struct ScriptedEngine {
    host: ScriptedHost,
    state: Rc<EngineState>,
}

struct EngineState {
    routes: RefCell<Vec<EngineRoute>>,
    requests: RefCell<Vec<EngineRequest>>,
    is_http2: Cell<bool>,
    clock: Box<dyn Fn() -> Timestamp>,
    recorder: FailureRecorder,
}

#[derive(Clone)]
struct EngineRoute {
    /// Any method if `None`.
    method: Option<Method>,
    pattern: String,
    handler: RouteHandler,
}

impl ScriptedEngine {
    /// Creates an engine without routes.
    pub fn new() -> Self {
        Self::on(ScriptedHost::new())
    }

    /// Creates an engine without routes, as the engine of `host`.
    pub fn on(host: ScriptedHost) -> Self {
        let state = Rc::new(EngineState {
            routes: RefCell::default(),
            requests: RefCell::default(),
            is_http2: Cell::new(false),
            clock: Box::new(host.clock()),
            recorder: host.recorder(),
        });
        let serving = Rc::clone(&state);
        host.serve(move |connection| serve(Rc::clone(&serving), connection));
        Self { host, state }
    }

    /// Speaks HTTP/2 with prior knowledge on new connections, instead of
    /// HTTP/1.1.
    #[cfg(feature = "http2")]
    #[must_use]
    pub fn with_http2(self) -> Self {
        self.state.is_http2.set(true);
        self
    }

    /// Returns the handle that a backend takes.
    pub fn host(&self) -> Host {
        self.host.handle()
    }

    /// Sets the response to requests of this method and path. Later routes come
    /// before earlier ones.
    ///
    /// In `pattern`, which has no query, `{}` stands for one segment, and a last
    /// segment `*` for any rest.
    pub fn route(
        &self,
        method: Method,
        pattern: impl Into<String>,
        respond: impl Fn(&EngineRequest) -> EngineResponse + 'static,
    ) {
        self.add(Some(method), pattern.into(), move |request| {
            Some(respond(request))
        });
    }

    /// Sets the response to the next request of this method and path.
    pub fn respond_once(
        &self,
        method: Method,
        pattern: impl Into<String>,
        response: EngineResponse,
    ) {
        let response = Cell::new(Some(response));
        self.add(Some(method), pattern.into(), move |_| response.take());
    }

    /// Sets the response to all requests without another route.
    pub fn fallback(&self, respond: impl Fn(&EngineRequest) -> EngineResponse + 'static) {
        let mut routes = self.state.routes.borrow_mut();
        let route = EngineRoute {
            method: None,
            pattern: "/*".to_owned(),
            handler: Rc::new(move |request| Some(respond(request))),
        };
        routes.insert(0, route);
    }

    fn add(
        &self,
        method: Option<Method>,
        pattern: String,
        handler: impl Fn(&EngineRequest) -> Option<EngineResponse> + 'static,
    ) {
        self.state.routes.borrow_mut().push(EngineRoute {
            method,
            pattern,
            handler: Rc::new(handler),
        });
    }

    /// Returns the requests so far, in the order of their arrival.
    pub fn requests(&self) -> Vec<EngineRequest> {
        self.state.requests.borrow().clone()
    }
}

impl Default for ScriptedEngine {
    fn default() -> Self {
        Self::new()
    }
}

/// The engine has all functions of its host.
impl std::ops::Deref for ScriptedEngine {
    type Target = ScriptedHost;

    fn deref(&self) -> &ScriptedHost {
        &self.host
    }
}

impl EngineRoute {
    fn matches(&self, request: &EngineRequest) -> bool {
        if self
            .method
            .as_ref()
            .is_some_and(|method| *method != request.method)
        {
            return false;
        }
        let mut segments = request.path().split('/');
        for wanted in self.pattern.split('/') {
            match (wanted, segments.next()) {
                ("*", Some(_)) => return true,
                ("{}", Some(_)) => {}
                (wanted, Some(segment)) if wanted == segment => {}
                _ => return false,
            }
        }
        segments.next().is_none()
    }
}

impl EngineState {
    /// Returns the response to a request.
    fn respond(&self, request: &EngineRequest) -> EngineResponse {
        // A handler may add routes.
        let routes = self.routes.borrow().clone();
        let response = routes
            .iter()
            .rev()
            .filter(|route| route.matches(request))
            .find_map(|route| (route.handler)(request));
        response.unwrap_or_else(|| {
            let known: Vec<_> = routes
                .iter()
                .map(|route| match &route.method {
                    Some(method) => format!("{method} {}", route.pattern),
                    None => route.pattern.clone(),
                })
                .collect();
            let failure = format!(
                "expected a request to one of [{}], but {} {} came",
                known.join(", "),
                request.method,
                request.target
            );
            self.recorder.record(failure.clone());
            EngineResponse::text(failure).with_status(StatusCode::NOT_FOUND)
        })
    }

    fn date(&self) -> HeaderValue {
        let now = u64::try_from((self.clock)().seconds).unwrap_or_default();
        let date = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(now));
        HeaderValue::from_str(&date).unwrap_or_else(|error| panic!("{error}"))
    }
}

/// Serves a connection.
async fn serve(state: Rc<EngineState>, connection: ScriptedConnection) {
    let is_http2 = state.is_http2.get();
    let status = Rc::clone(connection.status());
    let service = service_fn(move |request| handle(Rc::clone(&state), Rc::clone(&status), request));
    let io = connection.into_io();
    // A connection that fails or is dropped is the backend's or the test's matter.
    if is_http2 {
        #[cfg(feature = "http2")]
        hyper::server::conn::http2::Builder::new(LocalExecutor)
            .serve_connection(io, service)
            .await
            .ok();
    } else {
        hyper::server::conn::http1::Builder::new()
            .auto_date_header(false)
            .serve_connection(io, service)
            .with_upgrades()
            .await
            .ok();
    }
}

type HyperResponse = hyper::Response<Either<Full<Bytes>, StreamBody<ResponseStream>>>;

/// Handles a request.
async fn handle(
    state: Rc<EngineState>,
    status: Rc<ConnectionStatus>,
    mut request: hyper::Request<Incoming>,
) -> Result<HyperResponse, hyper::Error> {
    let upgrading = hyper::upgrade::on(&mut request);
    let request = EngineRequest::read(request).await?;
    state.requests.borrow_mut().push(request.clone());
    let response = state.respond(&request);
    if !response.delay.is_zero() {
        tokio::time::sleep(response.delay).await;
    }
    if let Some(serve_upgraded) = response.upgrade {
        let engine_status = Rc::clone(&status);
        let serving = async move {
            let upgraded = upgrading.await.expect("the upgrade failed");
            let parts = upgraded
                .downcast::<TokioIo<DuplexStream>>()
                .unwrap_or_else(|_| panic!("the connection has another type"));
            let stream = parts.io.into_inner();
            let connection = ScriptedConnection::new(stream, parts.read_buf, engine_status);
            serve_upgraded(connection).await;
        };
        state.recorder.spawn(serving.boxed_local(), status);
    }
    let mut converted = hyper::Response::new(response.body.into_body());
    *converted.status_mut() = response.status;
    *converted.headers_mut() = response.headers;
    let headers = converted.headers_mut();
    headers.entry(DATE).or_insert(state.date());
    Ok(converted)
}

/// The executor of a server whose futures are not `Send`.
#[cfg(feature = "http2")]
#[derive(Clone)]
struct LocalExecutor;

#[cfg(feature = "http2")]
impl<F: Future + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async {
            future.await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_segments() {
        let matches = |pattern: &str, target: &str| {
            let route = EngineRoute {
                method: Some(Method::GET),
                pattern: pattern.to_owned(),
                handler: Rc::new(|_| None),
            };
            route.matches(&EngineRequest {
                method: Method::GET,
                target: target.to_owned(),
                headers: Default::default(),
                body: Bytes::new(),
            })
        };
        assert!(matches("/a", "/a"));
        assert!(matches("/a", "/a?b=/c"));
        assert!(!matches("/a", "/a/"));
        assert!(!matches("/a/b", "/a"));
        assert!(matches("/a/{}/c", "/a/b/c"));
        assert!(!matches("/a/{}/c", "/a/b/d"));
        assert!(!matches("/a/{}", "/a/b/c"));
        assert!(matches("/a/*", "/a/b/c"));
        assert!(!matches("/a/*", "/a"));
    }
}
