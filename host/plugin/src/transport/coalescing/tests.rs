//! Both halves on a real socket.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

const LINE: &[u8] = b"a line\n";

/// The engine's end and ours.
fn connected() -> (UnixStream, Reader, Writer) {
    let (engine, ours) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let (reader, writer) = split(ours);
    (engine, reader, writer)
}

/// Has the engine write and us read line by line until the socket is
/// busy. On a loaded machine some reads are too far apart.
async fn make_busy(engine: &mut UnixStream, reader: &mut Reader) {
    let mut lines = 0;
    while reader.pause.is_none() {
        engine.write_all(LINE).unwrap();
        assert_eq!(reader.read(&mut [0; 1024]).await.unwrap(), LINE.len());
        lines += 1;
        assert!(lines < 10_000, "never busy");
    }
    assert!(lines >= BUSY);
}

#[tokio::test]
async fn lines_of_a_busy_socket_come_together() {
    let (mut engine, mut reader, _writer) = connected();
    // Nothing is there yet: it waits in the event queue, until it is busy.
    assert!(futures::poll!(std::pin::pin!(reader.read(&mut [0; 8]))).is_pending());
    assert!(reader.queued);
    make_busy(&mut engine, &mut reader).await;
    assert!(!reader.queued);
    reader.pause = Some(Delay::new(Duration::from_secs(3600)));
    let mut buffer = [0; 1024];
    for _ in 0..10 {
        engine.write_all(LINE).unwrap();
        let read = futures::poll!(std::pin::pin!(reader.read(&mut buffer)));
        assert!(read.is_pending(), "left alone");
    }
    reader.pause = Some(Delay::new(PAUSE));
    assert_eq!(reader.read(&mut buffer).await.unwrap(), 10 * LINE.len());
}

#[tokio::test]
async fn a_socket_that_takes_its_time_is_never_busy() {
    let (mut engine, mut reader, _writer) = connected();
    for _ in 0..3 * BUSY {
        tokio::time::sleep(2 * QUICK).await;
        engine.write_all(LINE).unwrap();
        assert_eq!(reader.read(&mut [0; 1024]).await.unwrap(), LINE.len());
        assert!(reader.pause.is_none());
    }
}

#[tokio::test]
async fn a_socket_that_was_busy_is_waited_for_once_it_rests() {
    let (mut engine, mut reader, _writer) = connected();
    make_busy(&mut engine, &mut reader).await;
    assert!(reader.pause.is_some() && !reader.queued);
    let rest = tokio::time::timeout(40 * PAUSE, reader.read(&mut [0; 1024])).await;
    assert!(rest.is_err(), "nothing was written");
    assert!(reader.pause.is_none() && reader.queued);
    let waiting = tokio::spawn(async move { reader.read(&mut [0; 1024]).await });
    tokio::task::yield_now().await;
    engine.write_all(LINE).unwrap();
    assert_eq!(waiting.await.unwrap().unwrap(), LINE.len());
}

#[tokio::test]
async fn large_pieces_are_read_at_once() {
    let (mut engine, mut reader, _writer) = connected();
    let mut buffer = vec![0; SHORT];
    for _ in 0..3 * BUSY {
        engine.write_all(&buffer).unwrap();
        reader.read_exact(&mut buffer).await.unwrap();
        assert!(reader.pause.is_none());
    }
}

#[tokio::test]
async fn each_half_ends_by_itself() {
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
async fn a_writer_waits_for_a_reader_that_is_slow() {
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
async fn both_halves_wait_for_one_descriptor() {
    let (mut engine, mut reader, mut writer) = connected();
    let aside = |socket: &Socket| matches!(socket.state().place, Place::Aside(_));
    let mut byte = [0];
    assert!(aside(&reader.socket), "nobody waits");
    // The buffer is full, and nothing is there to be read.
    while let Poll::Ready(written) = futures::poll!(std::pin::pin!(writer.write(&[0; 1024]))) {
        written.unwrap();
    }
    assert!(futures::poll!(std::pin::pin!(reader.read(&mut byte))).is_pending());
    assert!(reader.queued && writer.queued);
    assert!(!aside(&reader.socket));
    // Each wakes for its own.
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
    assert!(!writer.queued && !aside(&writer.socket), "one half waits");
    drop(reader);
    assert!(aside(&writer.socket));
}
