//! All mirrors and what is going on with each, without any I/O: news of both
//! sides in, jobs and operations out.
//!
//! Each key has at most one job in flight, so that two writes of one object
//! never overtake each other; calls to the engine run beside it.

mod calls;
mod engine;
mod jobs;
mod news;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;

pub(crate) use jobs::Outcome;
pub(crate) use news::News;

use crate::entry::{Entry, Flight, NextAttempt, RemovalStage};
use crate::key::{Key, Kind};
use crate::lease::LeaseScope;
use crate::plan::{Context, Job, Operation, is_stray, plan};
use crate::view::View;
use news::Listing;

/// How often a write fails before it counts as failing: the first retries come
/// within a second, and mend what was a coincidence.
const FAILING_AFTER: u32 = 3;

/// What to be reminded of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// A failed job may be tried again; after so many failures.
    Job(Key, u32),
    /// A refused removal may be tried again; after so many refusals.
    Removal(Key, u32),
    /// A refused removal may be woken by what goes; after so many refusals.
    Rested(Key, u32),
    /// The engine had time enough to tell what we had it remove.
    Removed(Key, u64),
    /// A volume is no longer young; the number of this reminder.
    Young(Key, u64),
    /// An action was not to be claimed as we knew it; what we know by now may
    /// be another one.
    Claim(Key),
}

/// What has to be done outside.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Requests {
    pub(crate) operations: Vec<(Key, Operation)>,
    pub(crate) timers: Vec<Timer>,
    /// The engine's events are not to be trusted: list everything again.
    pub(crate) resync: bool,
}

/// The chosen backend's engine.
struct Session {
    view: View,
    callable: bool,
    /// Counts the engine's listings, when they begin.
    listings: u64,
}

/// All mirrors.
pub(crate) struct State {
    read_only: bool,
    instance: Arc<str>,
    /// What is chosen, and what there is a Lease for.
    scope: LeaseScope,
    /// Whether this instance holds the Lease.
    held: bool,
    /// Kinds whose definition or namespace is not there.
    blocked: BTreeSet<Kind>,
    session: Option<Session>,
    /// Whether the App was read: before, nothing is anybody's.
    decided: bool,
    entries: HashMap<Key, Entry>,
    queue: VecDeque<Key>,
    queued: HashSet<Key>,
    /// Mirrors that must go although nobody asked for it.
    strays: HashSet<Key>,
    /// Jobs of the choice before: they may still bring a stray.
    leaving: HashSet<Key>,
    /// Keys that the newest whole listing left to be written; `None` before it.
    pending: Option<HashSet<Key>>,
    /// Mirrors that cannot be written, and why.
    failing: HashMap<Key, Arc<str>>,
    /// Removals that were asked of the engine and are not done, for another
    /// try when something goes.
    removals: HashSet<Key>,
    listings: HashMap<Kind, Listing>,
    jobs: usize,
    wanted: usize,
    /// Counts the volumes that were young.
    births: u64,
    requests: Requests,
}

impl State {
    /// No mirrors. With `read_only`, nothing that changes the engine is asked
    /// of it.
    pub(crate) fn new(instance: Arc<str>, read_only: bool) -> Self {
        Self {
            read_only,
            instance,
            scope: LeaseScope::default(),
            held: false,
            blocked: BTreeSet::new(),
            session: None,
            decided: false,
            entries: HashMap::new(),
            queue: VecDeque::new(),
            queued: HashSet::new(),
            strays: HashSet::new(),
            leaving: HashSet::new(),
            pending: None,
            failing: HashMap::new(),
            removals: HashSet::new(),
            listings: HashMap::new(),
            jobs: 0,
            wanted: 0,
            births: 0,
            requests: Requests::default(),
        }
    }

