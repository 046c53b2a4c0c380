//! A running mirror controller between a fake engine and the embedded API
//! server.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::{Client, Resource};
use rdd_api::{App, Container, Image};
use rdd_core::{ContainerIndex, RemoveTarget, ServingSnapshot};
use rdd_mirror::{
    AppOptions, InstanceId, LeaseTiming, MirrorOptions, MirrorProgress, MirrorTiming,
};
use rdd_testkit::{EngineCall, FakeBackends, FakeEngine, eventually};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::faults::ApiFaults;

pub(crate) const NAMESPACE: &str = rdd_api::DEFAULT_NAMESPACE;

/// The common traits of the mirrored kinds.
pub(crate) trait MirroredResource:
    Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
    + Clone
    + Debug
    + DeserializeOwned
{
}

impl<K> MirroredResource for K where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
{
}

/// A running mirror controller, which stops when this is dropped.
pub(crate) struct TestMirror {
    /// The client of API users.
    pub(crate) client: Client,
    server: rdd_apiserver::ApiServer,
    /// The client of the mirror controller, with injected faults.
    mirror_client: Client,
    pub(crate) faults: ApiFaults,
    pub(crate) backends: FakeBackends,
    pub(crate) serving: watch::Receiver<ServingSnapshot>,
    pub(crate) containers: watch::Receiver<ContainerIndex>,
    pub(crate) progress: watch::Receiver<MirrorProgress>,
    pub(crate) tasks: JoinSet<()>,
    pub(crate) instance: InstanceId,
    pub(crate) read_only: bool,
    pub(crate) timing: MirrorTiming,
}

/// Returns intervals that are short enough for tests, in the default
/// proportions.
pub(crate) fn timing() -> MirrorTiming {
    MirrorTiming {
        removal_retry_min: Duration::from_millis(50),
        removal_retry_max: Duration::from_secs(1),
        removal_cooldown_min: Duration::from_millis(50),
        removal_cooldown_max: Duration::from_millis(500),
        prune_check_interval: Duration::from_millis(50),
        removal_event_timeout: Duration::from_secs(2),
        volume_settle_time: Duration::from_millis(300),
        // Longer than a busy machine holds a test up: only some tests are about its end.
        lease: LeaseTiming {
            duration: Duration::from_secs(60),
            renew_deadline: Duration::from_secs(45),
            renew_interval: Duration::from_millis(300),
            retry_interval: Duration::from_millis(100),
        },
        ..MirrorTiming::default()
    }
}

/// Returns a lease that a test waits for to expire.
pub(crate) fn short_lease() -> LeaseTiming {
    LeaseTiming {
        duration: Duration::from_secs(2),
        renew_deadline: Duration::from_millis(1500),
        ..timing().lease
    }
}

impl TestMirror {
    pub(crate) async fn new(engine: &FakeEngine) -> Self {
        Self::start_with(engine, |_| {}).await
    }

    /// Starts a mirror controller after `prepare` has changed its settings.
    pub(crate) async fn start_with(engine: &FakeEngine, prepare: impl FnOnce(&mut Self)) -> Self {
        let server = rdd_apiserver::ApiServer::open(rdd_apiserver::ApiServerOptions::in_memory())
            .await
            .unwrap();
        let faults = ApiFaults::default();
        let client = client(server.clone(), ApiFaults::default());
        rdd_mirror::apply_crds(&client).await.unwrap();
        rdd_mirror::ensure_app(&client, &AppOptions::default())
            .await
            .unwrap();
        let mut mirror = Self {
            client,
            mirror_client: self::client(server.clone(), faults.clone()),
            server,
            faults,
            backends: FakeBackends::with(engine.clone()),
            serving: ServingSnapshot::channel().1,
            containers: ContainerIndex::channel().1,
            progress: watch::channel(MirrorProgress::default()).1,
            tasks: JoinSet::new(),
            instance: InstanceId::parse("first").unwrap(),
            read_only: false,
            timing: timing(),
        };
        prepare(&mut mirror);
        mirror.start();
        mirror
    }

