//! How a session is closed.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_end_of_a_log_waits_for_a_slow_reader() {
    // The whole log and the close frame fit into the buffers of the system. The
    // reader needs minutes, and answers the pings in between late.
    let lines = stream::iter((0..60).map(|_| {
        Ok(OutputChunk {
            source: OutputSource::Stdout,
            bytes: Bytes::from(vec![b'x'; 1000]),
        })
    }));
    let running = start(Box::pin(lines));
    *running.system.0.lock().unwrap() = stalled(Duration::from_secs(1));
    let mut client = websocket(running.client).await;
    for _ in 0..60 {
        let Some(Ok(Message::Binary(_))) = client.next().await else {
            panic!("the log was truncated");
        };
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    let Some(Ok(Message::Close(Some(frame)))) = client.next().await else {
        panic!("no close frame");
    };
    assert_eq!(frame.code, CloseCode::Normal);
    assert!(!running.task.is_finished(), "the peer has not answered yet");
    *running.system.0.lock().unwrap() = delivered();
    assert!(client.next().await.is_none());
    drop(client);
    running.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_answer_the_close_frame_is_disconnected_after_the_engine() {
    let alive = Arc::new(());
    let is_alive = Arc::downgrade(&alive);
    let logs =
        stream::empty().inspect(move |_: &Result<OutputChunk, EngineError>| drop(alive.clone()));
    let (running, begun) = (start(Box::pin(logs)), Instant::now());
    *running.system.0.lock().unwrap() = delivered();
    rdd_testkit::eventually("the engine's stream is dropped", || async {
        match is_alive.upgrade() {
            None => Ok(()),
            Some(_) => Err("not dropped".to_owned()),
        }
    })
    .await;
    assert!(begun.elapsed() < Duration::from_secs(1));
    running.task.await.unwrap();
    assert!(begun.elapsed() <= Duration::from_secs(70));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_sends_everything_but_its_close_frame_is_disconnected() {
    let (running, begun) = (start(Box::pin(stream::empty())), Instant::now());
    *running.system.0.lock().unwrap() = delivered();
    let (mut reader, mut writer) = tokio::io::split(running.client);
    let discarded = tokio::spawn(async move {
        let mut discarded = Vec::new();
        reader.read_to_end(&mut discarded).await.unwrap();
    });
    // Empty pongs, masked
    while writer.write_all(&[0x8a, 0x80, 0, 0, 0, 0]).await.is_ok() {
        assert!(begun.elapsed() <= Duration::from_secs(70));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    running.task.await.unwrap();
    discarded.await.unwrap();
    assert!(begun.elapsed() >= limits::PEER_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn the_shutdown_does_not_wait_for_a_peer_that_does_not_read() {
    let running = start(endless());
    *running.system.0.lock().unwrap() = stalled(Duration::ZERO);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let begun = Instant::now();
    running.shutdown.cancel();
    running.task.await.unwrap();
    assert!(
        begun.elapsed() <= limits::DRAIN_TIMEOUT,
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn the_connection_is_shut_down_after_both_close_frames() {
    let running = start(Box::pin(stream::empty()));
    let mut client = websocket(running.client).await;
    while let Some(Ok(_)) = client.next().await {}
    drop(client);
    running.task.await.unwrap();
    assert!(running.is_shut_down.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn invalid_frames_end_the_session() {
    let (mut client, task) = session(idle());
    client.write_all(&[0xff; 32]).await.unwrap();
    task.await.unwrap();
}
