//! A passthrough server on a real socket, with a scripted engine.

use std::net::SocketAddr;
use std::sync::Arc;

use http::Request;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rdd_core::{
    BackendInfo, Container, ContainerEngine as _, ContainerIndex, ServingSnapshot, ServingState,
    UserIdentity,
};
use rdd_passthrough::{Passthrough, PassthroughOptions};
use rdd_testkit::FakeEngine;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::Response;
use tokio_tungstenite::tungstenite::{Error, Message};
use tower::ServiceExt as _;

/// A running server.
pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    pub(crate) engine: FakeEngine,
    pub(crate) serving: watch::Sender<ServingSnapshot>,
    pub(crate) containers: watch::Sender<ContainerIndex>,
    pub(crate) passthrough: Passthrough,
}

/// Returns the snapshot of a ready engine.
pub(crate) fn ready(engine: &FakeEngine) -> ServingSnapshot {
    ServingSnapshot {
        backend: engine.info().name.clone(),
        info: Some(engine.info().clone()),
        serving: ServingState::Ready(Arc::new(engine.clone())),
    }
}

impl TestServer {
    /// Starts a server with a ready engine.
    pub(crate) async fn start() -> Self {
        let engine = FakeEngine::named("moby");
        let snapshot = ready(&engine);
        Self::start_with(engine, snapshot).await
    }

    /// Starts a server with a specific snapshot.
    pub(crate) async fn start_with(engine: FakeEngine, snapshot: ServingSnapshot) -> Self {
        let max_streams = rdd_passthrough::limits::MAX_STREAMS;
        Self::start_limited(engine, snapshot, max_streams).await
    }

    /// Starts a server that allows this number of streams.
    pub(crate) async fn start_limited(
        engine: FakeEngine,
        snapshot: ServingSnapshot,
        max_streams: usize,
    ) -> Self {
        Self::start_as(engine, snapshot, max_streams, false).await
    }

    /// Starts a server with a ready engine that must not be changed.
    pub(crate) async fn start_read_only() -> Self {
        let engine = FakeEngine::named("moby");
        let snapshot = ready(&engine);
        let max_streams = rdd_passthrough::limits::MAX_STREAMS;
        Self::start_as(engine, snapshot, max_streams, true).await
    }

    async fn start_as(
        engine: FakeEngine,
        snapshot: ServingSnapshot,
        max_streams: usize,
        read_only: bool,
    ) -> Self {
        let (serving, receiver) = watch::channel(snapshot);
        let (containers, containers_receiver) = ContainerIndex::channel();
        let passthrough = Passthrough::new(PassthroughOptions {
            serving: receiver,
            containers: containers_receiver,
            max_streams,
            parse_selector,
            read_only,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service =
            passthrough
                .clone()
                .map_request(|mut request: Request<hyper::body::Incoming>| {
                    let user = request
                        .headers()
                        .get("x-user")
                        .map_or("tester", |user| user.to_str().unwrap())
                        .to_owned();
                    request.extensions_mut().insert(UserIdentity {
                        user,
                        groups: Vec::new(),
                    });
                    request
                });
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = TowerToHyperService::new(service.clone());
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .with_upgrades();
                tokio::spawn(connection);
            }
        });
        Self {
            address,
            engine,
            serving,
            containers,
            passthrough,
        }
    }

    /// Adds a container to the index.
    pub(crate) fn index(&self, mirror: &str, namespace: &str, id: &str) {
        let container = Arc::new(Container {
            id: id.to_owned(),
            namespace: namespace.to_owned(),
            ..Container::default()
        });
        self.containers
            .send_modify(|index| index.insert(mirror.into(), container));
    }

    /// Runs a container in the engine and adds it to the index. Returns its ID.
    pub(crate) fn run_indexed(&self, name: &str) -> String {
        let id = self.engine.run_container(name);
        self.refresh_index(&id);
        id
    }

    /// Stops a container. Its log ends until it is started.
    pub(crate) fn stop_indexed(&self, id: &str) {
        self.engine.stop(id);
        self.refresh_index(id);
    }

    /// Starts a container.
    pub(crate) fn start_indexed(&self, id: &str) {
        self.engine.start(id);
        self.refresh_index(id);
    }

    fn refresh_index(&self, id: &str) {
        self.index_container(id, self.engine.container(id).unwrap());
    }

    /// Adds or replaces a container of the index.
    pub(crate) fn index_container(&self, mirror: &str, container: Container) {
        self.containers
            .send_modify(|index| index.insert(mirror.into(), Arc::new(container)));
    }

    /// Opens a WebSocket at `path`.
    pub(crate) async fn connect(
        &self,
        path: &str,
    ) -> Result<WebSocketStream<TcpStream>, Response<Option<Vec<u8>>>> {
        self.connect_with(path, &[]).await
    }

    /// Opens a WebSocket with additional headers.
    pub(crate) async fn connect_with(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<WebSocketStream<TcpStream>, Response<Option<Vec<u8>>>> {
        Ok(self.upgrade(path, headers).await?.0)
    }

    /// Opens a WebSocket, and also returns the response to the upgrade.
    pub(crate) async fn upgrade(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<(WebSocketStream<TcpStream>, Response<Option<Vec<u8>>>), Response<Option<Vec<u8>>>>
    {
        let mut request = format!("ws://{}{path}", self.address)
            .into_client_request()
            .unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(self.address).await.unwrap();
        match tokio_tungstenite::client_async(request, stream).await {
            Ok(opened) => Ok(opened),
            Err(Error::Http(response)) => Err(*response),
            Err(error) => panic!("{path}: {error}"),
        }
    }
}

/// Reads to the end. Returns all bytes, and the close code with its reason.
pub(crate) async fn read_to_close<S>(
    socket: &mut WebSocketStream<S>,
) -> (Vec<u8>, Option<(u16, String)>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    use futures::StreamExt as _;
    let (mut bytes, mut close) = (Vec::new(), None);
    while let Some(Ok(message)) = socket.next().await {
        match message {
            Message::Binary(frame) => bytes.extend_from_slice(&frame),
            Message::Close(frame) => {
                close = frame.map(|frame| (frame.code.into(), frame.reason.to_string()))
            }
            _ => {}
        }
    }
    (bytes, close)
}

/// A selector of one label and its value.
struct OneLabel(String, String);

impl rdd_core::LabelPredicate for OneLabel {
    fn matches(&self, labels: &std::collections::BTreeMap<String, String>) -> bool {
        labels.get(&self.0) == Some(&self.1)
    }
}

/// Parses `key=value`.
fn parse_selector(
    text: &str,
) -> Result<Box<dyn rdd_core::LabelPredicate>, rdd_core::SelectorTextError> {
    match text.split_once('=') {
        Some((key, value)) => Ok(Box::new(OneLabel(key.to_owned(), value.to_owned()))),
        None => Err(rdd_core::SelectorTextError(format!(
            "no operator in {text:?}"
        ))),
    }
}

/// Returns `info` for a backend that cannot read logs.
pub(crate) fn without_logs(info: &BackendInfo) -> BackendInfo {
    let mut info = info.clone();
    info.capabilities = rdd_core::Capabilities::default();
    info
}