    /// Starts another instance on the same API, for another engine.
    pub(crate) fn join(&self, instance: &str, engine: &FakeEngine) -> Self {
        let mut mirror = Self {
            client: self.client.clone(),
            server: self.server.clone(),
            mirror_client: self::client(self.server.clone(), ApiFaults::default()),
            faults: ApiFaults::default(),
            backends: FakeBackends::with(engine.clone()),
            serving: ServingSnapshot::channel().1,
            containers: ContainerIndex::channel().1,
            progress: watch::channel(MirrorProgress::default()).1,
            tasks: JoinSet::new(),
            instance: InstanceId::parse(instance).unwrap(),
            read_only: self.read_only,
            timing: self.timing,
        };
        mirror.mirror_client = self::client(self.server.clone(), mirror.faults.clone());
        mirror.start();
        mirror
    }

    /// Waits until this instance stands by. Returns the reason.
    pub(crate) async fn wait_for_standby(&self) -> String {
        let mut progress = self.progress.clone();
        let standby = progress.wait_for(|p| p.standby.is_some() && p.ready);
        let progress = tokio::time::timeout(rdd_testkit::PATIENCE, standby)
            .await
            .expect("the instance must stand by in time")
            .unwrap();
        progress.standby.as_deref().unwrap_or_default().to_owned()
    }

    /// Starts a new process of this instance on the same API, and stops the old
    /// one.
    pub(crate) fn start(&mut self) {
        let (mut options, serving, progress) = MirrorOptions::new(
            self.mirror_client.clone(),
            Arc::new(self.backends.clone()),
            self.instance.clone(),
        );
        options.timing = self.timing;
        options.read_only = self.read_only;
        self.containers = options.containers.subscribe();
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

    pub(crate) async fn list<K>(&self) -> Vec<K>
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

    pub(crate) async fn wait_for_sync(&self) {
        let mut progress = self.progress.clone();
        tokio::time::timeout(rdd_testkit::PATIENCE, progress.wait_for(|p| p.synced))
            .await
            .expect("the mirror must sync in time")
            .unwrap();
    }

    /// Waits until the container's mirror exists and passes. Returns it.
    pub(crate) async fn wait_for_container(
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

    /// Waits until the container's mirror is not terminating.
    pub(crate) async fn wait_for_deletion_to_finish(&self, id: &str) {
        eventually("the end of the deletion", || async {
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
            .list::<Image>()
            .await
            .into_iter()
            .filter_map(|image| image.status)
            .map(|status| (status.id, status.repo_tag))
            .collect();
        tags.sort();
        tags
    }

    pub(crate) async fn wait_for_condition(&self, type_: &str, status: &str, reason: &str) {
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

    pub(crate) async fn wait_until_gone<K>(&self, name: &str)
    where
        K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        eventually("the deletion of the mirror", || async {
            match self.api::<K>().get_opt(name).await.unwrap() {
                None => Ok(()),
                Some(object) => Err(format!("{object:?}")),
            }
        })
        .await;
    }
}

pub(crate) fn client(server: rdd_apiserver::ApiServer, faults: ApiFaults) -> Client {
    let service = tower::service_fn(move |mut request: http::Request<kube::client::Body>| {
        // The server trusts the user that the caller authenticated.
        request.extensions_mut().insert(rdd_apiserver::UserInfo {
            name: "mirror-test".to_owned(),
            groups: vec!["system:masters".to_owned()],
            ..rdd_apiserver::UserInfo::default()
        });
        faults.clone().call(server.clone(), request)
    });
    Client::new(service, NAMESPACE)
}

/// Returns what was to be removed from the engine, in any namespace.
pub(crate) fn removals(engine: &FakeEngine) -> Vec<RemoveTarget> {
    engine
        .calls()
        .into_iter()
        .filter_map(|call| match call {
            EngineCall::Remove(request) => Some(request.target),
            _ => None,
        })
        .collect()
}

pub(crate) fn status(container: &Container) -> &rdd_api::ContainerStatus {
    container
        .status
        .as_ref()
        .expect("the mirror must have a status")
}
