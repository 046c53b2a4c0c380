use futures::FutureExt as _;
use rdd_core::{OutputSource, Timestamp};
use rdd_testkit::{EngineOperation, FakeEngine, eventually};

use super::*;

struct Fixture {
    hub: LogHub,
    fake: FakeEngine,
    engine: Arc<dyn ContainerEngine>,
    container: ContainerRef,
}

fn fixture() -> Fixture {
    let fake = FakeEngine::default();
    let id = fake.run_container("web");
    fake.write_log(&id, OutputSource::Stdout, &b"line\n"[..]);
    Fixture {
        hub: LogHub::new(2),
        engine: Arc::new(fake.clone()),
        container: fake.container_ref(&id),
        fake,
    }
}

async fn wait_for_no_log(hub: &LogHub) {
    eventually("the hub is empty", || async {
        match (hub.logs().len(), hub.shared.limiter.available()) {
            (0, 2) => Ok(()),
            other => Err(format!("logs, permits: {other:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn a_log_that_nobody_waits_for_any_more_leaves_nothing_behind() {
    let Fixture {
        hub,
        fake,
        engine,
        container,
    } = fixture();
    let gate = fake.gate(EngineOperation::GetEntries, None);
    let mut joining = Box::pin(hub.join(&engine, &container));
    assert!(joining.as_mut().now_or_never().is_none());
    assert_eq!(hub.logs().len(), 1);
    drop(joining);
    assert_eq!(hub.logs().len(), 0);
    gate.open();
    wait_for_no_log(&hub).await;
    // The next one opens it.
    hub.join(&engine, &container).await.unwrap();
}

#[tokio::test]
async fn who_still_waits_takes_over_from_who_left() {
    let Fixture {
        hub,
        fake,
        engine,
        container,
    } = fixture();
    let gate = fake.gate(EngineOperation::GetEntries, None);
    let mut first = Box::pin(hub.join(&engine, &container));
    let mut second = Box::pin(hub.join(&engine, &container));
    assert!(first.as_mut().now_or_never().is_none());
    assert!(second.as_mut().now_or_never().is_none());
    drop(first);
    gate.open();
    let ring = second.await.unwrap();
    assert_eq!(hub.logs().len(), 1);
    drop(ring);
    wait_for_no_log(&hub).await;
}

#[tokio::test]
async fn a_log_that_cannot_be_opened_leaves_nothing_behind() {
    let Fixture {
        hub,
        fake,
        engine,
        container,
    } = fixture();
    let error = EngineError::new(ErrorCode::Unsupported, "no");
    fake.fail_next(EngineOperation::GetEntries, None, error);
    assert!(hub.join(&engine, &container).await.is_err());
    wait_for_no_log(&hub).await;
}

#[tokio::test]
async fn a_stream_that_is_closed_by_the_shutdown_is_an_error_for_its_readers() {
    let Fixture {
        hub,
        engine,
        container,
        ..
    } = fixture();
    let ring = hub.join(&engine, &container).await.unwrap();
    hub.shutdown().await;
    assert!(matches!(ring.borrow().end(), Some(LogEnd::Failed(_))));
    wait_for_no_log(&hub).await;
}

/// The position of an entry may depend on a read of the engine's log.
#[tokio::test(start_paused = true)]
async fn entries_that_wait_for_many_readers_do_not_wait_for_a_call_of_the_engine() {
    let Fixture {
        hub,
        fake,
        engine,
        container,
    } = fixture();
    let id = &container.id;
    let write_at = |nanoseconds, line: &str| {
        let at = Timestamp::from_unix_nanoseconds(nanoseconds);
        fake.write_log_at(id, at, OutputSource::Stdout, line.to_owned());
    };
    let newest_time = 1 << 60;
    for number in 0..limits::FOLLOWED_TAIL as i64 * 2 {
        write_at(newest_time - 10_000 + number, "old\n");
    }
    let ring = hub.join(&engine, &container).await.unwrap();
    let readers: Vec<_> = (0..200).map(|_| ring.clone()).collect();
    let newest = || ring.borrow().newest().item;
    eventually("the old lines are read", || async {
        let is_caught_up = ring.borrow().is_caught_up();
        is_caught_up
            .then_some(())
            .ok_or_else(|| "not caught up".to_owned())
    })
    .await;
    // The clock of the test stands still while a task can run, so each of these
    // lines is a batch of its own, between two items.
    tokio::time::sleep(limits::MAX_ITEM_PAUSE * 2).await;
    write_at(newest_time, "at once\n");
    tokio::time::sleep(limits::MAX_ITEM_PAUSE - limits::READ_BEFORE_ITEM / 2).await;
    let before = newest();
    write_at(newest_time + 1, "waits\n");
    tokio::task::yield_now().await;
    assert_eq!(newest(), before, "gathered");
    let gate = fake.gate(EngineOperation::GetEntries, None);
    write_at(newest_time - 20_000, "earlier\n");
    eventually("the line that waited is an item", || async {
        let item = newest();
        (item > before)
            .then_some(())
            .ok_or_else(|| format!("item {item}"))
    })
    .await;
    gate.open();
    eventually("the other one follows", || async {
        let item = newest();
        (item > before + 1)
            .then_some(())
            .ok_or_else(|| format!("item {item}"))
    })
    .await;
    drop(readers);
}

#[tokio::test]
async fn only_some_logs_are_opened_at_the_same_time() {
    let fake = FakeEngine::default();
    let count = limits::MAX_OPENING_LOGS + 4;
    let containers: Vec<_> = (0..count)
        .map(|number| fake.container_ref(&fake.run_container(&format!("c{number}"))))
        .collect();
    let engine: Arc<dyn ContainerEngine> = Arc::new(fake.clone());
    let hub = LogHub::new(count);
    let gate = fake.gate(EngineOperation::GetEntries, None);
    let mut joining: Vec<_> = containers
        .iter()
        .map(|container| Box::pin(hub.join(&engine, container)))
        .collect();
    for _ in 0..3 {
        for join in &mut joining {
            assert!(join.as_mut().now_or_never().is_none());
        }
    }
    let calls = fake.call_count(EngineOperation::GetEntries);
    assert_eq!(calls, limits::MAX_OPENING_LOGS);
    gate.open();
    futures::future::try_join_all(joining).await.unwrap();
}

#[tokio::test]
async fn a_log_of_an_engine_that_was_replaced_is_opened_again() {
    let Fixture {
        hub,
        fake,
        engine,
        container,
    } = fixture();
    let old = hub.join(&engine, &container).await.unwrap();
    let replacement: Arc<dyn ContainerEngine> = Arc::new(fake.clone());
    let new = hub.join(&replacement, &container).await.unwrap();
    assert!(!old.same_channel(&new));
    // The end of the old one does not remove the new one.
    fake.cut_streams();
    drop(new);
    let new = hub.join(&replacement, &container).await.unwrap();
    drop(old);
    drop(new);
    wait_for_no_log(&hub).await;
}
