//! Tests of the engine watcher with a paused clock.

use rdd_testkit::{EngineOperation, FakeEngine};

use super::*;
use crate::metrics::MirrorMetrics;

/// A running engine watcher.
struct TestWatcher {
    events: mpsc::Receiver<EngineEvent>,
    relist: Arc<Notify>,
    task: tokio::task::JoinHandle<()>,
}

fn start(engine: &FakeEngine) -> TestWatcher {
    let (sender, events) = channel(&MirrorMetrics::default());
    let relist = Arc::new(Notify::new());
    let run = run(
        Arc::new(engine.clone()),
        MirrorTiming::default(),
        Arc::clone(&relist),
        sender,
    );
    TestWatcher {
        events,
        relist,
        task: tokio::spawn(run),
    }
}

impl TestWatcher {
    /// Returns a short name for the next event.
    async fn next(&mut self) -> String {
        match self.events.recv().await {
            Some(EngineEvent::Watch(WatchEvent::InitBegin)) => "init".to_owned(),
            Some(EngineEvent::Watch(WatchEvent::InitDone)) => "init done".to_owned(),
            Some(EngineEvent::Watch(event)) => format!("{event:?}"),
            Some(EngineEvent::Relisting) => "relisting".to_owned(),
            Some(EngineEvent::Disconnected(error)) => format!("disconnected: {error}"),
            None => "end".to_owned(),
        }
    }

    async fn expect_listing(&mut self) {
        assert_eq!(self.next().await, "init");
        assert_eq!(self.next().await, "init done");
    }
}

