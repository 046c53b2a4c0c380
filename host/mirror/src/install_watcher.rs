//! Watches the prerequisites of mirrors, which are their definitions and
//! namespaces, and recreates what has been deleted.
//!
//! A mirror that a client deletes is released while a prerequisite is being deleted, so
//! the deletion is lost. Therefore, what a watch reports as terminating or missing is
//! read before anything is concluded from it: the watch may lag behind, and report what
//! another instance has long recreated.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::PartialObjectMeta;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use rdd_api::SYSTEM_NAMESPACE;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::deletion_check::metadata;
use crate::install;
use crate::key::MirrorKind;

/// Delay before a failed attempt to recreate something is retried.
const RETRY_DELAY: Duration = Duration::from_secs(2);

/// Whether the prerequisites of mirrors exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct InstallationState {
    /// The first problem, as one sentence.
    pub(crate) problem: Option<Arc<str>>,
    /// Kinds that cannot be written, and whose objects are about to be deleted.
    pub(crate) blocked: BTreeSet<MirrorKind>,
    /// Whether an App can be written.
    pub(crate) has_app: bool,
}

impl InstallationState {
    /// Returns the state in which nothing is missing.
    pub(crate) fn complete() -> Self {
        Self {
            has_app: true,
            ..Self::default()
        }
    }
}

/// The names of existing objects of one kind, and whether each is terminating.
#[derive(Default)]
struct NameIndex {
    known: BTreeMap<String, bool>,
    /// The objects of the listing in progress.
    listing: BTreeMap<String, bool>,
    listed: bool,
}

impl NameIndex {
    fn apply<K>(&mut self, event: watcher::Event<PartialObjectMeta<K>>) {
        let entry = |object: &PartialObjectMeta<K>| {
            let metadata = &object.metadata;
            let name = metadata.name.clone().unwrap_or_default();
            (name, metadata.deletion_timestamp.is_some())
        };
        match event {
            watcher::Event::Init => self.listing.clear(),
            watcher::Event::InitApply(object) => self.listing.extend([entry(&object)]),
            watcher::Event::InitDone => {
                self.known = std::mem::take(&mut self.listing);
                self.listed = true;
            }
            watcher::Event::Apply(object) => self.known.extend([entry(&object)]),
            watcher::Event::Delete(object) => {
                self.known.remove(&entry(&object).0);
            }
        }
    }

    /// Reads the object, if it is not known to exist.
    async fn verify<K>(&mut self, api: &Api<K>, name: &str) -> Result<(), kube::Error>
    where
        K: Clone + DeserializeOwned + Debug,
    {
        if self.presence(name) == Presence::Present {
            return Ok(());
        }
        match metadata(api, name).await? {
            Some(found) => {
                let is_terminating = found.deletion_timestamp.is_some();
                self.known.insert(name.to_owned(), is_terminating);
            }
            None => {
                self.known.remove(name);
            }
        }
        Ok(())
    }

    fn presence(&self, name: &str) -> Presence {
        match self.known.get(name) {
            Some(false) => Presence::Present,
            Some(true) => Presence::Terminating,
            None => Presence::Missing,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Present,
    Terminating,
    Missing,
}

/// Watches and recreates until `sender` has no receivers. `namespace` is the
/// namespace of the mirrors, empty if no backend is selected.
pub(crate) async fn run(
    client: Client,
    mut namespace: watch::Receiver<Arc<str>>,
    sender: watch::Sender<InstallationState>,
) {
    let definitions = rdd_api::crds();
    let mut crds = NameIndex::default();
    let mut namespaces = NameIndex::default();
    let mut crd_events = events::<CustomResourceDefinition>(&client);
    let mut namespace_events = events::<Namespace>(&client);
    loop {
        let mut retry = false;
        let selected = Arc::clone(&namespace.borrow_and_update());
        let is_verified = crds.listed
            && namespaces.listed
            && match verify(&client, &definitions, &mut crds, &mut namespaces, &selected).await {
                Ok(()) => true,
                Err(error) => {
                    warn!(%error, "cannot read the definitions and namespaces, retrying");
                    retry = true;
                    false
                }
            };
        if is_verified {
            let installation = evaluate(&definitions, &crds, &namespaces, &selected);
            // The watch may report the end of the problem late, too.
            retry = installation.problem.is_some();
            if let Some(problem) = &installation.problem
                && sender.borrow().problem.as_ref() != Some(problem)
            {
                warn!(%problem, "mirrors cannot be written");
            }
            sender.send_if_modified(|known| {
                let is_changed = *known != installation;
                *known = installation;
                is_changed
            });
            for definition in &definitions {
                if crds.presence(&definition.name_any()) == Presence::Missing {
                    retry = true;
                    let name = definition.name_any();
                    match install::apply_crd(&client, definition).await {
                        Ok(()) => info!(definition = name, "definition recreated"),
                        Err(error) => {
                            warn!(definition = name, %error, "cannot recreate the definition")
                        }
                    }
                }
            }
            for name in [SYSTEM_NAMESPACE, &selected] {
                if !name.is_empty() && namespaces.presence(name) == Presence::Missing {
                    retry = true;
                    if let Err(error) = install::ensure_namespace(&client, name).await {
                        warn!(namespace = name, %error, "cannot recreate the namespace");
                    }
                }
            }
        }
        tokio::select! {
            event = crd_events.try_next() => match event {
                Ok(Some(event)) => crds.apply(event),
                Ok(None) => return,
                Err(error) => warn!(%error, "watch of definitions failed, retrying"),
            },
            event = namespace_events.try_next() => match event {
                Ok(Some(event)) => namespaces.apply(event),
                Ok(None) => return,
                Err(error) => warn!(%error, "watch of namespaces failed, retrying"),
            },
            changed = namespace.changed() => if changed.is_err() {
                return;
            },
            () = sleep(RETRY_DELAY), if retry => {}
            () = sender.closed() => return,
        }
    }
}

/// Reads what is terminating or missing according to the watches.
async fn verify(
    client: &Client,
    definitions: &[CustomResourceDefinition],
    crds: &mut NameIndex,
    namespaces: &mut NameIndex,
    namespace: &str,
) -> Result<(), kube::Error> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    for definition in definitions {
        crds.verify(&api, &definition.name_any()).await?;
    }
    if !namespace.is_empty() {
        let api: Api<Namespace> = Api::all(client.clone());
        namespaces.verify(&api, namespace).await?;
    }
    Ok(())
}

type MetadataEvents<K> =
    BoxStream<'static, Result<watcher::Event<PartialObjectMeta<K>>, watcher::Error>>;

fn events<K>(client: &Client) -> MetadataEvents<K>
where
    K: kube::Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let api: Api<PartialObjectMeta<K>> = Api::all(client.clone());
    watcher(api, watcher::Config::default())
        .default_backoff()
        .boxed()
}

