use futures::FutureExt as _;
use rdd_core::OutputSource;
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
