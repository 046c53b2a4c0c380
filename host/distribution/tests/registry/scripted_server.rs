//! An HTTP server whose responses a test decides.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A request as it was received.
#[derive(Clone, Debug)]
pub(crate) struct ReceivedRequest {
    /// The method and the path, such as `GET /v2/`.
    pub(crate) line: String,
    pub(crate) headers: Vec<String>,
    pub(crate) body: String,
}

impl ReceivedRequest {
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.headers.iter().find_map(|header| {
            let (key, value) = header.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    }
}

/// A response as bytes. The connection is closed after it, or kept open without
/// sending anything more.
pub(crate) struct ScriptedResponse {
    pub(crate) bytes: Vec<u8>,
    pub(crate) hang: bool,
}

impl ScriptedResponse {
    pub(crate) fn new(status: &str, headers: &str, body: &[u8]) -> Self {
        let length = body.len();
        let mut bytes = format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
        )
        .into_bytes();
        bytes.extend_from_slice(body);
        Self { bytes, hang: false }
    }
}

/// Responds to each request with what `script` returns for it.
pub(crate) struct ScriptedServer {
    pub(crate) address: String,
    requests: Arc<Mutex<Vec<ReceivedRequest>>>,
    _tasks: JoinSet<()>,
}

impl ScriptedServer {
    pub(crate) async fn start(
        script: impl Fn(&ReceivedRequest) -> ScriptedResponse + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests: Arc<Mutex<Vec<ReceivedRequest>>> = Arc::default();
        let (script, received) = (Arc::new(script), requests.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (script, received) = (script.clone(), received.clone());
                connections.spawn(async move {
                    let mut stream = BufStream::new(stream);
                    let Some(request) = read_request(&mut stream).await else {
                        return;
                    };
                    received.lock().unwrap().push(request.clone());
                    let ScriptedResponse { bytes, hang } = script(&request);
                    // The client may have closed the connection.
                    stream.write_all(&bytes).await.ok();
                    stream.flush().await.ok();
                    if hang {
                        std::future::pending::<()>().await;
                    }
                });
            }
        });
        Self {
            address,
            requests,
            _tasks: tasks,
        }
    }

    pub(crate) fn requests(&self) -> Vec<ReceivedRequest> {
        self.requests.lock().unwrap().clone()
    }
}

async fn read_request(stream: &mut BufStream<tokio::net::TcpStream>) -> Option<ReceivedRequest> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let first = lines.remove(0);
    let mut request = ReceivedRequest {
        line: first.trim_end_matches(" HTTP/1.1").to_owned(),
        headers: lines,
        body: String::new(),
    };
    let length: usize = request
        .header("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    request.body = String::from_utf8_lossy(&body).into_owned();
    Some(request)
}
