//! The state of all mirrors, without any I/O: it takes in events from the API
//! and the engine, and returns writes and engine requests.
//!
//! Each key has at most one write in flight, so that two writes of one object
//! cannot overtake each other. Engine requests run concurrently with writes.

mod engine_events;
mod engine_requests;
mod mirror_events;
mod timers;
mod work_queue;
mod write_outcomes;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use rdd_core::ContainerIndex;

pub(crate) use mirror_events::MirrorEvent;
pub(crate) use timers::MirrorTimer;

use crate::entry::{InFlightWrite, MirrorEntry};
use crate::key::{MirrorKey, MirrorKind};
use crate::lease::LeaseScope;
use crate::plan::{EngineRequest, PlanContext, WriteRequest, is_orphan, reconcile};
use crate::view::EngineView;
use mirror_events::KindListing;
use work_queue::WorkQueue;

/// Number of consecutive failures after which a write is reported as failing.
/// The first retries happen within a second and resolve transient failures.
const FAILING_AFTER: u32 = 3;

/// What the caller has to do.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct PendingRequests {
    pub(crate) engine_requests: Vec<(MirrorKey, EngineRequest)>,
    pub(crate) timers: Vec<MirrorTimer>,
    /// Whether the engine must be listed again because events may be lost.
    pub(crate) resync: bool,
}

/// The engine of the selected backend.
struct EngineState {
    view: EngineView,
    callable: bool,
    /// Number of listings that have begun.
    listings: u64,
}

/// The state of all mirrors.
pub(crate) struct MirrorState {
    read_only: bool,
    instance: Arc<str>,
    /// The selected scope, which one Lease covers.
    scope: LeaseScope,
    /// Whether this instance holds the Lease.
    lease_held: bool,
    /// Kinds whose definition or namespace is missing or terminating.
    blocked: BTreeSet<MirrorKind>,
    engine: Option<EngineState>,
    /// Whether the App has been read. Before that, no mirror can be an orphan.
    app_read: bool,
    entries: HashMap<MirrorKey, MirrorEntry>,
    queue: WorkQueue,
    /// Mirrors to prune although no client deleted them.
    orphans: HashSet<MirrorKey>,
    /// Writes in flight from before the last selection. They may still create
    /// orphans.
    superseded_writes: HashSet<MirrorKey>,
    /// Keys of the newest complete listing that are not yet written; `None`
    /// before the first one.
    pending_sync: Option<HashSet<MirrorKey>>,
    /// Mirrors that cannot be written, and why.
    failing_writes: HashMap<MirrorKey, Arc<str>>,
    /// Unfinished removals that were requested from the engine. They are
    /// retried when an object is removed that may have blocked them.
    pending_removals: HashSet<MirrorKey>,
    listings: HashMap<MirrorKind, KindListing>,
    writes_in_flight: usize,
    desired_count: usize,
    /// The containers of the selected backend.
    containers: ContainerIndex,
    /// Whether they changed since they were last taken.
    containers_changed: bool,
    /// Number of volumes that have been new so far.
    volume_generation: u64,
    requests: PendingRequests,
}

impl MirrorState {
    /// Creates a state without mirrors. With `read_only`, it never requests a
    /// change of the engine.
    pub(crate) fn new(instance: Arc<str>, read_only: bool) -> Self {
        Self {
            read_only,
            instance,
            scope: LeaseScope::default(),
            lease_held: false,
            blocked: BTreeSet::new(),
            engine: None,
            app_read: false,
            entries: HashMap::new(),
            queue: WorkQueue::default(),
            orphans: HashSet::new(),
            superseded_writes: HashSet::new(),
            pending_sync: None,
            failing_writes: HashMap::new(),
            pending_removals: HashSet::new(),
            listings: HashMap::new(),
            writes_in_flight: 0,
            desired_count: 0,
            containers: ContainerIndex::default(),
            containers_changed: false,
            volume_generation: 0,
            requests: PendingRequests::default(),
        }
    }

    /// Selects the backend to mirror. Without a view, nothing is mirrored.
    pub(crate) fn select_backend(&mut self, scope: LeaseScope, view: Option<EngineView>) {
        self.app_read = true;
        self.scope = scope;
        self.pending_sync = None;
        self.desired_count = 0;
        self.containers.clear();
        self.containers_changed = true;
        self.pending_removals.clear();
        self.failing_writes.clear();
        for (key, entry) in &mut self.entries {
            // What another engine reported does not apply to the objects of the
            // new one, and requests to it no longer matter.
            entry.reset_engine_state();
            if entry.write.is_some() {
                self.superseded_writes.insert(key.clone());
            }
        }
        let changes = view.as_ref().map(EngineView::fixed_namespaces);
        self.engine = view.map(|view| EngineState {
            view,
            callable: true,
            listings: 0,
        });
        self.apply_changes(changes.unwrap_or_default());
        self.requeue_all();
    }

    /// Sets whether this instance holds the Lease of the scope.
    pub(crate) fn set_lease_held(&mut self, held: bool) {
        if self.lease_held == held {
            return;
        }
        self.lease_held = held;
        self.reset_write_backoff();
    }

    /// Sets the kinds that cannot be written.
    pub(crate) fn set_blocked(&mut self, blocked: BTreeSet<MirrorKind>) {
        if self.blocked == blocked {
            return;
        }
        self.blocked = blocked;
        self.reset_write_backoff();
    }

    /// Retries failed writes at once: what they failed for (the Lease, a
    /// definition, or a namespace) has changed.
    fn reset_write_backoff(&mut self) {
        self.failing_writes.clear();
        for entry in self.entries.values_mut() {
            entry.backing_off = false;
            entry.write_failures = 0;
        }
        self.requeue_all();
        if self.pending_sync.is_some() {
            self.track_pending_sync();
        }
    }

