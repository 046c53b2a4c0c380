//! The App: its choice, its conditions, the engine that goes and comes.

use kube::ResourceExt;
use kube::api::{Patch, PatchParams, PostParams};
use rdd_api::{Container, ContainerNamespace, Image, Volume};
use rdd_core::{ServingState, UnavailableReason};
use rdd_testkit::{FakeEngine, eventually};
use serde_json::json;

use crate::world::{NAMESPACE, World, removals, status};

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
        ServingState::Unavailable(UnavailableReason::EngineUnreachable { reason }) if reason == "connection refused"
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
        ServingState::Unavailable(UnavailableReason::Stopped)
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
        ServingState::Unavailable(UnavailableReason::BackendNotInstalled { backend, .. }) if backend == "containerd"
    ));
    assert_eq!(removals(&engine), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_not_over_while_somebody_holds_a_mirror() {
    let engine = FakeEngine::default();
    let held = engine.run_container("held");
    let world = World::new(&engine).await;
    world.synced().await;
    let api = world.api::<Container>();
    let finalizers = |names: &[&str]| Patch::Merge(json!({"metadata": {"finalizers": names}}));
    let both = finalizers(&["test.example/hold", rdd_api::MIRROR_FINALIZER]);
    let params = PatchParams::default();
    api.patch(&held, &params, &both).await.unwrap();
    world.patch_app(json!({"running": false})).await;
    world.condition("Settled", "False", "Stopping").await;
    let left = world
        .container(&held, |c| c.metadata.deletion_timestamp.is_some())
        .await;
    assert_eq!(left.finalizers(), ["test.example/hold"]);
    world.condition("Settled", "False", "Stopping").await;
    api.patch(&held, &params, &finalizers(&[])).await.unwrap();
    world.condition("Running", "False", "Stopped").await;
    assert!(engine.container(&held).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_over_when_nothing_is_left_and_not_when_nothing_is_known() {
    let engine = FakeEngine::default();
    engine.run_container("web");
    let world = World::new(&engine).await;
    world.synced().await;
    world.faults.freeze_watches();
    let mut unknown = Container::new(&"f".repeat(64), rdd_api::ContainerFields::default());
    let label = (rdd_api::BACKEND_LABEL.to_owned(), "moby".to_owned());
    unknown.metadata.labels = Some([label].into());
    let api = world.api::<Container>();
    api.create(&PostParams::default(), &unknown).await.unwrap();
    let before = world.faults.sweeps();
    world.patch_app(json!({"running": false})).await;
    eventually("two looks", || async {
        match world.faults.sweeps() - before {
            0 | 1 => Err("not yet".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
    world.condition("Settled", "False", "Stopping").await;
    world.faults.thaw_watches();
    world.condition("Running", "False", "Stopped").await;
    assert!(world.all::<Container>().await.is_empty());
}
