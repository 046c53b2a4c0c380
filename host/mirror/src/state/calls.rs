//! Calls to the engine: removals and actions, from their beginning to their
//! end.

use std::sync::Arc;

use jiff::Timestamp;
use rdd_api::LastAction;
use rdd_core::{EngineError, ErrorCode};
use tracing::info;

use super::{State, Timer};
use crate::desired::Desired;
use crate::entry::{ActionStage, Call, NextAttempt, Owner, RemovalStage};
use crate::key::Key;
use crate::operations;
use crate::plan::Operation;

impl State {
    /// Requests a call, or refuses to.
    pub(super) fn begin(&mut self, key: Key, operation: Operation, now: Timestamp) {
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        match &operation {
            Operation::Remove { uid, .. } => {
                let call = Call {
                    incarnation: entry.incarnation,
                    woken: false,
                };
                self.removals.insert(key.clone());
                match &mut entry.removal {
                    RemovalStage::Refused { uid: of, next, .. } if of == uid => {
                        *next = NextAttempt::Running(call);
                    }
                    other => {
                        let uid = Arc::clone(uid);
                        *other = RemovalStage::Running { uid, call };
                    }
                }
            }
            Operation::Act { .. } => {
                entry.acting = entry
                    .observed
                    .as_ref()
                    .map(|was| Arc::clone(&was.object.uid));
            }
            Operation::Reject { value, refusal } => {
                let last = operations::outcome(value, Err(refusal.clone()), now, now);
                entry.last_action = Some(last);
                entry.action = ActionStage::Done(value.clone());
                self.enqueue(key);
                return;
            }
        }
        self.requests.operations.push((key, operation));
    }

    /// A removal that was requested is not to be carried out.
    pub(crate) fn on_withdrawn(&mut self, key: &Key, of: &Arc<str>) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        let uid = match &entry.removal {
            RemovalStage::Running { uid, .. }
            | RemovalStage::Refused {
                uid,
                next: NextAttempt::Running(_),
                ..
            } => uid,
            _ => return,
        };
        if uid == of {
            entry.removal = RemovalStage::Withdrawn(Arc::clone(of));
            self.removals.remove(key);
            self.enqueue(key.clone());
        }
    }

    /// Takes in how a removal ended.
    pub(crate) fn on_removed(&mut self, key: &Key, of: &Arc<str>, result: Result<(), EngineError>) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        let (attempts, call) = match &entry.removal {
            RemovalStage::Running { uid, call } if uid == of => (0, *call),
            RemovalStage::Refused {
                uid,
                attempts,
                next: NextAttempt::Running(call),
                ..
            } if uid == of => (*attempts, *call),
            // About a mirror that is no more, or an engine that is not ours.
            _ => return,
        };
        match result {
            Err(error) if !matches!(error.code, ErrorCode::NotFound | ErrorCode::Replaced) => {
                let attempts = attempts.saturating_add(1);
                if attempts.is_power_of_two() {
                    info!(mirror = %key, attempts, "the engine does not remove it: {error}");
                }
                let next = NextAttempt::Waiting {
                    rested: false,
                    woken: call.woken,
                };
                entry.removal = RemovalStage::Refused {
                    uid: Arc::clone(of),
                    refusal: error.into(),
                    attempts,
                    next,
                };
                let timers = [
                    Timer::Rested(key.clone(), attempts),
                    Timer::Removal(key.clone(), attempts),
                ];
                self.requests.timers.extend(timers);
            }
            _ => {
                entry.removal = RemovalStage::Done(Arc::clone(of));
                // Unless the engine has told already, and of another since.
                if entry.desired.is_some() && entry.incarnation == call.incarnation {
                    entry.removed = self.session.as_ref().map(|session| session.listings);
                    let timer = Timer::Removed(key.clone(), entry.incarnation);
                    self.requests.timers.push(timer);
                }
                self.removals.remove(key);
            }
        }
        self.enqueue(key.clone());
    }

    /// The engine's object is gone: removals that it may have stood in the way
    /// of are tried again.
    pub(super) fn wake_users(&mut self, gone: &Desired) {
        let keys: Vec<Key> = self
            .removals
            .iter()
            .filter(|key| {
                let desired = self
                    .entries
                    .get(*key)
                    .and_then(|entry| entry.desired.as_ref());
                desired.is_some_and(|desired| may_stand_in_the_way(gone, desired))
            })
            .cloned()
            .collect();
        self.wake(keys);
    }

    /// Everything was listed anew: the engine may have been away.
    pub(super) fn wake_all(&mut self) {
        let keys = self.removals.iter().cloned().collect();
        self.wake(keys);
    }

    fn wake(&mut self, keys: Vec<Key>) {
        for key in keys {
            if let Some(entry) = self.entries.get_mut(&key)
                && entry.removal.wake()
            {
                self.enqueue(key);
            }
        }
    }

    /// Takes in how an action ended.
    pub(crate) fn on_acted(&mut self, key: &Key, value: &str, last_action: LastAction) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        let of = entry.acting.take();
        // Else it is about a container or a mirror that is no more.
        if let Some(was) = &entry.observed
            && of.as_ref() == Some(&was.object.uid)
        {
            let mirror = &was.object;
            if mirror.action.as_deref() == Some(value) {
                entry.action = ActionStage::Done(value.into());
                entry.last_action = Some(last_action);
            } else {
                entry.action = ActionStage::Idle;
                // Another instance has said meanwhile how it went.
                let is_ours = was.owner != Owner::Other;
                entry.last_action = is_ours.then_some(last_action);
            }
        }
        self.enqueue(key.clone());
    }

    /// An action could not be claimed, which may work later.
    pub(crate) fn on_unclaimed(&mut self, key: &Key, message: &str) {
        self.forget_action(key);
        self.failed(key, message);
    }

    /// The API had something else than what the action was planned upon. The
    /// news of it may have come while the claim was running, and is then not
    /// to be waited for.
    pub(crate) fn on_claim_lost(&mut self, key: &Key) {
        self.forget_action(key);
        self.requests.timers.push(Timer::Claim(key.clone()));
    }

    /// An action that was to be performed was not.
    pub(crate) fn forget_action(&mut self, key: &Key) {
        if let Some(entry) = self.entries.get_mut(key) {
            // It is found again when the engine can be called again.
            entry.acting = None;
        }
    }
}

/// Whether an engine may have refused to remove `kept` because of `gone`:
/// containers use images and volumes, and images build on images.
pub(super) fn may_stand_in_the_way(gone: &Desired, kept: &Desired) -> bool {
    match (gone, kept) {
        (Desired::Container(container), Desired::Image { image, .. }) => {
            container.image_id == image.id
        }
        // What a container mounts is not known here.
        (Desired::Container(_), Desired::Volume(_)) => true,
        (Desired::Image { .. }, Desired::Image { .. }) => true,
        _ => false,
    }
}
