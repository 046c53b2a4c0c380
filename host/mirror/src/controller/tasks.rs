//! The controller's tasks: writes to the API and requests to the engine, from
//! their start to their result.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rdd_api::{ActionName, App, LastAction};
use rdd_core::{EngineError, ErrorCode};
use tokio::task::{Id, JoinError};
use tracing::{Instrument as _, debug, error, info, info_span};

use super::{ControllerTimer, MirrorController, backoff};
use crate::action_claim::{self, ClaimOutcome};
use crate::actions;
use crate::deletion_check::{self, DeletionCheckError, DeletionOutcome};
use crate::key::MirrorKey;
use crate::mirror_writer::{MirrorWriter, WriteError, WriteOutcome};
use crate::plan::EngineRequest;
use crate::state::MirrorTimer;

/// The result of a task.
pub(super) enum TaskOutput {
    Write(MirrorKey, Box<WriteOutcome>),
    Removal(MirrorKey, Arc<str>, Result<(), EngineError>),
    /// The deletion was not a client's and is not carried out.
    DeletionDismissed(MirrorKey, Arc<str>),
    Action(MirrorKey, Box<str>, LastAction),
    /// The action is not to be carried out by this instance, or not any more.
    ClaimLost(MirrorKey),
    ClaimFailed(MirrorKey, kube::Error),
    AppStatus(Result<Box<App>, TaskError>),
    /// Whether no orphan is left, and the selection for which this was checked.
    PruneCheck(u64, Result<bool, TaskError>),
    AppRestore(Result<(), TaskError>),
}

/// Why a task about the App or about orphans failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum TaskError {
    #[error(transparent)]
    Api(#[from] kube::Error),
    #[error(transparent)]
    Panicked(JoinError),
}

/// What a task does.
pub(super) enum TaskKind {
    Write(MirrorKey),
    Remove(MirrorKey, Arc<str>),
    Act {
        key: MirrorKey,
        value: Box<str>,
        action: ActionName,
        observed_at: Timestamp,
    },
    WriteAppStatus,
    RestoreApp,
    PruneCheck(u64),
}

impl TaskKind {
    fn name(&self) -> &'static str {
        match self {
            Self::Write(_) => "write",
            Self::Remove(..) => "remove",
            Self::Act { .. } => "act",
            Self::WriteAppStatus => "write-app-status",
            Self::RestoreApp => "restore-app",
            Self::PruneCheck(_) => "prune-check",
        }
    }

    /// Returns the mirror that the task is about.
    fn key(&self) -> Option<&MirrorKey> {
        match self {
            Self::Write(key) | Self::Remove(key, _) | Self::Act { key, .. } => Some(key),
            Self::WriteAppStatus | Self::RestoreApp | Self::PruneCheck(_) => None,
        }
    }
}

impl MirrorController {
    pub(super) fn spawn(
        &mut self,
        kind: TaskKind,
        future: impl Future<Output = TaskOutput> + Send + 'static,
    ) {
        let object = kind.key().map(tracing::field::display);
        let span = info_span!("reconcile", task = kind.name(), object);
        let handle = self.tasks.spawn(future.instrument(span));
        self.task_kinds.insert(handle.id(), kind);
    }

    /// Starts the writes and engine requests that are due.
    pub(super) fn dispatch(&mut self) {
        let now = self.now();
        while self.state.writes_in_flight() < self.options.timing.max_concurrent_writes {
            let Some((key, write)) = self.state.next_write(now) else {
                break;
            };
            let writer = MirrorWriter {
                client: self.options.client.clone(),
                instance: self.options.instance.clone(),
                lease: self.lease_handle(),
            };
            self.spawn(TaskKind::Write(key.clone()), async move {
                let outcome = writer.perform(&key, write).await;
                TaskOutput::Write(key, Box::new(outcome))
            });
        }
        let requests = self.state.take_requests();
        for (key, request) in requests.engine_requests {
            self.spawn_engine_request(key, request);
        }
        for timer in requests.timers {
            let delay = self.timer_delay(&timer);
            self.timers.insert(ControllerTimer::Mirror(timer), delay);
        }
        if requests.resync
            && let Some(session) = &self.session
        {
            session.relist.notify_one();
        }
    }

