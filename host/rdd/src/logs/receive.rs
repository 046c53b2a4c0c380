//! Receives the bytes of one log and queues them for printing.

use std::time::Duration;

use futures::{Sink, SinkExt as _, Stream, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

/// The interval of unsolicited pongs, the same as that of the daemon's pings. The
/// daemon disconnects a peer without activity after 60 s, and while a pager stalls
/// the output, its pings wait unread behind the log.
pub(super) const PONG_INTERVAL: Duration = Duration::from_secs(10);

/// How long the daemon may take to close the connection after both close frames.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a stream of frames ended.
#[derive(Debug)]
pub(super) enum ReceiveOutcome {
    /// The daemon sent a close frame.
    Closed(Option<CloseFrame>),
    /// The connection was lost.
    ConnectionLost(Option<Error>),
    /// The printer has ended.
    PrinterGone,
}

/// Reads frames as long as `queue` has capacity. While it has none, the daemon
/// has to wait, but still receives pongs.
pub(super) async fn run<S>(mut socket: S, queue: mpsc::Sender<Bytes>) -> ReceiveOutcome
where
    S: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Unpin,
{
    let mut pong = interval(PONG_INTERVAL);
    pong.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut permit = None;
    loop {
        let message = tokio::select! {
            reserved = queue.reserve(), if permit.is_none() => match reserved {
                Ok(reserved) => {
                    permit = Some(reserved);
                    continue;
                }
                Err(_) => return ReceiveOutcome::PrinterGone,
            },
            message = socket.next(), if permit.is_some() => message,
            () = queue.closed() => return ReceiveOutcome::PrinterGone,
            _ = pong.tick() => {
                // If the connection is lost, the next read reports it, after the
                // frames that have arrived.
                socket.send(Message::Pong(Bytes::new())).await.ok();
                continue;
            }
        };
        match message {
            Some(Ok(Message::Binary(frame))) => {
                if let Some(permit) = permit.take() {
                    permit.send(frame);
                }
            }
            Some(Ok(Message::Close(frame))) => {
                // Reading to the end also sends the library's answer.
                let end = async { while let Some(Ok(_)) = socket.next().await {} };
                timeout(CLOSE_TIMEOUT, end).await.ok();
                return ReceiveOutcome::Closed(frame);
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return ReceiveOutcome::ConnectionLost(Some(error)),
            None => return ReceiveOutcome::ConnectionLost(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::DuplexStream;
    use tokio::time::Instant;
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::protocol::Role;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

    use super::*;

    async fn pair() -> (WebSocketStream<DuplexStream>, WebSocketStream<DuplexStream>) {
        let (daemon, client) = tokio::io::duplex(64 * 1024);
        (
            WebSocketStream::from_raw_socket(daemon, Role::Server, None).await,
            WebSocketStream::from_raw_socket(client, Role::Client, None).await,
        )
    }

    fn close() -> CloseFrame {
        CloseFrame {
            code: CloseCode::Normal,
            reason: "the log ended".into(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_daemon_receives_pongs_while_the_log_is_not_printed() {
        let (mut daemon, client) = pair().await;
        let (queue, mut frames) = mpsc::channel(2);
        let task = tokio::spawn(run(client, queue));
        for _ in 0..5 {
            daemon.send(Message::binary(vec![1, b'x'])).await.unwrap();
        }
        daemon.send(Message::Ping(Bytes::new())).await.unwrap();
        daemon.send(Message::Close(Some(close()))).await.unwrap();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(3600) {
            let received = timeout(Duration::from_secs(60), daemon.next()).await;
            assert!(
                matches!(received, Ok(Some(Ok(Message::Pong(_))))),
                "{received:?} after {:?}",
                begun.elapsed()
            );
        }
        for _ in 0..5 {
            assert_eq!(&frames.recv().await.unwrap()[..], [1, b'x']);
        }
        assert!(frames.recv().await.is_none());
        let mut answered = None;
        while let Some(Ok(message)) = daemon.next().await {
            if let Message::Close(frame) = message {
                answered = frame;
            }
        }
        assert_eq!(answered, Some(close()));
        assert!(matches!(
            task.await.unwrap(),
            ReceiveOutcome::Closed(Some(_))
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn a_daemon_that_does_not_close_the_connection_is_not_waited_for() {
        let (mut daemon, client) = pair().await;
        let (queue, _frames) = mpsc::channel(2);
        let task = tokio::spawn(run(client, queue));
        daemon.send(Message::Close(Some(close()))).await.unwrap();
        let begun = Instant::now();
        assert!(matches!(
            task.await.unwrap(),
            ReceiveOutcome::Closed(Some(_))
        ));
        assert!(begun.elapsed() <= CLOSE_TIMEOUT, "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_connection_is_reported_after_the_received_frames() {
        let (mut daemon, client) = pair().await;
        let (queue, mut frames) = mpsc::channel(2);
        let task = tokio::spawn(run(client, queue));
        daemon.send(Message::binary(vec![1, b'x'])).await.unwrap();
        drop(daemon);
        assert!(matches!(
            task.await.unwrap(),
            ReceiveOutcome::ConnectionLost(_)
        ));
        assert_eq!(&frames.recv().await.unwrap()[..], [1, b'x']);
    }

    #[tokio::test(start_paused = true)]
    async fn reading_stops_when_the_printer_ends() {
        let (_daemon, client) = pair().await;
        let (queue, frames) = mpsc::channel(2);
        let task = tokio::spawn(run(client, queue));
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(frames);
        let outcome = timeout(Duration::from_secs(3600), task).await;
        assert!(matches!(
            outcome.unwrap().unwrap(),
            ReceiveOutcome::PrinterGone
        ));
    }
}
