//! What mirrors lie in: their definitions and namespaces. Whatever is deleted
//! is made again as soon as it is gone.

use std::collections::{BTreeMap, BTreeSet};
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
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::install;
use crate::key::Kind;

/// How soon something that could not be made is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// Whether what mirrors lie in is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Installation {
    /// What is wrong first of all, as one sentence.
    pub(crate) problem: Option<Arc<str>>,
    /// Kinds that cannot be written: what is there of them is about to go.
    pub(crate) blocked: BTreeSet<Kind>,
    /// Whether an App can be written.
    pub(crate) has_app: bool,
}

impl Installation {
    /// All is well, as far as is known.
    pub(crate) fn complete() -> Self {
        Self {
            has_app: true,
            ..Self::default()
        }
    }
}

/// Names of one kind that exist, and whether each is being deleted.
#[derive(Default)]
struct Inventory {
    known: BTreeMap<String, bool>,
    /// What the listing in progress has named.
    listing: BTreeMap<String, bool>,
    listed: bool,
}

impl Inventory {
    fn take<K>(&mut self, event: watcher::Event<PartialObjectMeta<K>>) {
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

    fn state(&self, name: &str) -> Presence {
        match self.known.get(name) {
            Some(false) => Presence::There,
            Some(true) => Presence::Terminating,
            None => Presence::Missing,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    There,
    Terminating,
    Missing,
}

/// Watches for as long as `sender` has receivers; `namespace` is that of the
/// mirrors, empty when nothing is chosen.
pub(crate) async fn maintain(
    client: Client,
    mut namespace: watch::Receiver<Arc<str>>,
    sender: watch::Sender<Installation>,
) {
    let definitions = rdd_api::crds();
    let mut crds = Inventory::default();
    let mut namespaces = Inventory::default();
    let mut crd_events = events::<CustomResourceDefinition>(&client);
    let mut namespace_events = events::<Namespace>(&client);
    loop {
        let mut missing = false;
        if crds.listed && namespaces.listed {
            let chosen = Arc::clone(&namespace.borrow_and_update());
            let installation = judge(&definitions, &crds, &namespaces, &chosen);
            if let Some(problem) = &installation.problem
                && sender.borrow().problem.as_ref() != Some(problem)
            {
                warn!(%problem, "mirrors cannot be written");
            }
            sender.send_if_modified(|known| {
                let moved = *known != installation;
                *known = installation;
                moved
            });
            for definition in &definitions {
                if crds.state(&definition.name_any()) == Presence::Missing {
                    missing = true;
                    let name = definition.name_any();
                    match install::apply_crd(&client, definition).await {
                        Ok(()) => info!(definition = name, "installed again"),
                        Err(error) => warn!(definition = name, %error, "cannot install again"),
                    }
                }
            }
            for name in [SYSTEM_NAMESPACE, &chosen] {
                if !name.is_empty() && namespaces.state(name) == Presence::Missing {
                    missing = true;
                    if let Err(error) = install::ensure_namespace(&client, name).await {
                        warn!(namespace = name, %error, "cannot make the namespace again");
                    }
                }
            }
        }
        tokio::select! {
            event = crd_events.try_next() => match event {
                Ok(Some(event)) => crds.take(event),
                Ok(None) => return,
                Err(error) => warn!(%error, "the watch of definitions failed, trying again"),
            },
            event = namespace_events.try_next() => match event {
                Ok(Some(event)) => namespaces.take(event),
                Ok(None) => return,
                Err(error) => warn!(%error, "the watch of namespaces failed, trying again"),
            },
            changed = namespace.changed() => if changed.is_err() {
                return;
            },
            () = sleep(RETRY), if missing => {}
            () = sender.closed() => return,
        }
    }
}

type MetadataEvents<K> =
    BoxStream<'static, Result<watcher::Event<PartialObjectMeta<K>>, watcher::Error>>;

fn events<K>(client: &Client) -> MetadataEvents<K>
where
    K: kube::Resource<DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + Send
        + 'static,
{
    let api: Api<PartialObjectMeta<K>> = Api::all(client.clone());
    watcher(api, watcher::Config::default())
        .default_backoff()
        .boxed()
}

fn judge(
    definitions: &[CustomResourceDefinition],
    crds: &Inventory,
    namespaces: &Inventory,
    namespace: &str,
) -> Installation {
    let mut installation = Installation::complete();
    let mut found = |what: &str, name: &str, presence: Presence| {
        let state = match presence {
            Presence::There => return false,
            Presence::Terminating => "is being deleted, and is made again when it is gone",
            Presence::Missing => "is missing, and is being made again",
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
        if found("definition", &name, crds.state(&name)) {
            let kind = &definition.spec.names.kind;
            has_app &= kind != "App";
            blocked.extend(Kind::ALL.into_iter().filter(|it| it.as_str() == kind));
        }
    }
    if !namespace.is_empty() && found("namespace", namespace, namespaces.state(namespace)) {
        blocked.extend(Kind::ALL);
    }
    installation.blocked = blocked;
    installation.has_app = has_app;
    installation
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_there() -> (Vec<CustomResourceDefinition>, Inventory, Inventory) {
        let definitions = rdd_api::crds();
        let mut crds = Inventory::default();
        let names = definitions.iter().map(ResourceExt::name_any);
        crds.known.extend(names.map(|name| (name, false)));
        let mut namespaces = Inventory::default();
        namespaces.known.insert("rd".to_owned(), false);
        (definitions, crds, namespaces)
    }

    #[test]
    fn a_kind_is_blocked_while_its_definition_is_not_there() {
        let (definitions, mut crds, namespaces) = all_there();
        let judge = |crds: &Inventory| judge(&definitions, crds, &namespaces, "rd");
        assert_eq!(judge(&crds), Installation::complete());
        let name = "volumes.containers.rancherdesktop.io";
        crds.known.insert(name.to_owned(), true);
        let found = judge(&crds);
        assert_eq!(found.blocked, BTreeSet::from([Kind::Volume]));
        assert!(found.has_app);
        let problem = found.problem.expect("a problem");
        assert!(
            problem.contains(name) && problem.contains("deleted"),
            "{problem}"
        );
        crds.known.remove(name);
        let problem = judge(&crds).problem.expect("a problem");
        assert!(problem.contains("missing"), "{problem}");
    }

    #[test]
    fn all_kinds_are_blocked_while_their_namespace_is_not_there() {
        let (definitions, crds, mut namespaces) = all_there();
        namespaces.known.insert("rd".to_owned(), true);
        let found = judge(&definitions, &crds, &namespaces, "rd");
        assert_eq!(found.blocked, BTreeSet::from(Kind::ALL));
        namespaces.known.clear();
        let found = judge(&definitions, &crds, &namespaces, "rd");
        assert_eq!(found.blocked, BTreeSet::from(Kind::ALL));
        // Nothing is chosen.
        let found = judge(&definitions, &crds, &namespaces, "");
        assert_eq!(found, Installation::complete());
    }

    #[test]
    fn without_its_definition_there_is_no_app() {
        let (definitions, mut crds, namespaces) = all_there();
        crds.known.remove("apps.app.rancherdesktop.io");
        let found = judge(&definitions, &crds, &namespaces, "rd");
        assert!(!found.has_app && found.blocked.is_empty(), "{found:?}");
    }
}
