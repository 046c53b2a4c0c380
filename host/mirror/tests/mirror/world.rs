//! A running mirror between the scripted engine and the embedded API server.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::{Client, Resource};
use rdd_api::{App, Container, Image};
use rdd_core::{RemoveRequest, ServingSnapshot};
use rdd_mirror::{
    AppOptions, InstanceId, LeaseTiming, MirrorOptions, MirrorProgress, MirrorTiming,
};
use rdd_testkit::{EngineCall, FakeBackends, FakeEngine, eventually};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::faults::Faults;

pub(crate) const NAMESPACE: &str = rdd_api::DEFAULT_NAMESPACE;

/// What the mirrored kinds have in common.
pub(crate) trait Mirror:
    Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
    + Clone
    + Debug
    + DeserializeOwned
{
}

impl<K> Mirror for K where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
{
}

/// A running mirror. Ends with the value.
pub(crate) struct World {
    /// The API as users reach it.
    pub(crate) client: Client,
    server: rdd_apiserver::ApiServer,
    /// The API as the mirror reaches it.
    mirrors_client: Client,
    pub(crate) faults: Faults,
    pub(crate) backends: FakeBackends,
    pub(crate) serving: watch::Receiver<ServingSnapshot>,
    pub(crate) progress: watch::Receiver<MirrorProgress>,
    pub(crate) tasks: JoinSet<()>,
    pub(crate) instance: InstanceId,
    pub(crate) read_only: bool,
    pub(crate) timing: MirrorTiming,
}

/// Intervals short enough for a test, in the usual proportions.
pub(crate) fn timing() -> MirrorTiming {
    MirrorTiming {
        removal_retry_min: Duration::from_millis(50),
        removal_retry_max: Duration::from_secs(1),
        removal_rest_min: Duration::from_millis(50),
        removal_rest_max: Duration::from_millis(500),
        sweep_check: Duration::from_millis(50),
        removal_echo: Duration::from_secs(2),
        volume_youth: Duration::from_millis(300),
        lease: LeaseTiming {
            duration: Duration::from_secs(2),
            renew_deadline: Duration::from_millis(1500),
            renew_interval: Duration::from_millis(300),
            retry_interval: Duration::from_millis(100),
        },
        ..MirrorTiming::default()
    }
}

impl World {
    pub(crate) async fn new(engine: &FakeEngine) -> Self {
        Self::with(engine, |_| {}).await
    }

    /// A mirror that `prepare` has had its way with before it starts.
    pub(crate) async fn with(engine: &FakeEngine, prepare: impl FnOnce(&mut Self)) -> Self {
        let server = rdd_apiserver::ApiServer::open(rdd_apiserver::ApiServerOptions::in_memory())
            .await
            .unwrap();
        let faults = Faults::default();
        let client = client(server.clone(), Faults::default());
        rdd_mirror::apply_crds(&client).await.unwrap();
        rdd_mirror::ensure_app(&client, &AppOptions::default())
            .await
            .unwrap();
        let mut world = Self {
            client,
            mirrors_client: self::client(server.clone(), faults.clone()),
            server,
            faults,
            backends: FakeBackends::with(engine.clone()),
            serving: ServingSnapshot::channel().1,
            progress: watch::channel(MirrorProgress::default()).1,
            tasks: JoinSet::new(),
            instance: InstanceId::parse("first").unwrap(),
            read_only: false,
            timing: timing(),
        };
        prepare(&mut world);
        world.start();
        world
    }

    /// Another instance on the same API, for an engine of its own.
    pub(crate) fn join(&self, instance: &str, engine: &FakeEngine) -> Self {
        let mut world = Self {
            client: self.client.clone(),
            server: self.server.clone(),
            mirrors_client: self::client(self.server.clone(), Faults::default()),
            faults: Faults::default(),
            backends: FakeBackends::with(engine.clone()),
            serving: ServingSnapshot::channel().1,
            progress: watch::channel(MirrorProgress::default()).1,
            tasks: JoinSet::new(),
            instance: InstanceId::parse(instance).unwrap(),
            read_only: self.read_only,
            timing: self.timing,
        };
        world.mirrors_client = self::client(self.server.clone(), world.faults.clone());
        world.start();
        world
    }

    /// Waits until this instance says that another one mirrors.
    pub(crate) async fn on_standby(&self) -> String {
        let mut progress = self.progress.clone();
        let waits = progress.wait_for(|p| p.standby.is_some() && p.ready);
        let found = tokio::time::timeout(rdd_testkit::PATIENCE, waits)
            .await
            .expect("on standby in time")
            .unwrap();
        found.standby.as_deref().unwrap_or_default().to_owned()
    }