    /// Mirrors the backend of this scope from now on; nothing without a view.
    pub(crate) fn choose(&mut self, scope: LeaseScope, view: Option<View>) {
        self.decided = true;
        self.scope = scope;
        self.pending = None;
        self.wanted = 0;
        self.removals.clear();
        self.failing.clear();
        for (key, entry) in &mut self.entries {
            // Whatever another engine said, it says nothing of the new one's
            // objects; the calls to it are not ours any more.
            entry.forget_engine();
            if entry.job.is_some() {
                self.leaving.insert(key.clone());
            }
        }
        let changes = view.as_ref().map(View::fixed_namespaces);
        self.session = view.map(|view| Session {
            view,
            callable: true,
            listings: 0,
        });
        self.changed(changes.unwrap_or_default());
        self.reconsider();
    }

    /// Whether this instance holds the Lease of the scope now.
    pub(crate) fn set_held(&mut self, held: bool) {
        if self.held == held {
            return;
        }
        self.held = held;
        self.retry_writes();
    }

    /// Kinds that cannot be written from now on; all others can.
    pub(crate) fn set_blocked(&mut self, blocked: BTreeSet<Kind>) {
        if self.blocked == blocked {
            return;
        }
        self.blocked = blocked;
        self.retry_writes();
    }

    /// Forgets failed writes and tries them again: what they failed for, the
    /// Lease or something to write them in, has changed.
    fn retry_writes(&mut self) {
        self.failing.clear();
        for entry in self.entries.values_mut() {
            entry.backing_off = false;
            entry.failures = 0;
        }
        self.reconsider();
        if self.pending.is_some() {
            self.expect_all();
        }
    }

    /// Looks at every mirror again.
    fn reconsider(&mut self) {
        let keys: Vec<Key> = self.entries.keys().cloned().collect();
        for key in keys {
            self.find_stray(&key);
            self.enqueue(key);
        }
    }

    /// The listing is worked off when everything that waits now was written.
    fn expect_all(&mut self) {
        let mut pending: HashSet<Key> = self.queued.clone();
        let in_flight = self.entries.iter().filter(|(_, entry)| entry.job.is_some());
        pending.extend(in_flight.map(|(key, _)| key.clone()));
        self.pending = Some(pending);
    }

    /// Whether every kind was listed, without which nobody knows what is there.
    pub(crate) fn is_listed(&self) -> bool {
        Kind::ALL
            .iter()
            .all(|kind| self.listings.get(kind).is_some_and(Listing::is_done))
    }

    /// Whether mirrors are left that must go although nobody asked for it, or
    /// may still come.
    pub(crate) fn has_strays(&self) -> bool {
        !self.strays.is_empty() || !self.leaving.is_empty()
    }

    /// Whether everything of the newest whole listing was written, or tried.
    pub(crate) fn is_synced(&self) -> bool {
        self.held
            && self.blocked.is_empty()
            && self.is_listed()
            && (self.failing.is_empty() || self.failing.len() < self.wanted)
            && self.pending.as_ref().is_some_and(HashSet::is_empty)
    }

    /// Why some mirrors are not what they should be, as one sentence.
    pub(crate) fn failures(&self) -> Option<Arc<str>> {
        let message = self.failing.values().min()?;
        Some(
            format!(
                "{} of {} mirrors cannot be written, trying again: {message}",
                self.failing.len(),
                self.wanted,
            )
            .into(),
        )
    }

    /// How many mirrors there should be, and how many of them wait for a job.
    pub(crate) fn backlog(&self) -> (usize, usize) {
        (self.wanted, self.queue.len() + self.jobs)
    }

    /// Jobs in flight.
    pub(crate) fn jobs(&self) -> usize {
        self.jobs
    }

    /// What has come up to be done outside, once.
    pub(crate) fn take_requests(&mut self) -> Requests {
        std::mem::take(&mut self.requests)
    }

