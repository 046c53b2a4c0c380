//! The life cycle of engine requests: removals and actions.

use std::sync::Arc;

use jiff::Timestamp;
use rdd_api::LastAction;
use rdd_core::{EngineError, ErrorCode};
use tracing::info;

use super::{MirrorState, MirrorTimer};
use crate::actions;
use crate::desired_state::DesiredState;
use crate::entry::{ActionStage, MirrorOwner, NextAttempt, RemovalCall, RemovalStage};
use crate::key::MirrorKey;
use crate::plan::EngineRequest;

impl MirrorState {
    /// Queues a request to the engine, or records why it is rejected.
    pub(super) fn start_engine_request(
        &mut self,
        key: MirrorKey,
        request: EngineRequest,
        now: Timestamp,
    ) {
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        match &request {
            EngineRequest::Remove { uid, .. } => {
                let call = RemovalCall {
                    incarnation: entry.incarnation,
                    blocker_removed: false,
                };
                self.pending_removals.insert(key.clone());
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
            EngineRequest::Act { .. } => {
                entry.acting_uid = entry
                    .observed
                    .as_ref()
                    .map(|observed| Arc::clone(&observed.object.uid));
            }
            EngineRequest::Reject { value, failure } => {
                let last_action = actions::last_action(value, Err(failure.clone()), now, now);
                entry.last_action = Some(last_action);
                entry.action = ActionStage::Done(value.clone());
                self.queue.add(key);
                return;
            }
        }
        self.requests.engine_requests.push((key, request));
    }

    /// Handles a deletion that turned out not to be a client's: the removal
    /// that was requested for it is not carried out.
    pub(crate) fn on_deletion_dismissed(&mut self, key: &MirrorKey, of: &Arc<str>) {
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
            entry.removal = RemovalStage::Dismissed(Arc::clone(of));
            self.pending_removals.remove(key);
            self.queue.add(key.clone());
        }
    }

    /// Handles the result of a removal.
    pub(crate) fn on_removal_finished(
        &mut self,
        key: &MirrorKey,
        of: &Arc<str>,
        result: Result<(), EngineError>,
    ) {
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
            // The mirror no longer exists, or another engine was selected.
            _ => return,
        };
        match result {
            Err(error) if !matches!(error.code, ErrorCode::NotFound | ErrorCode::Replaced) => {
                let attempts = attempts.saturating_add(1);
                if attempts.is_power_of_two() {
                    info!(mirror = %key, attempts, %error, "the engine refused the removal");
                }
                let next = NextAttempt::Waiting {
                    cooled_down: false,
                    blocker_removed: call.blocker_removed,
                };
                entry.removal = RemovalStage::Refused {
                    uid: Arc::clone(of),
                    failure: error.into(),
                    attempts,
                    next,
                };
                let timers = [
                    MirrorTimer::RemovalCooldown(key.clone(), attempts),
                    MirrorTimer::Removal(key.clone(), attempts),
                ];
                self.requests.timers.extend(timers);
            }
            _ => {
                entry.removal = RemovalStage::Done(Arc::clone(of));
                // Unless the engine has already reported it, and perhaps a new
                // object since.
                if entry.desired.is_some() && entry.incarnation == call.incarnation {
                    entry.removed_in_listing = self.engine.as_ref().map(|engine| engine.listings);
                    let timer = MirrorTimer::RemovalEvent(key.clone(), entry.incarnation);
                    self.requests.timers.push(timer);
                }
                self.pending_removals.remove(key);
            }
        }
        self.queue.add(key.clone());
    }

    /// Retries the removals that the removed object may have blocked.
    pub(super) fn retry_blocked_removals(&mut self, removed: &DesiredState) {
        let keys: Vec<MirrorKey> = self
            .pending_removals
            .iter()
            .filter(|key| {
                let desired = self
                    .entries
                    .get(*key)
                    .and_then(|entry| entry.desired.as_ref());
                desired.is_some_and(|desired| may_block_removal(removed, desired))
            })
            .cloned()
            .collect();
        self.retry_removals(keys);
    }

    /// Retries all removals after a listing: the engine may have been
    /// unreachable.
    pub(super) fn retry_all_removals(&mut self) {
        let keys = self.pending_removals.iter().cloned().collect();
        self.retry_removals(keys);
    }

    fn retry_removals(&mut self, keys: Vec<MirrorKey>) {
        for key in keys {
            if let Some(entry) = self.entries.get_mut(&key)
                && entry.removal.on_blocker_removed()
            {
                self.queue.add(key);
            }
        }
    }

    /// Handles the result of an action.
    pub(crate) fn on_action_finished(
        &mut self,
        key: &MirrorKey,
        value: &str,
        last_action: LastAction,
    ) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        let acting_uid = entry.acting_uid.take();
        // Otherwise the container or its mirror no longer exists.
        if let Some(observed) = &entry.observed
            && acting_uid.as_ref() == Some(&observed.object.uid)
        {
            let mirror = &observed.object;
            if mirror.action.as_deref() == Some(value) {
                entry.action = ActionStage::Done(value.into());
                entry.last_action = Some(last_action);
            } else {
                entry.action = ActionStage::Idle;
                // If another instance owns the mirror now, it has already
                // reported the outcome.
                let is_ours = observed.owner != MirrorOwner::OtherInstance;
                entry.last_action = is_ours.then_some(last_action);
            }
        }
        self.queue.add(key.clone());
    }

    /// Handles a failed attempt to claim an action, which is retried with
    /// back-off.
    pub(crate) fn on_claim_failed(&mut self, key: &MirrorKey, error: &kube::Error) {
        self.clear_acting(key);
        self.record_write_failure(key, error);
    }

    /// Handles a lost claim: the mirror in the API was not the one that the
    /// action was planned for. The event about the change may have arrived
    /// while the claim was in flight, so the mirror is reconciled after a
    /// delay.
    pub(crate) fn on_claim_lost(&mut self, key: &MirrorKey) {
        self.clear_acting(key);
        self.requests.timers.push(MirrorTimer::Claim(key.clone()));
    }

    /// Records that an action was not performed after all. It is planned again
    /// when the engine can be called.
    pub(crate) fn clear_acting(&mut self, key: &MirrorKey) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.acting_uid = None;
        }
    }
}

/// Returns whether an engine may have refused to remove `kept` because of
/// `removed`: containers use images and volumes, and images build on images.
pub(super) fn may_block_removal(removed: &DesiredState, kept: &DesiredState) -> bool {
    match (removed, kept) {
        (DesiredState::Container(container), DesiredState::Image { image, .. }) => {
            container.image_id == image.id
        }
        // The mounts of a container are not known here.
        (DesiredState::Container(_), DesiredState::Volume(_)) => true,
        (DesiredState::Image { .. }, DesiredState::Image { .. }) => true,
        _ => false,
    }
}
