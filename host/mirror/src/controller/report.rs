//! Publishes the controller's state: the status of the App, the serving
//! snapshot, the containers, and the progress.

use std::sync::Arc;

use kube::api::{Api, Patch, PatchParams};
use rdd_api::{APP_NAME, App, AppStatus, Condition, FIELD_MANAGER};
use rdd_core::{ServingSnapshot, ServingState, UnavailableReason};
use serde_json::json;
use tracing::{info, warn};

use super::tasks::{TaskError, TaskKind, TaskOutput};
use super::{ControllerTimer, MirrorController, backoff};
use crate::app::{self, ConditionContext, EnginePhase};
use crate::options::MirrorProgress;

impl MirrorController {
    /// Updates the App's status, the serving snapshot, the containers, and the
    /// progress. Cheap
    /// if nothing has changed.
    pub(super) fn publish_status(&mut self) {
        if self.phase == EnginePhase::Syncing && self.state.is_synced() {
            self.phase = EnginePhase::Synced;
            info!("all objects of the engine are mirrored");
        }
        self.check_pruned();
        if let Some(containers) = self.state.take_changed_containers() {
            self.options.containers.send_replace(containers);
        }
        self.publish_serving();
        self.write_app_status();
        let (total, waiting) = self.state.backlog();
        let progress = MirrorProgress {
            ready: self.app_read && self.state.is_api_listed() && self.is_role_known(),
            synced: self.phase == EnginePhase::Synced,
            done: total.saturating_sub(waiting),
            total,
            standby: self.standby.clone(),
        };
        self.options.progress.send_if_modified(|known| {
            let is_changed = *known != progress;
            *known = progress;
            is_changed
        });
    }

    fn publish_serving(&self) {
        let Some(selection) = &self.selection else {
            return;
        };
        let unavailable =
            app::unavailable_reason(&selection.scope.backend, selection.running, &self.phase);
        let session = self.session.as_ref();
        let serving = match (unavailable, session) {
            (Some(reason), _) => ServingState::Unavailable(reason),
            (None, Some(session)) => ServingState::Ready(Arc::clone(&session.engine)),
            (None, None) => ServingState::Unavailable(UnavailableReason::Starting),
        };
        self.options.serving.send_if_modified(|known| {
            let is_unchanged = known.backend == *selection.scope.backend
                && known.info == self.info
                && match (&known.serving, &serving) {
                    (ServingState::Ready(old), ServingState::Ready(new)) => Arc::ptr_eq(old, new),
                    (ServingState::Unavailable(old), ServingState::Unavailable(new)) => old == new,
                    _ => false,
                };
            if !is_unchanged {
                *known = ServingSnapshot {
                    backend: selection.scope.backend.to_string(),
                    info: self.info.clone(),
                    serving,
                };
            }
            !is_unchanged
        });
    }

    /// Returns why mirrors are not up to date although the engine is connected.
    fn write_problem(&self) -> Option<Arc<str>> {
        let missing = self.installation.state.borrow().problem.clone();
        missing.or_else(|| self.state.failure_summary())
    }

    fn write_app_status(&mut self) {
        // Only the instance that mirrors writes the status.
        if self.app_write_in_flight
            || self.app_backing_off
            || !self.state.is_api_listed()
            || !self.is_lease_held()
            || self.installation.app_needs_restore
        {
            return;
        }
        let Some(app) = &self.app else {
            return;
        };
        let problem = self.write_problem();
        let context = ConditionContext {
            phase: &self.phase,
            pruned: self.pruned,
            problem: problem.as_deref(),
        };
        let desired = app::conditions(app, context, self.now());
        let current = app
            .status
            .as_ref()
            .map(|status| status.conditions.as_slice());
        if current.is_some_and(|current| contains_all(current, &desired)) {
            return;
        }
        self.app_write_in_flight = true;
        let client = self.options.client.clone();
        let uid = app.metadata.uid.clone();
        self.spawn(TaskKind::WriteAppStatus, async move {
            let api: Api<App> = Api::all(client);
            let body = json!({
                "apiVersion": format!("{}/{}", rdd_api::APP_GROUP, rdd_api::VERSION),
                "kind": "App",
                "metadata": {"name": APP_NAME, "uid": uid},
                "status": AppStatus { conditions: desired },
            });
            let params = PatchParams::apply(FIELD_MANAGER).force();
            let result = api
                .patch_status(APP_NAME, &params, &Patch::Apply(body))
                .await;
            TaskOutput::AppStatus(result.map(Box::new).map_err(TaskError::from))
        });
    }

    /// Handles the result of writing the App's status.
    pub(super) fn on_app_status_written(&mut self, result: Result<Box<App>, TaskError>) {
        self.app_write_in_flight = false;
        match result {
            Ok(app) => {
                self.app_write_failures = 0;
                self.on_app(Some(app));
            }
            Err(error) => {
                self.app_write_failures = self.app_write_failures.saturating_add(1);
                self.app_backing_off = true;
                // Logged less and less often while it keeps failing.
                if self.app_write_failures.is_power_of_two() {
                    let failures = self.app_write_failures;
                    warn!(%error, failures, "cannot write the status of the App");
                }
                let timing = &self.options.timing;
                let delay = backoff(
                    timing.write_retry_min,
                    timing.write_retry_max,
                    self.app_write_failures,
                );
                self.timers.insert(ControllerTimer::AppStatusWrite, delay);
            }
        }
    }
}

/// Returns whether the current conditions contain all desired ones. There may
/// be others, and the server may order them differently.
fn contains_all(current: &[Condition], desired: &[Condition]) -> bool {
    desired.iter().all(|condition| current.contains(condition))
}

#[cfg(test)]
mod tests {
    use rdd_api::{App, condition, reason};

    use super::*;

    #[test]
    fn conditions_of_others_do_not_trigger_a_write() {
        let app: App = serde_json::from_value(json!({
            "metadata": {"name": "app"},
            "spec": {"running": true},
        }))
        .expect("the App must parse");
        let context = ConditionContext {
            phase: &EnginePhase::Synced,
            pruned: true,
            problem: None,
        };
        let desired = app::conditions(&app, context, jiff::Timestamp::UNIX_EPOCH);
        let mut current = desired.clone();
        current.reverse();
        current.push(Condition {
            type_: "Theirs".to_owned(),
            ..desired[0].clone()
        });
        assert!(contains_all(&current, &desired));
        current.retain(|c| c.type_ != condition::SETTLED);
        assert!(!contains_all(&current, &desired));
        let mut changed = desired.clone();
        changed[0].reason = reason::STOPPED.to_owned();
        assert!(!contains_all(&changed, &desired));
    }
}
