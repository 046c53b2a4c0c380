//! All mirrors and what is going on with each, without any I/O: news of both
//! sides in, jobs and operations out.
//!
//! Each key has at most one job in flight, so that two writes of one object
//! never overtake each other; calls to the engine run beside it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use rdd_api::LastAction;
use rdd_core::{BackendInfo, EngineError, ErrorCode, WatchEvent};
use tracing::{info, warn};

use crate::desired::{Refusal, Status};
use crate::entry::{ActionStage, Entry, NextAttempt, Object, Observed, RemovalStage, Version};
use crate::key::{Key, Kind};
use crate::plan::{Context, Job, Operation, is_stray, plan};
use crate::view::{Change, ProtocolError, View};

/// What the watch of one kind in the API says.
#[derive(Debug)]
pub(crate) enum News {
    /// A new listing begins.
    Begin(Kind),
    /// The object exists: in the listing, or changed.
    Object(Object),
    /// The object is no more.
    Deleted(Object),
    /// The listing is whole.
    Done(Kind),
}

/// How a job ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The API has the object like this now; its status is the one that was
    /// written, or the old one where none was.
    Written(Object),
    /// The mirror is no more.
    Discarded { uid: Arc<str>, version: Version },
    /// A request failed with this message, perhaps since what we knew was old:
    /// the API has this.
    Refreshed {
        object: Option<Object>,
        message: String,
    },
    /// It failed, and may work later.
    Failed(String),
}

/// What to be reminded of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// A failed job may be tried again; after so many failures.
    Job(Key, u32),
    /// A refused removal may be tried again; after so many refusals.
    Removal(Key, u32),
    /// The engine had time enough to tell what we had it remove.
    Removed(Key, u64),
}

/// What has to be done outside.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    pub(crate) operations: Vec<(Key, Operation)>,
    pub(crate) timers: Vec<Timer>,
}

/// The chosen backend and its engine.
struct Session {
    backend: Arc<str>,
    view: View,
    callable: bool,
}

/// All mirrors.
pub(crate) struct State {
    namespace: Arc<str>,
    session: Option<Session>,
    /// Whether the App was read: before, nothing is anybody's.
    decided: bool,
    entries: HashMap<Key, Entry>,
    queue: VecDeque<Key>,
    queued: HashSet<Key>,
    /// Mirrors that must go although nobody asked for it.
    strays: HashSet<Key>,
    /// Keys that the first whole listing left to be written.
    pending: Option<HashSet<Key>>,
    /// Refused removals, for another try when a container goes.
    refused: HashSet<Key>,
    listings: HashMap<Kind, Listing>,
    jobs: usize,
    wanted: usize,
}

/// The listing of one kind in the API.
#[derive(Default)]
struct Listing {
    epoch: u64,
    done: bool,
}

impl State {
    pub(crate) fn new() -> Self {
        Self {
            namespace: Arc::from(""),
            session: None,
            decided: false,
            entries: HashMap::new(),
            queue: VecDeque::new(),
            queued: HashSet::new(),
            strays: HashSet::new(),
            pending: None,
            refused: HashSet::new(),
            listings: HashMap::new(),
            jobs: 0,
            wanted: 0,
        }
    }

    /// Mirrors this backend in this namespace from now on, or none.
    pub(crate) fn choose(&mut self, namespace: Arc<str>, view: Option<(Arc<str>, View)>) {
        self.decided = true;
        self.namespace = namespace;
        self.pending = None;
        self.wanted = 0;
        for entry in self.entries.values_mut() {
            // Whatever another engine said, it says nothing of the new one's
            // objects; the calls to it are not ours any more.
            entry.desired = None;
            entry.removed = false;
            entry.action = ActionStage::Idle;
            entry.removal = RemovalStage::Idle;
            entry.last_action = None;
            entry.failures = 0;
            entry.backing_off = false;
        }
        let changes = view.as_ref().map(|(_, view)| view.fixed_namespaces());
        self.session = view.map(|(backend, view)| Session {
            backend,
            view,
            callable: true,
        });
        self.changed(changes.unwrap_or_default());
        let keys: Vec<Key> = self.entries.keys().cloned().collect();
        for key in keys {
            self.find_stray(&key);
            self.enqueue(key);
        }
    }

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

