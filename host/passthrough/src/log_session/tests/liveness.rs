//! Which peers are disconnected, and which are waited for.

use super::*;
use crate::delivery::DeliveryState;

#[tokio::test(start_paused = true)]
async fn a_log_without_output_stays_open_for_hours_while_the_peer_answers_pings() {
    let (client, task) = session(idle());
    let mut client = websocket(client).await;
    let begun = Instant::now();
    let mut pings = 0;
    // The client answers pings as it reads.
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
async fn a_silent_peer_is_disconnected_within_70_s() {
    let (mut client, task) = session(idle());
    let begun = Instant::now();
    // The peer's system receives the bytes, but no client answers the pings.
    let reader = tokio::spawn(async move {
        let mut discarded = Vec::new();
        client.read_to_end(&mut discarded).await.unwrap();
    });
    task.await.unwrap();
    let took = begun.elapsed();
    assert!((60..=70).contains(&took.as_secs()), "{took:?}");
    reader.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_vanishes_with_bytes_in_flight_is_disconnected_within_70_s() {
    let (client, task) = session(endless());
    let begun = Instant::now();
    task.await.unwrap();
    let took = begun.elapsed();
    assert!((60..=70).contains(&took.as_secs()), "{took:?}");
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_not_disconnected() {
    let (mut client, task) = session(endless());
    let begun = Instant::now();
    // Too slow for any ping to arrive in time: the data before it takes longer.
    let mut piece = vec![0; 1024];
    while begun.elapsed() < Duration::from_secs(3600) {
        client.read_exact(&mut piece).await.unwrap();
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    assert!(!task.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_half_open_peer_of_a_quiet_log_is_disconnected_although_writes_succeed() {
    // One short line per second fits into the system's buffers for hours, so a
    // successful write proves nothing about the peer.
    let lines = stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Some((
            Ok(OutputChunk {
                source: OutputSource::Stdout,
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
async fn a_stalled_reader_stays_connected_and_loses_nothing_while_its_system_answers() {
    let lines = stream::iter((0..200).map(|_| {
        Ok(OutputChunk {
            source: OutputSource::Stdout,
            bytes: Bytes::from(vec![b'x'; 1000]),
        })
    }));
    let running = start(Box::pin(lines));
    *running.system.0.lock().unwrap() = stalled(Duration::from_secs(1));
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(!running.task.is_finished(), "disconnected");

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
async fn a_reader_whose_system_stops_answering_is_disconnected_within_70_s_or_if_stalled_160_s() {
    type MakeState = fn(Duration) -> Option<DeliveryState>;
    for (state, expected) in [(in_flight as MakeState, 55..=70), (stalled, 145..=160)] {
        let running = start(endless());
        *running.system.0.lock().unwrap() = state(Duration::from_secs(1));
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert!(!running.task.is_finished());
        // From now on, the time since the last acknowledgment grows.
        let begun = Instant::now();
        let system = running.system.clone();
        let clock = tokio::spawn(async move {
            loop {
                *system.0.lock().unwrap() = state(begun.elapsed());
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        running.task.await.unwrap();
        let took = begun.elapsed();
        assert!(expected.contains(&took.as_secs()), "{took:?}");
        clock.abort();
    }
}

/// Linux probes a peer whose receive buffer is full every two minutes at worst.
#[tokio::test(start_paused = true)]
async fn a_stalled_reader_whose_system_answers_every_two_minutes_stays_connected() {
    let running = start(endless());
    for seconds in 0..3600 {
        *running.system.0.lock().unwrap() = stalled(Duration::from_secs(seconds % 120));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(!running.task.is_finished(), "disconnected");
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_that_received_every_byte_is_disconnected_within_70_s() {
    let (running, begun) = (start(idle()), Instant::now());
    *running.system.0.lock().unwrap() = delivered();
    running.task.await.unwrap();
    let took = begun.elapsed();
    assert!((60..=70).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn pings_are_sent_even_if_a_log_never_pauses() {
    let (client, task) = session(endless());
    let mut client = websocket(client).await;
    let begun = Instant::now();
    // A reader of about 100 kB/s.
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
