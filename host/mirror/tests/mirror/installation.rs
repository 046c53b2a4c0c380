//! Tests of deleted definitions, namespaces, and Apps, and of cascading
//! deletions.

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use rdd_api::{App, Container, Image, Volume};
use rdd_core::{EngineError, EngineObject, ErrorCode, RemoveTarget};
use rdd_testkit::{EngineOperation, FakeEngine, eventually};
use serde_json::json;

use crate::test_mirror::{MirroredResource, NAMESPACE, TestMirror, removals};

fn engine() -> FakeEngine {
    let engine = FakeEngine::default();
    for i in 0..5 {
        engine.run_container(&format!("c{i}"));
        engine.create_volume(&format!("v{i}"));
        engine.add_image(&[&format!("a:{i}")]);
    }
    engine
}

fn definitions(mirror: &TestMirror) -> Api<CustomResourceDefinition> {
    Api::all(mirror.client.clone())
}

/// Returns the UIDs of all mirrors of a kind.
async fn uids<K: MirroredResource>(mirror: &TestMirror) -> Vec<String> {
    let objects = mirror.list::<K>().await;
    objects.iter().filter_map(ResourceExt::uid).collect()
}

/// Waits until there are as many live mirrors as before, all with new UIDs.
async fn wait_for_recreation<K: MirroredResource>(mirror: &TestMirror, old: &[String]) {
    eventually("the recreation of the mirrors", || async {
        let list = mirror.api::<K>().list(&Default::default()).await;
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

/// Adds or removes another finalizer, which prevents the deletion of its
/// object.
async fn set_hold<K: MirroredResource>(mirror: &TestMirror, name: &str, is_held: bool) {
    let object = mirror.api::<K>().get(name).await.unwrap();
    let mut finalizers = object.finalizers().to_vec();
    finalizers.retain(|finalizer| finalizer != "test.example/hold");
    if is_held {
        finalizers.push("test.example/hold".to_owned());
    }
    let version = object.resource_version();
    let metadata = json!({"finalizers": finalizers, "resourceVersion": version});
    let patch = Patch::Merge(json!({"metadata": metadata}));
    mirror
        .api::<K>()
        .patch(name, &PatchParams::default(), &patch)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_definition_is_recreated_and_the_engine_is_unchanged() {
    let engine = engine();
    let mirror = TestMirror::new(&engine).await;
    mirror.wait_for_sync().await;
    mirror
        .wait_for_condition("Settled", "True", "Settled")
        .await;
    let (containers, volumes) = (
        uids::<Container>(&mirror).await,
        uids::<Volume>(&mirror).await,
    );
    let held = mirror.list::<Container>().await[0].name_any();
    set_hold::<Container>(&mirror, &held, true).await;
    let name = "containers.containers.rancherdesktop.io";
    let old = definitions(&mirror).get(name).await.unwrap();
    let deletion = DeleteParams::default();
    definitions(&mirror).delete(name, &deletion).await.unwrap();
    // All mirrors except the held one are released, and the App reports it.
    eventually("the removal of the finalizers", || async {
        let left = mirror.list::<Container>().await;
        match &left[..] {
            [one] if one.finalizers() == ["test.example/hold"] => Ok(()),
            _ => Err(format!("{left:?}")),
        }
    })
    .await;
    mirror
        .wait_for_condition("Settled", "False", "Resyncing")
        .await;
    set_hold::<Container>(&mirror, &held, false).await;
    wait_for_recreation::<Container>(&mirror, &containers).await;
    let new = definitions(&mirror).get(name).await.unwrap();
    assert_ne!(new.uid(), old.uid());
    mirror
        .wait_for_condition("Settled", "True", "Settled")
        .await;
    assert_eq!(uids::<Volume>(&mirror).await, volumes);
    assert_eq!(engine.calls(), []);
    // A later deletion by a client is carried out.
    let api = mirror.api::<Container>();
    api.delete(&held, &deletion).await.unwrap();
    mirror.wait_until_gone::<Container>(&held).await;
    assert_eq!(removals(&engine), [RemoveTarget::Container { id: held }]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_namespace_is_recreated_and_the_engine_is_unchanged() {
    let engine = engine();
    let mirror = TestMirror::new(&engine).await;
    mirror.wait_for_sync().await;
    let containers = uids::<Container>(&mirror).await;
    let volumes = uids::<Volume>(&mirror).await;
    let images = uids::<Image>(&mirror).await;
    let namespaces: Api<Namespace> = Api::all(mirror.client.clone());
    let deletion = DeleteParams::default();
    namespaces.delete(NAMESPACE, &deletion).await.unwrap();
    // What a namespace controller does, in case there is none.
    delete_all::<Container>(&mirror).await;
    delete_all::<Volume>(&mirror).await;
    delete_all::<Image>(&mirror).await;
    if let Some(mut namespace) = namespaces.get_opt(NAMESPACE).await.unwrap()
        && namespace.metadata.deletion_timestamp.is_some()
    {
        namespace.spec = Some(Default::default());
        let params = PostParams::default();
        let finalized = namespaces
            .replace_subresource("finalize", NAMESPACE, &params, &namespace)
            .await;
        // The controller may have been sooner.
        match finalized {
            Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => {}
            finalized => drop(finalized.unwrap()),
        }
    }
    wait_for_recreation::<Container>(&mirror, &containers).await;
    wait_for_recreation::<Volume>(&mirror, &volumes).await;
    wait_for_recreation::<Image>(&mirror, &images).await;
    mirror
        .wait_for_condition("Settled", "True", "Settled")
        .await;
    assert_eq!(engine.calls(), []);
}

/// Deletes every mirror of a kind and waits until they are gone.
async fn delete_all<K: MirroredResource>(mirror: &TestMirror) {
    let old = uids::<K>(mirror).await;
    for object in mirror.list::<K>().await {
        // It may already be gone.
        drop(
            mirror
                .api::<K>()
                .delete(&object.name_any(), &DeleteParams::default())
                .await,
        );
    }
    eventually("the deletion of the old mirrors", || async {
        let left = uids::<K>(mirror).await;
        match left.iter().find(|uid| old.contains(uid)) {
            None => Ok(()),
            Some(uid) => Err(uid.clone()),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_deleted_with_its_definition_is_recreated() {
    let engine = engine();
    let mirror = TestMirror::new(&engine).await;
    mirror.wait_for_sync().await;
    let containers = uids::<Container>(&mirror).await;
    let apps: Api<App> = Api::all(mirror.client.clone());
    let old = apps.get("app").await.unwrap();
    let name = "apps.app.rancherdesktop.io";
    let deletion = DeleteParams::default();
    definitions(&mirror).delete(name, &deletion).await.unwrap();
    let new = eventually("the recreation of the App", || async {
        match apps.get_opt("app").await {
            Ok(Some(new)) if new.uid() != old.uid() => Ok(new),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert_eq!(new.spec, old.spec);
    mirror
        .wait_for_condition("Settled", "True", "Settled")
        .await;
    assert_eq!(uids::<Container>(&mirror).await, containers);
    assert_eq!(engine.calls(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_held_by_a_cascading_deletion_is_recreated_afterwards() {
    for (params, finalizer) in [
        (DeleteParams::foreground(), "foregroundDeletion"),
        (DeleteParams::orphan(), "orphan"),
    ] {
        let engine = FakeEngine::default();
        let image = engine.add_image(&["a:1", "a:2"]);
        let mirror = TestMirror::new(&engine).await;
        mirror.wait_for_sync().await;
        let images = mirror.list::<Image>().await;
        let tag = |image: &Image| image.status.clone().unwrap_or_default().repo_tag;
        let has_tag = |image: &&Image| tag(image).as_deref() == Some("a:1");
        let name = images.iter().find(has_tag).unwrap().name_any();
        let api = mirror.api::<Image>();
        api.delete(&name, &params).await.unwrap();
        // A garbage collector removes its finalizer when it is done. Without
        // one, the server may have refused the cascading deletion, or finished
        // it.
        eventually("the removal", || async {
            match removals(&engine).len() {
                1 => Ok(()),
                n => Err(format!("{n}")),
            }
        })
        .await;
        // The removal was called, and a tag of before it would be removed, too.
        eventually("the engine without the tag", || async {
            let has_tag = |object: &EngineObject| {
                matches!(object, EngineObject::Image(image)
                    if image.repo_tags.iter().any(|tag| tag == "a:1"))
            };
            match engine.objects().iter().any(has_tag) {
                false => Ok(()),
                true => Err("the tag is there".to_owned()),
            }
        })
        .await;
        engine.tag(&image, "a:1");
        eventually("the removal of our finalizer", || async {
            match api.get_opt(&name).await.unwrap() {
                Some(held) if held.finalizers() == [finalizer] => {
                    let patch = json!({"metadata": {"finalizers": null}});
                    let params = PatchParams::default();
                    // It may be removed concurrently.
                    drop(api.patch(&name, &params, &Patch::Merge(patch)).await);
                    Ok(())
                }
                Some(live) if live.metadata.deletion_timestamp.is_none() => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        eventually("the recreation of the mirror of the tag", || async {
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

#[tokio::test(flavor = "multi_thread")]
async fn a_late_event_about_a_recreated_namespace_loses_no_deletion() {
    let engine = FakeEngine::default();
    engine.create_volume("data");
    let mirror = TestMirror::new(&engine).await;
    mirror
        .wait_for_condition("Settled", "True", "Settled")
        .await;
    let old = uids::<Volume>(&mirror).await;
    mirror.faults.freeze_watches_of("/api/v1/namespaces");
    let namespaces: Api<Namespace> = Api::all(mirror.client.clone());
    let first = namespaces.get(NAMESPACE).await.unwrap();
    namespaces
        .delete(NAMESPACE, &DeleteParams::default())
        .await
        .unwrap();
    // As another instance does, which has seen the deletion. The writer of this one may
    // have been sooner, which finds no namespace for what it writes.
    eventually("the end of the namespace", || async {
        match namespaces.get_opt(NAMESPACE).await.unwrap() {
            Some(found) if found.uid() == first.uid() => Err(format!("{found:?}")),
            _ => Ok(()),
        }
    })
    .await;
    let namespace = serde_json::from_value(json!({"metadata": {"name": NAMESPACE}})).unwrap();
    match namespaces.create(&PostParams::default(), &namespace).await {
        Err(kube::Error::Api(status)) if status.code == 409 => {}
        created => drop(created.unwrap()),
    }
    wait_for_recreation::<Volume>(&mirror, &old).await;

    assert_late_events_lose_no_deletion(&engine, &mirror).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_event_about_an_app_that_runs_again_loses_no_deletion() {
    let engine = FakeEngine::default();
    engine.create_volume("data");
    let mirror = TestMirror::new(&engine).await;
    mirror
        .wait_for_condition("Settled", "True", "Settled")
        .await;
    mirror.faults.freeze_watches_of(rdd_api::APP_GROUP);
    // Events that arrive together may be skipped; of so many, not all are.
    for is_running in [false, true].repeat(20) {
        mirror.patch_app(json!({"running": is_running})).await;
    }
    assert_late_events_lose_no_deletion(&engine, &mirror).await;
}

/// Deletes the mirror of the only volume, which the engine refuses to remove, lets the
/// frozen watches deliver their events, and asserts that the volume is removed as soon as
/// the engine agrees.
async fn assert_late_events_lose_no_deletion(engine: &FakeEngine, mirror: &TestMirror) {
    let refusal = EngineError::new(ErrorCode::Conflict, "it is in use");
    engine.fail(EngineOperation::Remove, None, refusal);
    let volumes = mirror.api::<Volume>();
    let name = mirror.list::<Volume>().await[0].name_any();
    volumes
        .delete(&name, &DeleteParams::default())
        .await
        .unwrap();
    let calls = || engine.call_count(EngineOperation::Remove);
    let more_calls = |than: usize| async move {
        eventually("more attempts to remove the volume", || async {
            let count = calls();
            if count > than {
                Ok(())
            } else {
                Err(count.to_string())
            }
        })
        .await;
    };
    more_calls(0).await;
    mirror.faults.thaw_watches();
    // The first one may have begun before.
    more_calls(calls() + 1).await;
    engine.clear_failures(EngineOperation::Remove, None);
    eventually("the removal of the volume", || async {
        let objects = engine.objects();
        if objects.is_empty() {
            Ok(())
        } else {
            Err(format!("{objects:?}"))
        }
    })
    .await;
}
