//! Tests of both halves on a real socket.

use rdd_testkit::PATIENCE;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

const LINE: &[u8] = b"a line\n";

/// Returns the engine's end and both halves of the host's end.
fn connected() -> (StdUnixStream, CoalescingReader, SocketWriter) {
    let (engine, host) = StdUnixStream::pair().unwrap();
    host.set_nonblocking(true).unwrap();
    let (reader, writer) = split(host);
    (engine, reader, writer)
}

/// Writes and reads line by line until the socket counts as busy. On a loaded
/// machine, some reads are too far apart to count.
async fn make_busy(engine: &mut StdUnixStream, reader: &mut CoalescingReader) {
    let mut lines = 0;
    while reader.delay.is_none() {
        engine.write_all(LINE).unwrap();
        assert_eq!(reader.read(&mut [0; 1024]).await.unwrap(), LINE.len());
        lines += 1;
        assert!(lines < 10_000, "the socket never counted as busy");
    }
    assert!(lines >= BUSY_READS);
}

#[tokio::test]
async fn lines_of_a_busy_socket_are_read_together() {
    let (mut engine, mut reader, _writer) = connected();
    // With nothing to read, the reader waits for the reactor until it is busy.
    assert!(futures::poll!(std::pin::pin!(reader.read(&mut [0; 8]))).is_pending());
    assert!(reader.is_registered);
    make_busy(&mut engine, &mut reader).await;
    assert!(!reader.is_registered);
    reader.delay = Some(Delay::new(Duration::from_secs(3600)));
    let mut buffer = [0; 1024];
    for _ in 0..10 {
        engine.write_all(LINE).unwrap();
        let read = futures::poll!(std::pin::pin!(reader.read(&mut buffer)));
        assert!(read.is_pending(), "read during the delay");
    }
    reader.delay = Some(Delay::new(COALESCE_DELAY));
    assert_eq!(reader.read(&mut buffer).await.unwrap(), 10 * LINE.len());
}

#[tokio::test]
async fn a_socket_with_infrequent_reads_is_never_busy() {
    let (mut engine, mut reader, _writer) = connected();
    for _ in 0..3 * BUSY_READS {
        tokio::time::sleep(2 * MAX_READ_GAP).await;
        engine.write_all(LINE).unwrap();
        assert_eq!(reader.read(&mut [0; 1024]).await.unwrap(), LINE.len());
        assert!(reader.delay.is_none());
    }
}

#[tokio::test]
async fn a_drained_socket_is_registered_again() {
    let (mut engine, mut reader, _writer) = connected();
    make_busy(&mut engine, &mut reader).await;
    assert!(reader.delay.is_some() && !reader.is_registered);
    // The delay ends by a timer of another thread, which may be late.
    tokio::time::timeout(PATIENCE, async {
        while !reader.is_registered {
            let mut buffer = [0; 1024];
            let read = tokio::time::timeout(40 * COALESCE_DELAY, reader.read(&mut buffer));
            read.await.expect_err("nothing was written");
        }
    })
    .await
    .unwrap();
    assert!(reader.delay.is_none());
    let waiting = tokio::spawn(async move { reader.read(&mut [0; 1024]).await });
    tokio::task::yield_now().await;
    engine.write_all(LINE).unwrap();
    assert_eq!(waiting.await.unwrap().unwrap(), LINE.len());
}

#[tokio::test]
async fn large_reads_are_not_delayed() {
    let (mut engine, mut reader, _writer) = connected();
    let mut buffer = vec![0; SHORT_READ_BYTES];
    for _ in 0..3 * BUSY_READS {
        engine.write_all(&buffer).unwrap();
        reader.read_exact(&mut buffer).await.unwrap();
        assert!(reader.delay.is_none());
    }
}

#[tokio::test]
async fn each_half_closes_independently() {
    let (mut engine, mut reader, mut writer) = connected();
    writer.write_all(LINE).await.unwrap();
    drop(writer);
    let mut sent = Vec::new();
    engine.read_to_end(&mut sent).unwrap();
    assert_eq!(sent, LINE);
    engine.write_all(LINE).unwrap();
    drop(engine);
    let mut received = Vec::new();
    reader.read_to_end(&mut received).await.unwrap();
    assert_eq!(received, LINE);
}

#[tokio::test]
async fn a_writer_waits_for_a_slow_reader() {
    let (mut engine, _reader, mut writer) = connected();
    let bytes = vec![b'x'; 4 << 20];
    let expected = bytes.len();
    let writing = tokio::spawn(async move { writer.write_all(&bytes).await });
    let received = tokio::task::spawn_blocking(move || {
        let mut received = Vec::new();
        engine.read_to_end(&mut received).map(|_| received.len())
    });
    writing.await.unwrap().unwrap();
    assert_eq!(received.await.unwrap().unwrap(), expected);
}

#[tokio::test]
async fn both_halves_wait_on_one_descriptor() {
    let (mut engine, mut reader, mut writer) = connected();
    let is_registered =
        |socket: &SharedSocket| matches!(socket.lock().registration, Registration::Registered(_));
    let mut byte = [0];
    assert!(!is_registered(&reader.socket), "neither half waits");
    // Fill the buffer, with nothing to read.
    while let Poll::Ready(written) = futures::poll!(std::pin::pin!(writer.write(&[0; 1024]))) {
        written.unwrap();
    }
    assert!(futures::poll!(std::pin::pin!(reader.read(&mut byte))).is_pending());
    assert!(reader.is_registered && writer.is_registered);
    assert!(is_registered(&reader.socket));
    // Each half is woken for its own direction.
    let reading = tokio::spawn(async move {
        let byte = reader.read_u8().await.unwrap();
        (byte, reader)
    });
    let writing = tokio::spawn(async move {
        writer.write_all(b"end").await.unwrap();
        writer
    });
    tokio::task::yield_now().await;
    engine.write_all(b"!").unwrap();
    let (read, reader) = reading.await.unwrap();
    assert_eq!(read, b'!');
    engine.set_nonblocking(true).unwrap();
    while !writing.is_finished() {
        match engine.read(&mut [0; 4096]) {
            Ok(read) => assert_ne!(read, 0, "the writer closed"),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
        tokio::task::yield_now().await;
    }
    let writer = writing.await.unwrap();
    assert!(
        !writer.is_registered && is_registered(&writer.socket),
        "one half waits"
    );
    drop(reader);
    assert!(!is_registered(&writer.socket));
}
