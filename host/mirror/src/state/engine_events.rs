//! The engine's side: events of its watch, and whether it can be called.

use std::sync::Arc;

use rdd_core::{BackendInfo, ContainerIndex, WatchEvent};

use super::{MirrorState, MirrorTimer};
use crate::desired_state::DesiredState;
use crate::key::{MirrorKey, MirrorKind};
use crate::view::{DesiredChange, WatchProtocolError};

impl MirrorState {
    /// Sets whether the engine can be called.
    pub(crate) fn set_callable(&mut self, callable: bool) {
        let Some(engine) = &mut self.engine else {
            return;
        };
        if engine.callable == callable {
            return;
        }
        engine.callable = callable;
        if callable {
            // Actions and removals may be waiting for the engine.
            let waiting: Vec<MirrorKey> = self
                .entries
                .iter()
                .filter(|(_, entry)| {
                    entry.observed.as_ref().is_some_and(|observed| {
                        observed.object.terminating || observed.object.action.is_some()
                    })
                })
                .map(|(key, _)| key.clone())
                .collect();
            for key in waiting {
                self.queue.add(key);
            }
        }
    }

    /// Sets the information about the backend, after it was loaded or reloaded.
    pub(crate) fn set_backend_info(&mut self, info: BackendInfo) {
        let Some(engine) = &mut self.engine else {
            return;
        };
        let changes = engine.view.set_backend_info(info);
        self.apply_changes(changes);
    }

    /// Handles the end of the engine's watch. What it reported is still valid,
    /// but the last listing no longer counts as synced.
    pub(crate) fn on_watch_ended(&mut self) {
        self.pending_sync = None;
        if let Some(engine) = &mut self.engine {
            engine.view.abort_listing();
        }
    }

    /// Returns whether a listing of the engine is in progress.
    pub(super) fn is_engine_listing(&self) -> bool {
        self.engine
            .as_ref()
            .is_some_and(|engine| engine.view.is_listing())
    }

    /// Handles an event of the engine's watch.
    pub(crate) fn on_watch_event(&mut self, event: WatchEvent) -> Result<(), WatchProtocolError> {
        let Some(engine) = &mut self.engine else {
            return Ok(());
        };
        engine.listings += u64::from(event == WatchEvent::InitBegin);
        let is_done = event == WatchEvent::InitDone;
        let is_first = is_done && !engine.view.has_listed();
        let changes = engine.view.apply(event)?;
        self.apply_changes(changes);
        if is_done {
            self.on_engine_listed(is_first);
            self.retry_all_removals();
        }
        Ok(())
    }

    /// Handles a complete listing of the engine.
    fn on_engine_listed(&mut self, is_first: bool) {
        let listing = self.engine.as_ref().map_or(0, |engine| engine.listings);
        let mut changed: Vec<MirrorKey> = Vec::new();
        for (key, entry) in &mut self.entries {
            // It was contained in a listing that began after its removal.
            let has_returned = entry
                .removed_in_listing
                .is_some_and(|removed_in| removed_in < listing);
            if has_returned {
                entry.begin_new_incarnation();
            }
            // The first listing shows which objects do not exist.
            if has_returned || is_first {
                changed.push(key.clone());
            }
        }
        for key in changed {
            self.queue.add(key);
        }
        self.track_pending_sync();
    }

    pub(super) fn apply_changes(&mut self, changes: Vec<DesiredChange>) {
        for change in changes {
            self.index_container(&change);
            match change {
                DesiredChange::Set(key, desired) => {
                    let entry = self.entries.entry(key.clone()).or_default();
                    self.desired_count += usize::from(entry.desired.is_none());
                    let has_same_time = entry
                        .desired
                        .as_ref()
                        .is_some_and(|previous| previous.created_at() == desired.created_at());
                    if !has_same_time && entry.removed_in_listing.is_some() {
                        // The volume with the previous time was removed on our
                        // request: this is another one.
                        entry.begin_new_incarnation();
                    }
                    if !has_same_time && has_coarse_creation_time(&desired) {
                        self.volume_generation += 1;
                        entry.settling = Some(self.volume_generation);
                        let timer = MirrorTimer::VolumeSettle(key.clone(), self.volume_generation);
                        self.requests.timers.push(timer);
                    }
                    entry.desired = Some(desired);
                    // A write that failed for the old state may succeed now.
                    entry.backing_off = false;
                    self.queue.add(key);
                }
                DesiredChange::Removed(key) => {
                    let entry = self.entries.entry(key.clone()).or_default();
                    self.desired_count -= usize::from(entry.desired.is_some());
                    let removed = entry.desired.take();
                    entry.begin_new_incarnation();
                    entry.backing_off = false;
                    self.queue.add(key);
                    if let Some(removed) = removed {
                        self.retry_blocked_removals(&removed);
                    }
                }
            }
        }
    }
}

impl MirrorState {
    /// Returns the containers if they changed since the last call.
    pub(crate) fn take_changed_containers(&mut self) -> Option<ContainerIndex> {
        std::mem::take(&mut self.containers_changed).then(|| self.containers.clone())
    }

    fn index_container(&mut self, change: &DesiredChange) {
        match change {
            DesiredChange::Set(key, DesiredState::Container(container)) => {
                let name = Arc::clone(&key.name);
                self.containers.insert(name, Arc::clone(container));
            }
            DesiredChange::Removed(key) if key.kind == MirrorKind::Container => {
                self.containers.remove(&key.name);
            }
            DesiredChange::Set(..) | DesiredChange::Removed(_) => return,
        }
        self.containers_changed = true;
    }
}

/// Returns whether a later object of the same name may be indistinguishable:
/// volumes have no ID, and many engines report creation times in whole seconds.
fn has_coarse_creation_time(desired: &DesiredState) -> bool {
    matches!(desired, DesiredState::Volume(volume)
        if volume.created_at.is_none_or(|at| at.nanoseconds() == 0))
}
