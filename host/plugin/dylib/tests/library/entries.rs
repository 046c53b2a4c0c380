//! Logs as entries.

use futures::{StreamExt as _, TryStreamExt as _};
use rdd_core::{
    ContainerEngine as _, EntryOptions, EntryPosition, ErrorCode, GapReason, OutputSource,
};

use crate::support::{container, finish, launched, limits};

#[tokio::test]
async fn entries_have_times_and_sources_and_can_be_resumed() {
    let (backend, handle) = launched(limits()).await;
    let options = EntryOptions {
        after: Some(EntryPosition { time: 1, index: 0 }),
        ..EntryOptions::default()
    };
    let log = handle.get_entries(&container("lines-4"), &options).await;
    let batches: Vec<_> = log.unwrap().try_collect().await.unwrap();
    let entries: Vec<_> = batches
        .iter()
        .flat_map(|batch| batch.entries())
        .map(|entry| (entry.header.time, entry.header.source, entry.bytes))
        .collect();
    assert_eq!(
        entries,
        [
            (2, OutputSource::Stdout, &b"line 2"[..]),
            (3, OutputSource::Stderr, b"line 3"),
        ]
    );
    finish(backend, handle).await;
}

#[tokio::test]
async fn full_batches_arrive_complete() {
    let (backend, handle) = launched(limits()).await;
    let options = EntryOptions::default();
    let log = handle.get_entries(&container("flood-8"), &options).await;
    let entries = log
        .unwrap()
        .try_fold(
            0,
            |sum, batch| async move { Ok(sum + batch.headers().len()) },
        )
        .await
        .unwrap();
    assert_eq!(entries, 8 * 16 * 655);
    finish(backend, handle).await;
}

#[tokio::test]
async fn a_gap_stands_where_entries_are_missing() {
    let (backend, handle) = launched(limits()).await;
    let options = EntryOptions::default();
    let mut log = handle
        .get_entries(&container("gap"), &options)
        .await
        .unwrap();
    let batch = log.next().await.unwrap().unwrap();
    assert_eq!(batch.gap(), Some(GapReason::Rotated));
    assert!(batch.headers().is_empty());
    assert!(log.next().await.is_none());
    finish(backend, handle).await;
}

#[tokio::test]
async fn invalid_batches_are_rejected_with_the_reason() {
    let (backend, handle) = launched(limits()).await;
    for (id, expected) in [
        ("bad-lengths", "7"),
        (
            "too-many",
            "poll_next of get_entries returned 4097 entries; 4096 are allowed",
        ),
        (
            "null-headers",
            "poll_next of get_entries returned a NULL pointer for 1 headers",
        ),
        (
            "bad-gap",
            "poll_next of get_entries returned the invalid gap 9",
        ),
    ] {
        let log = handle
            .get_entries(&container(id), &EntryOptions::default())
            .await;
        let error = log.unwrap().next().await.unwrap().unwrap_err();
        assert_eq!(error.code, ErrorCode::StreamFailed, "{id}");
        assert!(
            error.message.contains("violated the contract"),
            "{id}: {error}"
        );
        assert!(error.message.contains(expected), "{id}: {error}");
    }
    finish(backend, handle).await;
}
