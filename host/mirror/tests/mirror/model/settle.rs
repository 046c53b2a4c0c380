//! The comparison, once all is quiet.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kube::ResourceExt;
use kube::api::{Api, DynamicObject, ListParams};
use rdd_api::App;
use rdd_core::EngineObject;
use rdd_testkit::FakeEngine;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::Run;
use super::api_user::{HOLD, REFUSAL, script_name};
use super::expected::{self, Key, Mirrors};
use super::rival::Term;
use super::truth::Target;
use crate::world::World;

/// What is remembered of a mirror from one quiet moment to the next.
pub(super) struct Seen {
    uid: String,
    target: Target,
    last_action: Value,
}

/// How long agreement may take, on a busy machine: a definition, its namespace
/// and a Lease may have to be waited for, one after the other.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often is looked whether all is quiet.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A container that must not outlive the look that it is for.
struct Marker<'a>(&'a FakeEngine, String);

impl Drop for Marker<'_> {
    fn drop(&mut self) {
        self.0.remove_container(&self.1);
    }
}

/// All mirrors as they are.
type Mirrored = BTreeMap<Key, (DynamicObject, Found)>;

/// A mirror as it has to be found.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Found {
    /// As the engine has the object.
    Live,
    /// Deleted, and the engine refuses.
    Refused,
    /// Deleted, not ours any more, and held by somebody else.
    Held,
}

impl Run {
    /// Waits until everything is as it must be, and nothing is written any more,
    /// whatever is listed anew.
    pub(super) async fn settle(&mut self) {
        let begun = Instant::now();
        let found = loop {
            let last = match self.agree().await {
                Ok(found) => break found,
                Err(last) => last,
            };
            assert!(
                begun.elapsed() < PATIENCE,
                "agreement after\n  {}\n: not within {PATIENCE:?}; last seen: {last}",
                self.log.join("\n  ")
            );
            sleep(LOOK_EVERY).await;
        };
        self.absorb();
        self.check_actions();
        self.remember(found);
    }

    /// All mirrors, when they agree with the model and stay as they are.
    async fn agree(&mut self) -> Result<Mirrored, String> {
        let term = self.face_the_holder().await?;
        self.check_app().await?;
        let found = self.compare().await?;
        let relisted = timeout(PATIENCE / 6, self.list_anew()).await;
        relisted.map_err(|_| "a new listing is not taken in".to_owned())?;
        if self.compare().await? != found {
            return Err("written without a reason, or not quiet yet".to_owned());
        }
        if self.term().await? != term {
            return Err("the Lease has changed hands".to_owned());
        }
        self.term = Some(term);
        Ok(found)
    }

    /// Finds out which one mirrors, and looks at that one from now on; the
    /// other one has to be on standby.
    async fn face_the_holder(&mut self) -> Result<Term, String> {
        let term = self.term().await?;
        if term.holder != self.world.instance.to_string() {
            self.switch();
        }
        let standby = |world: &World| world.progress.borrow().standby.clone();
        if term.holder != self.world.instance.to_string() || standby(&self.world).is_some() {
            return Err(format!("{term:?} and nobody mirrors"));
        }
        let Some(rival) = &self.rival else {
            return Ok(term);
        };
        if !standby(&rival.world).is_some_and(|reason| reason.contains(&term.holder)) {
            return Err(format!("{term:?} and two mirror"));
        }
        if self.term.as_ref() != Some(&term) {
            // It was not renewed in time on a busy machine, say.
            self.uproot_all();
        }
        Ok(term)
    }

    async fn check_app(&self) -> Result<(), String> {
        let apps: Api<App> = Api::all(self.world.client.clone());
        let app = apps.get("app").await.map_err(|error| error.to_string())?;
        let generation = app.metadata.generation;
        let conditions = app.status.unwrap_or_default().conditions;
        for (type_, reason) in [
            ("ContainerEngineReady", "Connected"),
            ("Settled", "Settled"),
        ] {
            let is_it = |c: &rdd_api::Condition| {
                c.type_ == type_ && c.status == "True" && c.reason == reason
            };
            let is_new = |c: &rdd_api::Condition| c.observed_generation == generation;
            if !conditions.iter().any(|c| is_it(c) && is_new(c)) {
                return Err(format!("the App says {conditions:?}"));
            }
        }
        Ok(())
    }

    /// Has the backend list everything anew, and the mirror take it in.
    async fn list_anew(&self) {
        self.engine.reinit();
        // Comes after the init: once it is seen, the init was.
        let marker = Marker(&self.engine, self.engine.create_container("marker"));
        self.world
            .container(&marker.1, |c| c.status.is_some())
            .await;
        let id = marker.1.clone();
        drop(marker);
        self.world.gone::<rdd_api::Container>(&id).await;
    }

