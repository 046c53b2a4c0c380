//! An engine that goes silent in mid-stream, over real sockets.

use std::time::{Duration, Instant};

use futures::StreamExt;
use rdd_core::{ContainerEngine, ErrorCode, LogOptions, WatchEvent};
use rdd_plugin_wasm::BackendLimits;
use tokio::io::AsyncWriteExt;

use crate::support::*;

const SILENCE: Duration = Duration::from_millis(200);
const ANSWER: Duration = Duration::from_millis(400);

fn short() -> BackendLimits {
    BackendLimits {
        silence: SILENCE,
        answer: ANSWER,
        ..limits()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_waits_for_an_engine_that_hangs_is_told() {
    let (engine, mut questions) = played();
    let backend = backend_with(short(), engine);
    let instance = launch(&backend).await;
    let listing = watch(&instance, "feed").await;
    let mut feed = asked(&mut questions, "feed").await;
    let mut log = soon(instance.get_logs("feed", &LogOptions::default()))
        .await
        .unwrap();
    let mut log_feed = asked(&mut questions, "feed").await;
    log_feed.answer().await;
    assert_eq!(&soon(log.next()).await.unwrap().unwrap().bytes[..], b"!");
    feed.answer().await;
    // From now on nothing comes: the pings are taken and not answered.
    let began = Instant::now();
    let stop = instance.act("asks-stop", rdd_core::ContainerAction::Stop);
    let (events, stop, log_end) =
        futures::future::join3(drain(listing), soon(stop), soon(log.next())).await;
    assert_eq!(events.0, [WatchEvent::InitBegin, WatchEvent::InitDone]);
    for error in [
        events.1.unwrap(),
        stop.unwrap_err(),
        log_end.unwrap().unwrap_err(),
    ] {
        assert_eq!(error.code, ErrorCode::Unavailable, "{error}");
        assert!(
            error.message.contains("not even the answer to a ping"),
            "{error}"
        );
    }
    assert!(began.elapsed() >= ANSWER, "{:?}", began.elapsed());
    // The backend itself is well, and so is the next connection.
    let again = watch(&instance, "feed").await;
    loop {
        let mut next = soon(questions.recv()).await.unwrap();
        // Of the first connections some are broken by now.
        next.connection.get_mut().write_all(b"!").await.ok();
        if next.line == "feed" {
            break;
        }
    }
    drop(again);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_engine_that_answers_pings_is_left_alone() {
    let (engine, mut questions) = played();
    // The watch has the only one: a probe has a connection of its own.
    let limits = BackendLimits {
        connections: 1,
        ..short()
    };
    let backend = backend_with(limits, engine);
    let instance = launch(&backend).await;
    let mut listing = watch(&instance, "feed").await;
    let mut feed = None;
    let mut pings = 0;
    let reading = async {
        let mut events = 0;
        while listing.next().await.unwrap().is_ok() {
            events += 1;
        }
        events
    };
    tokio::pin!(reading);
    while pings < 5 {
        tokio::select! {
            events = &mut reading => panic!("it ended after {events} events and {pings} pings"),
            asked = soon(questions.recv()) => {
                let mut asked = asked.unwrap();
                if asked.line == "feed" {
                    feed = Some(asked);
                    continue;
                }
                assert_eq!(asked.line, "ping");
                // A busy engine takes its time.
                tokio::time::sleep(ANSWER / 2).await;
                asked.answer().await;
                pings += 1;
            }
        }
    }
    assert!(feed.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_sends_something_is_not_pinged() {
    let (engine, mut questions) = played();
    let backend = backend_with(short(), engine);
    let instance = launch(&backend).await;
    let _listing = watch(&instance, "feed").await;
    let mut feed = asked(&mut questions, "feed").await;
    for _ in 0..40 {
        feed.answer().await;
        tokio::time::sleep(SILENCE / 10).await;
    }
    assert!(questions.try_recv().is_err(), "it was asked for nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_nobody_waits_for_is_not_pinged() {
    let (engine, mut questions) = played();
    let backend = backend_with(short(), engine);
    let instance = launch(&backend).await;
    soon(instance.inspect(&container("one"))).await.unwrap();
    tokio::time::sleep(4 * SILENCE).await;
    assert!(questions.try_recv().is_err(), "it was asked for nothing");
}