    /// The next job; operations that were found on the way are requested.
    /// `None` when nothing is left to do now.
    pub(crate) fn next_job(&mut self, now: Timestamp) -> Option<(Key, Job)> {
        if !self.decided || !self.is_listed() {
            return None;
        }
        while let Some(key) = self.queue.pop_front() {
            self.queued.remove(&key);
            let Some(entry) = self.entries.get(&key) else {
                self.settled(&key);
                continue;
            };
            if entry.job.is_some() {
                // Its outcome puts the key in the queue again.
                continue;
            }
            let plan = plan(&key, entry, self.context(key.kind), now);
            if let Some(operation) = plan.operation {
                self.begin(key.clone(), operation, now);
            }
            let Some(entry) = self.entries.get_mut(&key) else {
                continue;
            };
            match plan.job {
                Some(job) if !entry.backing_off => {
                    entry.job = Some(Flight {
                        incarnation: entry.incarnation,
                        version: entry.version().cloned(),
                    });
                    self.jobs += 1;
                    return Some((key, job));
                }
                // It is tried again soon, and the listing waits for that.
                Some(_) if entry.failures < FAILING_AFTER => continue,
                Some(_) => {}
                None => {
                    // Nothing is left to write, also where a write arrived whose
                    // answer was lost: what failed before is over. Of a claim
                    // that is being tried nobody can tell yet.
                    if entry.acting.is_none() {
                        entry.failures = 0;
                        entry.backing_off = false;
                        self.failing.remove(&key);
                    }
                    if entry.is_void() {
                        self.entries.remove(&key);
                        self.removals.remove(&key);
                    }
                }
            }
            self.settled(&key);
        }
        None
    }

    /// A reminder is due.
    pub(crate) fn on_timer(&mut self, timer: Timer) {
        let (Timer::Job(key, _)
        | Timer::Removal(key, _)
        | Timer::Rested(key, _)
        | Timer::Removed(key, _)
        | Timer::Young(key, _)
        | Timer::Claim(key)) = &timer;
        let key = key.clone();
        let is_listing = self.is_listing();
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        match timer {
            Timer::Job(_, failures) => {
                if entry.failures == failures {
                    entry.backing_off = false;
                }
            }
            Timer::Removal(_, of) => {
                if let RemovalStage::Refused { attempts, next, .. } = &mut entry.removal
                    && *attempts == of
                    && matches!(next, NextAttempt::Waiting { .. })
                {
                    *next = NextAttempt::Due;
                }
            }
            Timer::Rested(_, of) => {
                if let RemovalStage::Refused { attempts, next, .. } = &mut entry.removal
                    && *attempts == of
                    && let NextAttempt::Waiting { rested, woken } = next
                {
                    *rested = true;
                    if *woken {
                        *next = NextAttempt::Due;
                    }
                }
            }
            Timer::Removed(_, incarnation) => {
                if entry.incarnation == incarnation && entry.removed.is_some() {
                    // The event was lost, and others may have been. A listing
                    // that has begun may be older than the removal.
                    if is_listing {
                        self.requests.timers.push(timer);
                    } else {
                        self.requests.resync = true;
                    }
                }
            }
            Timer::Young(_, reminder) => {
                entry.young.take_if(|young| *young == reminder);
            }
            Timer::Claim(_) => {}
        }
        self.enqueue(key);
    }

    fn enqueue(&mut self, key: Key) {
        if self.queued.insert(key.clone()) {
            self.queue.push_back(key);
        }
    }

    /// The listing does not wait for this key any more.
    fn settled(&mut self, key: &Key) {
        if let Some(pending) = &mut self.pending {
            pending.remove(key);
        }
    }

    fn find_stray(&mut self, key: &Key) {
        let observed = self
            .entries
            .get(key)
            .and_then(|entry| entry.observed.as_ref());
        let stray = observed.is_some_and(|observed| is_stray(observed, self.context(key.kind)));
        if stray {
            self.strays.insert(key.clone());
        } else {
            self.strays.remove(key);
        }
    }

    fn context(&self, kind: Kind) -> Context<'_> {
        let session = self.session.as_ref();
        Context {
            instance: &self.instance,
            held: self.held,
            backend: &self.scope.backend,
            running: session.is_some(),
            namespace: &self.scope.namespace,
            complete: session.is_some_and(|session| session.view.is_complete()),
            callable: session.is_some_and(|session| session.callable),
            blocked: self.blocked.contains(&kind),
            read_only: self.read_only,
        }
    }
}

#[cfg(test)]
mod tests;
