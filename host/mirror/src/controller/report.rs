//! What the mirror says of itself: the App's status, the serving snapshot,
//! the progress.

use std::sync::Arc;

use kube::Client;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use rdd_api::{APP_NAME, App, AppStatus, BACKEND_LABEL, Condition, FIELD_MANAGER, INSTANCE_LABEL};
use rdd_core::{ServingSnapshot, ServingState, UnavailableReason};
use serde_json::json;
use tracing::{info, warn};

use super::work::{Done, Task};
use super::{Controller, Due, backoff};
use crate::app::{self, Facts, Phase};
use crate::instance::InstanceId;
use crate::lease::LeaseScope;
use crate::options::MirrorProgress;

impl Controller {
    /// Brings the App's status, the serving snapshot and the progress up to
    /// what is known. Cheap when nothing moved.
    pub(super) fn decide(&mut self) {
        if self.phase == Phase::Reading && self.state.is_synced() {
            self.phase = Phase::Synced;
            info!("every object of the engine is mirrored");
        }
        self.check_sweep();
        self.publish();
        self.write_app();
        let (total, waiting) = self.state.backlog();
        let progress = MirrorProgress {
            ready: self.app_read && self.state.is_listed() && self.is_role_known(),
            synced: self.phase == Phase::Synced,
            done: total.saturating_sub(waiting),
            total,
            standby: self.standby.clone(),
        };
        self.options.progress.send_if_modified(|known| {
            let moved = *known != progress;
            *known = progress;
            moved
        });
    }

    fn publish(&self) {
        let Some(chosen) = &self.chosen else {
            return;
        };
        let not = app::not_serving(&chosen.scope.backend, chosen.running, &self.phase);
        let session = self.session.as_ref();
        let serving = match (not, session) {
            (Some(why), _) => ServingState::Unavailable(why),
            (None, Some(session)) => ServingState::Ready(Arc::clone(&session.engine)),
            (None, None) => ServingState::Unavailable(UnavailableReason::Starting),
        };
        self.options.serving.send_if_modified(|known| {
            let same = known.backend == *chosen.scope.backend
                && known.info == self.info
                && match (&known.serving, &serving) {
                    (ServingState::Ready(was), ServingState::Ready(is)) => Arc::ptr_eq(was, is),
                    (ServingState::Unavailable(was), ServingState::Unavailable(is)) => was == is,
                    _ => false,
                };
            if !same {
                *known = ServingSnapshot {
                    backend: chosen.scope.backend.to_string(),
                    info: self.info.clone(),
                    serving,
                };
            }
            !same
        });
    }

    /// Why mirrors are not what they should be although the engine is there.
    fn problem(&self) -> Option<Arc<str>> {
        let missing = self.surroundings.installation.borrow().problem.clone();
        missing.or_else(|| self.state.failures())
    }

    fn write_app(&mut self) {
        // Its status is the word of the instance that mirrors, and of no other.
        if self.app_writing
            || self.app_backing_off
            || !self.state.is_listed()
            || !self.is_lease_held()
            || self.surroundings.app_lost
        {
            return;
        }
        let Some(app) = &self.app else {
            return;
        };
        let problem = self.problem();
        let facts = Facts {
            phase: &self.phase,
            swept: self.swept,
            problem: problem.as_deref(),
        };
        let wanted = app::conditions(app, facts, self.now());
        let known = app
            .status
            .as_ref()
            .map(|status| status.conditions.as_slice());
        if known.is_some_and(|known| says(known, &wanted)) {
            return;
        }
        self.app_writing = true;
        let client = self.options.client.clone();
        let uid = app.metadata.uid.clone();
        self.spawn(Task::App, async move {
            let api: Api<App> = Api::all(client);
            let body = json!({
                "apiVersion": format!("{}/{}", rdd_api::APP_GROUP, rdd_api::VERSION),
                "kind": "App",
                "metadata": {"name": APP_NAME, "uid": uid},
                "status": AppStatus { conditions: wanted },
            });
            let params = PatchParams::apply(FIELD_MANAGER).force();
            let written = api
                .patch_status(APP_NAME, &params, &Patch::Apply(body))
                .await;
            Done::App(written.map_err(|error| error.to_string()))
        });
    }

    /// A sweep is over when neither we nor the API know of a stray.
    fn check_sweep(&mut self) {
        if self.swept || self.sweep_checking || !self.state.is_listed() || !self.is_lease_held() {
            return;
        }
        if self.state.has_strays() {
            return;
        }
        let Some(chosen) = &self.chosen else {
            return;
        };
        self.sweep_checking = true;
        let client = self.options.client.clone();
        let choice = self.choice;
        let sweep = Sweep {
            instance: self.options.instance.clone(),
            scope: chosen.scope.clone(),
            running: chosen.running,
        };
        self.spawn(Task::Sweep(choice), async move {
            let result = sweep.none_left(&client).await;
            Done::Swept(choice, result.map_err(|error| error.to_string()))
        });
    }

