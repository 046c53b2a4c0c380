//! Brings definitions to life: accepts names, swaps the registry, then
//! publishes `Established`; clears up behind deleted ones.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rdd_apiserver_kinds::Kind;
use rdd_apiserver_storage::{Change, CommitError, Event, EventKind, Expect, Record, WatchEnd};
use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;

use super::{CLEANUP, PREFIX, custom};
use crate::clock;
use crate::encode::Storable;
use crate::meta;
use crate::registry::Registry;
use crate::resource::{self, Resource};
use crate::server::Inner;

/// Time between looks at the objects of definitions that are being deleted:
/// finalizers of theirs may have gone.
const CLEAR_AGAIN: Duration = Duration::from_millis(250);

/// One definition as the controller knows it.
struct Known {
    revision: u64,
    uid: String,
    terminating: bool,
    object: Value,
    resources: Vec<Arc<Resource>>,
}

struct Controller {
    server: Arc<Inner>,
    builtin: Vec<Arc<Resource>>,
    known: HashMap<String, Known>,
}

/// Serves what is defined, then follows the definitions until the server
/// closes.
pub(crate) async fn start(server: &Arc<Inner>) -> Result<JoinHandle<()>, String> {
    let mut controller = Controller {
        server: Arc::clone(server),
        builtin: crate::builtin::resources(),
        known: HashMap::new(),
    };
    let snapshot = server.store.snapshot();
    let mut watch = server
        .store
        .watch(PREFIX, snapshot.revision())
        .map_err(|error| error.to_string())?;
    let records: Vec<Arc<Record>> = snapshot.range(PREFIX, None).cloned().collect();
    for record in &records {
        controller.learn(&record.key, record.revision, &record.value);
    }
    controller.publish(snapshot.revision());
    for record in &records {
        controller.tend(&record.key).await;
    }
    let mut closing = server.closing.subscribe();
    Ok(tokio::spawn(async move {
        let mut again = tokio::time::interval(CLEAR_AGAIN);
        again.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                changed = closing.changed() => {
                    if changed.is_err() || *closing.borrow() {
                        return;
                    }
                }
                next = watch.next() => match next {
                    Ok(event) => controller.handle(&event).await,
                    Err(WatchEnd::Closed) => return,
                    Err(WatchEnd::Lagged) => match controller.relist().await {
                        Ok(again) => watch = again,
                        Err(error) => {
                            tracing::error!(%error, "definitions cannot be followed any more");
                            return;
                        }
                    },
                },
                _ = again.tick(), if controller.clearing() => controller.clear_all().await,
            }
        }
    }))
}

/// Sets one condition of a status.
pub(crate) fn condition(
    status: &mut Value,
    kind: &str,
    state: &str,
    reason: &str,
    message: &str,
    now: &str,
) {
    if !status.is_object() {
        *status = Value::Object(Map::new());
    }
    let Some(status) = status.as_object_mut() else {
        return;
    };
    let list = status.entry("conditions").or_insert_with(|| json!([]));
    if !list.is_array() {
        *list = json!([]);
    }
    let Some(list) = list.as_array_mut() else {
        return;
    };
    let time = list
        .iter()
        .find(|c| c["type"] == kind && c["status"] == state)
        .and_then(|c| c["lastTransitionTime"].as_str())
        .unwrap_or(now)
        .to_owned();
    let new = json!({
        "type": kind,
        "status": state,
        "lastTransitionTime": time,
        "reason": reason,
        "message": message,
    });
    match list.iter_mut().find(|c| c["type"] == kind) {
        Some(old) => *old = new,
        None => list.push(new),
    }
}

