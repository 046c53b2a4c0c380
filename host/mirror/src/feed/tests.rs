//! The feed on a clock that the test moves.

use rdd_testkit::{EngineOperation, FakeEngine};

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
        MirrorTiming::default(),
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

/// An engine whose listings take their time.
struct SlowListing {
    engine: FakeEngine,
    /// How long the first one of a stream takes, and those that follow in it.
    pauses: Vec<Duration>,
}

#[async_trait::async_trait]
impl ContainerEngine for SlowListing {
    fn info(&self) -> &rdd_core::BackendInfo {
        self.engine.info()
    }

    async fn watch(&self) -> Result<rdd_core::WatchStream, EngineError> {
        let mut listings = Vec::new();
        for pause in self.pauses.clone() {
            let events = self.engine.watch().await?;
            let listing = events.take(2).then(move |event| async move {
                if matches!(event, Ok(WatchEvent::InitDone)) {
                    tokio::time::sleep(pause).await;
                }
                event
            });
            listings.push(listing.boxed());
        }
        let listings = futures::stream::iter(listings).flatten();
        Ok(listings.chain(futures::stream::pending()).boxed())
    }

    async fn inspect(
        &self,
        object: &rdd_core::ObjectRef,
    ) -> Result<rdd_core::InspectResponse, EngineError> {
        self.engine.inspect(object).await
    }

    async fn get_logs(
        &self,
        id: &str,
        options: &rdd_core::LogOptions,
    ) -> Result<rdd_core::LogStream, EngineError> {
        self.engine.get_logs(id, options).await
    }

    async fn act(&self, id: &str, action: rdd_core::ContainerAction) -> Result<(), EngineError> {
        self.engine.act(id, action).await
    }

    async fn remove(&self, target: &rdd_core::RemoveRequest) -> Result<(), EngineError> {
        self.engine.remove(target).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_takes_longer_than_the_interval_comes_to_its_end() {
    let interval = Duration::from_secs(1);
    let listing = 10 * interval;
    let (sender, events) = channel();
    let renew = Arc::new(Notify::new());
    let timing = MirrorTiming {
        resync_interval: interval,
        ..MirrorTiming::default()
    };
    let engine = SlowListing {
        engine: FakeEngine::default(),
        pauses: vec![listing],
    };
    let task = tokio::spawn(run(Arc::new(engine), timing, Arc::clone(&renew), sender));
    let mut feed = Running {
        events,
        renew,
        task,
    };
    for _ in 0..3 {
        assert_eq!(feed.next().await, "begin");
        // Asked for during a listing, which is the answer.
        feed.renew.notify_one();
        let begun = Instant::now();
        assert_eq!(feed.next().await, "done");
        assert_eq!(begun.elapsed(), listing);
        assert_eq!(feed.next().await, "renewing");
    }
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_a_backend_begins_by_itself_comes_to_its_end() {
    let interval = Duration::from_secs(1);
    let listing = 10 * interval;
    let (sender, events) = channel();
    let renew = Arc::new(Notify::new());
    let timing = MirrorTiming {
        resync_interval: interval,
        ..MirrorTiming::default()
    };
    let engine = SlowListing {
        engine: FakeEngine::default(),
        pauses: vec![Duration::ZERO, listing],
    };
    let task = tokio::spawn(run(Arc::new(engine), timing, Arc::clone(&renew), sender));
    let mut feed = Running {
        events,
        renew,
        task,
    };
    feed.listed().await;
    assert_eq!(feed.next().await, "begin");
    let begun = Instant::now();
    assert_eq!(feed.next().await, "done");
    assert_eq!(begun.elapsed(), listing);
    assert_eq!(feed.next().await, "renewing");
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
    assert!(
        tries > 40 * MirrorTiming::default().reconnect_max,
        "{tries:?}"
    );
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
    assert!(cut.elapsed() <= 2 * MirrorTiming::default().reconnect_min);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_fails_at_first_is_no_loss() {
    let engine = FakeEngine::default();
    let mut feed = start(&engine);
    feed.listed().await;
    let busy = EngineError::new(ErrorCode::Unavailable, "busy");
    engine.fail_next(EngineOperation::Watch, None, busy);
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
