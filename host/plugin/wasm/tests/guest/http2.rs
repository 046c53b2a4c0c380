//! Connections that calls of a component share: a backend of the SDK, and an
//! engine that speaks HTTP/2.

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use futures::StreamExt as _;
use h2::server::SendResponse;
use rdd_core::{
    ContainerEngine as _, EngineError, EngineObject, ObjectKind, ObjectRef, WatchEvent, WatchStream,
};
use rdd_plugin_contract::{BackendServices, EngineConnection, EngineTransport};
use rdd_plugin_wasm::{BackendHandle, ComponentBackend, ComponentRuntime, LinkedComponent};
use rdd_testkit::fixture_component;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use crate::support::{connection, in_time, launch, limits};

static COMPONENT: LazyLock<LinkedComponent> = LazyLock::new(|| {
    let runtime = ComponentRuntime::new(None).unwrap();
    let bytes = std::fs::read(fixture_component("http2")).unwrap();
    runtime.load(&bytes, "http2").unwrap()
});

/// A request for `/events`, `/slow`, or another path that the engine does not
/// respond to by itself.
struct HeldRequest {
    path: String,
    responder: SendResponse<bytes::Bytes>,
}

/// The transport to an engine that speaks HTTP/2.
struct Http2Transport {
    held: mpsc::UnboundedSender<HeldRequest>,
    /// Reports each new connection.
    opened: mpsc::UnboundedSender<()>,
}

#[async_trait]
impl EngineTransport for Http2Transport {
    async fn connect(&self) -> Result<EngineConnection, EngineError> {
        let (engine, host) = UnixStream::pair().unwrap();
        self.opened.send(()).ok();
        let held = self.held.clone();
        tokio::spawn(async move {
            let mut connection = h2::server::handshake(engine).await.unwrap();
            while let Some(Ok((request, mut responder))) = connection.accept().await {
                let path = request.uri().path().to_owned();
                if path == "/events" || path == "/slow" {
                    // Fails if the test is over.
                    held.send(HeldRequest { path, responder }).ok();
                    continue;
                }
                let mut stream = responder
                    .send_response(http::Response::new(()), false)
                    .unwrap();
                let mut trailers = http::HeaderMap::new();
                if path == "/shelf.Shelf/Get" {
                    trailers.insert("grpc-status", "0".parse().unwrap());
                    stream
                        .send_data("\0\0\0\0\x07message".into(), false)
                        .unwrap();
                } else {
                    stream.send_data(path.into(), false).unwrap();
                }
                stream.send_trailers(trailers).unwrap();
            }
        });
        Ok(connection(host))
    }
}

/// The transport to an engine that speaks HTTP/1.1 and responds with "ok".
struct Http1Transport;

#[async_trait]
impl EngineTransport for Http1Transport {
    async fn connect(&self) -> Result<EngineConnection, EngineError> {
        let (mut engine, host) = UnixStream::pair().unwrap();
        tokio::spawn(async move {
            let mut head = Vec::new();
            while let Ok(byte) = engine.read_u8().await {
                head.push(byte);
                if head.ends_with(b"\r\n\r\n") {
                    head.clear();
                    let response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                    engine.write_all(response).await.unwrap();
                }
            }
        });
        Ok(connection(host))
    }
}

fn backend(transport: impl EngineTransport) -> ComponentBackend {
    let services = BackendServices::new(Arc::new(transport));
    ComponentBackend::new("http2", COMPONENT.clone(), limits(), services)
}

fn object(id: &str) -> ObjectRef {
    ObjectRef::new(ObjectKind::Volume, "default", id)
}

async fn next_event(watch: &mut WatchStream) -> WatchEvent {
    in_time(watch.next()).await.unwrap().unwrap()
}

/// Returns the body of the response to what `id` says.
async fn run(handle: &BackendHandle, id: &str) -> String {
    in_time(handle.inspect(&object(id))).await.unwrap().raw
}