    fn spawn_engine_request(&mut self, key: MirrorKey, request: EngineRequest) {
        let (Some(session), Some(lease)) = (&self.session, &self.lease) else {
            // The session has ended since the request was planned.
            match request {
                EngineRequest::Remove { uid, .. } => {
                    let error =
                        EngineError::new(ErrorCode::Unavailable, "the engine is not connected");
                    self.state.on_removal_finished(&key, &uid, Err(error));
                }
                EngineRequest::Act { .. } => self.state.clear_acting(&key),
                // Handled by the state; never requested.
                EngineRequest::Reject { .. } => {}
            }
            return;
        };
        let engine = Arc::clone(&session.engine);
        let client = self.options.client.clone();
        let instance = self.options.instance.clone();
        let scope = lease.scope.clone();
        let lease = lease.handle.clone();
        match request {
            EngineRequest::Remove { uid, request } => {
                let permits = Arc::clone(&self.removal_permits);
                self.spawn(
                    TaskKind::Remove(key.clone(), Arc::clone(&uid)),
                    async move {
                        // The semaphore is never closed.
                        let _permit = permits.acquire().await;
                        let outcome =
                            deletion_check::check(&client, &key, &uid, &instance, &scope).await;
                        match outcome {
                            Ok(DeletionOutcome::Confirmed) if lease.is_held() => {
                                debug!("removing the object from the engine");
                                let result = engine.remove(&request).await;
                                TaskOutput::Removal(key, uid, result)
                            }
                            Ok(DeletionOutcome::Dismissed(reason)) => {
                                info!(reason, "deletion not carried out");
                                TaskOutput::DeletionDismissed(key, uid)
                            }
                            outcome => {
                                let error = outcome.err().unwrap_or(DeletionCheckError::LeaseLost);
                                let error =
                                    EngineError::new(ErrorCode::Unavailable, error.to_string());
                                TaskOutput::Removal(key, uid, Err(error))
                            }
                        }
                    },
                );
            }
            EngineRequest::Act {
                value,
                action,
                container,
            } => {
                let permits = Arc::clone(&self.action_permits);
                let clock = Arc::clone(&self.options.clock);
                let observed_at = self.now();
                let kind = TaskKind::Act {
                    key: key.clone(),
                    value: value.clone(),
                    action,
                    observed_at,
                };
                self.spawn(kind, async move {
                    // The semaphore is never closed.
                    let _permit = permits.acquire().await;
                    match action_claim::claim(&client, &key, &value, &instance).await {
                        Ok(ClaimOutcome::Won) if lease.is_held() => {}
                        Ok(_) => return TaskOutput::ClaimLost(key),
                        Err(error) => return TaskOutput::ClaimFailed(key, error),
                    }
                    let last_action = actions::perform_action(
                        engine.as_ref(),
                        &container,
                        action,
                        observed_at,
                        &clock,
                    )
                    .await;
                    TaskOutput::Action(key, value, last_action)
                });
            }
            // Handled by the state; never requested.
            EngineRequest::Reject { .. } => {}
        }
    }

    fn timer_delay(&self, timer: &MirrorTimer) -> Duration {
        let timing = &self.options.timing;
        match timer {
            MirrorTimer::Write(_, failures) => {
                backoff(timing.write_retry_min, timing.write_retry_max, *failures)
            }
            MirrorTimer::Removal(_, attempts) => backoff(
                timing.removal_retry_min,
                timing.removal_retry_max,
                *attempts,
            ),
            MirrorTimer::RemovalCooldown(_, attempts) => backoff(
                timing.removal_cooldown_min,
                timing.removal_cooldown_max,
                *attempts,
            ),
            MirrorTimer::RemovalEvent(..) => timing.removal_event_timeout,
            MirrorTimer::VolumeSettle(..) => timing.volume_settle_time,
            MirrorTimer::Claim(_) => timing.write_retry_min,
        }
    }

    pub(super) fn on_task_finished(&mut self, result: Result<(Id, TaskOutput), JoinError>) {
        let output = match result {
            Ok((id, output)) => {
                self.task_kinds.remove(&id);
                output
            }
            Err(error) => {
                let Some(kind) = self.task_kinds.remove(&error.id()) else {
                    return;
                };
                error!(%error, task = %kind, "mirror task panicked");
                self.on_panic(kind, error)
            }
        };
        match output {
            TaskOutput::Write(key, outcome) => self.state.on_write_finished(&key, *outcome),
            TaskOutput::Removal(key, uid, result) => {
                self.state.on_removal_finished(&key, &uid, result);
            }
            TaskOutput::DeletionDismissed(key, uid) => self.state.on_deletion_dismissed(&key, &uid),
            TaskOutput::Action(key, value, last_action) => {
                self.state.on_action_finished(&key, &value, last_action);
            }
            TaskOutput::ClaimLost(key) => self.state.on_claim_lost(&key),
            TaskOutput::ClaimFailed(key, error) => self.state.on_claim_failed(&key, &error),
            TaskOutput::AppStatus(result) => self.on_app_status_written(result),
            TaskOutput::PruneCheck(generation, result) => {
                self.on_prune_checked(generation, result);
            }
            TaskOutput::AppRestore(result) => self.on_app_restored(result),
        }
    }

    /// Returns the result of a task that panicked.
    fn on_panic(&self, kind: TaskKind, error: JoinError) -> TaskOutput {
        match kind {
            TaskKind::Write(key) => {
                let outcome = WriteOutcome::Failed(WriteError::Panicked(error));
                TaskOutput::Write(key, Box::new(outcome))
            }
            TaskKind::Remove(key, uid) => {
                let error = EngineError::new(ErrorCode::PluginFailed, error.to_string());
                TaskOutput::Removal(key, uid, Err(error))
            }
            TaskKind::Act {
                key,
                value,
                action,
                observed_at,
            } => {
                let error = EngineError::new(ErrorCode::PluginFailed, error.to_string());
                let result = Err(error.into());
                let last_action =
                    actions::last_action(action.as_str(), result, observed_at, self.now());
                TaskOutput::Action(key, value, last_action)
            }
            TaskKind::WriteAppStatus => TaskOutput::AppStatus(Err(TaskError::Panicked(error))),
            TaskKind::RestoreApp => TaskOutput::AppRestore(Err(TaskError::Panicked(error))),
            TaskKind::PruneCheck(generation) => {
                TaskOutput::PruneCheck(generation, Err(TaskError::Panicked(error)))
            }
        }
    }
}

impl fmt::Display for TaskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key() {
            Some(key) => write!(f, "{} {key}", self.name()),
            None => f.write_str(self.name()),
        }
    }
}
