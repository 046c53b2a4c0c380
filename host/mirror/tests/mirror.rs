//! The mirror against the scripted engine and the embedded API server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test fails by panicking"
)]

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use kube::{Client, Resource, ResourceExt};
use rdd_api::{ActionState, App, Container, ContainerNamespace, ContainerState, Image, Volume};
use rdd_core::{Action, EngineError, ErrorCode, NotServing, Removal, Serving, ServingSnapshot};
use rdd_mirror::{AppOptions, Options, Progress, Timing};
use rdd_testkit::{Call, FakeBackends, FakeEngine, Operation, eventually, eventually_within};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const NAMESPACE: &str = rdd_api::DEFAULT_NAMESPACE;

/// A running mirror. Ends with the value.
struct World {
    client: Client,
    backends: FakeBackends,
    serving: watch::Receiver<ServingSnapshot>,
    progress: watch::Receiver<Progress>,
    tasks: JoinSet<()>,
    read_only: bool,
}

/// Intervals short enough for a test, in the usual proportions.
fn timing() -> Timing {
    Timing {
        removal_retry_min: Duration::from_millis(50),
        removal_retry_max: Duration::from_secs(1),
        sweep_check: Duration::from_millis(50),
        removal_echo: Duration::from_secs(2),
        volume_youth: Duration::from_millis(300),
        ..Timing::default()
    }
}

impl World {
    async fn new(engine: &FakeEngine) -> Self {
        Self::with(engine, false).await
    }

    async fn with(engine: &FakeEngine, read_only: bool) -> Self {
        let server = rdd_apiserver::ApiServer::open(rdd_apiserver::Options::in_memory())
            .await
            .unwrap();
        // The server believes whoever authenticated the request; here, us.
        let server = tower::service_fn(move |mut request: http::Request<kube::client::Body>| {
            request.extensions_mut().insert(rdd_apiserver::UserInfo {
                name: "mirror-test".to_owned(),
                groups: vec!["system:masters".to_owned()],
                ..rdd_apiserver::UserInfo::default()
            });
            tower::Service::call(&mut server.clone(), request)
        });
        let client = Client::new(server, NAMESPACE);
        rdd_mirror::apply_crds(&client).await.unwrap();
        rdd_mirror::ensure_app(&client, &AppOptions::default())
            .await
            .unwrap();
        let backends = FakeBackends::with(engine.clone());
        let (_, serving) = ServingSnapshot::channel();
        let progress = watch::channel(Progress::default()).1;
        let mut world = Self {
            client,
            backends,
            serving,
            progress,
            tasks: JoinSet::new(),
            read_only,
        };
        world.start();
        world
    }

