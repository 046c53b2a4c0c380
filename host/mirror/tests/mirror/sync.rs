//! What the engine has comes, follows and goes.

use kube::ResourceExt;
use kube::api::DeleteParams;
use rdd_api::{Container, ContainerNamespace, ContainerState, Volume};
use rdd_core::{Action, Serving};
use rdd_testkit::{Call, FakeEngine, eventually_within};
use std::time::Duration;

use crate::world::{World, removals, status};

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
    engine.create_volume("data");
    let world = World::new(&engine).await;
    world.synced().await;
    let before = world.container(&id, |c| c.status.is_some()).await;
    engine.reinit();
    // Comes after the init: once it is seen, the init was.
    let marker = engine.create_container("marker");
    world.container(&marker, |c| c.status.is_some()).await;
    let after = world.container(&id, |_| true).await;
    assert_eq!(before.resource_version(), after.resource_version());
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
