//! What users of the API do.

use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, Preconditions};
use kube::{Api, ResourceExt};
use rdd_core::{EngineError, ErrorCode};
use rdd_testkit::EngineOperation;
use serde_json::{Value, json};

use super::Run;
use super::expected::{self, Key};
use super::truth::Target;
use crate::world::NAMESPACE;

/// Somebody else's finalizer.
pub(super) const HOLD: &str = "test.example/hold";

/// What the engine says when it refuses a removal.
pub(super) const REFUSAL: &str = "it is in use";

impl Run {
    /// One step of a user of the API, on any mirror.
    pub(super) async fn api_user(&mut self) {
        if self.rng.u8(..12) == 0 {
            self.note("delete the namespace's mirror");
            let api = self.objects("ContainerNamespace");
            ignore_missing(api.delete("moby", &DeleteParams::default()).await);
            return;
        }
        let Some(mut target) = self.rng.choice(self.truth.all()) else {
            return;
        };
        let key = expected::key(&target);
        let api = self.objects(key.0);
        // Its kind may not be served now.
        let Ok(Some(object)) = api.get_opt(&key.1).await else {
            return;
        };
        if self.is_rivals(&object) {
            // A volume of the same name, which the other engine has or had.
            self.switch();
            match self.truth.named_like(&target) {
                Some(namesake) => target = namesake,
                None => return,
            }
        }
        match self.rng.u8(..12) {
            0..4 => self.delete(&target, &key, &object).await,
            4 => {
                self.absorb();
                if !self.truth.has(&target) {
                    return;
                }
                self.engine.fail(
                    EngineOperation::Remove,
                    Some(&script_name(&target)),
                    EngineError::new(ErrorCode::Conflict, REFUSAL),
                );
                self.note(format!("refuse {target:?}"));
                self.truth.refusing.insert(script_name(&target));
                self.delete(&target, &key, &object).await;
            }
            5 | 6 => {
                let actions = ["start", "stop", "pause", "unpause", "restart", "explode"];
                let action = actions[self.rng.usize(..actions.len())];
                if key.0 == "Container" {
                    self.note(format!("annotate {action} {:.8}", key.1));
                    self.actions.entry(key.1.clone()).or_default().push(action);
                    *self.asked.entry(key.1.clone()).or_default() += 1;
                    let annotation = json!({rdd_api::ACTION_ANNOTATION: action});
                    self.patch(&key, json!({"metadata": {"annotations": annotation}}))
                        .await;
                }
            }
            7 | 8 => {
                self.note(format!("vandalise the status of {key:?}"));
                let status = match key.0 {
                    "Container" => json!({"name": "vandal", "pid": null, "error": "vandal"}),
                    "Image" => json!({"size": 1, "labels": {"vandal": "1"}}),
                    _ => json!({"driver": "vandal", "options": {"vandal": "1"}}),
                };
                let patch = Patch::Merge(json!({"status": status}));
                ignore_missing(
                    api.patch_status(&key.1, &PatchParams::default(), &patch)
                        .await,
                );
            }
            9 => {
                self.note(format!("take the label off {key:?}"));
                let labels = json!({rdd_api::BACKEND_LABEL: null, "test.example/own": "kept"});
                self.patch(&key, json!({"metadata": {"labels": labels}}))
                    .await;
            }
            // While somebody holds it, the App could not settle.
            10 if !is_held(&object) => {
                // Then it is that backend's mirror, and goes with it.
                self.note(format!("label {key:?} as another backend's"));
                let labels = json!({rdd_api::BACKEND_LABEL: "other"});
                self.moved(&target);
                self.truth.excused.insert(target);
                self.patch(&key, json!({"metadata": {"labels": labels}}))
                    .await;
            }
            11 => self.toggle_hold(&key, &object).await,
            _ => {}
        }
    }

    /// Whether the mirror is about the engine of the instance that does not act
    /// now.
    fn is_rivals(&self, object: &DynamicObject) -> bool {
        let owner = object.labels().get(rdd_api::INSTANCE_LABEL);
        self.rival.as_ref().is_some_and(|rival| {
            !rival.shares && owner.is_some_and(|owner| *owner == rival.world.instance.to_string())
        })
    }

