//! Compares the mirrors with the model when all faults are cleared.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kube::ResourceExt;
use kube::api::{Api, DynamicObject, ListParams};
use rdd_api::App;
use rdd_core::EngineObject;
use rdd_testkit::FakeEngine;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::ModelRun;
use super::api_user::{HOLD, REFUSAL, fake_engine_key};
use super::engine_model::EngineTarget;
use super::expected::{self, ExpectedMirrors, MirrorKey};
use super::peer::LeaseTerm;
use crate::test_mirror::TestMirror;

/// A mirror at the time of the last agreement with the model.
pub(super) struct MirrorRecord {
    uid: String,
    target: EngineTarget,
    last_action: Value,
}

/// Timeout for agreement on a busy machine: a definition, its namespace, and a
/// Lease may have to be waited for, one after the other.
const AGREEMENT_TIMEOUT: Duration = Duration::from_secs(60);

/// Interval between comparisons.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A container that is removed when this is dropped.
struct Marker<'a>(&'a FakeEngine, String);

impl Drop for Marker<'_> {
    fn drop(&mut self) {
        self.0.remove_container(&self.1);
    }
}

/// All mirrors in the API.
type ObservedMirrors = BTreeMap<MirrorKey, (DynamicObject, ObservedState)>;

/// The valid states of a mirror after convergence.
#[derive(Clone, Copy, Debug, PartialEq)]
enum ObservedState {
    /// It reflects the object in the engine.
    Live,
    /// Deleted, and the engine refuses the removal.
    Refused,
    /// Deleted, without our finalizer, and held by a foreign one.
    Held,
}

impl ModelRun {
    /// Waits until the mirrors agree with the model and a new listing causes no
    /// more writes.
    pub(super) async fn settle(&mut self) {
        let start = Instant::now();
        let found = loop {
            let last = match self.check_agreement().await {
                Ok(found) => break found,
                Err(last) => last,
            };
            assert!(
                start.elapsed() < AGREEMENT_TIMEOUT,
                "no agreement within {AGREEMENT_TIMEOUT:?} after\n  {}\nlast difference: {last}",
                self.log.join("\n  ")
            );
            sleep(POLL_INTERVAL).await;
        };
        self.sync_models();
        self.check_actions();
        self.remember(found);
    }

    /// Returns all mirrors if they agree with the model and do not change.
    async fn check_agreement(&mut self) -> Result<ObservedMirrors, String> {
        let term = self.select_lease_holder().await?;
        self.check_app().await?;
        let found = self.compare().await?;
        let relisted = timeout(AGREEMENT_TIMEOUT / 6, self.relist()).await;
        relisted.map_err(|_| "a new listing was not processed".to_owned())?;
        if self.compare().await? != found {
            return Err(
                "mirrors are still being written, or were written without a reason".to_owned(),
            );
        }
        if self.lease_term().await? != term {
            return Err("the Lease has changed hands".to_owned());
        }
        self.term = Some(term);
        Ok(found)
    }

    /// Makes the instance that holds the Lease the active one. The other one
    /// must be standing by.
    async fn select_lease_holder(&mut self) -> Result<LeaseTerm, String> {
        let term = self.lease_term().await?;
        if term.holder != self.mirror.instance.to_string() {
            self.swap_instances();
        }
        let standby = |mirror: &TestMirror| mirror.progress.borrow().standby.clone();
        if term.holder != self.mirror.instance.to_string() || standby(&self.mirror).is_some() {
            return Err(format!("{term:?}, but no instance mirrors"));
        }
        let Some(peer) = &self.peer else {
            return Ok(term);
        };
        if !standby(&peer.mirror).is_some_and(|reason| reason.contains(&term.holder)) {
            return Err(format!("{term:?}, but two instances mirror"));
        }
        if self.term.as_ref() != Some(&term) {
            // For example, it was not renewed in time on a busy machine.
            self.all_may_be_recreated();
        }
        Ok(term)
    }

    async fn check_app(&self) -> Result<(), String> {
        let apps: Api<App> = Api::all(self.mirror.client.clone());
        let app = apps.get("app").await.map_err(|error| error.to_string())?;
        let generation = app.metadata.generation;
        let conditions = app.status.unwrap_or_default().conditions;
        for (type_, reason) in [
            ("ContainerEngineReady", "Connected"),
            ("Settled", "Settled"),
        ] {
            let matches = |c: &rdd_api::Condition| {
                c.type_ == type_ && c.status == "True" && c.reason == reason
            };
            let is_current = |c: &rdd_api::Condition| c.observed_generation == generation;
            if !conditions.iter().any(|c| matches(c) && is_current(c)) {
                return Err(format!("conditions of the App: {conditions:?}"));
            }
        }
        Ok(())
    }

