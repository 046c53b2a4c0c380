//! Tests of gRPC against a scripted engine, and against a real containerd.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "tests fail by panicking"
)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use rdd_sdk::grpc::{GrpcClient, GrpcRequest};
use rdd_sdk::http::{HeaderMap, HeaderName, HeaderValue, Method};
use rdd_sdk::testing::{self, EngineResponse, ScriptedEngine, UnixHost};
use rdd_sdk::types::ErrorCode;

const PATH: &str = "/shelf.v1.Shelf/Get";

/// Returns a message with its prefix.
fn framed(message: &[u8]) -> Vec<u8> {
    let mut frame = vec![0];
    frame.extend((message.len() as u32).to_be_bytes());
    frame.extend(message);
    frame
}

fn status(code: &'static str, message: &'static str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(code));
    if !message.is_empty() {
        trailers.insert("grpc-message", HeaderValue::from_static(message));
    }
    trailers
}

fn grpc(body: impl Into<Bytes>, trailers: HeaderMap) -> EngineResponse {
    EngineResponse::bytes(body)
        .header("content-type", "application/grpc")
        .trailers(trailers)
}

/// Returns the result of a call to which the engine responds with `respond`.
fn unary(respond: impl Fn() -> EngineResponse + 'static) -> Result<Bytes, (ErrorCode, String)> {
    testing::run(async {
        let engine = ScriptedEngine::new().with_http2();
        engine.route(Method::POST, PATH, move |_| respond());
        let request = GrpcRequest::new(PATH, "name").max_message_bytes(100);
        let result = GrpcClient::new(engine.host()).unary(request).await;
        result.map_err(|error| (error.code, error.message))
    })
}

#[test]
fn a_call_sends_and_returns_a_message() {
    testing::run(async {
        let engine = ScriptedEngine::new().with_http2();
        engine.route(Method::POST, PATH, |request| {
            assert_eq!(request.body, framed(b"name"));
            assert_eq!(request.headers["content-type"], "application/grpc");
            assert_eq!(request.headers["te"], "trailers");
            assert_eq!(request.headers["containerd-namespace"], "default");
            grpc(framed(b"volume"), status("0", ""))
        });
        let namespace = HeaderName::from_static("containerd-namespace");
        let request =
            GrpcRequest::new(PATH, "name").metadata(namespace, HeaderValue::from_static("default"));
        let client = GrpcClient::new(engine.host());
        assert_eq!(client.unary(request).await.unwrap(), "volume");
        assert_eq!(engine.total_connections(), 1);
    });
}

#[test]
fn a_status_is_an_error_with_a_code_and_the_decoded_message() {
    for (code, expected) in [
        ("5", ErrorCode::NotFound),
        ("6", ErrorCode::Conflict),
        ("7", ErrorCode::PermissionDenied),
        ("12", ErrorCode::Unsupported),
        ("14", ErrorCode::Unavailable),
        ("2", ErrorCode::Other("grpc-2".to_owned())),
    ] {
        let message = "container%20%22x%C3%A9%22 missing";
        let decoded = "container \"xé\" missing".to_owned();
        let error = unary(move || grpc("", status(code, message))).unwrap_err();
        assert_eq!(error, (expected.clone(), decoded.clone()));
        // Without a response, the status may be in the headers.
        let error = unary(move || {
            grpc("", HeaderMap::new())
                .header("grpc-status", code)
                .header("grpc-message", message)
        });
        assert_eq!(error.unwrap_err(), (expected, decoded));
    }
}

#[test]
fn a_response_that_is_not_grpc_is_an_error() {
    let code = |respond: fn() -> EngineResponse| unary(respond).unwrap_err();
    let (error, message) = code(|| EngineResponse::bytes(framed(b"a")));
    assert_eq!(error, ErrorCode::Unavailable);
    assert!(message.contains("without a gRPC status"), "{message}");
    let (error, message) = code(|| grpc(framed(&[0; 101]), status("0", "")));
    assert_eq!(error, ErrorCode::Internal);
    assert!(message.contains("larger than 100 bytes"), "{message}");
    let (_, message) = code(|| grpc(b"\x01\0\0\0\x01a".to_vec(), status("0", "")));
    assert!(message.contains("compressed"), "{message}");
    let (_, message) = code(|| grpc(b"\0\0\0\0\x09a".to_vec(), status("0", "")));
    assert!(message.contains("within a message"), "{message}");
    let (_, message) = code(|| grpc("", status("0", "")));
    assert!(message.contains("no response"), "{message}");
    let (_, message) = code(|| grpc([framed(b"a"), framed(b"b")].concat(), status("0", "")));
    assert!(message.contains("several responses"), "{message}");
    let not_found = http::StatusCode::NOT_FOUND;
    let (_, message) = unary(move || EngineResponse::status(not_found)).unwrap_err();
    assert!(message.contains("404"), "{message}");
}

#[test]
fn messages_of_a_stream_are_returned_as_they_come() {
    testing::run(async {
        let engine = ScriptedEngine::new().with_http2();
        let (mut sender, response) = EngineResponse::stream();
        engine.respond_once(Method::POST, PATH, response);
        let client = GrpcClient::new(engine.host());
        let mut stream = client
            .server_stream(GrpcRequest::new(PATH, ""))
            .await
            .unwrap();
        // Two messages, and the beginning of a third one.
        let bytes = [framed(b"one"), framed(b""), framed(b"three")].concat();
        let (head, tail) = bytes.split_at(bytes.len() - 2);
        sender.send(head.to_vec()).await.unwrap();
        assert_eq!(stream.next().await.unwrap().unwrap(), "one");
        assert_eq!(stream.next().await.unwrap().unwrap(), "");
        let third = tokio::time::timeout(Duration::from_secs(1), stream.next());
        assert!(third.await.is_err());
        sender.send(tail.to_vec()).await.unwrap();
        assert_eq!(stream.next().await.unwrap().unwrap(), "three");
        sender.finish(status("4", "too late")).await.unwrap();
        let error = stream.next().await.unwrap_err();
        assert_eq!(
            (error.code, &*error.message),
            (ErrorCode::Timeout, "too late")
        );
    });
}