#[tokio::test]
async fn calls_share_a_connection_and_go_on_when_others_end_or_are_stopped() {
    let (held, mut requests) = mpsc::unbounded_channel();
    let (opened, mut connections) = mpsc::unbounded_channel();
    let backend = backend(Http2Transport { held, opened });
    let handle = launch(&backend).await;

    // The watch opens the connection, and the other calls use it.
    let (watch, events) = tokio::join!(in_time(handle.watch()), async {
        let mut events = in_time(requests.recv()).await.unwrap();
        assert_eq!(events.path, "/events");
        events
            .responder
            .send_response(http::Response::new(()), false)
            .unwrap()
    });
    let (mut watch, mut events) = (watch.unwrap(), events);
    assert_eq!(next_event(&mut watch).await, WatchEvent::InitBegin);
    assert_eq!(next_event(&mut watch).await, WatchEvent::InitDone);
    let (ids, mut names) = (["a", "b", "c"], Vec::new());
    for id in ids {
        assert_eq!(
            run(&handle, &format!("http2 /{id}")).await,
            format!("/{id}")
        );
        // The call that drove the connection has ended.
        events.send_data(format!("{id}\n").into(), false).unwrap();
        match next_event(&mut watch).await {
            WatchEvent::Applied(object) => match *object {
                EngineObject::Volume(volume) => names.push(volume.name),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(names, ids);

    // A call that is stopped resets its stream, and no other.
    let (slow, other) = (object("http2 /slow"), object("http2 /slow"));
    let mut stopped = Box::pin(handle.inspect(&slow));
    let mut kept = Box::pin(handle.inspect(&other));
    let mut first = tokio::select! {
        request = in_time(requests.recv()) => request.unwrap(),
        _ = &mut stopped => panic!("the call ended"),
    };
    let second = tokio::select! {
        request = in_time(requests.recv()) => request.unwrap(),
        _ = &mut kept => panic!("the call ended"),
    };
    drop(stopped);
    let reason = in_time(std::future::poll_fn(|cx| first.responder.poll_reset(cx))).await;
    assert_eq!(reason.unwrap(), h2::Reason::CANCEL);
    let mut responder = second.responder;
    let mut body = responder
        .send_response(http::Response::new(()), false)
        .unwrap();
    body.send_data("late".into(), true).unwrap();
    assert_eq!(in_time(kept).await.unwrap().raw, "late");
    events.send_data("d\n".into(), false).unwrap();
    next_event(&mut watch).await;

    // Nor does it leave anything else in the instance.
    let before: u32 = run(&handle, "handle").await.parse().unwrap();
    for _ in 0..30 {
        let mut stopped = Box::pin(handle.inspect(&slow));
        let mut request = tokio::select! {
            request = in_time(requests.recv()) => request.unwrap(),
            _ = &mut stopped => panic!("the call ended"),
        };
        drop(stopped);
        in_time(std::future::poll_fn(|cx| request.responder.poll_reset(cx)))
            .await
            .unwrap();
    }
    let after: u32 = run(&handle, "handle").await.parse().unwrap();
    assert!(after <= before + 5, "{before} before and {after} after");

    connections.recv().await.unwrap();
    assert!(
        connections.try_recv().is_err(),
        "there are several connections"
    );
    assert_eq!(run(&handle, "grpc /shelf.Shelf/Get").await, "message");
    connections.recv().await.unwrap();
}

#[tokio::test]
async fn calls_that_leave_a_connection_to_others_leave_nothing_else() {
    let (held, _requests) = mpsc::unbounded_channel();
    let (opened, _connections) = mpsc::unbounded_channel();
    let http2 = backend(Http2Transport { held, opened });
    for (backend, id) in [(http2, "http2 /"), (backend(Http1Transport), "http1 /")] {
        let handle = launch(&backend).await;
        let number = async || run(&handle, "handle").await.parse::<u32>().unwrap();
        run(&handle, id).await;
        let before = number().await;
        for _ in 0..100 {
            run(&handle, id).await;
        }
        let after = number().await;
        assert!(
            after <= before + 5,
            "{id}: {before} before and {after} after"
        );
    }
}
