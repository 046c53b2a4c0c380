//! The engine's side: what it says, and whether it can be called.

use rdd_core::{BackendInfo, WatchEvent};

use super::{State, Timer};
use crate::desired::Desired;
use crate::key::Key;
use crate::view::{Change, ProtocolError};

impl State {
    /// Whether the engine can be called now.
    pub(crate) fn set_callable(&mut self, callable: bool) {
        let Some(session) = &mut self.session else {
            return;
        };
        if session.callable == callable {
            return;
        }
        session.callable = callable;
        if callable {
            // Actions and removals may be waiting for it.
            let waiting: Vec<Key> = self
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
                self.enqueue(key);
            }
        }
    }

    /// The backend was loaded (again), and says this of itself.
    pub(crate) fn set_info(&mut self, info: BackendInfo) {
        let Some(session) = &mut self.session else {
            return;
        };
        session.view.set_info(info);
        let changes = session.view.fixed_namespaces();
        self.changed(changes);
    }

    /// The engine's watch ended. What it said still holds; that a listing was
    /// worked off does not.
    pub(crate) fn interrupted(&mut self) {
        self.pending = None;
        if let Some(session) = &mut self.session {
            session.view.interrupted();
        }
    }

    /// Whether the engine is in the middle of a listing.
    pub(super) fn is_listing(&self) -> bool {
        self.session
            .as_ref()
            .is_some_and(|session| session.view.is_listing())
    }

    /// Takes in one event of the engine.
    pub(crate) fn on_engine(&mut self, event: WatchEvent) -> Result<(), ProtocolError> {
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        session.listings += u64::from(event == WatchEvent::InitBegin);
        let done = event == WatchEvent::InitDone;
        let first = done && !session.view.is_complete();
        let changes = session.view.apply(event)?;
        self.changed(changes);
        if done {
            self.listed(first);
            self.wake_all();
        }
        Ok(())
    }

    /// A listing is whole.
    fn listed(&mut self, first: bool) {
        let listing = self.session.as_ref().map_or(0, |session| session.listings);
        let mut stale: Vec<Key> = Vec::new();
        for (key, entry) in &mut self.entries {
            // It was named in a listing that began after we had it removed.
            let back = entry.removed.is_some_and(|during| during < listing);
            if back {
                entry.succeed();
            }
            // Absence is a fact from the first listing on.
            if back || first {
                stale.push(key.clone());
            }
        }
        for key in stale {
            self.enqueue(key);
        }
        self.expect_all();
    }

    pub(super) fn changed(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Set(key, desired) => {
                    let entry = self.entries.entry(key.clone()).or_default();
                    self.wanted += usize::from(entry.desired.is_none());
                    let same_time = entry
                        .desired
                        .as_ref()
                        .is_some_and(|was| was.created_at() == desired.created_at());
                    if !same_time && entry.removed.is_some() {
                        // We had the one of that time removed: this is another.
                        entry.succeed();
                    }
                    if !same_time && is_coarse(&desired) {
                        self.births += 1;
                        entry.young = Some(self.births);
                        let timer = Timer::Young(key.clone(), self.births);
                        self.requests.timers.push(timer);
                    }
                    entry.desired = Some(desired);
                    // A job that failed for the old value may work for this one.
                    entry.backing_off = false;
                    self.enqueue(key);
                }
                Change::Gone(key) => {
                    let entry = self.entries.entry(key.clone()).or_default();
                    self.wanted -= usize::from(entry.desired.is_some());
                    let gone = entry.desired.take();
                    entry.succeed();
                    entry.backing_off = false;
                    self.enqueue(key);
                    if let Some(gone) = gone {
                        self.wake_users(&gone);
                    }
                }
            }
        }
    }
}

/// Whether a later object of the same name may look the same: volumes have no
/// ID, and many engines tell their time to the second.
fn is_coarse(desired: &Desired) -> bool {
    matches!(desired, Desired::Volume(volume)
        if volume.created_at.is_none_or(|at| at.nanoseconds() == 0))
}
