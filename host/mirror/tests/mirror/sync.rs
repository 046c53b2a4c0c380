//! Tests of creation, updates, and deletion of mirrors.

use kube::ResourceExt;
use kube::api::DeleteParams;
use rdd_api::{Container, ContainerNamespace, ContainerState, Image, Volume};
use rdd_core::{ContainerAction, ServingState};
use rdd_testkit::{EngineCall, FakeEngine, eventually};
use std::collections::BTreeMap;

use crate::test_mirror::{MirroredResource, TestMirror, removals, status};

#[tokio::test(flavor = "multi_thread")]
async fn existing_and_new_objects_are_mirrored() {
    let engine = FakeEngine::default();
    let old = engine.run_container("old");
    engine.create_volume("data");
    engine.add_image(&["a:1", "a:2"]);
    engine.add_image(&[]);
    let mirror = TestMirror::new(&engine).await;
    mirror.wait_for_sync().await;
    mirror
        .wait_for_condition("ContainerEngineReady", "True", "Connected")
        .await;
    mirror
        .wait_for_condition("Settled", "True", "Settled")
        .await;
    let found = mirror.wait_for_container(&old, |_| true).await;
    assert_eq!(status(&found).name, "old");
    assert_eq!(status(&found).status, ContainerState::Running);
    assert_eq!(found.finalizers(), [rdd_api::MIRROR_FINALIZER]);
    assert_eq!(found.labels()[rdd_api::BACKEND_LABEL], "moby");
    assert_eq!(mirror.list::<Volume>().await.len(), 1);
    assert_eq!(mirror.tags().await.len(), 3);
    assert_eq!(mirror.list::<ContainerNamespace>().await.len(), 1);
    assert!(matches!(
        mirror.serving.borrow().serving,
        ServingState::Ready(_)
    ));

    let new = engine.run_container("new");
    mirror
        .wait_for_container(&new, |c| {
            c.status
                .as_ref()
                .is_some_and(|s| s.status == ContainerState::Running)
        })
        .await;
    engine.remove_container(&new);
    mirror.wait_until_gone::<Container>(&new).await;
    assert_eq!(removals(&engine), []);
}

/// Returns name and version of every mirror of all kinds.
async fn versions(mirror: &TestMirror) -> BTreeMap<String, String> {
    async fn of<K: MirroredResource>(mirror: &TestMirror, versions: &mut BTreeMap<String, String>) {
        for object in mirror.list::<K>().await {
            let name = format!("{} {}", K::kind(&()), object.name_any());
            versions.insert(name, object.resource_version().unwrap());
        }
    }
    let mut versions = BTreeMap::new();
    of::<Container>(mirror, &mut versions).await;
    of::<Image>(mirror, &mut versions).await;
    of::<Volume>(mirror, &mut versions).await;
    of::<ContainerNamespace>(mirror, &mut versions).await;
    versions
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_changes_nothing_writes_nothing() {
    const COUNT: usize = 60;
    let engine = FakeEngine::default();
    for i in 0..COUNT {
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
    let mut mirror = TestMirror::new(&engine).await;
    mirror.wait_for_sync().await;
    mirror
        .wait_for_condition("Settled", "True", "Settled")
        .await;
    let before = versions(&mirror).await;
    // Two containers, a volume, two tags and an image without one; a namespace.
    assert_eq!(before.len(), 6 * COUNT + 1);
    engine.reinit();
    // Created after the listing: once it is mirrored, the listing has been
    // processed.
    let marker = engine.create_container("marker");
    mirror
        .wait_for_container(&marker, |c| c.status.is_some())
        .await;
    engine.remove_container(&marker);
    mirror.wait_until_gone::<Container>(&marker).await;
    assert_eq!(versions(&mirror).await, before);
    // A new process has nothing to write either.
    mirror.start();
    mirror.wait_for_sync().await;
    assert_eq!(versions(&mirror).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_mirror_of_a_namespace_is_recreated() {
    let engine = FakeEngine::default();
    let mirror = TestMirror::new(&engine).await;
    mirror.wait_for_sync().await;
    let api = mirror.api::<ContainerNamespace>();
    let old = api.get("moby").await.unwrap();
    api.delete("moby", &DeleteParams::default()).await.unwrap();
    eventually("the recreation of the namespace's mirror", || async {
        match api.get_opt("moby").await.unwrap() {
            Some(new) if new.uid() != old.uid() => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert_eq!(engine.calls(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_process_handles_changes_made_while_it_was_stopped() {
    let engine = FakeEngine::default();
    let kept = engine.run_container("kept");
    let dropped = engine.run_container("dropped");
    let mut mirror = TestMirror::new(&engine).await;
    mirror.wait_for_sync().await;
    mirror.tasks.shutdown().await;
    engine.remove_container(&dropped);
    let added = engine.create_container("added");
    mirror.annotate(&kept, "stop").await;
    mirror.start();
    mirror.wait_until_gone::<Container>(&dropped).await;
    mirror
        .wait_for_container(&added, |c| c.status.is_some())
        .await;
    mirror
        .wait_for_container(&kept, |c| c.annotations().is_empty())
        .await;
    assert_eq!(
        engine.calls(),
        [EngineCall::Act {
            container: engine.container_ref(&kept),
            action: ContainerAction::Stop
        }]
    );
}
