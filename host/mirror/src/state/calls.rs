//! Calls to the engine: removals and actions, from their beginning to their
//! end.

use std::sync::Arc;

use rdd_api::LastAction;
use rdd_core::{EngineError, ErrorCode};
use tracing::info;

use super::{State, Timer};
use crate::desired::Refusal;
use crate::entry::{ActionStage, Call, NextAttempt, RemovalStage};
use crate::key::Key;
use crate::plan::Operation;

impl State {
    /// Requests a call.
    pub(super) fn begin(&mut self, key: Key, operation: Operation) {
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        match &operation {
            Operation::Remove { uid, .. } => {
                let call = Call {
                    incarnation: entry.incarnation,
                    freed: self.freed,
                };
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
            Operation::Act { value, .. } => {
                entry.action = ActionStage::Running(value.clone());
            }
        }
        self.requests.operations.push((key, operation));
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
                // Something went while the engine was thinking: ask again.
                let next = if call.freed == self.freed {
                    NextAttempt::Waiting
                } else {
                    NextAttempt::Due
                };
                entry.removal = RemovalStage::Refused {
                    uid: Arc::clone(of),
                    refusal: refusal(error),
                    attempts,
                    next,
                };
                self.refused.insert(key.clone());
                let timer = Timer::Removal(key.clone(), attempts);
                self.requests.timers.push(timer);
            }
            _ => {
                entry.removal = RemovalStage::Done(Arc::clone(of));
                // Unless the engine has told already, and of another since.
                if entry.desired.is_some() && entry.incarnation == call.incarnation {
                    entry.removed = self.session.as_ref().map(|session| session.listings);
                    let timer = Timer::Removed(key.clone(), entry.incarnation);
                    self.requests.timers.push(timer);
                }
                self.refused.remove(key);
            }
        }
        self.enqueue(key.clone());
    }

    /// Something went: what was in use may be free now.
    pub(super) fn retry_refused(&mut self) {
        self.freed += 1;
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

    /// Takes in how an action ended.
    pub(crate) fn on_acted(&mut self, key: &Key, value: &str, last_action: LastAction) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        // Else it is about a container that is no more, or an engine that is
        // not ours.
        if entry.action.is_running(value) {
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
    }

    /// An action that was to be performed was not.
    pub(crate) fn forget_action(&mut self, key: &Key, value: &str) {
        if let Some(entry) = self.entries.get_mut(key)
            && entry.action.is_running(value)
        {
            // It is found again when the engine can be called again.
            entry.action = ActionStage::Idle;
        }
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