    fn requeue_all(&mut self) {
        let keys: Vec<MirrorKey> = self.entries.keys().cloned().collect();
        for key in keys {
            self.update_orphan(&key);
            self.queue.add(key);
        }
    }

    /// Marks everything that is queued or in flight as part of the listing to
    /// sync.
    fn track_pending_sync(&mut self) {
        let mut pending: HashSet<MirrorKey> = self.queue.keys().clone();
        let in_flight = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.write.is_some());
        pending.extend(in_flight.map(|(key, _)| key.clone()));
        self.pending_sync = Some(pending);
    }

    /// Returns whether the API has been listed for every kind. Before that, it
    /// is unknown which mirrors exist.
    pub(crate) fn is_api_listed(&self) -> bool {
        MirrorKind::ALL
            .iter()
            .all(|kind| self.listings.get(kind).is_some_and(KindListing::has_listed))
    }

    /// Returns whether there are orphans, or a write in flight may create one.
    pub(crate) fn has_orphans(&self) -> bool {
        !self.orphans.is_empty() || !self.superseded_writes.is_empty()
    }

    /// Returns whether every object of the newest complete listing has been
    /// written, or its write has been attempted.
    pub(crate) fn is_synced(&self) -> bool {
        self.lease_held
            && self.blocked.is_empty()
            && self.is_api_listed()
            && (self.failing_writes.is_empty() || self.failing_writes.len() < self.desired_count)
            && self.pending_sync.as_ref().is_some_and(HashSet::is_empty)
    }

    /// Returns why some mirrors are not up to date, as one sentence.
    pub(crate) fn failure_summary(&self) -> Option<Arc<str>> {
        let message = self.failing_writes.values().min()?;
        Some(
            format!(
                "{} of {} mirrors cannot be written, retrying: {message}",
                self.failing_writes.len(),
                self.desired_count,
            )
            .into(),
        )
    }

    /// Returns how many mirrors there should be, and how many of them are
    /// queued or being written.
    pub(crate) fn backlog(&self) -> (usize, usize) {
        (self.desired_count, self.queue.len() + self.writes_in_flight)
    }

    /// Returns the number of writes in flight.
    pub(crate) fn writes_in_flight(&self) -> usize {
        self.writes_in_flight
    }

    /// Takes the requests that have accumulated since the last call.
    pub(crate) fn take_requests(&mut self) -> PendingRequests {
        std::mem::take(&mut self.requests)
    }

    /// Reconciles queued mirrors until one has to be written, and returns that
    /// write. Engine requests found on the way are added to the pending
    /// requests. Returns `None` when the queue is empty.
    pub(crate) fn next_write(&mut self, now: Timestamp) -> Option<(MirrorKey, WriteRequest)> {
        if !self.app_read || !self.is_api_listed() {
            return None;
        }
        while let Some(key) = self.queue.pop() {
            let Some(entry) = self.entries.get(&key) else {
                self.mark_synced(&key);
                continue;
            };
            if entry.write.is_some() {
                // Requeued when that write has finished.
                continue;
            }
            let plan = reconcile(&key, entry, self.context(key.kind), now);
            if let Some(request) = plan.engine_request {
                self.start_engine_request(key.clone(), request, now);
            }
            let Some(entry) = self.entries.get_mut(&key) else {
                continue;
            };
            match plan.write {
                Some(write) if !entry.backing_off => {
                    entry.write = Some(InFlightWrite {
                        incarnation: entry.incarnation,
                        version: entry.version().cloned(),
                    });
                    self.writes_in_flight += 1;
                    return Some((key, write));
                }
                // It is retried soon, and the sync waits for that.
                Some(_) if entry.write_failures < FAILING_AFTER => continue,
                Some(_) => {}
                None => {
                    // Nothing is left to write, possibly because a write
                    // succeeded whose response was lost: earlier failures no
                    // longer count. While an action is being claimed, this is
                    // not yet known.
                    if entry.acting_uid.is_none() {
                        entry.write_failures = 0;
                        entry.backing_off = false;
                        self.failing_writes.remove(&key);
                    }
                    if entry.is_empty() {
                        self.entries.remove(&key);
                        self.pending_removals.remove(&key);
                    }
                }
            }
            self.mark_synced(&key);
        }
        None
    }

    /// Records that the sync no longer waits for this key.
    fn mark_synced(&mut self, key: &MirrorKey) {
        if let Some(pending) = &mut self.pending_sync {
            pending.remove(key);
        }
    }

    fn update_orphan(&mut self, key: &MirrorKey) {
        let observed = self
            .entries
            .get(key)
            .and_then(|entry| entry.observed.as_ref());
        if observed.is_some_and(|observed| is_orphan(observed, self.context(key.kind))) {
            self.orphans.insert(key.clone());
        } else {
            self.orphans.remove(key);
        }
    }

    fn context(&self, kind: MirrorKind) -> PlanContext<'_> {
        let engine = self.engine.as_ref();
        PlanContext {
            instance: &self.instance,
            lease_held: self.lease_held,
            backend: &self.scope.backend,
            running: engine.is_some(),
            namespace: &self.scope.namespace,
            engine_listed: engine.is_some_and(|engine| engine.view.has_listed()),
            engine_callable: engine.is_some_and(|engine| engine.callable),
            blocked: self.blocked.contains(&kind),
            read_only: self.read_only,
        }
    }
}

#[cfg(test)]
mod tests;