    /// Makes the backend list again and waits until the controller has
    /// processed it.
    async fn relist(&self) {
        self.engine.reinit();
        // Created after the listing: once it is mirrored, the listing has been
        // processed.
        let marker = Marker(&self.engine, self.engine.create_container("marker"));
        self.mirror
            .wait_for_container(&marker.1, |c| c.status.is_some())
            .await;
        let id = marker.1.clone();
        drop(marker);
        self.mirror.wait_until_gone::<rdd_api::Container>(&id).await;
    }

    /// Returns all mirrors if they agree with the model.
    async fn compare(&self) -> Result<ObservedMirrors, String> {
        // Read before the mirrors: a change in between means no agreement.
        let objects = self.engine.objects();
        let mut engine_model = self.engine_model.clone();
        engine_model.sync_with(&self.engine)?;
        let expected = expected::mirrors(&engine_model, &objects);
        let mut actual = BTreeMap::new();
        for kind in ["Container", "Image", "Volume"] {
            let list = self.objects(kind).list(&ListParams::default()).await;
            for object in list.map_err(|error| error.to_string())? {
                actual.insert((kind, object.name_any()), object);
            }
        }
        let api = self.objects("ContainerNamespace");
        let names = api.list(&ListParams::default()).await;
        let names = names.map_err(|error| error.to_string())?.items;
        let instance = self.mirror.instance.to_string();
        let is_mine = |object: &DynamicObject| {
            let owner = object.labels().get(rdd_api::INSTANCE_LABEL);
            owner.is_some_and(|owner| *owner == instance)
        };
        let is_expected = |object: &DynamicObject| {
            object.name_any() == "moby" && is_ours(object) && is_mine(object)
        };
        if names.len() != 1 || !is_expected(&names[0]) {
            return Err(format!("namespaces: {names:?}"));
        }
        let mut found = BTreeMap::new();
        for (key, (target, status)) in &expected {
            let object = actual
                .get(key)
                .ok_or_else(|| format!("{target:?} has no mirror"))?;
            let state = observed_state(object);
            let is_deleted = engine_model.deleted.contains(target);
            let is_refused = engine_model.refused.contains(&fake_engine_key(target));
            let may_survive =
                self.recreated_kinds.contains(key.0) || engine_model.may_survive.contains(target);
            let may_be_live = !is_deleted || may_survive;
            match state {
                Some(ObservedState::Held) => {}
                Some(ObservedState::Live | ObservedState::Refused) if !is_mine(object) => {
                    return Err(format!("another instance's: {object:?}"));
                }
                Some(ObservedState::Live) if may_be_live => {
                    check_status(object, status)?;
                    check_conditions(object, target, &objects)?;
                }
                Some(ObservedState::Refused) if is_deleted && is_refused => {
                    check_status(object, status)?
                }
                _ => {
                    return Err(format!(
                        "{target:?} (deleted {is_deleted}, refused {is_refused}): {state:?} {object:?}"
                    ));
                }
            }
        }
        for (key, object) in actual {
            match observed_state(&object) {
                Some(state) if state == ObservedState::Held || expected.contains_key(&key) => {
                    found.insert(key, (object, state));
                }
                _ => return Err(format!("unexpected mirror: {object:?}")),
            }
        }
        self.check_identity(&expected, &found)?;
        Ok(found)
    }

    /// Checks that the same object has the same UID, that another one has
    /// another UID, and that the last action is reported.
    fn check_identity(
        &self,
        expected: &ExpectedMirrors,
        found: &ObservedMirrors,
    ) -> Result<(), String> {
        for (key, (target, _)) in expected {
            let (Some(old), Some((new, ObservedState::Live))) =
                (self.last_mirrors.get(key), found.get(key))
            else {
                continue;
            };
            let moved = self.recreated_kinds.contains(key.0) || self.may_have_new_uid.contains(key);
            let same_uid = new.uid().as_deref() == Some(&*old.uid);
            if old.target == *target && !same_uid && !moved {
                return Err(format!("{target:?} has another UID"));
            }
            if old.target != *target && same_uid && !self.may_lose_events {
                return Err(format!("{target:?} has the UID of {:?}", old.target));
            }
            if !same_uid {
                continue;
            }
            let last = &new.data["status"]["lastAction"];
            let right = match self.actions.get(&key.1).map(Vec::as_slice) {
                None => *last == old.last_action || is_correction(&old.last_action, last),
                Some([one]) => last["action"] == *one,
                // Any of them may have been observed last.
                Some(_) => true,
            };
            if !right {
                return Err(format!("{target:?} reports {last} as its last action"));
            }
        }
        Ok(())
    }

