//! How jobs end.

use std::sync::Arc;

use tracing::warn;

use super::{FAILING_AFTER, State, Timer};
use crate::entry::{Object, Version};
use crate::key::Key;

/// How a job ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The API has the object like this now.
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

impl State {
    /// Takes in how a job ended.
    pub(crate) fn on_outcome(&mut self, key: &Key, outcome: Outcome) {
        self.jobs -= 1;
        self.leaving.remove(key);
        let known = self.entries.get(key);
        let before = known.and_then(|entry| entry.job.as_ref()?.version.clone());
        match outcome {
            Outcome::Written(object) => {
                let was = known.and_then(|entry| entry.observed.as_ref());
                if before.as_ref() == Some(&object.version)
                    && was.is_some_and(|was| was.object == object)
                {
                    // Or it would be written again at once, and for ever.
                    self.failed(key, "the API says that it is done, and does nothing");
                } else {
                    self.succeeded(key);
                    self.observe_answer(object);
                }
            }
            Outcome::Discarded { uid, version } => {
                self.succeeded(key);
                self.discarded(key, uid, &version);
            }
            Outcome::Refreshed { object, message } => {
                // Nothing new: the request itself is at fault, and would be
                // refused again.
                if before.as_ref() == object.as_ref().map(|object| &object.version) {
                    self.failed(key, &message);
                }
                match object {
                    Some(object) => self.observe_answer(object),
                    // Unless one has come since.
                    None if self.version(key) == before.as_ref() => self.forget(key),
                    None => {}
                }
            }
            Outcome::Failed(message) => self.failed(key, &message),
        }
        if let Some(entry) = self.entries.get_mut(key) {
            entry.job = None;
        }
        let is_retried = self
            .entries
            .get(key)
            .is_some_and(|entry| entry.backing_off && entry.failures < FAILING_AFTER);
        if !is_retried {
            self.settled(key);
        }
        self.enqueue(key.clone());
    }

    fn version(&self, key: &Key) -> Option<&Version> {
        self.entries.get(key)?.version()
    }

    /// Takes in an answer, unless news of a later version, its end included,
    /// has come already.
    fn observe_answer(&mut self, object: Object) {
        let overtaken = self
            .entries
            .get(&object.key)
            .is_some_and(|entry| entry.is_overtaken(&object.version));
        if !overtaken {
            self.observe(object);
        }
    }

    fn discarded(&mut self, key: &Key, uid: Arc<str>, version: &Version) {
        let epoch = self.epoch(key.kind);
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        entry.raise_floor(version);
        if entry
            .observed
            .as_ref()
            .is_some_and(|was| was.object.uid == uid)
        {
            entry.ended = Some((uid, epoch));
            self.forget(key);
        }
    }

    fn succeeded(&mut self, key: &Key) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.failures = 0;
        }
        self.failing.remove(key);
    }

    pub(super) fn failed(&mut self, key: &Key, message: &str) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        entry.failures = entry.failures.saturating_add(1);
        entry.backing_off = true;
        // Loud when it begins, then quieter and quieter.
        if entry.failures.is_power_of_two() {
            warn!(mirror = %key, failures = entry.failures, "cannot write: {message}");
        }
        if entry.failures >= FAILING_AFTER {
            self.failing.insert(key.clone(), message.into());
        }
        let timer = Timer::Job(key.clone(), entry.failures);
        self.requests.timers.push(timer);
    }
}
