//! Brings definitions to life: accepts names, swaps the registry, then
//! publishes `Established`; clears up behind deleted ones.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rdd_apiserver_storage::{
    CommitError, EventKind, RecordChange, StoreEvent, StoreWatch, StoredRecord, WritePrecondition,
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::status::{self, Refusal};
use super::{CLEANUP, PREFIX, custom, names};
use crate::clock;
use crate::encode::EncodedObject;
use crate::follow::{Follow, follow};
use crate::limits;
use crate::meta;
use crate::registry::Registry;
use crate::resource::Resource;
use crate::server::Inner;
use crate::tasks::ControllerHandle;

/// One definition as the controller knows it.
pub(super) struct Known {
    pub(super) revision: u64,
    pub(super) uid: String,
    pub(super) terminating: bool,
    /// Somebody else has the names that it wants.
    pub(super) refused: bool,
    pub(super) object: Value,
    pub(super) resources: Vec<Arc<Resource>>,
}

/// What brings definitions to life.
pub(super) struct Controller {
    pub(super) server: Arc<Inner>,
    pub(super) builtin: Vec<Arc<Resource>>,
    pub(super) known: HashMap<String, Known>,
    /// Definitions whose status is to be written again, and why that failed.
    failed: BTreeMap<String, String>,
}

/// Serves what is defined, then follows the definitions until `stop`.
pub(crate) async fn start(
    server: &Arc<Inner>,
    stop: CancellationToken,
) -> Result<ControllerHandle, String> {
    let mut controller = Controller {
        server: Arc::clone(server),
        builtin: crate::builtin::resources(),
        known: HashMap::new(),
        failed: BTreeMap::new(),
    };
    let watch = controller.list().await?;
    Ok(tokio::spawn(follow(controller, watch, stop)))
}

/// The resources of a definition. One whose new names are refused keeps those
/// that it had.
fn served(definition: &Value, refused: bool) -> Result<Vec<Arc<Resource>>, String> {
    if !refused {
        return custom::resources(definition);
    }
    if !status::is_true(definition, "Established") {
        return Ok(Vec::new());
    }
    let mut former = definition.clone();
    if let Some(spec) = former.get_mut("spec").and_then(Value::as_object_mut) {
        let accepted = definition["status"]["acceptedNames"].clone();
        spec.insert("names".to_owned(), accepted);
    }
    custom::resources(&former)
}

