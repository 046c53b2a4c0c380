//! Tests of the App: backend selection, conditions, and loss of the engine.

use kube::ResourceExt;
use kube::api::{Patch, PatchParams, PostParams};
use rdd_api::{Container, ContainerNamespace, Image, Volume};
use rdd_core::{ServingState, UnavailableReason};
use rdd_testkit::{FakeEngine, eventually};
use serde_json::json;

use crate::test_mirror::{NAMESPACE, TestMirror, removals, status};

#[tokio::test(flavor = "multi_thread")]
async fn mirrors_keep_their_uids_while_the_engine_is_disconnected() {
    let engine = FakeEngine::default();
    let id = engine.run_container("web");
    let mirror = TestMirror::new(&engine).await;
    mirror.wait_for_sync().await;
    let before = mirror.wait_for_container(&id, |_| true).await;
    engine.go_offline("connection refused");
    mirror
        .wait_for_condition("ContainerEngineReady", "False", "ConnectFailed")
        .await;
    assert!(matches!(
        &mirror.serving.borrow().serving,
        ServingState::Unavailable(UnavailableReason::EngineUnreachable { reason }) if reason == "connection refused"
    ));
    engine.rename(&id, "renamed");
    engine.go_online();
    let after = mirror
        .wait_for_container(&id, |c| status(c).name == "renamed")
        .await;
    assert_eq!(before.uid(), after.uid());
    mirror
        .wait_for_condition("ContainerEngineReady", "True", "Connected")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_prunes_all_mirrors_and_starting_creates_them_again() {
    let engine = FakeEngine::default();
    let id = engine.run_container("web");
    engine.create_volume("data");
    engine.add_image(&["a:1"]);
    let mirror = TestMirror::new(&engine).await;
    mirror.wait_for_sync().await;
    mirror.patch_app(json!({"running": false})).await;
    mirror
        .wait_for_condition("Running", "False", "Stopped")
        .await;
    assert!(mirror.list::<Container>().await.is_empty());
    assert!(mirror.list::<Image>().await.is_empty());
    assert!(mirror.list::<Volume>().await.is_empty());
    assert!(mirror.list::<ContainerNamespace>().await.is_empty());
    assert_eq!(removals(&engine), []);
    assert!(matches!(
        mirror.serving.borrow().serving,
        ServingState::Unavailable(UnavailableReason::Stopped)
    ));
    mirror.patch_app(json!({"running": true})).await;
    mirror.wait_for_container(&id, |c| c.status.is_some()).await;
    mirror
        .wait_for_condition("Settled", "True", "Settled")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn selecting_another_backend_prunes_only_the_mirrors_of_the_previous_one() {
    let engine = FakeEngine::default();
    engine.run_container("web");
    let mirror = TestMirror::new(&engine).await;
    mirror.wait_for_sync().await;
    let mut foreign = Container::new(&"f".repeat(64), rdd_api::ContainerFields::default());
    foreign.metadata.namespace = Some(NAMESPACE.to_owned());
    mirror
        .api::<Container>()
        .create(&Default::default(), &foreign)
        .await
        .unwrap();
    mirror
        .patch_app(json!({"containerEngine": {"name": "containerd"}}))
        .await;
    mirror
        .wait_for_condition("ContainerEngineReady", "False", "BackendNotInstalled")
        .await;
    let left: Vec<_> = mirror
        .list::<Container>()
        .await
        .iter()
        .map(ResourceExt::name_any)
        .collect();
    assert_eq!(left, ["f".repeat(64)]);
    assert!(matches!(
        &mirror.serving.borrow().serving,
        ServingState::Unavailable(UnavailableReason::BackendNotInstalled { backend, .. }) if backend == "containerd"
    ));
    assert_eq!(removals(&engine), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_is_not_finished_while_another_finalizer_holds_a_mirror() {
    let engine = FakeEngine::default();
    let held = engine.run_container("held");
    let mirror = TestMirror::new(&engine).await;
    mirror.wait_for_sync().await;
    let api = mirror.api::<Container>();
    let finalizers = |names: &[&str]| Patch::Merge(json!({"metadata": {"finalizers": names}}));
    let both = finalizers(&["test.example/hold", rdd_api::MIRROR_FINALIZER]);
    let params = PatchParams::default();
    api.patch(&held, &params, &both).await.unwrap();
    mirror.patch_app(json!({"running": false})).await;
    mirror
        .wait_for_condition("Settled", "False", "Stopping")
        .await;
    let left = mirror
        .wait_for_container(&held, |c| c.metadata.deletion_timestamp.is_some())
        .await;
    assert_eq!(left.finalizers(), ["test.example/hold"]);
    mirror
        .wait_for_condition("Settled", "False", "Stopping")
        .await;
    api.patch(&held, &params, &finalizers(&[])).await.unwrap();
    mirror
        .wait_for_condition("Running", "False", "Stopped")
        .await;
    assert!(engine.container(&held).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_is_finished_only_when_the_api_has_no_mirrors_left() {
    let engine = FakeEngine::default();
    engine.run_container("web");
    let mirror = TestMirror::new(&engine).await;
    mirror.wait_for_sync().await;
    mirror.faults.freeze_watches();
    let mut unknown = Container::new(&"f".repeat(64), rdd_api::ContainerFields::default());
    let label = (rdd_api::BACKEND_LABEL.to_owned(), "moby".to_owned());
    unknown.metadata.labels = Some([label].into());
    let api = mirror.api::<Container>();
    api.create(&PostParams::default(), &unknown).await.unwrap();
    let before = mirror.faults.prune_checks();
    mirror.patch_app(json!({"running": false})).await;
    eventually("two checks for orphans", || async {
        match mirror.faults.prune_checks() - before {
            0 | 1 => Err("not yet".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
    mirror
        .wait_for_condition("Settled", "False", "Stopping")
        .await;
    mirror.faults.thaw_watches();
    mirror
        .wait_for_condition("Running", "False", "Stopped")
        .await;
    assert!(mirror.list::<Container>().await.is_empty());
}
