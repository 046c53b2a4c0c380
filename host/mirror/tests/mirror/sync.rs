//! What the engine has comes, follows and goes.

use kube::ResourceExt;
use kube::api::DeleteParams;
use rdd_api::{Container, ContainerNamespace, ContainerState, Image, Volume};
use rdd_core::{ContainerAction, ServingState};
use rdd_testkit::{EngineCall, FakeEngine, eventually_within};
use std::collections::BTreeMap;
use std::time::Duration;

use crate::world::{Mirror, World, removals, status};

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
    assert!(matches!(
        world.serving.borrow().serving,
        ServingState::Ready(_)
    ));

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

/// Name and version of every mirror, of all kinds.
async fn versions(world: &World) -> BTreeMap<String, String> {
    async fn of<K: Mirror>(world: &World, versions: &mut BTreeMap<String, String>) {
        for object in world.all::<K>().await {
            let name = format!("{} {}", K::kind(&()), object.name_any());
            versions.insert(name, object.resource_version().unwrap());
        }
    }
    let mut versions = BTreeMap::new();
    of::<Container>(world, &mut versions).await;
    of::<Image>(world, &mut versions).await;
    of::<Volume>(world, &mut versions).await;
    of::<ContainerNamespace>(world, &mut versions).await;
    versions
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_changes_nothing_writes_nothing() {
    const EACH: usize = 60;
    let engine = FakeEngine::default();
    for i in 0..EACH {
        let id = engine.run_container(&format!("run{i}"));
        match i % 4 {
            0 => engine.stop(&id),
            1 => engine.pause(&id),
            _ => {}
        }
        engine.create_container(&format!("created{i}"));
        engine.create_volume(&format!("data{i}"));
        engine.add_image(&[&format!("a:{i}"), &format!("b:{i}")]);
        engine.add_image(&[]);
    }
    let mut world = World::new(&engine).await;
    world.synced().await;
    world.condition("Settled", "True", "Settled").await;
    let before = versions(&world).await;
    // Two containers, a volume, two tags and an image without one; a namespace.
    assert_eq!(before.len(), 6 * EACH + 1);
    engine.reinit();
    // Comes after the init: once it is seen, the init was.
    let marker = engine.create_container("marker");
    world.container(&marker, |c| c.status.is_some()).await;
    engine.remove_container(&marker);
    world.gone::<Container>(&marker).await;
    assert_eq!(versions(&world).await, before);
    // Nor does a new process have anything to write.
    world.start();
    world.synced().await;
    assert_eq!(versions(&world).await, before);
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
        [EngineCall::Act {
            id: kept,
            action: ContainerAction::Stop
        }]
    );
}
