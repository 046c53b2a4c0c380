//! The comparison, once all is quiet.

use std::collections::BTreeMap;

use kube::ResourceExt;
use kube::api::{DynamicObject, ListParams};
use rdd_core::Object;
use rdd_testkit::eventually;
use serde_json::Value;

use super::Run;
use super::api_user::{HOLD, REFUSAL, script_name};
use super::expected::{self, Key, Mirrors};
use super::truth::Target;

/// What is remembered of a mirror from one quiet moment to the next.
pub(super) struct Seen {
    uid: String,
    target: Target,
    last_action: Value,
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
        self.world
            .condition("ContainerEngineReady", "True", "Connected")
            .await;
        self.world.condition("Settled", "True", "Settled").await;
        let log = self.log.join("\n  ");
        let this = &*self;
        let found = eventually(&format!("agreement after\n  {log}\n"), || async {
            let found = this.compare().await?;
            this.list_anew().await;
            if this.compare().await? == found {
                Ok(found)
            } else {
                Err("written without a reason, or not quiet yet".to_owned())
            }
        })
        .await;
        self.absorb();
        self.remember(found);
    }

    /// Has the backend list everything anew, and the mirror take it in.
    async fn list_anew(&self) {
        self.engine.reinit();
        // Comes after the init: once it is seen, the init was.
        let marker = self.engine.create_container("marker");
        self.world.container(&marker, |c| c.status.is_some()).await;
        self.engine.remove_container(&marker);
        self.world.gone::<rdd_api::Container>(&marker).await;
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
        if names.len() != 1 || names[0].name_any() != "moby" || !is_ours(&names[0]) {
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
            let excused = self.all_moved || truth.excused.contains(target);
            let may_be_live = !doomed || excused;
            match how {
                Some(Found::Held) => {}
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
            let moved = self.all_moved || self.moved.contains(key);
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
        self.all_moved = false;
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
    objects: &[Object],
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
        (Object::Container(it), Target::Container(id)) if it.id == *id => {
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