    /// Deletes just this mirror; what it stands for is doomed from then on.
    async fn delete(&mut self, target: &Target, key: &Key, object: &DynamicObject) {
        let meant = match target {
            Target::Volume(name, _) => {
                let at = object.data["status"]["createdAt"].as_str();
                let known = object
                    .uid()
                    .and_then(|uid| self.volume_of.get(&uid).copied());
                let shown = at.and_then(|at| self.truth.volume_shown(name, at, known));
                match shown {
                    Some(serial) => Target::Volume(name.clone(), serial),
                    None => return,
                }
            }
            other => other.clone(),
        };
        self.note(format!("delete the mirror of {meant:?}"));
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: object.uid(),
                resource_version: object.resource_version(),
            }),
            ..DeleteParams::default()
        };
        let label = object.labels().get(rdd_api::BACKEND_LABEL);
        let ours = label.is_none_or(|label| label == "moby");
        let first = object.metadata.deletion_timestamp.is_none();
        // It may be gone from the engine before the answer is here.
        let was_doomed = self.truth.doomed.contains(&meant);
        self.truth.doomed.insert(meant.clone());
        match self.objects(key.0).delete(&key.1, &params).await {
            Ok(_) => {
                self.moved(&meant);
                let finalized = object
                    .finalizers()
                    .iter()
                    .any(|f| f == rdd_api::MIRROR_FINALIZER);
                if !ours || !finalized || !first {
                    self.truth.excused.insert(meant);
                }
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {
                if !was_doomed {
                    self.truth.doomed.remove(&meant);
                }
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Somebody else's finalizer comes or goes.
    async fn toggle_hold(&mut self, key: &Key, object: &DynamicObject) {
        let mut finalizers = object.finalizers().to_vec();
        let before = finalizers.len();
        finalizers.retain(|name| name != HOLD);
        if finalizers.len() == before {
            let label = object.labels().get(rdd_api::BACKEND_LABEL);
            if object.metadata.deletion_timestamp.is_some() || label.is_some_and(|l| l == "other") {
                return;
            }
            // On either side of ours, since ours is found by its place.
            let place = self.rng.usize(..=finalizers.len());
            finalizers.insert(place, HOLD.to_owned());
        }
        self.note(format!("finalizers of {key:?}: {finalizers:?}"));
        let version = object.resource_version();
        let metadata = json!({"finalizers": finalizers, "resourceVersion": version});
        self.patch(key, json!({"metadata": metadata})).await;
    }

    async fn patch(&self, key: &Key, patch: Value) {
        let params = PatchParams::default();
        let api = self.objects(key.0);
        ignore_missing(api.patch(&key.1, &params, &Patch::Merge(patch)).await);
    }

    /// All mirrors of a kind.
    pub(super) fn objects(&self, kind: &str) -> Api<DynamicObject> {
        let resource = match kind {
            "Container" => ApiResource::erase::<rdd_api::Container>(&()),
            "Image" => ApiResource::erase::<rdd_api::Image>(&()),
            "Volume" => ApiResource::erase::<rdd_api::Volume>(&()),
            _ => ApiResource::erase::<rdd_api::ContainerNamespace>(&()),
        };
        Api::namespaced_with(self.world.client.clone(), NAMESPACE, &resource)
    }
}

fn is_held(object: &DynamicObject) -> bool {
    object.finalizers().iter().any(|name| name == HOLD)
}

/// What the fake engine's script calls the removal of this.
pub(super) fn script_name(target: &Target) -> String {
    match target {
        Target::Container(id) | Target::Image(id, None) => id.clone(),
        Target::Image(_, Some(tag)) => tag.clone(),
        Target::Volume(name, _) => name.clone(),
    }
}

/// A mirror may go or change at any time.
pub(super) fn ignore_missing<T>(result: Result<T, kube::Error>) {
    match result {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409 | 422) => {}
        Err(error) => panic!("{error}"),
    }
}