    /// A new process over the same API; ends the old one.
    pub(crate) fn start(&mut self) {
        let (mut options, serving, progress) = MirrorOptions::new(
            self.mirrors_client.clone(),
            Arc::new(self.backends.clone()),
            self.instance.clone(),
        );
        options.timing = self.timing;
        options.read_only = self.read_only;
        self.tasks = JoinSet::new();
        self.tasks
            .spawn(rdd_mirror::run(options, CancellationToken::new()));
        self.serving = serving;
        self.progress = progress;
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    pub(crate) async fn all<K>(&self) -> Vec<K>
    where
        K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        self.api::<K>()
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
    }

    pub(crate) async fn synced(&self) {
        let mut progress = self.progress.clone();
        tokio::time::timeout(rdd_testkit::PATIENCE, progress.wait_for(|p| p.synced))
            .await
            .expect("synced in time")
            .unwrap();
    }

    /// Waits until the container's mirror passes.
    pub(crate) async fn container(
        &self,
        id: &str,
        passes: impl Fn(&Container) -> bool,
    ) -> Container {
        eventually("the container", || async {
            match self.api::<Container>().get_opt(id).await.unwrap() {
                Some(found) if passes(&found) => Ok(found),
                other => Err(format!("{other:?}")),
            }
        })
        .await
    }

    /// Waits until nothing waits for the end of a deletion of this container's
    /// mirror.
    pub(crate) async fn gone_or_another(&self, id: &str) {
        eventually("the deletion over", || async {
            match self.api::<Container>().get_opt(id).await.unwrap() {
                Some(found) if found.metadata.deletion_timestamp.is_some() => {
                    Err(format!("{found:?}"))
                }
                _ => Ok(()),
            }
        })
        .await;
    }

    pub(crate) async fn tags(&self) -> Vec<(String, Option<String>)> {
        let mut tags: Vec<_> = self
            .all::<Image>()
            .await
            .into_iter()
            .filter_map(|image| image.status)
            .map(|status| (status.id, status.repo_tag))
            .collect();
        tags.sort();
        tags
    }

    pub(crate) async fn condition(&self, type_: &str, status: &str, reason: &str) {
        let api: Api<App> = Api::all(self.client.clone());
        eventually(&format!("{type_}={status}/{reason}"), || async {
            let app = api.get("app").await.unwrap();
            let conditions = app.status.unwrap_or_default().conditions;
            if conditions.iter().any(|c| {
                c.type_ == type_
                    && c.status == status
                    && c.reason == reason
                    && c.observed_generation == app.metadata.generation
            }) {
                Ok(())
            } else {
                Err(format!("{conditions:?}"))
            }
        })
        .await;
    }

    pub(crate) async fn patch_app(&self, spec: serde_json::Value) {
        let api: Api<App> = Api::all(self.client.clone());
        api.patch(
            "app",
            &PatchParams::default(),
            &Patch::Merge(json!({"spec": spec})),
        )
        .await
        .unwrap();
    }

    pub(crate) async fn annotate(&self, id: &str, action: &str) {
        let patch = json!({"metadata": {"annotations": {rdd_api::ACTION_ANNOTATION: action}}});
        self.api::<Container>()
            .patch(id, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
    }

    pub(crate) async fn gone<K>(&self, name: &str)
    where
        K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        eventually("the mirror gone", || async {
            match self.api::<K>().get_opt(name).await.unwrap() {
                None => Ok(()),
                Some(object) => Err(format!("{object:?}")),
            }
        })
        .await;
    }
}

pub(crate) fn client(server: rdd_apiserver::ApiServer, faults: Faults) -> Client {
    let service = tower::service_fn(move |mut request: http::Request<kube::client::Body>| {
        // The server believes whoever authenticated the request; here, us.
        request.extensions_mut().insert(rdd_apiserver::UserInfo {
            name: "mirror-test".to_owned(),
            groups: vec!["system:masters".to_owned()],
            ..rdd_apiserver::UserInfo::default()
        });
        faults.clone().call(server.clone(), request)
    });
    Client::new(service, NAMESPACE)
}

pub(crate) fn removals(engine: &FakeEngine) -> Vec<RemoveRequest> {
    engine
        .calls()
        .into_iter()
        .filter_map(|call| match call {
            EngineCall::Remove(removal) => Some(removal),
            EngineCall::Act { .. } => None,
        })
        .collect()
}

pub(crate) fn status(container: &Container) -> &rdd_api::ContainerStatus {
    container.status.as_ref().expect("a status")
}
