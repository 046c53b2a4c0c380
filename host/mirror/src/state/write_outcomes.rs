//! How the state changes with the outcomes of writes.

use std::fmt::Display;
use std::sync::Arc;

use tracing::warn;

use super::{FAILING_AFTER, MirrorState, MirrorTimer};
use crate::entry::{MirrorObject, ResourceVersion};
use crate::key::MirrorKey;
use crate::mirror_writer::{WriteError, WriteOutcome};

impl MirrorState {
    /// Handles the outcome of a write.
    pub(crate) fn on_write_finished(&mut self, key: &MirrorKey, outcome: WriteOutcome) {
        self.writes_in_flight -= 1;
        self.superseded_writes.remove(key);
        let entry = self.entries.get(key);
        let before = entry.and_then(|entry| entry.write.as_ref()?.version.clone());
        match outcome {
            WriteOutcome::Written(object) => {
                let observed = entry.and_then(|entry| entry.observed.as_ref());
                if before.as_ref() == Some(&object.version)
                    && observed.is_some_and(|observed| observed.object == object)
                {
                    // Without back-off, it would be written again immediately,
                    // in an endless loop.
                    self.record_write_failure(key, &WriteError::NoEffect);
                } else {
                    self.clear_write_failure(key);
                    self.observe_response(object);
                }
            }
            WriteOutcome::Pruned { uid, version } => {
                self.clear_write_failure(key);
                self.on_pruned(key, uid, &version);
            }
            WriteOutcome::Refreshed { object, error } => {
                // Our state was not stale: the request itself is rejected, and
                // would be again.
                if before.as_ref() == object.as_ref().map(|object| &object.version) {
                    self.record_write_failure(key, &error);
                }
                match object {
                    Some(object) => self.observe_response(object),
                    // Unless one was created since.
                    None if self.version(key) == before.as_ref() => self.remove_observed(key),
                    None => {}
                }
            }
            WriteOutcome::Failed(error) => self.record_write_failure(key, &error),
        }
        if let Some(entry) = self.entries.get_mut(key) {
            entry.write = None;
        }
        let is_retried_soon = self
            .entries
            .get(key)
            .is_some_and(|entry| entry.backing_off && entry.write_failures < FAILING_AFTER);
        if !is_retried_soon {
            self.mark_synced(key);
        }
        self.queue.add(key.clone());
    }

    fn version(&self, key: &MirrorKey) -> Option<&ResourceVersion> {
        self.entries.get(key)?.version()
    }

    /// Records the object in a response, unless a later version of it,
    /// including its deletion, has already been seen.
    fn observe_response(&mut self, object: MirrorObject) {
        let is_stale = self
            .entries
            .get(&object.key)
            .is_some_and(|entry| entry.is_stale_version(&object.version));
        if !is_stale {
            self.observe(object);
        }
    }

    fn on_pruned(&mut self, key: &MirrorKey, uid: Arc<str>, version: &ResourceVersion) {
        let generation = self.list_generation(key.kind);
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        entry.raise_min_resource_version(version);
        if entry
            .observed
            .as_ref()
            .is_some_and(|observed| observed.object.uid == uid)
        {
            entry.tombstone = Some((uid, generation));
            self.remove_observed(key);
        }
    }

    fn clear_write_failure(&mut self, key: &MirrorKey) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.write_failures = 0;
        }
        self.failing_writes.remove(key);
    }

    pub(super) fn record_write_failure(&mut self, key: &MirrorKey, error: &impl Display) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        let failures = entry.write_failures.saturating_add(1);
        entry.write_failures = failures;
        entry.backing_off = true;
        // Logged less and less often while it keeps failing.
        if failures.is_power_of_two() {
            warn!(mirror = %key, failures, %error, "cannot write the mirror");
        }
        if failures >= FAILING_AFTER {
            self.failing_writes
                .insert(key.clone(), error.to_string().into());
        }
        let timer = MirrorTimer::Write(key.clone(), failures);
        self.requests.timers.push(timer);
    }
}