    /// Takes in how a write of the App's status ended.
    pub(super) fn on_app_written(&mut self, result: Result<App, String>) {
        self.app_writing = false;
        match result {
            Ok(app) => {
                self.app_failures = 0;
                self.on_app(Some(Box::new(app)));
            }
            Err(failure) => {
                self.app_failures = self.app_failures.saturating_add(1);
                self.app_backing_off = true;
                // Loud when it begins, then quieter and quieter.
                if self.app_failures.is_power_of_two() {
                    warn!("cannot write the status of the App: {failure}");
                }
                let timing = &self.options.timing;
                let delay = backoff(
                    timing.write_retry_min,
                    timing.write_retry_max,
                    self.app_failures,
                );
                self.timers.insert(Due::App, delay);
            }
        }
    }

    /// Takes in whether a list showed no mirror that must go.
    pub(super) fn on_swept(&mut self, choice: u64, result: Result<bool, String>) {
        if choice != self.choice {
            // Looked for what belonged to the choice before.
            self.sweep_checking = false;
            return;
        }
        match result {
            Ok(true) => {
                self.swept = true;
                self.sweep_checking = false;
                return;
            }
            Ok(false) => {}
            Err(failure) => warn!("cannot list mirrors: {failure}"),
        }
        self.timers
            .insert(Due::Sweep, self.options.timing.sweep_check);
    }
}

/// Mirrors that must go, as the API can be asked for them.
struct Sweep {
    instance: InstanceId,
    scope: LeaseScope,
    running: bool,
}

impl Sweep {
    /// Whether there are none, of any kind.
    async fn none_left(&self, client: &Client) -> Result<bool, kube::Error> {
        let stray = match self.running {
            true => format!("{BACKEND_LABEL},{BACKEND_LABEL}!={}", self.scope.backend),
            false => BACKEND_LABEL.to_owned(),
        };
        // Ours, and those that name nobody.
        let mut lists = vec![
            (None, format!("{stray},{INSTANCE_LABEL}={}", self.instance)),
            (None, format!("{stray},!{INSTANCE_LABEL}")),
        ];
        if !self.running {
            let all = format!("{BACKEND_LABEL}={}", self.scope.backend);
            lists.push((Some(&*self.scope.namespace), all));
        }
        for (namespace, selector) in lists {
            let params = ListParams::default().labels(&selector).limit(1);
            let none = none::<rdd_api::Container>(client, namespace, &params).await?
                && none::<rdd_api::Image>(client, namespace, &params).await?
                && none::<rdd_api::Volume>(client, namespace, &params).await?
                && none::<rdd_api::ContainerNamespace>(client, namespace, &params).await?;
            if !none {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Whether no object of the kind matches, in one namespace or in all.
async fn none<K>(
    client: &Client,
    namespace: Option<&str>,
    params: &ListParams,
) -> Result<bool, kube::Error>
where
    K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + serde::de::DeserializeOwned
        + std::fmt::Debug,
{
    let api: Api<K> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    Ok(api.list_metadata(params).await?.items.is_empty())
}

/// Whether the status says what it should. Conditions of others may stand
/// beside ours, and the server may keep another order.
fn says(known: &[Condition], wanted: &[Condition]) -> bool {
    wanted.iter().all(|condition| known.contains(condition))
}

#[cfg(test)]
mod tests {
    use rdd_api::{App, condition, reason};

    use super::*;

    #[test]
    fn a_condition_of_somebody_else_is_no_reason_to_write() {
        let app: App = serde_json::from_value(json!({
            "metadata": {"name": "app"},
            "spec": {"running": true},
        }))
        .expect("an App");
        let facts = Facts {
            phase: &Phase::Synced,
            swept: true,
            problem: None,
        };
        let wanted = app::conditions(&app, facts, jiff::Timestamp::UNIX_EPOCH);
        let mut known = wanted.clone();
        known.reverse();
        known.push(Condition {
            type_: "Theirs".to_owned(),
            ..wanted[0].clone()
        });
        assert!(says(&known, &wanted));
        known.retain(|c| c.type_ != condition::SETTLED);
        assert!(!says(&known, &wanted));
        let mut other = wanted.clone();
        other[0].reason = reason::STOPPED.to_owned();
        assert!(!says(&other, &wanted));
    }
}