    /// The status that the mirror has.
    pub(crate) fn status(&self, key: &Key) -> Option<Status> {
        self.entries
            .get(key)?
            .observed
            .as_ref()?
            .object
            .status
            .clone()
    }

    /// An action that was to be performed was not.
    pub(crate) fn forget_action(&mut self, key: &Key, value: &str) {
        if let Some(entry) = self.entries.get_mut(key)
            && matches!(&entry.action, ActionStage::Running(running) if **running == *value)
        {
            // It is found again when the engine can be called again.
            entry.action = ActionStage::Idle;
        }
    }

    /// The engine's watch ended.
    pub(crate) fn interrupted(&mut self) {
        if let Some(session) = &mut self.session {
            session.view.interrupted();
        }
    }

    /// Takes in one event of the engine.
    pub(crate) fn on_engine(&mut self, event: WatchEvent) -> Result<(), ProtocolError> {
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        let done = event == WatchEvent::InitDone;
        let first = done && !session.view.is_complete();
        let container_gone = matches!(
            &event,
            WatchEvent::Removed(reference) if reference.kind == rdd_core::ObjectKind::Container
        );
        let changes = session.view.apply(event)?;
        self.changed(changes);
        if container_gone {
            self.retry_refused();
        }
        if first {
            // Absence is a fact from now on: look at everything again.
            let keys: Vec<Key> = self.entries.keys().cloned().collect();
            for key in keys {
                self.enqueue(key);
            }
        }
        if done {
            let mut pending: HashSet<Key> = self.queued.clone();
            let in_flight = self.entries.iter().filter(|(_, entry)| entry.job.is_some());
            pending.extend(in_flight.map(|(key, _)| key.clone()));
            self.pending = Some(pending);
        }
        Ok(())
    }

