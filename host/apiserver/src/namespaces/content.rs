//! What is left in a namespace, and its removal.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt as _;
use rdd_apiserver_storage::StoredRecord;

use crate::meta;
use crate::records::{self, RecordError, RemovalOutcome};
use crate::server::ServerState;
use crate::status::qualified;

/// What a look at a terminating namespace found and could not remove.
#[derive(Debug, Default)]
pub(super) struct RemainingContent {
    /// Number of objects by resource, `plural.group`.
    pub(super) objects: BTreeMap<String, usize>,
    /// Number of objects by finalizer.
    pub(super) finalizers: BTreeMap<String, usize>,
    /// Why objects could not be deleted, each once.
    pub(super) failures: Vec<String>,
}

impl RemainingContent {
    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }
}

/// Deletes everything in a namespace; says what is still there.
pub(super) async fn delete(server: &Arc<ServerState>, namespace: &str) -> RemainingContent {
    let snapshot = server.store.snapshot();
    // By what is stored, not by what is served: objects of a version that is
    // served no more must go too.
    let found: Vec<(String, Arc<StoredRecord>)> = records::key_prefixes(&snapshot)
        .into_iter()
        .flat_map(|prefix| {
            let inside = format!("{prefix}{namespace}/");
            let name = resource(&prefix);
            snapshot
                .range(&inside, None)
                .map(|record| (name.clone(), Arc::clone(record)))
                .collect::<Vec<_>>()
        })
        .collect();
    let outcomes = futures::stream::iter(found)
        .map(|(resource, record)| async move {
            let outcome = records::remove(server, &record).await;
            (resource, record, outcome)
        })
        .buffer_unordered(records::MAX_CONCURRENT_COMMITS)
        .collect::<Vec<_>>()
        .await;
    let mut remains = RemainingContent::default();
    for (resource, record, outcome) in outcomes {
        if matches!(outcome, Ok(RemovalOutcome::Removed)) {
            continue;
        }
        *remains.objects.entry(resource).or_default() += 1;
        if let Ok(object) = records::read(&record) {
            for finalizer in meta::finalizers(&object) {
                *remains.finalizers.entry(finalizer.to_owned()).or_default() += 1;
            }
        }
        if let Err(error) = outcome
            && !error.is_conflict()
        {
            remains.fail(&error);
        }
    }
    remains
}

impl RemainingContent {
    fn fail(&mut self, error: &RecordError) {
        let text = error.to_string();
        if !self.failures.contains(&text) {
            self.failures.push(text);
        }
    }
}

/// `plural.group` of a storage prefix.
fn resource(prefix: &str) -> String {
    let mut parts = prefix.trim_end_matches('/').splitn(2, '/');
    let group = parts.next().unwrap_or_default();
    let group = if group == "core" { "" } else { group };
    qualified(group, parts.next().unwrap_or_default())
}