    fn remember(&mut self, found: ObservedMirrors) {
        self.last_mirrors.clear();
        self.volume_of.clear();
        let expected = expected::mirrors(&self.engine_model, &self.engine.objects());
        for (key, (object, state)) in found {
            let Some((target, _)) = expected.get(&key) else {
                continue;
            };
            let uid = object.uid().unwrap();
            if let EngineTarget::Volume(_, serial) = target {
                self.volume_of.insert(uid.clone(), *serial);
            }
            if state != ObservedState::Refused {
                self.engine_model.deleted.remove(target);
            }
            if state == ObservedState::Live {
                let last_action = object.data["status"]["lastAction"].clone();
                let target = target.clone();
                let seen = MirrorRecord {
                    uid,
                    target,
                    last_action,
                };
                self.last_mirrors.insert(key, seen);
            }
        }
        let engine_model = self.engine_model.clone();
        self.engine_model
            .deleted
            .retain(|target| engine_model.has(target));
        self.engine_model.may_survive.clear();
        self.may_have_new_uid.clear();
        self.recreated_kinds.clear();
        if let Some(peer) = &mut self.peer {
            peer.reset_deletions();
        }
        self.actions.clear();
        self.log.clear();
    }
}

/// Returns whether an action with an unknown outcome is now reported as
/// succeeded, because the user of the engine did the same manually.
fn is_correction(old: &Value, new: &Value) -> bool {
    old["state"] == "Failed"
        && new["state"] == "Succeeded"
        && old["action"] == new["action"]
        && old["observedAt"] == new["observedAt"]
}

fn is_ours(object: &DynamicObject) -> bool {
    object
        .labels()
        .get(rdd_api::BACKEND_LABEL)
        .is_some_and(|label| label == "moby")
}

/// Returns whether it is labeled as another backend's. A removed label is not
/// restored while the mirror is being deleted.
fn belongs_to_other_backend(object: &DynamicObject) -> bool {
    let label = object.labels().get(rdd_api::BACKEND_LABEL);
    label.is_some_and(|label| label != "moby")
}

/// Returns the state of a mirror; `None` if it is invalid after convergence.
fn observed_state(object: &DynamicObject) -> Option<ObservedState> {
    let has = |name: &str| {
        object
            .finalizers()
            .iter()
            .any(|finalizer| finalizer == name)
    };
    let has_our_finalizer = has(rdd_api::MIRROR_FINALIZER);
    let message = object.data["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == "DeleteFailed" && condition["status"] == "True")
        .map(|condition| &condition["message"]);
    let annotated = object
        .annotations()
        .contains_key(rdd_api::ACTION_ANNOTATION);
    match (
        object.metadata.deletion_timestamp.is_some(),
        has_our_finalizer,
        message,
    ) {
        (false, true, None) if is_ours(object) && !annotated => Some(ObservedState::Live),
        (true, true, Some(message)) if message == REFUSAL && !belongs_to_other_backend(object) => {
            Some(ObservedState::Refused)
        }
        (true, false, _) if has(HOLD) => Some(ObservedState::Held),
        _ => None,
    }
}

fn check_status(object: &DynamicObject, expected: &Value) -> Result<(), String> {
    let mut status = object.data["status"].clone();
    let Some(map) = status.as_object_mut() else {
        return Err(format!("no status: {object:?}"));
    };
    map.remove("conditions");
    map.remove("lastAction");
    if status == *expected {
        Ok(())
    } else {
        Err(format!("expected {expected}, found {status}"))
    }
}

fn check_conditions(
    object: &DynamicObject,
    target: &EngineTarget,
    objects: &[EngineObject],
) -> Result<(), String> {
    let found: BTreeMap<String, String> = object.data["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|condition| {
            let text = |field: &str| condition[field].as_str().unwrap_or_default().to_owned();
            (text("type"), text("status"))
        })
        .collect();
    let expected = objects.iter().find_map(|object| match (object, target) {
        (EngineObject::Container(it), EngineTarget::Container(id)) if it.id == *id => {
            Some(expected::conditions(it))
        }
        _ => None,
    });
    if found == expected.unwrap_or_default() {
        Ok(())
    } else {
        Err(format!("conditions of {target:?}: {found:?}"))
    }
}