    fn changed(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Set(key, desired) => {
                    let entry = self.entries.entry(key.clone()).or_default();
                    self.wanted += usize::from(entry.desired.is_none());
                    entry.desired = Some(desired);
                    // A job that failed for the old value may work for this one.
                    entry.backing_off = false;
                    self.enqueue(key);
                }
                Change::Gone(key) => {
                    let entry = self.entries.entry(key.clone()).or_default();
                    self.wanted -= usize::from(entry.desired.is_some());
                    entry.desired = None;
                    entry.incarnation += 1;
                    entry.removed = false;
                    entry.last_action = None;
                    entry.action = ActionStage::Idle;
                    entry.backing_off = false;
                    self.enqueue(key);
                }
            }
        }
    }

    /// Takes in news of the API.
    pub(crate) fn on_news(&mut self, news: News) {
        match news {
            News::Begin(kind) => {
                let listing = self.listings.entry(kind).or_default();
                listing.epoch += 1;
            }
            News::Object(object) => {
                let key = object.key.clone();
                let epoch = self.epoch(key.kind);
                let entry = self.entries.entry(key.clone()).or_default();
                if let Some((uid, heard)) = &mut entry.ended
                    && *uid == object.uid
                {
                    *heard = epoch;
                    return;
                }
                if let Some(observed) = &mut entry.observed
                    && observed.object.uid == object.uid
                {
                    observed.epoch = epoch;
                }
                if object
                    .version
                    .number()
                    .is_some_and(|version| version <= entry.floor)
                {
                    return;
                }
                self.observe(object);
            }
            News::Deleted(object) => {
                let Some(entry) = self.entries.get_mut(&object.key) else {
                    return;
                };
                entry.floor = entry.floor.max(object.version.number().unwrap_or(0));
                if entry
                    .ended
                    .as_ref()
                    .is_some_and(|(uid, _)| *uid == object.uid)
                {
                    entry.ended = None;
                }
                if entry
                    .observed
                    .as_ref()
                    .is_some_and(|was| was.object.uid == object.uid)
                {
                    self.forget(&object.key);
                }
                self.enqueue(object.key);
            }
            News::Done(kind) => {
                let epoch = self.epoch(kind);
                self.listings.entry(kind).or_default().done = true;
                let mut unlisted = Vec::new();
                for (key, entry) in &mut self.entries {
                    if key.kind != kind {
                        continue;
                    }
                    if entry
                        .ended
                        .as_ref()
                        .is_some_and(|(_, heard)| *heard < epoch)
                    {
                        entry.ended = None;
                        unlisted.push((key.clone(), false));
                    }
                    if entry.observed.as_ref().is_some_and(|was| was.epoch < epoch) {
                        unlisted.push((key.clone(), true));
                    }
                }
                for (key, forget) in unlisted {
                    if forget {
                        self.forget(&key);
                    }
                    self.enqueue(key);
                }
            }
        }
    }

    fn epoch(&self, kind: Kind) -> u64 {
        self.listings.get(&kind).map_or(0, |listing| listing.epoch)
    }

    fn observe(&mut self, object: Object) {
        let key = object.key.clone();
        let epoch = self.epoch(key.kind);
        let entry = self.entries.entry(key.clone()).or_default();
        entry.floor = entry.floor.max(object.version.number().unwrap_or(0));
        let incarnation = match &entry.observed {
            Some(was) if was.object.uid == object.uid => was.incarnation,
            _ => {
                entry.last_action = None;
                entry.action = ActionStage::Idle;
                // A mirror that appears while its write is in flight is that
                // write's, planned before whatever happened since.
                entry.job.unwrap_or(entry.incarnation)
            }
        };
        let same = entry.observed.as_ref().is_some_and(|was| {
            Object {
                version: object.version.clone(),
                ..was.object.clone()
            } == object
        });
        if let ActionStage::Done(value) = &entry.action
            && object.action.as_ref() != Some(value)
        {
            entry.action = ActionStage::Idle;
        }
        entry.observed = Some(Observed {
            object,
            incarnation,
            epoch,
        });
        self.find_stray(&key);
        if !same {
            self.enqueue(key);
        }
    }

    fn forget(&mut self, key: &Key) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.observed = None;
            entry.last_action = None;
            entry.action = ActionStage::Idle;
        }
        self.strays.remove(key);
    }

    fn find_stray(&mut self, key: &Key) {
        let observed = self
            .entries
            .get(key)
            .and_then(|entry| entry.observed.as_ref());
        let stray = observed.is_some_and(|observed| is_stray(&observed.object, self.context()));
        if stray {
            self.strays.insert(key.clone());
        } else {
            self.strays.remove(key);
        }
    }

    fn enqueue(&mut self, key: Key) {
        if self.queued.insert(key.clone()) {
            self.queue.push_back(key);
        }
    }

    fn context(&self) -> Context<'_> {
        let session = self.session.as_ref();
        Context {
            backend: session.map(|session| &*session.backend),
            namespace: &self.namespace,
            complete: session.is_some_and(|session| session.view.is_complete()),
            callable: session.is_some_and(|session| session.callable),
        }
    }

    /// Whether every kind was listed, without which nobody knows what is there.
    pub(crate) fn is_listed(&self) -> bool {
        Kind::ALL
            .iter()
            .all(|kind| self.listings.get(kind).is_some_and(|listing| listing.done))
    }

    /// The next job; operations that were found on the way go to `requests`.
    /// `None` when nothing is left to do now.
    pub(crate) fn next_job(
        &mut self,
        now: Timestamp,
        requests: &mut Requests,
    ) -> Option<(Key, Job)> {
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
            let plan = plan(&key, entry, self.context(), now);
            let void = entry.is_void();
            let Some(entry) = self.entries.get_mut(&key) else {
                continue;
            };
            if let Some(operation) = plan.operation {
                match &operation {
                    Operation::Remove { uid, .. } => match &mut entry.removal {
                        RemovalStage::Refused { uid: of, next, .. } if of == uid => {
                            *next = NextAttempt::Running;
                        }
                        other => *other = RemovalStage::Running(Arc::clone(uid)),
                    },
                    Operation::Act { value, .. } => {
                        entry.action = ActionStage::Running(value.clone());
                    }
                }
                requests.operations.push((key.clone(), operation));
            }
            match plan.job {
                Some(job) if !entry.backing_off => {
                    entry.job = Some(entry.incarnation);
                    self.jobs += 1;
                    return Some((key, job));
                }
                _ if void => {
                    self.entries.remove(&key);
                    self.refused.remove(&key);
                }
                _ => {}
            }
            self.settled(&key);
        }
        None
    }

    fn settled(&mut self, key: &Key) {
        if let Some(pending) = &mut self.pending {
            pending.remove(key);
        }
    }

    /// Takes in how a job ended.
    pub(crate) fn on_outcome(&mut self, key: &Key, outcome: Outcome, requests: &mut Requests) {
        self.jobs -= 1;
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        if matches!(outcome, Outcome::Written(_) | Outcome::Discarded { .. }) {
            entry.failures = 0;
        }
        match outcome {
            Outcome::Written(object) => {
                // News of a later version, its end included, has come already.
                let overtaken = object
                    .version
                    .number()
                    .is_some_and(|version| version < entry.floor);
                if !overtaken {
                    self.observe(object);
                }
            }
            Outcome::Discarded { uid, version } => {
                entry.floor = entry.floor.max(version.number().unwrap_or(0));
                let seen = entry
                    .observed
                    .as_ref()
                    .is_some_and(|was| was.object.uid == uid);
                if seen {
                    self.forget(key);
                    let epoch = self.epoch(key.kind);
                    if let Some(entry) = self.entries.get_mut(key) {
                        entry.ended = Some((uid, epoch));
                    }
                }
            }
            Outcome::Refreshed { object, message } => {
                let known = entry.observed.as_ref().map(|was| &was.object.version);
                // Nothing new: the request itself is at fault, and would be
                // refused again.
                if known == object.as_ref().map(|object| &object.version) {
                    self.failed(key, &message, requests);
                }
                match object {
                    Some(object) => self.observe(object),
                    None => self.forget(key),
                }
            }
            Outcome::Failed(message) => self.failed(key, &message, requests),
        }
        if let Some(entry) = self.entries.get_mut(key) {
            entry.job = None;
        }
        self.settled(key);
        self.enqueue(key.clone());
    }

    fn failed(&mut self, key: &Key, message: &str, requests: &mut Requests) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        entry.failures = entry.failures.saturating_add(1);
        entry.backing_off = true;
        // Loud when it begins, then quieter and quieter.
        if entry.failures.is_power_of_two() {
            warn!(mirror = %key, failures = entry.failures, "cannot write: {message}");
        }
        requests
            .timers
            .push(Timer::Job(key.clone(), entry.failures));
    }

    /// Takes in how a removal ended.
    pub(crate) fn on_removed(
        &mut self,
        key: &Key,
        of: &Arc<str>,
        result: Result<(), EngineError>,
        requests: &mut Requests,
    ) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        let attempts = match &entry.removal {
            RemovalStage::Running(uid) if uid == of => 0,
            RemovalStage::Refused {
                uid,
                attempts,
                next: NextAttempt::Running,
                ..
            } if uid == of => *attempts,
            // About a mirror that is no more, or an engine that is not ours.
            _ => return,
        };
        match result {
            Err(error) if !matches!(error.code, ErrorCode::NotFound | ErrorCode::Replaced) => {
                let attempts = attempts.saturating_add(1);
                if attempts.is_power_of_two() {
                    info!(mirror = %key, attempts, "the engine does not remove it: {error}");
                }
                entry.removal = RemovalStage::Refused {
                    uid: Arc::clone(of),
                    refusal: refusal(error),
                    attempts,
                    next: NextAttempt::Waiting,
                };
                self.refused.insert(key.clone());
                requests.timers.push(Timer::Removal(key.clone(), attempts));
            }
            _ => {
                entry.removal = RemovalStage::Done(Arc::clone(of));
                if entry.desired.is_some() {
                    entry.removed = true;
                    requests
                        .timers
                        .push(Timer::Removed(key.clone(), entry.incarnation));
                }
                self.refused.remove(key);
            }
        }
        self.enqueue(key.clone());
    }

    /// Takes in how an action ended.
    pub(crate) fn on_acted(&mut self, key: &Key, value: &str, last_action: LastAction) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        match &entry.action {
            ActionStage::Running(running) if **running == *value => {
                entry.last_action = Some(last_action);
                let asked = entry
                    .observed
                    .as_ref()
                    .and_then(|was| was.object.action.as_deref());
                entry.action = if asked == Some(value) {
                    ActionStage::Done(value.into())
                } else {
                    ActionStage::Idle
                };
                self.enqueue(key.clone());
            }
            // About a container that is no more, or an engine that is not ours.
            _ => {}
        }
    }

    /// A reminder is due.
    pub(crate) fn on_timer(&mut self, timer: Timer) {
        let key = match timer {
            Timer::Job(key, failures) => {
                if let Some(entry) = self.entries.get_mut(&key)
                    && entry.failures == failures
                {
                    entry.backing_off = false;
                }
                key
            }
            Timer::Removal(key, of) => {
                if let Some(entry) = self.entries.get_mut(&key)
                    && let RemovalStage::Refused { attempts, next, .. } = &mut entry.removal
                    && *attempts == of
                    && *next == NextAttempt::Waiting
                {
                    *next = NextAttempt::Due;
                }
                key
            }
            Timer::Removed(key, incarnation) => {
                if let Some(entry) = self.entries.get_mut(&key)
                    && entry.incarnation == incarnation
                {
                    entry.removed = false;
                }
                key
            }
        };
        if self.entries.contains_key(&key) {
            self.enqueue(key);
        }
    }

    /// A container went: what was in use may be free now.
    fn retry_refused(&mut self) {
        for key in std::mem::take(&mut self.refused) {
            if let Some(entry) = self.entries.get_mut(&key)
                && let RemovalStage::Refused { next, .. } = &mut entry.removal
                && *next == NextAttempt::Waiting
            {
                *next = NextAttempt::Due;
                self.enqueue(key);
            }
        }
    }

    /// Jobs in flight.
    pub(crate) fn jobs(&self) -> usize {
        self.jobs
    }

    /// Whether mirrors are left that must go although nobody asked for it.
    pub(crate) fn has_strays(&self) -> bool {
        !self.strays.is_empty()
    }

    /// Whether everything of the first whole listing was written, or tried.
    pub(crate) fn is_synced(&self) -> bool {
        self.is_listed() && self.pending.as_ref().is_some_and(HashSet::is_empty)
    }

    /// How many mirrors there should be, and how many of them wait for a job.
    pub(crate) fn backlog(&self) -> (usize, usize) {
        (self.wanted, self.queue.len() + self.jobs)
    }
}

/// A condition's reason has to be a word.
fn refusal(error: EngineError) -> Refusal {
    let reason = match error.code {
        ErrorCode::Conflict => "Conflict",
        ErrorCode::InvalidArgument => "InvalidArgument",
        ErrorCode::PermissionDenied => "PermissionDenied",
        ErrorCode::Unavailable => "Unavailable",
        ErrorCode::Unsupported => "Unsupported",
        ErrorCode::Timeout => "Timeout",
        ErrorCode::PluginFailed => "PluginFailed",
        ErrorCode::Internal => "Internal",
        _ => "Other",
    };
    Refusal {
        reason: reason.to_owned(),
        message: error.message,
    }
}