/// A private containerd.
struct Containerd {
    process: Child,
    socket: PathBuf,
    _dir: tempfile::TempDir,
}

impl Containerd {
    /// Starts containerd. Returns `None` if it is not installed, or cannot run
    /// without root.
    fn start() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let (socket, config, log) = (path("containerd.sock"), path("config.toml"), path("log"));
        let quoted = |path: &Path| format!("{:?}", path.display().to_string());
        // Without the plugins that need the kernel's or another daemon's help.
        let text = format!(
            "version = 2\nroot = {}\nstate = {}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\", \"io.containerd.internal.v1.opt\", \"io.containerd.nri.v1.nri\"]\n[grpc]\naddress = {}\n[ttrpc]\naddress = {}\n",
            quoted(&path("root")),
            quoted(&path("state")),
            quoted(&socket),
            quoted(&path("ttrpc.sock")),
        );
        std::fs::write(&config, text).unwrap();
        let output = std::fs::File::create(&log).unwrap();
        let started = Command::new("containerd")
            .arg("--config")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(output)
            .spawn();
        let process = match started {
            Ok(process) => process,
            Err(error) => {
                skip(&format!("cannot start containerd: {error}"));
                return None;
            }
        };
        let mut containerd = Self {
            process,
            socket,
            _dir: dir,
        };
        for _ in 0..1000 {
            if std::os::unix::net::UnixStream::connect(&containerd.socket).is_ok() {
                return Some(containerd);
            }
            if let Some(status) = containerd.process.try_wait().unwrap() {
                let log = std::fs::read_to_string(&log).unwrap_or_default();
                skip(&format!("containerd ended with {status}: {log}"));
                return None;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!(
            "containerd does not listen on {}",
            containerd.socket.display()
        );
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        // It may have ended already.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Prints why a test is skipped, or fails it if `RDD_TEST_REQUIRE_ALL` is 1.
#[allow(clippy::print_stderr, reason = "a test has no log")]
fn skip(reason: &str) {
    let required = std::env::var("RDD_TEST_REQUIRE_ALL").as_deref() == Ok("1");
    assert!(!required, "{reason}");
    eprintln!("skipped the test on containerd: {reason}");
}

/// Returns the fields of a message of protobuf whose values are strings or
/// messages.
fn fields(mut message: &[u8]) -> Vec<(u8, &[u8])> {
    let mut fields = Vec::new();
    while let [tag, length, rest @ ..] = message {
        assert_eq!((tag & 7, length & 128), (2, 0), "another kind of field");
        let (value, next) = rest.split_at(usize::from(*length));
        fields.push((tag >> 3, value));
        message = next;
    }
    fields
}

#[test]
fn containerd_returns_its_version_its_errors_and_its_events() {
    let Some(containerd) = Containerd::start() else {
        return;
    };
    testing::run_live(async {
        let client = GrpcClient::new(UnixHost::new(&containerd.socket, |_, _| {}).handle());
        let in_test = |path: &str, message: Vec<u8>| {
            GrpcRequest::new(path, message)
                .metadata(
                    HeaderName::from_static("containerd-namespace"),
                    HeaderValue::from_static("rdd-test"),
                )
                .timeout(Duration::from_secs(30))
        };

        let version = in_test(
            "/containerd.services.version.v1.Version/Version",
            Vec::new(),
        );
        let version = client.unary(version).await.unwrap();
        let output = Command::new("containerd")
            .arg("--version")
            .output()
            .unwrap();
        let output = String::from_utf8(output.stdout).unwrap();
        let (_, name) = fields(&version)[0];
        let name = std::str::from_utf8(name).unwrap();
        assert!(
            !name.is_empty() && output.contains(name),
            "{name} in {output}"
        );

        let get = in_test(
            "/containerd.services.images.v1.Images/Get",
            b"\x0a\x07missing".to_vec(),
        );
        let error = client.unary(get).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::NotFound);
        assert!(error.message.contains("missing"), "{}", error.message);
        let unknown = in_test("/no.such.Service/Method", Vec::new());
        let error = client.unary(unknown).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Unsupported, "{}", error.message);

        // A stream of events, and calls on the same connection meanwhile.
        let subscribe = in_test(
            "/containerd.services.events.v1.Events/Subscribe",
            Vec::new(),
        );
        let subscribing = async {
            let mut events = client.server_stream(subscribe).await.unwrap();
            events.next().await.unwrap().unwrap()
        };
        let creating = async {
            for number in 0_u32.. {
                // The server may not have subscribed yet: create until it reports one.
                let name = format!("rdd-{number:04}");
                let mut namespace = vec![0x0a, name.len() as u8];
                namespace.extend(name.as_bytes());
                let mut request = vec![0x0a, namespace.len() as u8];
                request.extend(namespace);
                let path = "/containerd.services.namespaces.v1.Namespaces/Create";
                client.unary(in_test(path, request)).await.unwrap();
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let event = tokio::select! {
            event = subscribing => event,
            () = creating => unreachable!(),
        };
        let event = String::from_utf8_lossy(&event).into_owned();
        assert!(event.contains("/namespaces/create"), "{event}");
    });
}
