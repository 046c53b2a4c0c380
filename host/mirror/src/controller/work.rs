//! Tasks: jobs in the API, calls to the engine, and how they end.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rdd_api::{ActionName, App, LastAction};
use rdd_core::{EngineError, ErrorCode};
use tokio::task::{Id, JoinError};
use tracing::{debug, error, info};

use super::{Controller, Due, backoff};
use crate::action_claim::{self, ClaimOutcome};
use crate::deletion_check::{self, DeletionCheckError, DeletionVerdict};
use crate::jobs::MirrorWriter;
use crate::key::Key;
use crate::operations;
use crate::plan::Operation;
use crate::state::{Outcome, Timer};

/// What a task reports.
pub(super) enum Done {
    Job(Key, Outcome),
    Removed(Key, Arc<str>, Result<(), EngineError>),
    /// The deletion is not to be carried out.
    Withdrawn(Key, Arc<str>),
    Acted(Key, Box<str>, LastAction),
    /// The action is not ours to carry out, or could not be claimed.
    Unclaimed(Key, Option<String>),
    /// The App's status was written, or not.
    App(Result<App, String>),
    /// Whether a list showed no mirror that must go.
    Swept(u64, Result<bool, String>),
    /// The App was made again, or not.
    AppRestored(Result<(), String>),
}

/// What a task is at.
pub(super) enum Task {
    Job(Key),
    Remove(Key, Arc<str>),
    Act {
        key: Key,
        value: Box<str>,
        action: ActionName,
        observed_at: Timestamp,
    },
    App,
    RestoreApp,
    Sweep(u64),
}

impl Controller {
    pub(super) fn spawn(
        &mut self,
        task: Task,
        future: impl Future<Output = Done> + Send + 'static,
    ) {
        let handle = self.tasks.spawn(future);
        self.running.insert(handle.id(), task);
    }

    /// Starts what there is to do.
    pub(super) fn dispatch(&mut self) {
        let now = self.now();
        while self.state.jobs() < self.options.timing.concurrent_writes {
            let Some((key, job)) = self.state.next_job(now) else {
                break;
            };
            let writer = MirrorWriter {
                client: self.options.client.clone(),
                instance: self.options.instance.clone(),
                lease: self.lease_handle(),
            };
            self.spawn(Task::Job(key.clone()), async move {
                let outcome = writer.perform(&key, job).await;
                Done::Job(key, outcome)
            });
        }
        let requests = self.state.take_requests();
        for (key, operation) in requests.operations {
            self.operate(key, operation);
        }
        for timer in requests.timers {
            let delay = self.delay(&timer);
            self.timers.insert(Due::Mirror(timer), delay);
        }
        if requests.resync
            && let Some(session) = &self.session
        {
            session.renew.notify_one();
        }
    }

