//! `GET /passthrough/engine/logs`: the logs of many containers on one WebSocket.

mod client_message;
mod server_message;

mod container_selection;
mod mux_connection;
mod source_stream;
mod subscription;
mod waiting_cursors;

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;

use futures::StreamExt as _;
use rdd_core::{ContainerIndex, SelectorParser, ServingSnapshot};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use tokio_util::sync::CancellationToken;

pub(crate) use self::client_message::ClientMessage;
use self::client_message::InvalidMessage;
use self::mux_connection::MuxConnection;
#[cfg(test)]
pub(crate) use self::server_message::ServerMessage;
use crate::delivery::DeliveryTracker;
use crate::limits;
use crate::log_hub::LogHub;
use crate::session::close_reason::{CloseReason, serving_lost};
use crate::session::connection::{self, SessionHandler};

/// The subprotocol of the multiplexer.
pub(crate) const SUBPROTOCOL: &str = "rdd.logs-mux.v1";

/// The number of messages of the client that wait while the daemon cannot send.
const QUEUED_MESSAGES: usize = 16;

/// The logs that one client subscribes to.
pub(crate) struct MuxSession {
    /// The backend that provides the logs.
    pub(crate) backend: String,
    pub(crate) serving: watch::Receiver<ServingSnapshot>,
    pub(crate) containers: watch::Receiver<ContainerIndex>,
    pub(crate) hub: LogHub,
    pub(crate) parse_selector: SelectorParser,
    /// Cancelled when the daemon shuts down.
    pub(crate) shutdown: CancellationToken,
}

/// What arrives from a client.
type ReceivedMessage = Result<ClientMessage, InvalidMessage>;

impl SessionHandler for MuxSession {
    async fn run_on<T>(self, connection: T, read: Bytes)
    where
        T: AsyncRead + AsyncWrite + DeliveryTracker + Unpin + Send,
    {
        let socket = connection::open_socket(
            connection,
            read,
            limits::MAX_INBOUND_MESSAGE,
            limits::MAX_JSON_BUFFER,
        )
        .await;
        let (mut sink, mut stream) = socket.split();
        let (queue, messages) = mpsc::channel(QUEUED_MESSAGES);
        let (backend, shutdown) = (self.backend.clone(), self.shutdown.clone());
        let mut serving = self.serving.clone();
        let mut connection = MuxConnection::new(self, messages);
        let reason = tokio::select! {
            reason = connection.forward(&mut sink) => reason,
            reason = read_messages(&mut stream, queue) => reason,
            reason = serving_lost(&mut serving, &backend) => reason,
            () = shutdown.cancelled() => CloseReason::SHUTDOWN,
        };
        // Close the engine's streams first, so that the closing handshake with a
        // slow peer does not keep them open.
        drop(connection);
        if let Ok(socket) = sink.reunite(stream) {
            connection::close(socket, reason, &shutdown).await;
        }
    }
}

/// Reads the client's messages, at most [`QUEUED_MESSAGES`] ahead.
async fn read_messages<S>(stream: &mut S, queue: mpsc::Sender<ReceivedMessage>) -> CloseReason
where
    S: futures::Stream<Item = Result<Message, Error>> + Unpin,
{
    loop {
        let message = match stream.next().await {
            Some(Ok(Message::Close(_))) => return CloseReason::PeerClosed,
            Some(Ok(Message::Text(text))) => ClientMessage::parse(&text),
            Some(Ok(Message::Binary(_))) => Err(InvalidMessage {
                id: None,
                reason: "messages to this endpoint are text, one JSON object each".to_owned(),
            }),
            Some(Ok(_)) => continue,
            Some(Err(error)) => {
                return CloseReason::from_read_error(error, limits::MAX_INBOUND_MESSAGE);
            }
            None => return CloseReason::PeerLost(Error::ConnectionClosed),
        };
        if queue.send(message).await.is_err() {
            // The other half of the session ends, and says why.
            std::future::pending::<()>().await;
        }
    }
}
