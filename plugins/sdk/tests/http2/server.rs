//! A server whose behavior a test decides.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::{Connection, SendResponse};
use http::{Request, Response};
use rdd_sdk::testing::{self, ScriptedHost};
use tokio::io::DuplexStream;
use tokio::task::spawn_local;

pub(crate) type ServerConnection = Connection<DuplexStream, Bytes>;
pub(crate) type ServerRequest = (Request<RecvStream>, SendResponse<Bytes>);

/// Runs a test, which must not take longer than ten minutes of virtual time.
pub(crate) fn run(test: impl Future<Output = ()>) {
    testing::run(async {
        tokio::time::timeout(Duration::from_secs(600), test)
            .await
            .unwrap();
    });
}

/// Starts a server that handles each connection, with its number.
pub(crate) fn serve<F>(handle: impl Fn(usize, ServerConnection) -> F + 'static) -> ScriptedHost
where
    F: Future<Output = ()> + 'static,
{
    let host = ScriptedHost::new();
    let handle = Rc::new(handle);
    host.serve(move |connection| {
        let (number, handle) = (connection.number(), Rc::clone(&handle));
        async move {
            let io = connection.into_io().into_inner();
            let connection = h2::server::handshake(io).await.unwrap();
            handle(number, connection).await;
        }
    });
    host
}

/// Starts a server that handles each request in a task of its own.
pub(crate) fn serve_requests<F>(handle: impl Fn(ServerRequest) -> F + 'static) -> ScriptedHost
where
    F: Future<Output = ()> + 'static,
{
    let handle = Rc::new(handle);
    serve(move |_, mut connection| {
        let handle = Rc::clone(&handle);
        async move {
            while let Some(request) = connection.accept().await {
                let Ok(request) = request else { return };
                spawn_local(handle(request));
            }
        }
    })
}

pub(crate) fn ok() -> Response<()> {
    Response::new(())
}

/// Sends a whole response.
pub(crate) fn respond(mut to: SendResponse<Bytes>, body: impl Into<Bytes>) {
    let mut stream = to.send_response(ok(), false).unwrap();
    stream.send_data(body.into(), true).unwrap();
}

/// Reads the body of a request to its end.
pub(crate) async fn read(mut body: RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}