fn evaluate(
    definitions: &[CustomResourceDefinition],
    crds: &NameIndex,
    namespaces: &NameIndex,
    namespace: &str,
) -> InstallationState {
    let mut installation = InstallationState::complete();
    let mut is_unavailable = |what: &str, name: &str, presence: Presence| {
        let state = match presence {
            Presence::Present => return false,
            Presence::Terminating => "is being deleted; it is recreated when it is gone",
            Presence::Missing => "is missing; it is being recreated",
        };
        installation
            .problem
            .get_or_insert_with(|| format!("the {what} {name} {state}").into());
        true
    };
    let mut blocked = BTreeSet::new();
    let mut has_app = true;
    for definition in definitions {
        let name = definition.name_any();
        if is_unavailable("definition", &name, crds.presence(&name)) {
            let kind = &definition.spec.names.kind;
            has_app &= kind != "App";
            blocked.extend(MirrorKind::ALL.into_iter().filter(|it| it.as_str() == kind));
        }
    }
    if !namespace.is_empty()
        && is_unavailable("namespace", namespace, namespaces.presence(namespace))
    {
        blocked.extend(MirrorKind::ALL);
    }
    installation.blocked = blocked;
    installation.has_app = has_app;
    installation
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete_installation() -> (Vec<CustomResourceDefinition>, NameIndex, NameIndex) {
        let definitions = rdd_api::crds();
        let mut crds = NameIndex::default();
        let names = definitions.iter().map(ResourceExt::name_any);
        crds.known.extend(names.map(|name| (name, false)));
        let mut namespaces = NameIndex::default();
        namespaces.known.insert("rd".to_owned(), false);
        (definitions, crds, namespaces)
    }

    #[test]
    fn a_kind_is_blocked_while_its_definition_is_missing_or_terminating() {
        let (definitions, mut crds, namespaces) = complete_installation();
        let evaluate_with = |crds: &NameIndex| evaluate(&definitions, crds, &namespaces, "rd");
        assert_eq!(evaluate_with(&crds), InstallationState::complete());
        let name = "volumes.containers.rancherdesktop.io";
        crds.known.insert(name.to_owned(), true);
        let installation = evaluate_with(&crds);
        assert_eq!(installation.blocked, BTreeSet::from([MirrorKind::Volume]));
        assert!(installation.has_app);
        let problem = installation.problem.expect("there must be a problem");
        assert!(
            problem.contains(name) && problem.contains("deleted"),
            "{problem}"
        );
        crds.known.remove(name);
        let problem = evaluate_with(&crds)
            .problem
            .expect("there must be a problem");
        assert!(problem.contains("missing"), "{problem}");
    }

    #[test]
    fn all_kinds_are_blocked_while_their_namespace_is_missing_or_terminating() {
        let (definitions, crds, mut namespaces) = complete_installation();
        namespaces.known.insert("rd".to_owned(), true);
        let installation = evaluate(&definitions, &crds, &namespaces, "rd");
        assert_eq!(installation.blocked, BTreeSet::from(MirrorKind::ALL));
        namespaces.known.clear();
        let installation = evaluate(&definitions, &crds, &namespaces, "rd");
        assert_eq!(installation.blocked, BTreeSet::from(MirrorKind::ALL));
        // No backend is selected.
        let installation = evaluate(&definitions, &crds, &namespaces, "");
        assert_eq!(installation, InstallationState::complete());
    }

    #[test]
    fn a_missing_definition_of_the_app_blocks_the_app() {
        let (definitions, mut crds, namespaces) = complete_installation();
        crds.known.remove("apps.app.rancherdesktop.io");
        let installation = evaluate(&definitions, &crds, &namespaces, "rd");
        assert!(
            !installation.has_app && installation.blocked.is_empty(),
            "{installation:?}"
        );
    }
}
