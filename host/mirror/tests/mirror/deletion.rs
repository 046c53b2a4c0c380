//! Tests of deletions on both sides and of the races between them.

use kube::ResourceExt;
use kube::api::DeleteParams;
use rdd_api::{Container, EngineTime, Volume};
use rdd_core::{EngineError, ErrorCode, RemoveTarget};
use rdd_testkit::{EngineOperation, FakeEngine, eventually};

use crate::test_mirror::{TestMirror, removals};

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_mirror_removes_the_container_once() {
    let engine = FakeEngine::default();
    let id = engine.run_container("web");
    let mirror = TestMirror::new(&engine).await;
    mirror.wait_for_sync().await;
    mirror
        .api::<Container>()
        .delete(&id, &DeleteParams::default())
        .await
        .unwrap();
    mirror.wait_until_gone::<Container>(&id).await;
    assert_eq!(
        removals(&engine),
        [RemoveTarget::Container { id: id.clone() }]
    );
    assert!(engine.container(&id).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_removal_is_reported_and_retried() {
    let engine = FakeEngine::default();
    engine.create_volume("data");
    let mirror = TestMirror::new(&engine).await;
    mirror.wait_for_sync().await;
    let name = mirror.list::<Volume>().await[0].name_any();
    let error = EngineError::new(ErrorCode::Conflict, "volume is in use - [abc]");
    engine.fail(EngineOperation::Remove, None, error);
    mirror
        .api::<Volume>()
        .delete(&name, &DeleteParams::default())
        .await
        .unwrap();
    eventually("the condition", || async {
        let volume = mirror.api::<Volume>().get(&name).await.unwrap();
        let conditions = volume.status.unwrap_or_default().conditions;
        match conditions.first() {
            Some(c) if c.type_ == "DeleteFailed" && c.message == "volume is in use - [abc]" => {
                Ok(())
            }
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    engine.clear_failures(EngineOperation::Remove, None);
    mirror.wait_until_gone::<Volume>(&name).await;
    assert!(engine.objects().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recreated_volume_survives_the_deletion_of_the_old_mirror() {
    let engine = FakeEngine::default();
    let first = engine.create_volume("x");
    let mirror = TestMirror::new(&engine).await;
    mirror.wait_for_sync().await;
    let later = first.saturating_add(jiff::SignedDuration::from_secs(5));
    let old = replace_volume_and_delete_mirror(&mirror, &engine, later).await;
    // Only the creation time in the request protects the new volume.
    eventually("the removal request", || async {
        match &removals(&engine)[..] {
            [RemoveTarget::Volume { created_at, .. }] if *created_at == Some(first) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    engine.release_events();
    wait_for_new_mirror(&mirror, &old).await;
    assert_eq!(engine.objects().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recreated_volume_gets_a_new_mirror_without_an_engine_request() {
    let engine = FakeEngine::default();
    let first = engine.create_volume("x");
    let mirror = TestMirror::new(&engine).await;
    mirror.wait_for_sync().await;
    let old = mirror.list::<Volume>().await.remove(0);
    engine.remove_volume("x");
    engine.create_volume_at("x", first);
    wait_for_new_mirror(&mirror, &old).await;
    assert_eq!(removals(&engine), []);
    assert_eq!(engine.objects().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_tag_never_untags_the_new_image() {
    let engine = FakeEngine::default();
    let old = engine.add_image(&["app:latest"]);
    let new = engine.add_image(&["other:1"]);
    let mirror = TestMirror::new(&engine).await;
    mirror.wait_for_sync().await;
    engine.tag(&new, "app:latest");
    let mut expected = vec![
        (old.clone(), None),
        (new.clone(), Some("app:latest".to_owned())),
        (new.clone(), Some("other:1".to_owned())),
    ];
    expected.sort();
    eventually("the mirrors of the moved tag", || async {
        let tags = mirror.tags().await;
        if tags == expected {
            Ok(())
        } else {
            Err(format!("{tags:?}"))
        }
    })
    .await;
    assert_eq!(removals(&engine), []);
}

/// Holds back events and replaces the volume `x` with one of this creation
/// time, then deletes the mirror, which still represents the old volume.
async fn replace_volume_and_delete_mirror(
    mirror: &TestMirror,
    engine: &FakeEngine,
    created_at: rdd_core::Timestamp,
) -> Volume {
    let old = mirror.list::<Volume>().await.remove(0);
    engine.hold_events();
    engine.remove_volume("x");
    engine.create_volume_at("x", created_at);
    mirror
        .api::<Volume>()
        .delete(&old.name_any(), &DeleteParams::default())
        .await
        .unwrap();
    old
}

/// Waits for a mirror with another UID than `old`.
async fn wait_for_new_mirror(mirror: &TestMirror, old: &Volume) {
    eventually("a new mirror", || async {
        match mirror
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
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_recreated_within_its_second_survives_the_deletion_of_the_old_mirror() {
    let engine = FakeEngine::default();
    let first = engine.create_volume("x");
    let mirror = TestMirror::start_with(&engine, |mirror| {
        // The volume stays new, however slow the machine is.
        mirror.timing.volume_settle_time = rdd_testkit::PATIENCE;
    })
    .await;
    mirror.wait_for_sync().await;
    let old = replace_volume_and_delete_mirror(&mirror, &engine, first).await;
    // The deletion is observed, but no removal is requested.
    eventually("the deletion", || async {
        let volume = mirror.api::<Volume>().get(&old.name_any()).await.unwrap();
        volume
            .metadata
            .deletion_timestamp
            .map(|_| ())
            .ok_or_else(String::new)
    })
    .await;
    engine.release_events();
    wait_for_new_mirror(&mirror, &old).await;
    assert_eq!(removals(&engine), []);
    assert_eq!(engine.objects().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_replaced_while_the_daemon_was_stopped_survives_the_deletion_of_the_old_mirror() {
    let engine = FakeEngine::default();
    let first = engine.create_volume("x");
    let mut mirror = TestMirror::new(&engine).await;
    mirror.wait_for_sync().await;
    mirror.tasks.shutdown().await;
    let later = first.saturating_add(jiff::SignedDuration::from_secs(5));
    let old = replace_volume_and_delete_mirror(&mirror, &engine, later).await;
    engine.drop_held_events();
    mirror.start();
    wait_for_new_mirror(&mirror, &old).await;
    assert_eq!(removals(&engine), []);
    assert_eq!(engine.objects().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_is_written_to_keeps_its_mirror() {
    let engine = FakeEngine::default();
    engine.create_volume("x");
    let mirror = TestMirror::new(&engine).await;
    mirror.wait_for_sync().await;
    let old = mirror.list::<Volume>().await.remove(0);
    engine.cut_watches();
    let moved = engine.write_to_volume("x");
    let new = eventually("the new creation time", || async {
        let volume = mirror.api::<Volume>().get(&old.name_any()).await.unwrap();
        let shown = volume.status.clone().unwrap_or_default().created_at;
        match shown {
            Some(time) if Some(time) == moved.to_civil().and_then(EngineTime::new) => Ok(volume),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert_eq!(new.uid(), old.uid());
    // Its deletion removes the volume that it shows now.
    mirror
        .api::<Volume>()
        .delete(&old.name_any(), &DeleteParams::default())
        .await
        .unwrap();
    mirror.wait_until_gone::<Volume>(&old.name_any()).await;
    assert!(engine.objects().is_empty());
}
