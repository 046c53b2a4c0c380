//! The deletion of the objects in a namespace.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt as _;
use rdd_apiserver_storage::StoredRecord;

use crate::controllers::record_writes::{self, MAX_CONCURRENT_COMMITS, RemovalOutcome};
use crate::meta;
use crate::records::{self, RecordError};
use crate::server_state::ServerState;

/// The objects in a terminating namespace that could not be deleted.
#[derive(Debug, Default)]
pub(super) struct RemainingContent {
    /// The number of objects of each resource, `plural.group`.
    pub(super) objects: BTreeMap<String, usize>,
    /// The number of objects with each finalizer.
    pub(super) finalizers: BTreeMap<String, usize>,
    /// The errors of deletions, without duplicates.
    pub(super) failures: Vec<String>,
}

impl RemainingContent {
    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }
}

/// Deletes all objects in a namespace. Returns what remains.
pub(super) async fn delete_all(server: &Arc<ServerState>, namespace: &str) -> RemainingContent {
    let snapshot = server.store.snapshot();
    // All stored objects, not only those of served resources: objects whose
    // version is not served any longer must be deleted as well.
    let objects: Vec<(String, Arc<StoredRecord>)> = records::key_prefixes(&snapshot)
        .into_iter()
        .flat_map(|prefix| {
            let namespace_prefix = format!("{prefix}{namespace}/");
            let name = resource(&prefix);
            snapshot
                .range(&namespace_prefix, None)
                .map(|record| (name.clone(), Arc::clone(record)))
                .collect::<Vec<_>>()
        })
        .collect();
    let outcomes = futures::stream::iter(objects)
        .map(|(resource, record)| async move {
            let outcome = record_writes::remove(server, &record).await;
            (resource, record, outcome)
        })
        .buffer_unordered(MAX_CONCURRENT_COMMITS)
        .collect::<Vec<_>>()
        .await;
    let mut remaining = RemainingContent::default();
    for (resource, record, outcome) in outcomes {
        if matches!(outcome, Ok(RemovalOutcome::Removed)) {
            continue;
        }
        *remaining.objects.entry(resource).or_default() += 1;
        if let Ok(object) = records::read(&record) {
            for finalizer in meta::finalizers(&object) {
                *remaining
                    .finalizers
                    .entry(finalizer.to_owned())
                    .or_default() += 1;
            }
        }
        if let Err(error) = outcome
            && !error.is_conflict()
        {
            remaining.add_failure(&error);
        }
    }
    remaining
}

impl RemainingContent {
    fn add_failure(&mut self, error: &RecordError) {
        let text = error.to_string();
        if !self.failures.contains(&text) {
            self.failures.push(text);
        }
    }
}

/// Returns the `plural.group` of a key prefix, as upstream also for the core group,
/// which is empty.
fn resource(prefix: &str) -> String {
    let mut parts = prefix.trim_end_matches('/').splitn(2, '/');
    let group = parts.next().unwrap_or_default();
    let group = if group == "core" { "" } else { group };
    format!("{}.{group}", parts.next().unwrap_or_default())
}
