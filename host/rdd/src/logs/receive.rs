//! From the daemon's frames to the queue of what is to be printed.

use std::time::Duration;

use futures::{Sink, SinkExt as _, Stream, StreamExt as _};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

/// The daemon drops a peer that it has not heard of for 60 s. While a pager
/// holds our output up, its pings wait unread behind the log, so a pong is sent
/// without being asked for, as often as the daemon pings.
const PONG_EVERY: Duration = Duration::from_secs(10);

/// How long the daemon may take to end the connection after both close frames.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Why no more frames come.
#[derive(Debug)]
pub(super) enum End {
    /// The daemon closed the stream, and said why.
    Closed(Option<CloseFrame>),
    /// The connection broke.
    Broken(Option<Error>),
    /// Nobody prints any more.
    Unwanted,
}

/// Reads frames for as long as `queue` has a place for one. Where it has none,
/// the daemon is made to wait, and goes on hearing of us.
pub(super) async fn run<S>(mut socket: S, queue: mpsc::Sender<Bytes>) -> End
where
    S: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Unpin,
{
    let mut pong = interval(PONG_EVERY);
    pong.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut place = None;
    loop {
        let message = tokio::select! {
            reserved = queue.reserve(), if place.is_none() => match reserved {
                Ok(reserved) => {
                    place = Some(reserved);
                    continue;
                }
                Err(_) => return End::Unwanted,
            },
            message = socket.next(), if place.is_some() => message,
            () = queue.closed() => return End::Unwanted,
            _ = pong.tick() => {
                // Where the connection is broken, reading says so, after what has arrived.
                socket.send(Message::Pong(Bytes::new())).await.ok();
                continue;
            }
        };
        match message {
            Some(Ok(Message::Binary(frame))) => {
                if let Some(place) = place.take() {
                    place.send(frame);
                }
            }
            Some(Ok(Message::Close(frame))) => {
                // The library's answer goes out as the end is read.
                let end = async { while let Some(Ok(_)) = socket.next().await {} };
                timeout(CLOSE_LIMIT, end).await.ok();
                return End::Closed(frame);
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return End::Broken(Some(error)),
            None => return End::Broken(None),
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
    async fn a_daemon_whose_log_is_not_printed_still_hears_of_us() {
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
            let heard = timeout(Duration::from_secs(60), daemon.next()).await;
            assert!(
                matches!(heard, Ok(Some(Ok(Message::Pong(_))))),
                "{heard:?} after {:?}",
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
        assert!(matches!(task.await.unwrap(), End::Closed(Some(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_daemon_that_does_not_end_the_connection_is_not_waited_for() {
        let (mut daemon, client) = pair().await;
        let (queue, _frames) = mpsc::channel(2);
        let task = tokio::spawn(run(client, queue));
        daemon.send(Message::Close(Some(close()))).await.unwrap();
        let begun = Instant::now();
        assert!(matches!(task.await.unwrap(), End::Closed(Some(_))));
        assert!(begun.elapsed() <= CLOSE_LIMIT, "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_breaks_is_no_end_of_the_log() {
        let (mut daemon, client) = pair().await;
        let (queue, mut frames) = mpsc::channel(2);
        let task = tokio::spawn(run(client, queue));
        daemon.send(Message::binary(vec![1, b'x'])).await.unwrap();
        drop(daemon);
        assert!(matches!(task.await.unwrap(), End::Broken(_)));
        assert_eq!(&frames.recv().await.unwrap()[..], [1, b'x']);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_is_read_when_nobody_prints() {
        let (_daemon, client) = pair().await;
        let (queue, frames) = mpsc::channel(2);
        let task = tokio::spawn(run(client, queue));
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(frames);
        let ended = timeout(Duration::from_secs(3600), task).await;
        assert!(matches!(ended.unwrap().unwrap(), End::Unwanted));
    }
}