fn is_true(object: &Value, kind: &str) -> bool {
    object["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|c| c["type"] == kind && c["status"] == "True")
}

impl Controller {
    async fn relist(&mut self) -> Result<rdd_apiserver_storage::Watch, String> {
        let snapshot = self.server.store.snapshot();
        let watch = self
            .server
            .store
            .watch(PREFIX, snapshot.revision())
            .map_err(|error| error.to_string())?;
        let records: Vec<Arc<Record>> = snapshot.range(PREFIX, None).cloned().collect();
        self.known
            .retain(|key, _| records.iter().any(|record| *record.key == **key));
        for record in &records {
            self.learn(&record.key, record.revision, &record.value);
        }
        self.publish(snapshot.revision());
        for record in &records {
            self.tend(&record.key).await;
        }
        Ok(watch)
    }

    async fn handle(&mut self, event: &Event) {
        let changed = if event.kind == EventKind::Deleted {
            self.known.remove(&*event.key).is_some()
        } else {
            self.learn(&event.key, event.revision, &event.value)
        };
        let revived = if changed { self.revive() } else { Vec::new() };
        if changed {
            self.publish(event.revision);
        } else {
            self.reflect(event.revision);
        }
        self.tend(&event.key).await;
        for key in revived {
            self.tend(&key).await;
        }
    }

    /// Looks again at definitions that are not served: the names that they
    /// want may be free by now. Gives the keys of those that are served from
    /// now on.
    fn revive(&mut self) -> Vec<String> {
        let snapshot = self.server.store.snapshot();
        let waiting: Vec<String> = self
            .known
            .iter()
            .filter(|(_, known)| known.resources.is_empty())
            .map(|(key, _)| key.clone())
            .collect();
        waiting
            .into_iter()
            .filter(|key| {
                snapshot
                    .get(key)
                    .is_some_and(|record| self.learn(key, record.revision, &record.value))
            })
            .collect()
    }

    /// Takes in a definition; true when what is served changes.
    fn learn(&mut self, key: &str, revision: u64, value: &[u8]) -> bool {
        let object: Value = match serde_json::from_slice(value) {
            Ok(object) => object,
            Err(error) => {
                tracing::error!(key, %error, "a stored definition cannot be read");
                return false;
            }
        };
        let uid = meta::text(&object, "uid").to_owned();
        let terminating = meta::terminating(&object);
        let names = self.conflict(key, &object);
        if let Some(known) = self.known.get_mut(key)
            && known.uid == uid
            // Not by generation: a delete moves that too.
            && known.object["spec"] == object["spec"]
            && known.resources.is_empty() == names.is_some()
        {
            // Watches go on: they are to see the objects vanish.
            for custom in known.resources.iter().filter_map(|r| r.custom()) {
                custom.terminating.store(terminating, Ordering::Relaxed);
            }
            known.terminating = terminating;
            known.revision = revision;
            known.object = object;
            return false;
        }
        let resources = match names {
            Some(_) => Vec::new(),
            None => custom::resources(&object).unwrap_or_else(|error| {
                tracing::error!(key, %error, "a stored definition cannot be served");
                Vec::new()
            }),
        };
        self.known.insert(
            key.to_owned(),
            Known {
                revision,
                uid,
                terminating,
                object,
                resources,
            },
        );
        true
    }

    /// Why the names of a definition cannot be accepted: another one has them.
    fn conflict(&self, key: &str, object: &Value) -> Option<(&'static str, String)> {
        let group = object["spec"]["group"].as_str().unwrap_or_default();
        let wanted = &object["spec"]["names"];
        let builtin = self.builtin.iter().map(|r| &r.kind);
        let others = self
            .known
            .iter()
            .filter(|(other, _)| *other != key)
            .flat_map(|(_, known)| known.resources.iter().map(|r| &r.kind));
        let taken: Vec<&Kind> = builtin.chain(others).filter(|k| k.group == group).collect();
        let text = |field: &str| wanted[field].as_str().unwrap_or_default();
        let (plural, singular) = (text("plural"), text("singular"));
        let short: Vec<&str> = meta::validate::strings(wanted.get("shortNames"));
        for kind in taken {
            let names = [&kind.plural, &kind.singular];
            let has = |name: &str| {
                !name.is_empty()
                    && (names.iter().any(|n| *n == name)
                        || kind.short_names.iter().any(|n| n == name))
            };
            if has(plural) {
                return Some(("PluralConflict", format!("{plural:?} is already in use")));
            }
            if has(singular) {
                return Some((
                    "SingularConflict",
                    format!("{singular:?} is already in use"),
                ));
            }
            if let Some(name) = short.iter().find(|name| has(name)) {
                return Some(("ShortNamesConflict", format!("{name:?} is already in use")));
            }
            if [&kind.kind, &kind.list_kind]
                .iter()
                .any(|k| *k == text("kind"))
            {
                return Some((
                    "KindConflict",
                    format!("{:?} is already in use", text("kind")),
                ));
            }
            if [&kind.kind, &kind.list_kind]
                .iter()
                .any(|k| *k == text("listKind"))
            {
                return Some((
                    "ListKindConflict",
                    format!("{:?} is already in use", text("listKind")),
                ));
            }
        }
        None
    }

    /// Swaps the registry for one that serves what is known now.
    fn publish(&self, revision: u64) {
        let mut resources = self.builtin.clone();
        resources.extend(
            self.known
                .values()
                .flat_map(|known| known.resources.iter().cloned()),
        );
        let listed = crate::builtin::listed();
        self.server
            .registry
            .store(Arc::new(Registry::new(resources, listed)));
        self.reflect(revision);
    }

    fn reflect(&self, revision: u64) {
        self.server
            .reflected
            .send_modify(|seen| *seen = (*seen).max(revision));
    }

    /// Does what a definition needs next.
    async fn tend(&mut self, key: &str) {
        let Some(known) = self.known.get(key) else {
            return;
        };
        if known.terminating {
            if meta::finalizers(&known.object).contains(&CLEANUP) {
                self.clear(key).await;
            }
            return;
        }
        let mut object = known.object.clone();
        self.accept(key, &mut object);
        if object["status"] != known.object["status"] {
            let revision = known.revision;
            self.write(key, revision, &object).await;
        }
    }

    /// Fills in the status of a definition that is served, or says why it is
    /// not.
    fn accept(&self, key: &str, object: &mut Value) {
        let now = clock::seconds((self.server.clock)());
        let refused = self.conflict(key, object);
        let names = object["spec"]["names"].clone();
        let established = is_true(object, "Established");
        let stored = object["spec"]["versions"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|v| v["storage"] == true)
            .map(|v| v["name"].clone());
        let status = &mut object["status"];
        match refused {
            None => {
                if let Some(map) = status.as_object_mut() {
                    map.insert("acceptedNames".to_owned(), names);
                }
                condition(
                    status,
                    "NamesAccepted",
                    "True",
                    "NoConflicts",
                    "no conflicts found",
                    &now,
                );
                condition(
                    status,
                    "Established",
                    "True",
                    "InitialNamesAccepted",
                    "the initial names have been accepted",
                    &now,
                );
            }
            Some((reason, message)) => {
                condition(status, "NamesAccepted", "False", reason, &message, &now);
                if !established {
                    condition(
                        status,
                        "Established",
                        "False",
                        "NotAccepted",
                        "not all names are accepted",
                        &now,
                    );
                }
            }
        }
        if let Some(stored) = stored {
            let list = status["storedVersions"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            if !list.contains(&stored) {
                let mut list = list;
                list.push(stored);
                status["storedVersions"] = list.into();
            }
        }
    }

    /// Whether deleted definitions wait for their objects.
    fn clearing(&self) -> bool {
        self.known.values().any(|known| known.terminating)
    }

    async fn clear_all(&mut self) {
        let keys: Vec<String> = self
            .known
            .iter()
            .filter(|(_, known)| known.terminating)
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            self.tend(&key).await;
        }
    }

    async fn write(&mut self, key: &str, revision: u64, object: &Value) {
        let storable = Storable::new(object);
        let change = Change::put(move |revision| storable.at(revision));
        match self
            .server
            .store
            .commit(key, Expect::Revision(revision), change)
            .await
        {
            // The event of this very write brings the new form.
            Ok(_) => {}
            // Somebody else wrote: their event comes and starts this anew.
            Err(CommitError::Mismatch(_) | CommitError::Missing) => {}
            Err(error) => {
                tracing::error!(key, %error, "the status of a definition cannot be written")
            }
        }
    }

    /// Deletes the objects of a definition that is being deleted, then lets go
    /// of it.
    async fn clear(&mut self, key: &str) {
        let Some(known) = self.known.get(key) else {
            return;
        };
        let (mut object, revision) = (known.object.clone(), known.revision);
        let group = object["spec"]["group"].as_str().unwrap_or_default();
        let plural = object["spec"]["names"]["plural"]
            .as_str()
            .unwrap_or_default();
        let prefix = resource::prefix(group, plural);
        let snapshot = self.server.store.snapshot();
        let mut left = 0_usize;
        for record in snapshot.range(&prefix, None) {
            if !self.clear_one(record).await {
                left += 1;
            }
        }
        let now = clock::seconds((self.server.clock)());
        if left > 0 {
            condition(
                &mut object["status"],
                "Terminating",
                "True",
                "InstanceDeletionInProgress",
                "CustomResource deletion is in progress",
                &now,
            );
            if object["status"] != known.object["status"] {
                self.write(key, revision, &object).await;
            }
            return;
        }
        condition(
            &mut object["status"],
            "Terminating",
            "False",
            "InstanceDeletionCompleted",
            "removed all instances",
            &now,
        );
        meta::edit(&mut object, |meta| {
            if let Some(list) = meta.get_mut("finalizers").and_then(Value::as_array_mut) {
                list.retain(|finalizer| finalizer != CLEANUP);
            }
        });
        if !meta::finalizers(&object).is_empty() {
            self.write(key, revision, &object).await;
            return;
        }
        let storable = Storable::new(&object);
        let change = Change::delete(move |revision| storable.at(revision));
        match self
            .server
            .store
            .commit(key, Expect::Revision(revision), change)
            .await
        {
            Ok(_) | Err(CommitError::Mismatch(_) | CommitError::Missing) => {}
            Err(error) => tracing::error!(key, %error, "a definition cannot be deleted"),
        }
    }

    /// Deletes one object or marks it; true when it is gone.
    async fn clear_one(&self, record: &Record) -> bool {
        let Ok(mut object) = serde_json::from_slice::<Value>(&record.value) else {
            tracing::error!(key = %record.key, "a stored object cannot be read");
            return false;
        };
        let waits = !meta::finalizers(&object).is_empty();
        if waits && meta::terminating(&object) {
            return false;
        }
        if waits {
            crate::verbs::delete::mark(&mut object, &clock::seconds((self.server.clock)()), true);
        }
        let storable = Storable::new(&object);
        let change = if waits {
            Change::put(move |revision| storable.at(revision))
        } else {
            Change::delete(move |revision| storable.at(revision))
        };
        let done = self
            .server
            .store
            .commit(&record.key, Expect::Revision(record.revision), change)
            .await;
        match done {
            Ok(_) => !waits,
            Err(CommitError::Missing) => true,
            Err(_) => false,
        }
    }
}
