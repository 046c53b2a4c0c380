//! The feed on a clock that the test moves.

use rdd_testkit::{FakeEngine, Operation};

use super::*;

struct Running {
    events: mpsc::Receiver<Feed>,
    renew: Arc<Notify>,
    task: tokio::task::JoinHandle<()>,
}

fn start(engine: &FakeEngine) -> Running {
    let (sender, events) = channel();
    let renew = Arc::new(Notify::new());
    let run = run(
        Arc::new(engine.clone()),
        Timing::default(),
        Arc::clone(&renew),
        sender,
    );
    Running {
        events,
        renew,
        task: tokio::spawn(run),
    }
}

impl Running {
    /// The next thing that the feed says, by a short name.
    async fn next(&mut self) -> String {
        match self.events.recv().await {
            Some(Feed::Event(WatchEvent::InitBegin)) => "begin".to_owned(),
            Some(Feed::Event(WatchEvent::InitDone)) => "done".to_owned(),
            Some(Feed::Event(event)) => format!("{event:?}"),
            Some(Feed::Renewing) => "renewing".to_owned(),
            Some(Feed::Lost(error)) => format!("lost: {error}"),
            None => "over".to_owned(),
        }
    }

    async fn listed(&mut self) {
        assert_eq!(self.next().await, "begin");
        assert_eq!(self.next().await, "done");
    }
}

#[tokio::test(start_paused = true)]
async fn everything_is_listed_anew_every_five_minutes_a_tenth_more_or_less() {
    let engine = FakeEngine::default();
    let mut feed = start(&engine);
    feed.listed().await;
    for _ in 0..3 {
        let begun = Instant::now();
        assert_eq!(feed.next().await, "renewing");
        let waited = begun.elapsed().as_secs();
        assert!((270..=330).contains(&waited), "{waited} s");
        feed.listed().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_listing_can_be_asked_for() {
    let engine = FakeEngine::default();
    let mut feed = start(&engine);
    feed.listed().await;
    let begun = Instant::now();
    feed.renew.notify_one();
    assert_eq!(feed.next().await, "renewing");
    feed.listed().await;
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_lost_engine_is_tried_again_and_again_and_heard_within_two_seconds() {
    let engine = FakeEngine::default();
    let mut feed = start(&engine);
    feed.listed().await;
    engine.go_offline("connection refused");
    let begun = Instant::now();
    for _ in 0..50 {
        assert_eq!(feed.next().await, "lost: connection refused");
    }
    let tries = begun.elapsed();
    // Forty of fifty waits are the longest, so this is no busy loop.
    assert!(tries > 40 * Timing::default().reconnect_max, "{tries:?}");
    engine.go_online();
    let back = Instant::now();
    feed.listed().await;
    assert!(
        back.elapsed() < Duration::from_secs(2),
        "{:?}",
        back.elapsed()
    );
    // Success makes it patient again.
    engine.cut_watches();
    assert_eq!(feed.next().await, "lost: the event stream was cut");
    let cut = Instant::now();
    feed.listed().await;
    assert!(cut.elapsed() <= 2 * Timing::default().reconnect_min);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_fails_at_first_is_no_loss() {
    let engine = FakeEngine::default();
    let mut feed = start(&engine);
    feed.listed().await;
    let busy = EngineError::new(ErrorCode::Unavailable, "busy");
    engine.fail_next(Operation::Watch, None, busy);
    assert_eq!(feed.next().await, "renewing");
    feed.listed().await;
}

#[tokio::test(start_paused = true)]
async fn the_feed_ends_with_its_receiver() {
    let engine = FakeEngine::default();
    for offline in [false, true] {
        let mut feed = start(&engine);
        feed.listed().await;
        if offline {
            engine.go_offline("gone");
            feed.next().await;
        }
        drop(feed.events);
        feed.task.await.expect("it ended");
    }
}