#[tokio::test(start_paused = true)]
async fn the_engine_is_relisted_every_five_minutes_with_ten_percent_jitter() {
    let engine = FakeEngine::default();
    let mut watcher = start(&engine);
    watcher.expect_listing().await;
    for _ in 0..3 {
        let start = Instant::now();
        assert_eq!(watcher.next().await, "relisting");
        let waited = start.elapsed().as_secs();
        assert!((270..=330).contains(&waited), "{waited} s");
        watcher.expect_listing().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_listing_can_be_requested() {
    let engine = FakeEngine::default();
    let mut watcher = start(&engine);
    watcher.expect_listing().await;
    let start = Instant::now();
    watcher.relist.notify_one();
    assert_eq!(watcher.next().await, "relisting");
    watcher.expect_listing().await;
    assert!(start.elapsed() < Duration::from_secs(1));
}

/// An engine whose listings are slow.
struct SlowListing {
    engine: FakeEngine,
    /// Durations of the successive listings of a stream.
    delays: Vec<Duration>,
}

#[async_trait::async_trait]
impl ContainerEngine for SlowListing {
    fn info(&self) -> &rdd_core::BackendInfo {
        self.engine.info()
    }

    async fn watch(&self) -> Result<rdd_core::WatchStream, EngineError> {
        let mut listings = Vec::new();
        for delay in self.delays.clone() {
            let events = self.engine.watch().await?;
            let listing = events.take(2).then(move |event| async move {
                if matches!(event, Ok(WatchEvent::InitDone)) {
                    tokio::time::sleep(delay).await;
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
        container: &rdd_core::ContainerRef,
        options: &rdd_core::LogOptions,
    ) -> Result<rdd_core::LogStream, EngineError> {
        self.engine.get_logs(container, options).await
    }

    async fn act(
        &self,
        container: &rdd_core::ContainerRef,
        action: rdd_core::ContainerAction,
    ) -> Result<(), EngineError> {
        self.engine.act(container, action).await
    }

    async fn remove(&self, request: &rdd_core::RemoveRequest) -> Result<(), EngineError> {
        self.engine.remove(request).await
    }

    async fn get_entries(
        &self,
        container: &rdd_core::ContainerRef,
        options: &rdd_core::EntryOptions,
    ) -> Result<rdd_core::EntryStream, EngineError> {
        self.engine.get_entries(container, options).await
    }

    async fn create_container(
        &self,
        spec: &rdd_core::ContainerSpec,
    ) -> Result<String, EngineError> {
        ContainerEngine::create_container(&self.engine, spec).await
    }

    async fn create_volume(&self, spec: &rdd_core::VolumeSpec) -> Result<String, EngineError> {
        ContainerEngine::create_volume(&self.engine, spec).await
    }

    async fn exec(
        &self,
        container: &rdd_core::ContainerRef,
        options: &rdd_core::ExecOptions,
    ) -> Result<rdd_core::ExecSession, EngineError> {
        self.engine.exec(container, options).await
    }

    async fn pull(
        &self,
        spec: &rdd_core::PullSpec,
    ) -> Result<rdd_core::TransferStream, EngineError> {
        self.engine.pull(spec).await
    }

    async fn push(
        &self,
        spec: &rdd_core::PushSpec,
    ) -> Result<rdd_core::TransferStream, EngineError> {
        self.engine.push(spec).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_takes_longer_than_the_interval_is_completed() {
    let interval = Duration::from_secs(1);
    let listing = 10 * interval;
    let (sender, events) = channel(&MirrorMetrics::default());
    let relist = Arc::new(Notify::new());
    let timing = MirrorTiming {
        resync_interval: interval,
        ..MirrorTiming::default()
    };
    let engine = SlowListing {
        engine: FakeEngine::default(),
        delays: vec![listing],
    };
    let task = tokio::spawn(run(Arc::new(engine), timing, Arc::clone(&relist), sender));
    let mut watcher = TestWatcher {
        events,
        relist,
        task,
    };
    for _ in 0..3 {
        assert_eq!(watcher.next().await, "init");
        // Requested during a listing: that listing satisfies the request.
        watcher.relist.notify_one();
        let start = Instant::now();
        assert_eq!(watcher.next().await, "init done");
        assert_eq!(start.elapsed(), listing);
        assert_eq!(watcher.next().await, "relisting");
    }
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_the_backend_starts_itself_is_completed() {
    let interval = Duration::from_secs(1);
    let listing = 10 * interval;
    let (sender, events) = channel(&MirrorMetrics::default());
    let relist = Arc::new(Notify::new());
    let timing = MirrorTiming {
        resync_interval: interval,
        ..MirrorTiming::default()
    };
    let engine = SlowListing {
        engine: FakeEngine::default(),
        delays: vec![Duration::ZERO, listing],
    };
    let task = tokio::spawn(run(Arc::new(engine), timing, Arc::clone(&relist), sender));
    let mut watcher = TestWatcher {
        events,
        relist,
        task,
    };
    watcher.expect_listing().await;
    assert_eq!(watcher.next().await, "init");
    let start = Instant::now();
    assert_eq!(watcher.next().await, "init done");
    assert_eq!(start.elapsed(), listing);
    assert_eq!(watcher.next().await, "relisting");
}

#[tokio::test(start_paused = true)]
async fn the_watcher_keeps_reconnecting_and_lists_within_two_seconds_of_the_engines_return() {
    let engine = FakeEngine::default();
    let mut watcher = start(&engine);
    watcher.expect_listing().await;
    engine.go_offline("connection refused");
    let start = Instant::now();
    for _ in 0..50 {
        assert_eq!(watcher.next().await, "disconnected: connection refused");
    }
    let tries = start.elapsed();
    // At least forty of the fifty delays are the maximum: this is not a busy
    // loop.
    assert!(
        tries > 40 * MirrorTiming::default().reconnect_delay_max,
        "{tries:?}"
    );
    engine.go_online();
    let back = Instant::now();
    watcher.expect_listing().await;
    assert!(
        back.elapsed() < Duration::from_secs(2),
        "{:?}",
        back.elapsed()
    );
    // A successful listing resets the back-off.
    engine.cut_watches();
    assert_eq!(
        watcher.next().await,
        "disconnected: the event stream was disconnected"
    );
    let cut = Instant::now();
    watcher.expect_listing().await;
    assert!(cut.elapsed() <= 2 * MirrorTiming::default().reconnect_delay_min);
}

#[tokio::test(start_paused = true)]
async fn a_single_failure_to_reopen_the_watch_is_not_reported() {
    let engine = FakeEngine::default();
    let mut watcher = start(&engine);
    watcher.expect_listing().await;
    let busy = EngineError::new(ErrorCode::Unavailable, "busy");
    engine.fail_next(EngineOperation::Watch, None, busy);
    assert_eq!(watcher.next().await, "relisting");
    watcher.expect_listing().await;
}

#[tokio::test(start_paused = true)]
async fn the_watcher_ends_when_its_receiver_is_dropped() {
    let engine = FakeEngine::default();
    for offline in [false, true] {
        let mut watcher = start(&engine);
        watcher.expect_listing().await;
        if offline {
            engine.go_offline("gone");
            watcher.next().await;
        }
        drop(watcher.events);
        watcher.task.await.expect("the watcher must not panic");
    }
}