    /// All mirrors, when they agree with the model.
    async fn compare(&self) -> Result<Mirrored, String> {
        // Taken before the mirrors: whatever changes meanwhile, it is not quiet.
        let objects = self.engine.objects();
        let mut truth = self.truth.clone();
        truth.absorb(&self.engine)?;
        let expected = expected::mirrors(&truth, &objects);
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
        let instance = self.world.instance.to_string();
        let is_mine = |object: &DynamicObject| {
            let owner = object.labels().get(rdd_api::INSTANCE_LABEL);
            owner.is_some_and(|owner| *owner == instance)
        };
        let is_it = |object: &DynamicObject| {
            object.name_any() == "moby" && is_ours(object) && is_mine(object)
        };
        if names.len() != 1 || !is_it(&names[0]) {
            return Err(format!("namespaces: {names:?}"));
        }
        let mut found = BTreeMap::new();
        for (key, (target, status)) in &expected {
            let object = actual
                .get(key)
                .ok_or_else(|| format!("{target:?} has no mirror"))?;
            let how = how(object);
            let doomed = truth.doomed.contains(target);
            let refused = truth.refusing.contains(&script_name(target));
            let excused = self.uprooted.contains(key.0) || truth.excused.contains(target);
            let may_be_live = !doomed || excused;
            match how {
                Some(Found::Held) => {}
                Some(Found::Live | Found::Refused) if !is_mine(object) => {
                    return Err(format!("another instance's: {object:?}"));
                }
                Some(Found::Live) if may_be_live => {
                    check_status(object, status)?;
                    check_conditions(object, target, &objects)?;
                }
                Some(Found::Refused) if doomed && refused => check_status(object, status)?,
                _ => {
                    return Err(format!(
                        "{target:?} (doomed {doomed}, refused {refused}): {how:?} {object:?}"
                    ));
                }
            }
        }
        for (key, object) in actual {
            match how(&object) {
                Some(how) if how == Found::Held || expected.contains_key(&key) => {
                    found.insert(key, (object, how));
                }
                _ => return Err(format!("an orphan: {object:?}")),
            }
        }
        self.check_identity(&expected, &found)?;
        Ok(found)
    }

    /// The same object has the same uid, another one has another, and an
    /// action leaves its trace.
    fn check_identity(&self, expected: &Mirrors, found: &Mirrored) -> Result<(), String> {
        for (key, (target, _)) in expected {
            let (Some(was), Some((is, Found::Live))) = (self.seen.get(key), found.get(key)) else {
                continue;
            };
            let moved = self.uprooted.contains(key.0) || self.moved.contains(key);
            let same_uid = is.uid().as_deref() == Some(&*was.uid);
            if was.target == *target && !same_uid && !moved {
                return Err(format!("{target:?} has another uid"));
            }
            if was.target != *target && same_uid && !self.may_lose_events {
                return Err(format!("{target:?} has the uid of {:?}", was.target));
            }
            if !same_uid {
                continue;
            }
            let last = &is.data["status"]["lastAction"];
            let right = match self.actions.get(&key.1).map(Vec::as_slice) {
                None => *last == was.last_action || is_correction(&was.last_action, last),
                Some([one]) => last["action"] == *one,
                // Any of them may have been the last to be seen.
                Some(_) => true,
            };
            if !right {
                return Err(format!("{target:?} says {last} of its last action"));
            }
        }
        Ok(())
    }

    fn remember(&mut self, found: Mirrored) {
        self.seen.clear();
        self.volume_of.clear();
        let expected = expected::mirrors(&self.truth, &self.engine.objects());
        for (key, (object, how)) in found {
            let Some((target, _)) = expected.get(&key) else {
                continue;
            };
            let uid = object.uid().unwrap();
            if let Target::Volume(_, serial) = target {
                self.volume_of.insert(uid.clone(), *serial);
            }
            if how != Found::Refused {
                self.truth.doomed.remove(target);
            }
            if how == Found::Live {
                let last_action = object.data["status"]["lastAction"].clone();
                let target = target.clone();
                let seen = Seen {
                    uid,
                    target,
                    last_action,
                };
                self.seen.insert(key, seen);
            }
        }
        let truth = self.truth.clone();
        self.truth.doomed.retain(|target| truth.has(target));
        self.truth.excused.clear();
        self.moved.clear();
        self.uprooted.clear();
        if let Some(rival) = &mut self.rival {
            rival.forget_wishes();
        }
        self.actions.clear();
        self.log.clear();
    }
}

/// Whether an action whose outcome was unknown is now said to have succeeded,
/// since the engine's user did by hand what it asked for.
fn is_correction(was: &Value, is: &Value) -> bool {
    was["state"] == "Failed"
        && is["state"] == "Succeeded"
        && was["action"] == is["action"]
        && was["observedAt"] == is["observedAt"]
}

fn is_ours(object: &DynamicObject) -> bool {
    object
        .labels()
        .get(rdd_api::BACKEND_LABEL)
        .is_some_and(|label| label == "moby")
}

/// Whether it is another backend's. A label that was taken off is not put back
/// on what is being deleted.
fn is_strange(object: &DynamicObject) -> bool {
    let label = object.labels().get(rdd_api::BACKEND_LABEL);
    label.is_some_and(|label| label != "moby")
}

/// How a mirror is found; `None` for what must not last.
fn how(object: &DynamicObject) -> Option<Found> {
    let has = |name: &str| {
        object
            .finalizers()
            .iter()
            .any(|finalizer| finalizer == name)
    };
    let finalized = has(rdd_api::MIRROR_FINALIZER);
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
        finalized,
        message,
    ) {
        (false, true, None) if is_ours(object) && !annotated => Some(Found::Live),
        (true, true, Some(message)) if message == REFUSAL && !is_strange(object) => {
            Some(Found::Refused)
        }
        (true, false, _) if has(HOLD) => Some(Found::Held),
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
    target: &Target,
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
        (EngineObject::Container(it), Target::Container(id)) if it.id == *id => {
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
