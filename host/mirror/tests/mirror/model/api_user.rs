//! Operations of users of the API.

use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, Preconditions};
use kube::{Api, ResourceExt};
use rdd_core::{EngineError, ErrorCode};
use rdd_testkit::EngineOperation;
use serde_json::{Value, json};

use super::ModelRun;
use super::engine_model::EngineTarget;
use super::expected::{self, MirrorKey};
use crate::test_mirror::NAMESPACE;

/// A foreign finalizer.
pub(super) const HOLD: &str = "test.example/hold";

/// The message of the engine when it refuses a removal.
pub(super) const REFUSAL: &str = "it is in use";

impl ModelRun {
    /// Performs one operation on a random mirror.
    pub(super) async fn api_user(&mut self) {
        if self.rng.u8(..12) == 0 {
            self.note("delete the namespace's mirror");
            let api = self.objects("ContainerNamespace");
            ignore_missing(api.delete("moby", &DeleteParams::default()).await);
            return;
        }
        let Some(mut target) = self.rng.choice(self.engine_model.all()) else {
            return;
        };
        let key = expected::key(&target);
        let api = self.objects(key.0);
        // Its kind may not be served at the moment.
        let Ok(Some(object)) = api.get_opt(&key.1).await else {
            return;
        };
        if self.belongs_to_peer(&object) {
            // The mirror of a volume of the same name that the other engine has
            // or had.
            self.swap_instances();
            match self.engine_model.same_named_volume(&target) {
                Some(namesake) => target = namesake,
                None => return,
            }
        }
        match self.rng.u8(..12) {
            0..4 => self.delete(&target, &key, &object).await,
            4 => {
                self.sync_models();
                if !self.engine_model.has(&target) {
                    return;
                }
                self.engine.fail(
                    EngineOperation::Remove,
                    Some(&fake_engine_key(&target)),
                    EngineError::new(ErrorCode::Conflict, REFUSAL),
                );
                self.note(format!("refuse {target:?}"));
                self.engine_model.refused.insert(fake_engine_key(&target));
                self.delete(&target, &key, &object).await;
            }
            5 | 6 => {
                let actions = ["start", "stop", "pause", "unpause", "restart", "explode"];
                let action = actions[self.rng.usize(..actions.len())];
                if key.0 == "Container" {
                    self.note(format!("annotate {action} {:.8}", key.1));
                    self.actions.entry(key.1.clone()).or_default().push(action);
                    *self.max_action_calls.entry(key.1.clone()).or_default() += 1;
                    let annotation = json!({rdd_api::ACTION_ANNOTATION: action});
                    self.patch(&key, json!({"metadata": {"annotations": annotation}}))
                        .await;
                }
            }
            7 | 8 => {
                self.note(format!("vandalize the status of {key:?}"));
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
                self.note(format!("remove the label of {key:?}"));
                let labels = json!({rdd_api::BACKEND_LABEL: null, "test.example/own": "kept"});
                self.patch(&key, json!({"metadata": {"labels": labels}}))
                    .await;
            }
            // The App cannot settle while another finalizer holds the mirror.
            10 if !is_held(&object) => {
                // It then counts as a mirror of that backend, and is pruned.
                self.note(format!("label {key:?} as another backend's"));
                let labels = json!({rdd_api::BACKEND_LABEL: "other"});
                self.may_get_new_uid(&target);
                self.engine_model.may_survive.insert(target);
                self.patch(&key, json!({"metadata": {"labels": labels}}))
                    .await;
            }
            11 => self.toggle_hold(&key, &object).await,
            _ => {}
        }
    }

    /// Returns whether the mirror belongs to the engine of the peer.
    fn belongs_to_peer(&self, object: &DynamicObject) -> bool {
        let owner = object.labels().get(rdd_api::INSTANCE_LABEL);
        self.peer.as_ref().is_some_and(|peer| {
            !peer.shares_engine
                && owner.is_some_and(|owner| *owner == peer.mirror.instance.to_string())
        })
    }