    /// A new process over the same API; ends the old one.
    fn start(&mut self) {
        let (mut options, serving, progress) =
            Options::new(self.client.clone(), Arc::new(self.backends.clone()));
        options.timing = timing();
        options.read_only = self.read_only;
        self.tasks = JoinSet::new();
        self.tasks
            .spawn(rdd_mirror::run(options, CancellationToken::new()));
        self.serving = serving;
        self.progress = progress;
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    async fn all<K>(&self) -> Vec<K>
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

    async fn synced(&self) {
        let mut progress = self.progress.clone();
        tokio::time::timeout(rdd_testkit::PATIENCE, progress.wait_for(|p| p.synced))
            .await
            .expect("synced in time")
            .unwrap();
    }

    /// Waits until the container's mirror passes.
    async fn container(&self, id: &str, passes: impl Fn(&Container) -> bool) -> Container {
        eventually("the container", || async {
            match self.api::<Container>().get_opt(id).await.unwrap() {
                Some(found) if passes(&found) => Ok(found),
                other => Err(format!("{other:?}")),
            }
        })
        .await
    }

    async fn tags(&self) -> Vec<(String, Option<String>)> {
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

    async fn condition(&self, type_: &str, status: &str, reason: &str) {
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

    async fn patch_app(&self, spec: serde_json::Value) {
        let api: Api<App> = Api::all(self.client.clone());
        api.patch(
            "app",
            &PatchParams::default(),
            &Patch::Merge(json!({"spec": spec})),
        )
        .await
        .unwrap();
    }

    async fn annotate(&self, id: &str, action: &str) {
        let patch = json!({"metadata": {"annotations": {rdd_api::ACTION_ANNOTATION: action}}});
        self.api::<Container>()
            .patch(id, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
    }

    async fn gone<K>(&self, name: &str)
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

fn removals(engine: &FakeEngine) -> Vec<Removal> {
    engine
        .calls()
        .into_iter()
        .filter_map(|call| match call {
            Call::Remove(removal) => Some(removal),
            Call::Act { .. } => None,
        })
        .collect()
}

fn status(container: &Container) -> &rdd_api::ContainerStatus {
    container.status.as_ref().expect("a status")
}

#[tokio::test(flavor = "multi_thread")]
async fn mirrors_what_is_there_and_what_comes() {
    let engine = FakeEngine::default();
    let old = engine.run_container("old");
    engine.create_volume("data");
    engine.add_image(&["a:1", "a:2"]);
    engine.add_image(&[]);
    let world = World::new(&engine).await;
    world.synced().await;
    world
        .condition("ContainerEngineReady", "True", "Connected")
        .await;
    world.condition("Settled", "True", "Settled").await;
    let found = world.container(&old, |_| true).await;
    assert_eq!(status(&found).name, "old");
    assert_eq!(status(&found).status, ContainerState::Running);
    assert_eq!(found.finalizers(), [rdd_api::MIRROR_FINALIZER]);
    assert_eq!(found.labels()[rdd_api::BACKEND_LABEL], "moby");
    assert_eq!(world.all::<Volume>().await.len(), 1);
    assert_eq!(world.tags().await.len(), 3);
    assert_eq!(world.all::<ContainerNamespace>().await.len(), 1);
    assert!(matches!(world.serving.borrow().serving, Serving::Ready(_)));

    let new = engine.run_container("new");
    world
        .container(&new, |c| {
            c.status
                .as_ref()
                .is_some_and(|s| s.status == ContainerState::Running)
        })
        .await;
    engine.remove_container(&new);
    world.gone::<Container>(&new).await;
    assert_eq!(removals(&engine), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_changes_nothing_writes_nothing() {
    let engine = FakeEngine::default();
    let id = engine.run_container("web");
    let volume = engine.create_volume("data");
    let world = World::new(&engine).await;
    world.synced().await;
    let before = world.container(&id, |c| c.status.is_some()).await;
    engine.reinit();
    // Comes after the init: once it is seen, the init was.
    let marker = engine.create_container("marker");
    world.container(&marker, |c| c.status.is_some()).await;
    let after = world.container(&id, |_| true).await;
    assert_eq!(before.resource_version(), after.resource_version());
    let _ = volume;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_mirror_removes_the_container_once() {
    let engine = FakeEngine::default();
    let id = engine.run_container("web");
    let world = World::new(&engine).await;
    world.synced().await;
    world
        .api::<Container>()
        .delete(&id, &DeleteParams::default())
        .await
        .unwrap();
    world.gone::<Container>(&id).await;
    assert_eq!(removals(&engine), [Removal::Container { id: id.clone() }]);
    assert!(engine.container(&id).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_deletion_shows_and_is_retried() {
    let engine = FakeEngine::default();
    engine.create_volume("data");
    let world = World::new(&engine).await;
    world.synced().await;
    let name = world.all::<Volume>().await[0].name_any();
    let error = EngineError::new(ErrorCode::Conflict, "volume is in use - [abc]");
    engine.fail(Operation::Remove, None, error);
    world
        .api::<Volume>()
        .delete(&name, &DeleteParams::default())
        .await
        .unwrap();
    eventually("the condition", || async {
        let volume = world.api::<Volume>().get(&name).await.unwrap();
        let conditions = volume.status.unwrap_or_default().conditions;
        match conditions.first() {
            Some(c) if c.type_ == "DeleteFailed" && c.message == "volume is in use - [abc]" => {
                Ok(())
            }
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    engine.mend(Operation::Remove, None);
    world.gone::<Volume>(&name).await;
    assert!(engine.objects().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recreated_volume_survives_the_deletion_of_the_old_mirror() {
    let engine = FakeEngine::default();
    let first = engine.create_volume("x");
    let world = World::new(&engine).await;
    world.synced().await;
    let old = world.all::<Volume>().await.remove(0);
    // Removed and re-created, unseen: the mirror is deleted before the events
    // arrive, so only the creation time that the call carries can save it.
    engine.hold_events();
    engine.remove_volume("x");
    engine.create_volume_at("x", first + jiff::SignedDuration::from_secs(5));
    world
        .api::<Volume>()
        .delete(&old.name_any(), &DeleteParams::default())
        .await
        .unwrap();
    engine.release_events();
    eventually("a mirror of the new volume", || async {
        match world
            .api::<Volume>()
            .get_opt(&old.name_any())
            .await
            .unwrap()
        {
            Some(new) if new.uid() != old.uid() && new.status.is_some() => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert_eq!(engine.objects().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_and_recreated_volume_gets_a_mirror_of_its_own_without_a_call() {
    let engine = FakeEngine::default();
    let first = engine.create_volume("x");
    let world = World::new(&engine).await;
    world.synced().await;
    let old = world.all::<Volume>().await.remove(0);
    engine.remove_volume("x");
    engine.create_volume_at("x", first);
    eventually("another mirror", || async {
        match world
            .api::<Volume>()
            .get_opt(&old.name_any())
            .await
            .unwrap()
        {
            Some(new) if new.uid() != old.uid() && new.status.is_some() => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert_eq!(removals(&engine), []);
    assert_eq!(engine.objects().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_tag_never_untags_the_new_image() {
    let engine = FakeEngine::default();
    let old = engine.add_image(&["app:latest"]);
    let new = engine.add_image(&["other:1"]);
    let world = World::new(&engine).await;
    world.synced().await;
    engine.tag(&new, "app:latest");
    let mut wanted = vec![
        (old.clone(), None),
        (new.clone(), Some("app:latest".to_owned())),
        (new.clone(), Some("other:1".to_owned())),
    ];
    wanted.sort();
    eventually("the mirrors of the retag", || async {
        let tags = world.tags().await;
        if tags == wanted {
            Ok(())
        } else {
            Err(format!("{tags:?}"))
        }
    })
    .await;
    assert_eq!(removals(&engine), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_namespace_mirror_is_written_again() {
    let engine = FakeEngine::default();
    let world = World::new(&engine).await;
    world.synced().await;
    let api = world.api::<ContainerNamespace>();
    let old = api.get("moby").await.unwrap();
    api.delete("moby", &DeleteParams::default()).await.unwrap();
    eventually_within(Duration::from_secs(5), "the namespace again", || async {
        match api.get_opt("moby").await.unwrap() {
            Some(new) if new.uid() != old.uid() => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert_eq!(engine.calls(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_stop_holds_up_nothing_else() {
    let engine = FakeEngine::default();
    let slow = engine.run_container("slow");
    let quick = engine.run_container("quick");
    let world = World::new(&engine).await;
    world.synced().await;
    let gate = engine.gate(Operation::Act, Some(&slow));
    world.annotate(&slow, "stop").await;
    eventually("the stop begun", || async {
        if engine.begun(Operation::Act) == 1 {
            Ok(())
        } else {
            Err(String::new())
        }
    })
    .await;
    world.annotate(&quick, "pause").await;
    let done = world
        .container(&quick, |c| status(c).last_action.is_some())
        .await;
    assert_eq!(
        status(&done).last_action.as_ref().unwrap().state,
        ActionState::Succeeded
    );
    assert_eq!(
        status(&world.container(&slow, |_| true).await).last_action,
        None
    );
    gate.open();
    let done = world
        .container(&slow, |c| {
            status(c).last_action.is_some() && c.annotations().is_empty()
        })
        .await;
    assert_eq!(
        status(&done).last_action.as_ref().unwrap().state,
        ActionState::Succeeded
    );
    // Outlives what happens outside.
    engine.start(&slow);
    let later = world
        .container(&slow, |c| status(c).status == ContainerState::Running)
        .await;
    assert_eq!(status(&later).last_action, status(&done).last_action);
}

#[tokio::test(flavor = "multi_thread")]
async fn actions_fail_with_the_engines_words_and_nonsense_is_dropped() {
    let engine = FakeEngine::default();
    let id = engine.create_container("web");
    let world = World::new(&engine).await;
    world.synced().await;
    world.annotate(&id, "unpause").await;
    let done = world
        .container(&id, |c| status(c).last_action.is_some())
        .await;
    let last = status(&done).last_action.clone().unwrap();
    assert_eq!(last.state, ActionState::Failed);
    assert!(last.error.contains("not running"), "{}", last.error);
    assert_eq!(engine.calls(), []);
    world.container(&id, |c| c.annotations().is_empty()).await;
    world.annotate(&id, "explode").await;
    let after = world.container(&id, |c| c.annotations().is_empty()).await;
    assert_eq!(status(&after).last_action, Some(last));
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only_reaches_no_engine() {
    let engine = FakeEngine::default();
    let id = engine.run_container("web");
    let world = World::with(&engine, true).await;
    world.synced().await;
    world.annotate(&id, "stop").await;
    let done = world
        .container(&id, |c| status(c).last_action.is_some())
        .await;
    let last = status(&done).last_action.clone().unwrap();
    assert_eq!(last.state, ActionState::Failed);
    assert!(last.error.contains("--read-only"), "{}", last.error);
    assert_eq!(engine.calls(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_engine_keeps_its_mirrors_and_their_uids() {
    let engine = FakeEngine::default();
    let id = engine.run_container("web");
    let world = World::new(&engine).await;
    world.synced().await;
    let before = world.container(&id, |_| true).await;
    engine.go_offline("connection refused");
    world
        .condition("ContainerEngineReady", "False", "ConnectFailed")
        .await;
    assert!(matches!(
        &world.serving.borrow().serving,
        Serving::Not(NotServing::EngineUnreachable { reason }) if reason == "connection refused"
    ));
    engine.rename(&id, "renamed");
    engine.go_online();
    let after = world.container(&id, |c| status(c).name == "renamed").await;
    assert_eq!(before.uid(), after.uid());
    world
        .condition("ContainerEngineReady", "True", "Connected")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_sweeps_and_a_start_mirrors_again() {
    let engine = FakeEngine::default();
    let id = engine.run_container("web");
    engine.create_volume("data");
    engine.add_image(&["a:1"]);
    let world = World::new(&engine).await;
    world.synced().await;
    world.patch_app(json!({"running": false})).await;
    world.condition("Running", "False", "Stopped").await;
    assert!(world.all::<Container>().await.is_empty());
    assert!(world.all::<Image>().await.is_empty());
    assert!(world.all::<Volume>().await.is_empty());
    assert!(world.all::<ContainerNamespace>().await.is_empty());
    assert_eq!(removals(&engine), []);
    assert!(matches!(
        world.serving.borrow().serving,
        Serving::Not(NotServing::Stopped)
    ));
    world.patch_app(json!({"running": true})).await;
    world.container(&id, |c| c.status.is_some()).await;
    world.condition("Settled", "True", "Settled").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_backend_sweeps_the_first_ones_mirrors_only() {
    let engine = FakeEngine::default();
    engine.run_container("web");
    let world = World::new(&engine).await;
    world.synced().await;
    let mut foreign = Container::new(&"f".repeat(64), rdd_api::ContainerFields::default());
    foreign.metadata.namespace = Some(NAMESPACE.to_owned());
    world
        .api::<Container>()
        .create(&Default::default(), &foreign)
        .await
        .unwrap();
    world
        .patch_app(json!({"containerEngine": {"name": "containerd"}}))
        .await;
    world
        .condition("ContainerEngineReady", "False", "BackendNotInstalled")
        .await;
    let left: Vec<_> = world
        .all::<Container>()
        .await
        .iter()
        .map(ResourceExt::name_any)
        .collect();
    assert_eq!(left, ["f".repeat(64)]);
    assert!(matches!(
        &world.serving.borrow().serving,
        Serving::Not(NotServing::BackendNotInstalled { backend, .. }) if backend == "containerd"
    ));
    assert_eq!(removals(&engine), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_process_prunes_replays_and_converges() {
    let engine = FakeEngine::default();
    let kept = engine.run_container("kept");
    let dropped = engine.run_container("dropped");
    let mut world = World::new(&engine).await;
    world.synced().await;
    world.tasks.shutdown().await;
    engine.remove_container(&dropped);
    let added = engine.create_container("added");
    world.annotate(&kept, "stop").await;
    world.start();
    world.gone::<Container>(&dropped).await;
    world.container(&added, |c| c.status.is_some()).await;
    world.container(&kept, |c| c.annotations().is_empty()).await;
    assert_eq!(
        engine.calls(),
        [Call::Act {
            id: kept,
            action: Action::Stop
        }]
    );
}
