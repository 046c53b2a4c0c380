//! Definitions, namespaces and the App that go, and cascades.

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use rdd_api::{App, Container, Image, Volume};
use rdd_core::RemoveRequest;
use rdd_testkit::{FakeEngine, eventually};
use serde_json::json;

use crate::world::{Mirror, NAMESPACE, World, removals};

fn engine() -> FakeEngine {
    let engine = FakeEngine::default();
    for i in 0..5 {
        engine.run_container(&format!("c{i}"));
        engine.create_volume(&format!("v{i}"));
        engine.add_image(&[&format!("a:{i}")]);
    }
    engine
}

fn definitions(world: &World) -> Api<CustomResourceDefinition> {
    Api::all(world.client.clone())
}

/// The uids of all mirrors of a kind.
async fn uids<K: Mirror>(world: &World) -> Vec<String> {
    let objects = world.all::<K>().await;
    objects.iter().filter_map(ResourceExt::uid).collect()
}

/// Waits until as many live mirrors are there as before, each another one.
async fn again<K: Mirror>(world: &World, old: &[String]) {
    eventually("the mirrors again", || async {
        let list = world.api::<K>().list(&Default::default()).await;
        let new = list.map_err(|error| error.to_string())?.items;
        let is_new = |object: &K| {
            object.meta().deletion_timestamp.is_none()
                && object.uid().is_some_and(|uid| !old.contains(&uid))
        };
        if new.len() == old.len() && new.iter().all(is_new) {
            Ok(())
        } else {
            Err(format!("{new:?}"))
        }
    })
    .await;
}