    /// Deletes exactly this mirror. From then on, what it represents may be
    /// removed.
    async fn delete(&mut self, target: &EngineTarget, key: &MirrorKey, object: &DynamicObject) {
        let deleted = match target {
            EngineTarget::Volume(name, _) => {
                let at = object.data["status"]["createdAt"].as_str();
                let known = object
                    .uid()
                    .and_then(|uid| self.volume_of.get(&uid).copied());
                let shown = at.and_then(|at| self.engine_model.volume_with_time(name, at, known));
                match shown {
                    Some(serial) => EngineTarget::Volume(name.clone(), serial),
                    None => return,
                }
            }
            other => other.clone(),
        };
        self.note(format!("delete the mirror of {deleted:?}"));
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: object.uid(),
                resource_version: object.resource_version(),
            }),
            ..DeleteParams::default()
        };
        let label = object.labels().get(rdd_api::BACKEND_LABEL);
        let is_ours = label.is_none_or(|label| label == "moby");
        let is_first = object.metadata.deletion_timestamp.is_none();
        // It may be removed from the engine before the response arrives.
        let was_deleted = self.engine_model.deleted.contains(&deleted);
        self.engine_model.deleted.insert(deleted.clone());
        match self.objects(key.0).delete(&key.1, &params).await {
            Ok(_) => {
                self.may_get_new_uid(&deleted);
                let has_finalizer = object
                    .finalizers()
                    .iter()
                    .any(|f| f == rdd_api::MIRROR_FINALIZER);
                if !is_ours || !has_finalizer || !is_first {
                    self.engine_model.may_survive.insert(deleted);
                }
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {
                if !was_deleted {
                    self.engine_model.deleted.remove(&deleted);
                }
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Adds or removes a foreign finalizer.
    async fn toggle_hold(&mut self, key: &MirrorKey, object: &DynamicObject) {
        let mut finalizers = object.finalizers().to_vec();
        let before = finalizers.len();
        finalizers.retain(|name| name != HOLD);
        if finalizers.len() == before {
            let label = object.labels().get(rdd_api::BACKEND_LABEL);
            if object.metadata.deletion_timestamp.is_some() || label.is_some_and(|l| l == "other") {
                return;
            }
            // Before or after ours, because ours is identified by its index.
            let index = self.rng.usize(..=finalizers.len());
            finalizers.insert(index, HOLD.to_owned());
        }
        self.note(format!("finalizers of {key:?}: {finalizers:?}"));
        let version = object.resource_version();
        let metadata = json!({"finalizers": finalizers, "resourceVersion": version});
        self.patch(key, json!({"metadata": metadata})).await;
    }

    async fn patch(&self, key: &MirrorKey, patch: Value) {
        let params = PatchParams::default();
        let api = self.objects(key.0);
        ignore_missing(api.patch(&key.1, &params, &Patch::Merge(patch)).await);
    }

    /// Returns the API of a mirrored kind.
    pub(super) fn objects(&self, kind: &str) -> Api<DynamicObject> {
        let resource = match kind {
            "Container" => ApiResource::erase::<rdd_api::Container>(&()),
            "Image" => ApiResource::erase::<rdd_api::Image>(&()),
            "Volume" => ApiResource::erase::<rdd_api::Volume>(&()),
            _ => ApiResource::erase::<rdd_api::ContainerNamespace>(&()),
        };
        Api::namespaced_with(self.mirror.client.clone(), NAMESPACE, &resource)
    }
}

fn is_held(object: &DynamicObject) -> bool {
    object.finalizers().iter().any(|name| name == HOLD)
}

/// Returns the key of this object in the script of the fake engine.
pub(super) fn fake_engine_key(target: &EngineTarget) -> String {
    match target {
        EngineTarget::Container(id) | EngineTarget::Image(id, None) => id.clone(),
        EngineTarget::Image(_, Some(tag)) => tag.clone(),
        EngineTarget::Volume(name, _) => name.clone(),
    }
}

/// Ignores errors that occur because an object may be deleted or changed at any
/// time.
pub(super) fn ignore_missing<T>(result: Result<T, kube::Error>) {
    match result {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409 | 422) => {}
        Err(error) => panic!("{error}"),
    }
}