    fn operate(&mut self, key: Key, operation: Operation) {
        let (Some(session), Some(lease)) = (&self.session, &self.lease) else {
            // The plan was made while the engine could be called.
            match operation {
                Operation::Remove { uid, .. } => {
                    let error = EngineError::new(ErrorCode::Unavailable, "the engine is away");
                    self.state.on_removed(&key, &uid, Err(error));
                }
                Operation::Act { .. } => self.state.forget_action(&key),
                // Not requested: the state does it alone.
                Operation::Reject { .. } => {}
            }
            return;
        };
        let engine = Arc::clone(&session.engine);
        let client = self.options.client.clone();
        let instance = self.options.instance.clone();
        let scope = lease.scope.clone();
        let lease = lease.handle.clone();
        match operation {
            Operation::Remove { uid, target } => {
                let slots = Arc::clone(&self.removals);
                self.spawn(Task::Remove(key.clone(), Arc::clone(&uid)), async move {
                    // The semaphore is never closed.
                    let _slot = slots.acquire().await;
                    let verdict =
                        deletion_check::check(&client, &key, &uid, &instance, &scope).await;
                    match verdict {
                        Ok(DeletionVerdict::Confirmed) if lease.is_held() => {
                            debug!(mirror = %key, "removing from the engine");
                            let result = engine.remove(&target).await;
                            Done::Removed(key, uid, result)
                        }
                        Ok(DeletionVerdict::Withdrawn(reason)) => {
                            info!(mirror = %key, reason, "the deletion is not carried out");
                            Done::Withdrawn(key, uid)
                        }
                        verdict => {
                            let error = verdict.err().unwrap_or(DeletionCheckError::LeaseLost);
                            let error = EngineError::new(ErrorCode::Unavailable, error.to_string());
                            Done::Removed(key, uid, Err(error))
                        }
                    }
                });
            }
            Operation::Act {
                value,
                action,
                container,
            } => {
                let slots = Arc::clone(&self.actions);
                let clock = Arc::clone(&self.options.clock);
                let observed_at = self.now();
                let task = Task::Act {
                    key: key.clone(),
                    value: value.clone(),
                    action,
                    observed_at,
                };
                self.spawn(task, async move {
                    // The semaphore is never closed.
                    let _slot = slots.acquire().await;
                    match action_claim::claim(&client, &key, &value, &instance).await {
                        Ok(ClaimOutcome::Won) if lease.is_held() => {}
                        Ok(_) => return Done::Unclaimed(key, None),
                        Err(error) => return Done::Unclaimed(key, Some(error.to_string())),
                    }
                    let last =
                        operations::act(engine.as_ref(), &container, action, observed_at, &clock)
                            .await;
                    Done::Acted(key, value, last)
                });
            }
            // Not requested: the state does it alone.
            Operation::Reject { .. } => {}
        }
    }

    fn delay(&self, timer: &Timer) -> Duration {
        let timing = &self.options.timing;
        match timer {
            Timer::Job(_, failures) => {
                backoff(timing.write_retry_min, timing.write_retry_max, *failures)
            }
            Timer::Removal(_, attempts) => backoff(
                timing.removal_retry_min,
                timing.removal_retry_max,
                *attempts,
            ),
            Timer::Rested(_, attempts) => {
                backoff(timing.removal_rest_min, timing.removal_rest_max, *attempts)
            }
            Timer::Removed(..) => timing.removal_echo,
            Timer::Young(..) => timing.volume_youth,
            Timer::Claim(_) => timing.write_retry_min,
        }
    }

    pub(super) fn on_done(&mut self, done: Result<(Id, Done), JoinError>) {
        let done = match done {
            Ok((id, done)) => {
                self.running.remove(&id);
                done
            }
            Err(failure) => {
                error!("a task of the mirror broke: {failure}");
                match self.running.remove(&failure.id()) {
                    Some(task) => self.broke(task, &failure),
                    None => return,
                }
            }
        };
        match done {
            Done::Job(key, outcome) => self.state.on_outcome(&key, outcome),
            Done::Removed(key, uid, result) => self.state.on_removed(&key, &uid, result),
            Done::Withdrawn(key, uid) => self.state.on_withdrawn(&key, &uid),
            Done::Acted(key, value, last) => self.state.on_acted(&key, &value, last),
            Done::Unclaimed(key, None) => self.state.on_claim_lost(&key),
            Done::Unclaimed(key, Some(message)) => self.state.on_unclaimed(&key, &message),
            Done::App(result) => self.on_app_written(result),
            Done::Swept(choice, result) => self.on_swept(choice, result),
            Done::AppRestored(result) => self.on_app_restored(result),
        }
    }

    /// What a task that panicked would have reported.
    fn broke(&self, task: Task, failure: &JoinError) -> Done {
        let message = failure.to_string();
        match task {
            Task::Job(key) => Done::Job(key, Outcome::Failed(message)),
            Task::Remove(key, uid) => {
                let error = EngineError::new(ErrorCode::PluginFailed, message);
                Done::Removed(key, uid, Err(error))
            }
            Task::Act {
                key,
                value,
                action,
                observed_at,
            } => {
                let error = EngineError::new(ErrorCode::PluginFailed, message);
                let result = Err(error.into());
                let last = operations::outcome(action.as_str(), result, observed_at, self.now());
                Done::Acted(key, value, last)
            }
            Task::App => Done::App(Err(message)),
            Task::RestoreApp => Done::AppRestored(Err(message)),
            Task::Sweep(choice) => Done::Swept(choice, Err(message)),
        }
    }
}