/// Somebody else's finalizer, which keeps its object from going.
async fn hold<K: Mirror>(world: &World, name: &str, holds: bool) {
    let object = world.api::<K>().get(name).await.unwrap();
    let mut finalizers = object.finalizers().to_vec();
    finalizers.retain(|finalizer| finalizer != "test.example/hold");
    if holds {
        finalizers.push("test.example/hold".to_owned());
    }
    let version = object.resource_version();
    let metadata = json!({"finalizers": finalizers, "resourceVersion": version});
    let patch = Patch::Merge(json!({"metadata": metadata}));
    world
        .api::<K>()
        .patch(name, &PatchParams::default(), &patch)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_definition_is_installed_again_and_the_engine_left_alone() {
    let engine = engine();
    let world = World::new(&engine).await;
    world.synced().await;
    world.condition("Settled", "True", "Settled").await;
    let (containers, volumes) = (
        uids::<Container>(&world).await,
        uids::<Volume>(&world).await,
    );
    let held = world.all::<Container>().await[0].name_any();
    hold::<Container>(&world, &held, true).await;
    let name = "containers.containers.rancherdesktop.io";
    let old = definitions(&world).get(name).await.unwrap();
    let deletion = DeleteParams::default();
    definitions(&world).delete(name, &deletion).await.unwrap();
    // All but the one that somebody holds are let go, and it shows.
    eventually("the finalizers off", || async {
        let left = world.all::<Container>().await;
        match &left[..] {
            [one] if one.finalizers() == ["test.example/hold"] => Ok(()),
            _ => Err(format!("{left:?}")),
        }
    })
    .await;
    world.condition("Settled", "False", "Resyncing").await;
    hold::<Container>(&world, &held, false).await;
    again::<Container>(&world, &containers).await;
    let new = definitions(&world).get(name).await.unwrap();
    assert_ne!(new.uid(), old.uid());
    world.condition("Settled", "True", "Settled").await;
    assert_eq!(uids::<Volume>(&world).await, volumes);
    assert_eq!(engine.calls(), []);
    // From now on, a deletion is one again.
    let api = world.api::<Container>();
    api.delete(&held, &deletion).await.unwrap();
    world.gone::<Container>(&held).await;
    assert_eq!(removals(&engine), [RemoveRequest::Container { id: held }]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_namespace_is_made_again_and_the_engine_left_alone() {
    let engine = engine();
    let world = World::new(&engine).await;
    world.synced().await;
    let containers = uids::<Container>(&world).await;
    let volumes = uids::<Volume>(&world).await;
    let images = uids::<Image>(&world).await;
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    let deletion = DeleteParams::default();
    namespaces.delete(NAMESPACE, &deletion).await.unwrap();
    // What a namespace controller does, in case that there is none.
    empty::<Container>(&world).await;
    empty::<Volume>(&world).await;
    empty::<Image>(&world).await;
    if let Some(mut namespace) = namespaces.get_opt(NAMESPACE).await.unwrap()
        && namespace.metadata.deletion_timestamp.is_some()
    {
        namespace.spec = Some(Default::default());
        let params = PostParams::default();
        let finalized = namespaces
            .replace_subresource("finalize", NAMESPACE, &params, &namespace)
            .await;
        assert!(finalized.is_ok() || namespaces.get_opt(NAMESPACE).await.unwrap().is_some());
    }
    again::<Container>(&world, &containers).await;
    again::<Volume>(&world, &volumes).await;
    again::<Image>(&world, &images).await;
    world.condition("Settled", "True", "Settled").await;
    assert_eq!(engine.calls(), []);
}

/// Deletes every mirror of a kind, and waits until the old ones have gone.
async fn empty<K: Mirror>(world: &World) {
    let old = uids::<K>(world).await;
    for object in world.all::<K>().await {
        // It may be gone by now.
        drop(
            world
                .api::<K>()
                .delete(&object.name_any(), &DeleteParams::default())
                .await,
        );
    }
    eventually("the old mirrors gone", || async {
        let left = uids::<K>(world).await;
        match left.iter().find(|uid| old.contains(uid)) {
            None => Ok(()),
            Some(uid) => Err(uid.clone()),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_goes_with_its_definition_comes_again_as_it_was() {
    let engine = engine();
    let world = World::new(&engine).await;
    world.synced().await;
    let containers = uids::<Container>(&world).await;
    let apps: Api<App> = Api::all(world.client.clone());
    let old = apps.get("app").await.unwrap();
    let name = "apps.app.rancherdesktop.io";
    let deletion = DeleteParams::default();
    definitions(&world).delete(name, &deletion).await.unwrap();
    let new = eventually("the App again", || async {
        match apps.get_opt("app").await {
            Ok(Some(new)) if new.uid() != old.uid() => Ok(new),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert_eq!(new.spec, old.spec);
    world.condition("Settled", "True", "Settled").await;
    assert_eq!(uids::<Container>(&world).await, containers);
    assert_eq!(engine.calls(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cascade_holds_is_mirrored_again_as_soon_as_it_goes() {
    for (params, finalizer) in [
        (DeleteParams::foreground(), "foregroundDeletion"),
        (DeleteParams::orphan(), "orphan"),
    ] {
        let engine = FakeEngine::default();
        let image = engine.add_image(&["a:1", "a:2"]);
        let world = World::new(&engine).await;
        world.synced().await;
        let images = world.all::<Image>().await;
        let tag = |image: &Image| image.status.clone().unwrap_or_default().repo_tag;
        let is_it = |image: &&Image| tag(image).as_deref() == Some("a:1");
        let name = images.iter().find(is_it).unwrap().name_any();
        let api = world.api::<Image>();
        api.delete(&name, &params).await.unwrap();
        // A garbage collector takes its finalizer off when it is done. Where
        // there is none, the server may have refused the cascade, or done it.
        eventually("the removal", || async {
            match removals(&engine).len() {
                1 => Ok(()),
                n => Err(format!("{n}")),
            }
        })
        .await;
        engine.tag(&image, "a:1");
        eventually("ours off", || async {
            match api.get_opt(&name).await.unwrap() {
                Some(held) if held.finalizers() == [finalizer] => {
                    let patch = json!({"metadata": {"finalizers": null}});
                    let params = PatchParams::default();
                    // Somebody may be faster.
                    drop(api.patch(&name, &params, &Patch::Merge(patch)).await);
                    Ok(())
                }
                Some(live) if live.metadata.deletion_timestamp.is_none() => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        eventually("the tag again", || async {
            match api.get_opt(&name).await.unwrap() {
                Some(live)
                    if live.metadata.deletion_timestamp.is_none() && live.status.is_some() =>
                {
                    Ok(())
                }
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        assert_eq!(removals(&engine).len(), 1);
    }
}
