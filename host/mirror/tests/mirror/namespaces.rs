//! Tests of an engine with several namespaces, in which objects have the same
//! names, and names that Kubernetes does not accept.

use kube::ResourceExt;
use kube::api::DeleteParams;
use rdd_api::{Container, ContainerNamespace, Image, Volume};
use rdd_core::{
    BackendInfo, ContainerAction, ContainerEngine as _, ContainerIndex, ContainerRef, EngineObject,
    IdFormat, RemoveRequest, RemoveTarget,
};
use rdd_testkit::{EngineCall, FakeEngine};
use serde_json::json;
use std::collections::BTreeMap;

use crate::test_mirror::{TestMirror, status};

/// An ID that is no name in Kubernetes.
const ODD_ID: &str = "Web_1";
const IMAGE_ID: &str = "sha256:abc";
const TAG: &str = "app:latest";

/// Returns an engine whose namespaces `moby`, the default, and `shop` have the
/// same containers, images, and volumes.
fn engine() -> FakeEngine {
    let engine = FakeEngine::with_info(BackendInfo {
        id_format: IdFormat::Identifier(76),
        ..FakeEngine::default().info().clone()
    });
    for namespace in ["moby", "shop"] {
        let engine = engine.in_namespace(namespace);
        engine.create_namespace(namespace);
        for id in ["web", ODD_ID] {
            engine.create_container_with("web", |container| container.id = id.to_owned());
            engine.start(id);
        }
        engine.add_image_with_id(IMAGE_ID, &[TAG]);
        engine.create_volume("data");
    }
    engine
}

async fn synced(engine: &FakeEngine) -> TestMirror {
    let mirror = TestMirror::new(engine).await;
    mirror.wait_for_sync().await;
    mirror
        .wait_for_condition("Settled", "True", "Settled")
        .await;
    mirror
}

/// Returns the name of the only mirror in `names` that is not in `others`.
fn only_new(names: &[String], others: &[String]) -> String {
    let new: Vec<_> = names.iter().filter(|name| !others.contains(name)).collect();
    assert_eq!(new.len(), 1, "{names:?}");
    new[0].clone()
}

/// Returns the names of the mirrors of containers, by engine namespace.
async fn container_mirrors(mirror: &TestMirror) -> BTreeMap<String, Vec<String>> {
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for container in mirror.list::<Container>().await {
        let namespace = status(&container).namespace.clone();
        names
            .entry(namespace)
            .or_default()
            .push(container.name_any());
    }
    names
}