/// Compiles what a definition of so many bytes serves. The schema of a large
/// one takes its time: not on the threads that serve everybody.
async fn compile(
    definition: Value,
    refused: bool,
    size: usize,
) -> (Value, Result<Vec<Arc<Resource>>, String>) {
    let work = move || {
        let resources = served(&definition, refused);
        (definition, resources)
    };
    if size <= limits::LARGE {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(compiled) => compiled,
        Err(error) => match error.try_into_panic() {
            // The controller fails as it would have on its own thread.
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is going away, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}

impl Follow for Controller {
    const WHAT: &'static str = "definitions";

    async fn list(&mut self) -> Result<StoreWatch, String> {
        let snapshot = self.server.store.snapshot();
        let watch = self
            .server
            .store
            .watch(PREFIX, snapshot.revision())
            .map_err(|error| error.to_string())?;
        let records: Vec<Arc<StoredRecord>> = snapshot.range(PREFIX, None).cloned().collect();
        self.known
            .retain(|key, _| records.iter().any(|record| *record.key == **key));
        for record in &records {
            self.learn(&record.key, record.revision, &record.value)
                .await;
        }
        self.publish(snapshot.revision());
        for record in &records {
            self.tend(&record.key).await;
        }
        Ok(watch)
    }

    async fn handle(&mut self, event: &StoreEvent) {
        let changed = if event.kind == EventKind::Deleted {
            self.known.remove(&*event.key).is_some()
        } else {
            self.learn(&event.key, event.revision, &event.value).await
        };
        let revived = if changed {
            self.revive().await
        } else {
            Vec::new()
        };
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

    fn waits(&self) -> bool {
        self.clearing() || !self.failed.is_empty()
    }

    async fn look_again(&mut self) {
        self.clear_all().await;
        let failed: Vec<String> = self.failed.keys().cloned().collect();
        for key in failed {
            self.tend(&key).await;
        }
    }
}

impl Controller {
    /// Looks again at definitions that are not served: the names that they
    /// want may be free by now. Gives the keys of those that are served from
    /// now on.
    async fn revive(&mut self) -> Vec<String> {
        let snapshot = self.server.store.snapshot();
        let waiting: Vec<String> = self
            .known
            .iter()
            .filter(|(_, known)| known.refused)
            .map(|(key, _)| key.clone())
            .collect();
        let mut revived = Vec::new();
        for key in waiting {
            if let Some(record) = snapshot.get(&key)
                && self.learn(&key, record.revision, &record.value).await
            {
                revived.push(key);
            }
        }
        revived
    }

    /// Takes in a definition; true when what is served changes.
    async fn learn(&mut self, key: &str, revision: u64, value: &[u8]) -> bool {
        let object: Value = match crate::records::parse(value) {
            Ok(object) => object,
            Err(error) => {
                tracing::error!(key, %error, "a stored definition cannot be read");
                return false;
            }
        };
        let uid = meta::text(&object, "uid").to_owned();
        let terminating = meta::is_terminating(&object);
        let refused = self.conflict(key, &object).is_some();
        if let Some(known) = self.known.get_mut(key)
            && known.uid == uid
            // Not by generation: a delete moves that too.
            && known.object["spec"] == object["spec"]
            && known.refused == refused
        {
            // Watches go on: they are to see the objects vanish.
            for custom in known.resources.iter().filter_map(|r| r.custom()) {
                custom.terminating.store(terminating, Ordering::Relaxed);
                custom.definition.store(revision, Ordering::Release);
            }
            known.terminating = terminating;
            known.revision = revision;
            known.object = object;
            return false;
        }
        let (object, resources) = compile(object, refused, value.len()).await;
        let resources = resources.unwrap_or_else(|error| {
            tracing::error!(key, %error, "a stored definition cannot be served");
            Vec::new()
        });
        self.known.insert(
            key.to_owned(),
            Known {
                revision,
                uid,
                terminating,
                refused,
                object,
                resources,
            },
        );
        true
    }

    /// Why a definition cannot have its names.
    fn conflict(&self, key: &str, definition: &Value) -> Option<Refusal> {
        let builtin = self.builtin.iter().map(|resource| &resource.kind);
        let others = self
            .known
            .iter()
            .filter(|(other, _)| *other != key)
            .flat_map(|(_, known)| known.resources.iter().map(|resource| &resource.kind));
        names::conflict(definition, builtin.chain(others))
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

    /// Does what a definition needs next; what cannot be written now is tried
    /// again.
    pub(super) async fn tend(&mut self, key: &str) {
        let before = self.failed.remove(key);
        self.advance(key).await;
        if let Some(error) = self.failed.get(key)
            && before.as_ref() != Some(error)
        {
            tracing::error!(
                key,
                error,
                "the status of a definition cannot be written, trying again"
            );
        }
    }

    async fn advance(&mut self, key: &str) {
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
        let now = clock::seconds((self.server.clock)());
        status::accept(&mut object, self.conflict(key, &known.object), &now);
        if object["status"] != known.object["status"] {
            let revision = known.revision;
            self.write(key, revision, &object).await;
        }
    }

    pub(super) async fn write(&mut self, key: &str, revision: u64, object: &Value) {
        let storable = EncodedObject::new(object);
        let change = RecordChange::put(move |revision| storable.at_revision(revision));
        match self
            .server
            .store
            .commit(key, WritePrecondition::Revision(revision), change)
            .await
        {
            // The event of this very write brings the new form.
            Ok(_) => {}
            // Somebody else wrote: their event comes and starts this anew.
            Err(CommitError::Mismatch(_) | CommitError::Missing) => {}
            Err(error) => {
                self.failed.insert(key.to_owned(), error.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests;
