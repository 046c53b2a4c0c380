//! Logs as entries.

use futures::StreamExt;
use rdd_core::{
    ContainerEngine, EngineError, EntryBatch, EntryOptions, EntryPosition, EntryStream, ErrorCode,
    GapReason, OutputSource,
};
use rdd_plugin_wasm::BackendHandle;

use crate::support::*;

async fn entries(handle: &BackendHandle, id: &str, options: &EntryOptions) -> EntryStream {
    in_time(handle.get_entries(&container_ref(id), options))
        .await
        .unwrap()
}

async fn drain(mut entries: EntryStream) -> (Vec<EntryBatch>, Option<EngineError>) {
    let mut batches = Vec::new();
    while let Some(batch) = in_time(entries.next()).await {
        match batch {
            Ok(batch) => batches.push(batch),
            Err(error) => return (batches, Some(error)),
        }
    }
    (batches, None)
}

/// Waits until no log is open.
async fn all_closed(handle: &BackendHandle) {
    rdd_testkit::eventually("all logs are closed", || async {
        match handle.usage().log_streams {
            0 => Ok(()),
            open => Err(format!("{open} open")),
        }
    })
    .await;
}

fn lines(batches: &[EntryBatch]) -> Vec<String> {
    batches
        .iter()
        .flat_map(EntryBatch::entries)
        .map(|entry| String::from_utf8_lossy(entry.bytes).into_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_arrive_in_order_with_source_and_time() {
    let backend = backend();
    let handle = launch(&backend).await;
    let log = entries(&handle, "entries-100", &EntryOptions::default()).await;
    let (batches, error) = drain(log).await;
    assert_eq!(error, None);
    let expected: Vec<_> = (0..100).map(|n| format!("line {n}")).collect();
    assert_eq!(lines(&batches), expected);
    let headers: Vec<_> = batches.iter().flat_map(EntryBatch::headers).collect();
    assert!(headers.is_sorted_by_key(|header| header.time));
    assert_eq!(headers[0].source, OutputSource::Stdout);
    assert_eq!(headers[1].source, OutputSource::Stderr);
    assert!(headers.iter().all(|header| !header.is_partial));
    all_closed(&handle).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_continues_after_a_position() {
    let backend = backend();
    let handle = launch(&backend).await;
    let after = EntryOptions {
        after: Some(EntryPosition {
            time: 1_700_000_000_000_000_000,
            index: 2,
        }),
        ..EntryOptions::default()
    };
    let (batches, _) = drain(entries(&handle, "equal-5", &after).await).await;
    assert_eq!(lines(&batches), ["line 3", "line 4"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_stands_before_the_entries_that_follow_it() {
    let backend = backend();
    let handle = launch(&backend).await;
    let (batches, error) = drain(entries(&handle, "gap", &EntryOptions::default()).await).await;
    assert_eq!(error, None);
    assert_eq!(batches[0].gap(), Some(GapReason::Rotated));
    assert_eq!(batches[0].headers(), []);
    assert_eq!(batches[1].gap(), None);
    assert_eq!(lines(&batches), ["line 0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attributes_of_later_versions_are_ignored() {
    let backend = backend();
    let handle = launch(&backend).await;
    let log = entries(&handle, "future-bits", &EntryOptions::default()).await;
    let (batches, error) = drain(log).await;
    assert_eq!(error, None);
    let [header] = batches[0].headers() else {
        panic!("{batches:?}");
    };
    assert!(header.source == OutputSource::Stderr && header.is_partial);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalid_batch_ends_only_its_log() {
    let backend = backend();
    let handle = launch(&backend).await;
    for (id, expected) in [
        (
            "bad-lengths",
            "the lengths of a batch add up to 7, but it has 6",
        ),
        ("too-many", "a batch has 5000 entries"),
    ] {
        let log = entries(&handle, id, &EntryOptions::default()).await;
        let (batches, error) = drain(log).await;
        assert_eq!(batches, []);
        assert_stream_failed(&error.unwrap(), expected);
    }
    in_time(handle.inspect(&container("one"))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_log_stops_and_frees_its_permit() {
    let backend = backend();
    let handle = launch(&backend).await;
    let mut log = entries(&handle, "idle", &EntryOptions::default()).await;
    in_time(log.next()).await.unwrap().unwrap();
    assert_eq!(handle.usage().log_streams, 1);
    drop(log);
    all_closed(&handle).await;
    let missing = handle
        .get_entries(&container_ref("missing"), &EntryOptions::default())
        .await;
    let mut missing = missing.unwrap();
    let error = in_time(missing.next()).await.unwrap().unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound);
}
