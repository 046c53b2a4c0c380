//! The exchange with a daemon in memory, with a paused clock.

use tokio::io::DuplexStream;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

use super::*;

struct Exchange {
    daemon: WebSocketStream<DuplexStream>,
    input: mpsc::Sender<io::Result<Bytes>>,
    output: mpsc::Receiver<Bytes>,
    task: JoinHandle<Result<ProcessOutcome>>,
}

async fn start() -> Exchange {
    let (daemon, client) = tokio::io::duplex(64 * 1024);
    let client = WebSocketStream::from_raw_socket(client, Role::Client, None).await;
    let (input, receiver) = mpsc::channel(1);
    let (queue, output) = mpsc::channel(2);
    Exchange {
        daemon: WebSocketStream::from_raw_socket(daemon, Role::Server, None).await,
        input,
        output,
        task: tokio::spawn(run(client, Some(receiver), None, queue)),
    }
}

impl Exchange {
    /// Returns the next message of the client that is no pong.
    async fn received(&mut self) -> Vec<u8> {
        loop {
            match self.daemon.next().await {
                Some(Ok(Message::Binary(bytes))) => return bytes.to_vec(),
                Some(Ok(Message::Pong(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn send(&mut self, message: &'static [u8]) {
        self.daemon.send(Message::binary(message)).await.unwrap();
    }

    async fn close(&mut self, code: CloseCode) {
        let frame = CloseFrame {
            code,
            reason: "why".into(),
        };
        self.daemon.close(Some(frame)).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn input_is_sent_in_order_and_then_closed() {
    let mut exchange = start().await;
    exchange.input.send(Ok("one".into())).await.unwrap();
    assert_eq!(exchange.received().await, b"\0one");
    exchange.input.send(Ok("two".into())).await.unwrap();
    drop(std::mem::replace(&mut exchange.input, mpsc::channel(1).0));
    assert_eq!(exchange.received().await, b"\0two");
    assert_eq!(exchange.received().await, b"\xff\0");
    assert!(!exchange.task.is_finished(), "the output goes on");
}

#[tokio::test(start_paused = true)]
async fn output_is_queued_with_its_channel_and_the_status_decides() {
    let mut exchange = start().await;
    exchange.send(b"\x01").await;
    exchange.send(b"\x01out").await;
    exchange.send(b"\x02err").await;
    assert_eq!(exchange.output.recv().await.unwrap(), "\x01out");
    assert_eq!(exchange.output.recv().await.unwrap(), "\x02err");
    exchange.send(b"\x03{\"status\":\"Success\"}").await;
    exchange.close(CloseCode::Normal).await;
    drop(exchange.daemon);
    let outcome = exchange.task.await.unwrap().unwrap();
    assert!(matches!(outcome, ProcessOutcome::Ended(_)), "{outcome:?}");
    assert!(exchange.output.recv().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_close_frame_without_a_status_and_a_lost_connection_are_told_apart() {
    let mut exchange = start().await;
    exchange.close(CloseCode::Away).await;
    drop(exchange.daemon);
    let outcome = exchange.task.await.unwrap().unwrap();
    assert!(
        matches!(&outcome, ProcessOutcome::Closed(Some(frame)) if frame.reason == "why"),
        "{outcome:?}"
    );
    let exchange = start().await;
    drop(exchange.daemon);
    let outcome = exchange.task.await.unwrap().unwrap();
    assert!(
        matches!(outcome, ProcessOutcome::ConnectionLost(_)),
        "{outcome:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_daemon_receives_pongs_and_input_while_the_output_is_not_printed() {
    let mut exchange = start().await;
    for _ in 0..10 {
        exchange.send(b"\x01x").await;
    }
    exchange.input.send(Ok("in".into())).await.unwrap();
    assert_eq!(exchange.received().await, b"\0in");
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3600) {
        let received = timeout(Duration::from_secs(60), exchange.daemon.next()).await;
        assert!(
            matches!(received, Ok(Some(Ok(Message::Pong(_))))),
            "{received:?} after {:?}",
            begun.elapsed()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn output_is_received_while_the_daemon_does_not_read_the_input() {
    let mut exchange = start().await;
    // More than the pipe holds.
    let input = exchange.input.clone();
    let feeding = tokio::spawn(async move {
        loop {
            let piece = Ok(Bytes::from(vec![0; 32 * 1024]));
            if input.send(piece).await.is_err() {
                return;
            }
        }
    });
    tokio::time::sleep(Duration::from_secs(60)).await;
    exchange.send(b"\x01x").await;
    assert_eq!(exchange.output.recv().await.unwrap(), "\x01x");
    feeding.abort();
}

#[tokio::test(start_paused = true)]
async fn an_error_of_standard_input_is_reported() {
    let exchange = start().await;
    let error = io::Error::other("the disk is gone");
    exchange.input.send(Err(error)).await.unwrap();
    let error = exchange.task.await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "cannot read standard input");
}

#[tokio::test(start_paused = true)]
async fn the_exchange_ends_when_the_printer_does() {
    let exchange = start().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(exchange.output);
    let outcome = exchange.task.await.unwrap().unwrap();
    assert!(
        matches!(outcome, ProcessOutcome::PrinterGone),
        "{outcome:?}"
    );
}
