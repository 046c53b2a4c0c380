//! Backends that use the processor without getting anything done, or that make the
//! host hold too much for them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use rdd_plugin_contract::{
    BackendInstance, BackendLimits, BackendMetrics, BackendServices, ExitKind,
};

use crate::support::*;

/// Limits with which a busy backend is detected quickly.
fn short() -> BackendLimits {
    BackendLimits {
        busy_window: Duration::from_secs(1),
        ..limits()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_loops_over_short_sleeps_is_ended() {
    for mode in ["naps", "computes"] {
        let backend = backend_with(short(), UnreachableTransport);
        let handle = launch(&backend).await;
        let (_, error) = drain(watch(&handle, mode).await).await;
        assert_failed(&error.unwrap(), "used the processor for");
        let exit = in_time(handle.wait_for_exit()).await;
        assert_eq!(exit.kind, ExitKind::Busy, "{mode}: {exit:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_copies_a_log_or_reports_changes_is_not_ended() {
    // A machine that pauses this process for a whole window stops the progress, too.
    const WINDOW: Duration = Duration::from_secs(4);
    let limits = BackendLimits {
        busy_window: WINDOW,
        max_changes_per_minute: usize::MAX,
        ..limits()
    };
    let backend = backend_with(limits, UnreachableTransport);
    let handle = launch(&backend).await;
    let mut changes = watch(&handle, "rush").await;
    // More than can be copied in the time.
    let mut log = logs(&handle, "flood-1000000").await;
    let began = Instant::now();
    while began.elapsed() < WINDOW + WINDOW / 2 {
        in_time(log.next()).await.unwrap().unwrap();
        in_time(changes.next()).await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_time_in_the_guest_is_counted() {
    let metrics = Arc::new(BackendMetrics::default());
    let services = BackendServices {
        metrics: metrics.clone(),
        ..BackendServices::new(Arc::new(UnreachableTransport))
    };
    let backend = backend_of(limits(), services);
    let handle = launch(&backend).await;
    let (_, error) = drain_logs(logs(&handle, "late-spin").await).await;
    assert_stream_failed(&error.unwrap(), "without yielding");
    // The limit for one run is 300 ms.
    assert!(
        metrics.guest_time() >= Duration::from_millis(200),
        "{metrics:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_count_as_memory_of_the_backend_and_are_released() {
    let backend = backend_with(short(), UnreachableTransport);
    let handle = launch(&backend).await;
    let (events, error) = drain(watch(&handle, "hoard").await).await;
    let expected = "ran out of memory: one instance may use 64 MiB, and it requested";
    assert_failed(&error.clone().unwrap(), expected);
    assert_failed(&error.unwrap(), "the daemon holds");
    assert!(events.len() > 100, "{}", events.len());
    in_time(handle.wait_for_exit()).await;
    rdd_testkit::eventually("nothing is held", || async {
        match handle.usage().held_bytes {
            0 => Ok(()),
            bytes => Err(format!("{bytes} bytes")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_wait_are_counted_until_they_are_taken() {
    let metrics = Arc::new(BackendMetrics::default());
    let services = BackendServices {
        metrics: metrics.clone(),
        ..BackendServices::new(Arc::new(UnreachableTransport))
    };
    let backend = backend_of(limits(), services);
    let handle = launch(&backend).await;
    let mut watch = watch(&handle, "rush").await;
    in_time(watch.next()).await.unwrap().unwrap();
    rdd_testkit::eventually("the queue is full", || async {
        match metrics.queued_events.get() {
            0..4 => Err("few events are queued".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
    assert!(handle.usage().held_bytes > 0);
    drop((watch, handle));
    rdd_testkit::eventually("the queue is gone", || async {
        match metrics.queued_events.get() {
            0 => Ok(()),
            count => Err(format!("{count} events")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_changes_ends_the_backend() {
    let limits = BackendLimits {
        max_changes_per_minute: 1_000,
        ..limits()
    };
    let backend = backend_with(limits, UnreachableTransport);
    let handle = launch(&backend).await;
    let (_, error) = drain(watch(&handle, "rush").await).await;
    assert_failed(
        &error.unwrap(),
        "flooded the daemon: its watch sent 1001 changes within",
    );
    assert_eq!(in_time(handle.wait_for_exit()).await.kind, ExitKind::Flood);
}
