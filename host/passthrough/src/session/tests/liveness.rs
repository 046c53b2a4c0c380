//! Which viewers are taken for gone, and which are waited for.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_log_without_output_lives_for_hours_while_its_viewer_answers_pings() {
    let (client, task) = session(idle());
    let mut client = websocket(client).await;
    let begun = Instant::now();
    let mut pings = 0;
    // Reading is what answers pings.
    while begun.elapsed() < Duration::from_secs(4 * 3600) {
        match client.next().await {
            Some(Ok(Message::Ping(_))) => pings += 1,
            other => panic!("after {:?}: {other:?}", begun.elapsed()),
        }
    }
    assert!(pings >= 4 * 360, "a ping every ten seconds, not {pings}");
    assert!(!task.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_is_silent_is_dropped_within_70_s() {
    let (mut client, task) = session(idle());
    let begun = Instant::now();
    // The peer's system takes the bytes; nobody is there to answer them.
    let reader = tokio::spawn(async move {
        let mut sunk = Vec::new();
        client.read_to_end(&mut sunk).await.unwrap();
    });
    task.await.unwrap();
    let took = begun.elapsed();
    assert!((60..=70).contains(&took.as_secs()), "{took:?}");
    reader.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_vanished_while_bytes_were_under_way_is_dropped_within_70_s() {
    let (client, task) = session(endless());
    let begun = Instant::now();
    task.await.unwrap();
    let took = begun.elapsed();
    assert!((60..=70).contains(&took.as_secs()), "{took:?}");
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_held_back_and_not_dropped() {
    let (mut client, task) = session(endless());
    let begun = Instant::now();
    // Too slow for any ping to get through in time: the data before it takes longer.
    let mut piece = vec![0; 1024];
    while begun.elapsed() < Duration::from_secs(3600) {
        client.read_exact(&mut piece).await.unwrap();
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    assert!(!task.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_half_open_viewer_of_a_quiet_log_is_dropped_though_writes_succeed() {
    // One short line a second fits the system's buffers for hours: that it can
    // be written proves nothing about the peer.
    let lines = stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Some((
            Ok(LogChunk {
                source: LogSource::Stdout,
                bytes: Bytes::from_static(b"tick\n"),
            }),
            (),
        ))
    });
    let (client, task) = session(Box::pin(lines));
    let begun = Instant::now();
    task.await.unwrap();
    assert!(
        begun.elapsed() <= Duration::from_secs(70),
        "{:?}",
        begun.elapsed()
    );
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn a_stalled_reader_lives_while_its_system_answers_and_loses_nothing() {
    let lines = stream::iter((0..200).map(|_| {
        Ok(LogChunk {
            source: LogSource::Stdout,
            bytes: Bytes::from(vec![b'x'; 1000]),
        })
    }));
    let running = start(Box::pin(lines));
    *running.system.0.lock().unwrap() = stalled(Duration::from_secs(1));
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(!running.task.is_finished(), "it was dropped");

    let (mut bytes, mut close) = (0, None);
    let mut client = websocket(running.client).await;
    while let Some(Ok(message)) = client.next().await {
        match message {
            Message::Binary(frame) => bytes += frame.len(),
            Message::Close(frame) => close = frame.map(|frame| frame.code),
            _ => {}
        }
    }
    assert_eq!((bytes, close), (200_000, Some(CloseCode::Normal)));
    drop(client);
    *running.system.0.lock().unwrap() = delivered();
    running.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stalled_reader_whose_system_is_gone_is_dropped_within_70_s() {
    let running = start(endless());
    *running.system.0.lock().unwrap() = stalled(Duration::from_secs(1));
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(!running.task.is_finished());
    // It answers no more: time goes on since it last did.
    let begun = Instant::now();
    let system = running.system.clone();
    let clock = tokio::spawn(async move {
        loop {
            *system.0.lock().unwrap() = stalled(begun.elapsed());
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    running.task.await.unwrap();
    let took = begun.elapsed();
    assert!((55..=70).contains(&took.as_secs()), "{took:?}");
    clock.abort();
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_has_every_byte_and_is_silent_is_dropped_within_70_s() {
    let (running, begun) = (start(idle()), Instant::now());
    *running.system.0.lock().unwrap() = delivered();
    running.task.await.unwrap();
    let took = begun.elapsed();
    assert!((60..=70).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn pings_are_sent_while_a_log_never_pauses() {
    let (client, task) = session(endless());
    let mut client = websocket(client).await;
    let begun = Instant::now();
    // A reader of 100 kB/s or so.
    let mut pings = 0;
    while begun.elapsed() < Duration::from_secs(60) {
        match client.next().await {
            Some(Ok(Message::Ping(_))) => pings += 1,
            Some(Ok(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
            other => panic!("after {:?}: {other:?}", begun.elapsed()),
        }
    }
    assert!(pings >= 4, "{pings} pings in a minute");
    assert!(!task.is_finished());
}
