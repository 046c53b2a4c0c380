//! An engine that sends a log as fast as it is read, so that only the reader is
//! measured.

use std::convert::Infallible;
use std::path::Path;

use anyhow::Result;
use bytes::Bytes;
use futures::stream;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

/// The ID of the only container.
pub(crate) const ID: &str = "feedfacefeedfacefeedfacefeedfacefeedfacefeedfacefeedfacefeedface";
/// The number of bytes per line, including its end.
const LINE: usize = 100;
/// The number of bytes in the header of a frame: the source, three zeros, and the
/// length.
const HEAD: usize = 8;
/// The number of lines per write: about the size of an engine's buffers.
const LINES_PER_CHUNK: usize = 640;
/// What the engine puts before a line if it is asked for its time: this time, and
/// ten nanoseconds more for each line.
const TIME: &str = "2026-01-01T00:00:00.000000000Z ";
/// The last digit of a time that changes.
const LAST_DIGIT: usize = HEAD + TIME.len() - 4;
const API_VERSION: &str = "1.41";

type Body = BoxBody<Bytes, Infallible>;

/// A server that runs until it is dropped.
pub(crate) struct FakeLogServer(JoinHandle<()>);

impl Drop for FakeLogServer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl FakeLogServer {
    /// Starts an engine whose container has a log of about `log_bytes`, in whole
    /// chunks.
    pub(crate) fn start(socket: &Path, log_bytes: u64) -> Result<Self> {
        let listener = UnixListener::bind(socket)?;
        let chunks = log_bytes / (LINES_PER_CHUNK * LINE) as u64;
        let (plain, timed) = (chunk(""), chunk(TIME));
        Ok(Self(tokio::spawn(async move {
            // If an accept fails, the reader receives nothing.
            while let Ok((stream, _)) = listener.accept().await {
                let (plain, timed) = (plain.clone(), timed.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let query = request.uri().query().unwrap_or_default();
                    let has_times = query
                        .split('&')
                        .any(|parameter| parameter == "timestamps=1");
                    let chunk = if has_times { &timed } else { &plain };
                    let response = answer(request.uri().path(), chunk, chunks, has_times);
                    async move { Ok::<_, Infallible>(response) }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        })))
    }

    /// Returns the size of the whole log without the headers of frames.
    pub(crate) fn log_bytes(log_bytes: u64) -> u64 {
        let chunk = (LINES_PER_CHUNK * LINE) as u64;
        log_bytes / chunk * chunk
    }
}

/// Returns lines of standard output in the multiplexed format of the engine, each
/// with this prefix.
fn chunk(prefix: &str) -> Bytes {
    let mut line = vec![1, 0, 0, 0, 0, 0, 0, (prefix.len() + LINE) as u8];
    line.extend_from_slice(prefix.as_bytes());
    line.resize(HEAD + prefix.len() + LINE - 1, b'x');
    line.push(b'\n');
    line.repeat(LINES_PER_CHUNK).into()
}

/// Returns the chunk that follows `number` others, with the times of its lines.
fn with_times(chunk: &Bytes, number: u64) -> Bytes {
    let mut chunk = chunk.to_vec();
    let lines = number * LINES_PER_CHUNK as u64..;
    for (line, number) in chunk.chunks_mut(HEAD + TIME.len() + LINE).zip(lines) {
        let mut rest = number;
        for digit in line.iter_mut().take(LAST_DIGIT + 1).rev() {
            if rest == 0 {
                break;
            }
            // One digit.
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }
    chunk.into()
}

fn answer(path: &str, chunk: &Bytes, chunks: u64, has_times: bool) -> Response<Body> {
    let versioned = path
        .strip_prefix("/v1.")
        .and_then(|rest| rest.split_once('/'))
        .map_or(path, |(_, rest)| rest);
    let body = match versioned.trim_start_matches('/') {
        "_ping" => whole("OK"),
        "version" => {
            json(&json!({"ApiVersion": API_VERSION, "MinAPIVersion": "1.24", "Version": "20.10.0"}))
        }
        "info" => json(&json!({})),
        "events" => stream::pending().boxed_body(),
        "containers/json" => json(&json!([{"Id": ID, "Names": ["/bench"], "State": "running"}])),
        "images/json" => json(&json!([])),
        "volumes" => json(&json!({"Volumes": []})),
        rest if rest.starts_with("containers/") && rest.ends_with("/logs") => {
            let chunk = chunk.clone();
            let chunk = move |number| match has_times {
                true => with_times(&chunk, number),
                false => chunk.clone(),
            };
            stream::iter((0..chunks).map(move |number| Ok(Frame::data(chunk(number))))).boxed_body()
        }
        rest if rest.starts_with("containers/") => json(&json!({
            "Id": ID, "Name": "/bench", "Created": "2026-01-01T00:00:00Z", "Image": "sha256:0",
            "State": {"Status": "running", "Running": true, "Pid": 1},
            "Config": {"Tty": false}, "HostConfig": {"LogConfig": {"Type": "json-file"}},
        })),
        _ => {
            let mut response = Response::new(json(&json!({"message": "not found"})));
            *response.status_mut() = http::StatusCode::NOT_FOUND;
            return response;
        }
    };
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert("api-version", http::HeaderValue::from_static(API_VERSION));
    response
}

fn whole(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).boxed()
}

fn json(body: &serde_json::Value) -> Body {
    whole(body.to_string())
}

trait BoxedBody {
    fn boxed_body(self) -> Body;
}

impl<S> BoxedBody for S
where
    S: futures::Stream<Item = Result<Frame<Bytes>, Infallible>> + Send + Sync + 'static,
{
    fn boxed_body(self) -> Body {
        http_body_util::BodyExt::boxed(StreamBody::new(self))
    }
}