/// Returns the objects that the engine has in this namespace.
fn objects_of(engine: &FakeEngine, namespace: &str) -> Vec<EngineObject> {
    let mut objects = engine.objects();
    objects.retain(|object| object.namespace() == namespace);
    objects
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_names_in_two_namespaces_have_a_mirror_each() {
    let engine = engine();
    let mirror = synced(&engine).await;
    let containers = container_mirrors(&mirror).await;
    for namespace in ["moby", "shop"] {
        assert_eq!(containers[namespace].len(), 2, "{containers:?}");
    }
    assert!(containers["moby"].contains(&"web".to_owned()));

    let images = mirror.list::<Image>().await;
    let mut images: Vec<_> = images.iter().filter_map(|i| i.status.as_ref()).collect();
    images.sort_by(|a, b| a.namespace.cmp(&b.namespace));
    let shown: Vec<_> = images
        .iter()
        .map(|status| (&*status.namespace, &*status.id, status.repo_tag.as_deref()))
        .collect();
    assert_eq!(
        shown,
        [("moby", IMAGE_ID, Some(TAG)), ("shop", IMAGE_ID, Some(TAG))]
    );

    let volumes = mirror.list::<Volume>().await;
    let mut volumes: Vec<_> = volumes
        .iter()
        .filter_map(|volume| volume.status.as_ref())
        .map(|status| (&*status.namespace, &*status.name))
        .collect();
    volumes.sort_unstable();
    assert_eq!(volumes, [("moby", "data"), ("shop", "data")]);
}

async fn wait_for_index(mirror: &TestMirror, is_reached: impl FnMut(&ContainerIndex) -> bool) {
    let mut containers = mirror.containers.clone();
    tokio::time::timeout(rdd_testkit::PATIENCE, containers.wait_for(is_reached))
        .await
        .expect("the index must follow the engine in time")
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_has_the_containers_as_their_mirrors_are_named() {
    let engine = engine();
    let mirror = synced(&engine).await;
    let indexed = |mirror: &TestMirror| {
        let index = mirror.containers.borrow().clone();
        let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for entry in index.iter() {
            let namespace = entry.container.namespace.clone();
            let name = entry.mirror_name.to_string();
            names.entry(namespace).or_default().push(name);
        }
        names
    };
    assert_eq!(indexed(&mirror), container_mirrors(&mirror).await);
    engine.in_namespace("shop").remove_container("web");
    wait_for_index(&mirror, |index| index.len() == 3).await;
    assert_eq!(indexed(&mirror)["shop"].len(), 1);
    mirror.patch_app(json!({"running": false})).await;
    wait_for_index(&mirror, ContainerIndex::is_empty).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_object_takes_along_no_object_of_another_namespace() {
    let engine = engine();
    let mirror = synced(&engine).await;
    let before = container_mirrors(&mirror).await;
    let shop = engine.in_namespace("shop");
    shop.remove_container("web");
    shop.remove_container(ODD_ID);
    shop.remove_image(IMAGE_ID);
    shop.remove_volume("data");
    for name in &before["shop"] {
        mirror.wait_until_gone::<Container>(name).await;
    }
    mirror
        .wait_for_condition("Settled", "True", "Settled")
        .await;
    // A listing that confirms what is left.
    engine.reinit();
    let marker = engine.create_container_with("marker", |marker| marker.id = "marker".to_owned());
    mirror
        .wait_for_container(&marker, |container| container.status.is_some())
        .await;
    let after = container_mirrors(&mirror).await;
    assert!(!after.contains_key("shop"), "{after:?}");
    for name in &before["moby"] {
        assert!(after["moby"].contains(name), "{after:?}");
    }
    assert_eq!(mirror.list::<Image>().await.len(), 1);
    assert_eq!(mirror.list::<Volume>().await.len(), 1);
    assert_eq!(engine.calls(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_removes_only_the_object_of_its_namespace() {
    let engine = engine();
    let mirror = synced(&engine).await;
    let kept = objects_of(&engine, "moby");
    let deletion = DeleteParams::default();
    let containers = container_mirrors(&mirror).await;
    for name in &containers["shop"] {
        let api = mirror.api::<Container>();
        api.delete(name, &deletion).await.unwrap();
    }
    for image in mirror.list::<Image>().await {
        if image.status.as_ref().unwrap().namespace == "shop" {
            let api = mirror.api::<Image>();
            api.delete(&image.name_any(), &deletion).await.unwrap();
            mirror.wait_until_gone::<Image>(&image.name_any()).await;
        }
    }
    for volume in mirror.list::<Volume>().await {
        if volume.status.as_ref().unwrap().namespace == "shop" {
            let api = mirror.api::<Volume>();
            api.delete(&volume.name_any(), &deletion).await.unwrap();
            mirror.wait_until_gone::<Volume>(&volume.name_any()).await;
        }
    }
    for name in &containers["shop"] {
        mirror.wait_until_gone::<Container>(name).await;
    }
    assert_eq!(objects_of(&engine, "moby"), kept);
    assert_eq!(
        objects_of(&engine, "shop"),
        [EngineObject::Namespace("shop".to_owned())]
    );
    let calls = engine.calls();
    assert_eq!(calls.len(), 4, "{calls:?}");
    for id in ["web", ODD_ID] {
        assert!(calls.contains(&EngineCall::Remove(RemoveRequest {
            namespace: "shop".to_owned(),
            target: RemoveTarget::Container { id: id.to_owned() },
        })));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_is_carried_out_on_the_container_of_its_namespace() {
    let engine = engine();
    let mirror = synced(&engine).await;
    let containers = container_mirrors(&mirror).await;
    let web = ["web".to_owned()];
    let odd = only_new(&containers["moby"], &web);
    mirror.annotate(&odd, "stop").await;
    mirror
        .wait_for_container(&odd, |c| status(c).last_action.is_some())
        .await;
    assert_eq!(
        engine.calls(),
        [EngineCall::Act {
            container: ContainerRef::new("moby", ODD_ID),
            action: ContainerAction::Stop,
        }]
    );
    assert!(!engine.container(ODD_ID).unwrap().running);

    let shop = engine.in_namespace("shop");
    for name in &containers["shop"] {
        mirror.annotate(name, "pause").await;
        mirror
            .wait_for_container(name, |c| status(c).last_action.is_some())
            .await;
    }
    for id in ["web", ODD_ID] {
        assert!(shop.container(id).unwrap().paused, "{id}");
        assert!(!engine.container(id).unwrap().paused, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_mirrored_whatever_its_name() {
    let engine = engine();
    engine.create_namespace("My_Space");
    let mirror = synced(&engine).await;
    let names: Vec<_> = mirror
        .list::<ContainerNamespace>()
        .await
        .iter()
        .map(ResourceExt::name_any)
        .collect();
    let odd = only_new(&names, &["moby".to_owned(), "shop".to_owned()]);
    assert!(odd.starts_with("ns-"), "{odd}");
    engine.remove_namespace("My_Space");
    mirror.wait_until_gone::<ContainerNamespace>(&odd).await;
}
