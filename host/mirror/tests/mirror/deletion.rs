//! Deletions from both sides, and the races between them.

use kube::ResourceExt;
use kube::api::DeleteParams;
use rdd_api::{Container, EngineTime, Volume};
use rdd_core::{EngineError, ErrorCode, RemoveRequest};
use rdd_testkit::{EngineOperation, FakeEngine, eventually};

use crate::world::{World, removals};

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
    assert_eq!(
        removals(&engine),
        [RemoveRequest::Container { id: id.clone() }]
    );
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
    engine.fail(EngineOperation::Remove, None, error);
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
    engine.clear_failures(EngineOperation::Remove, None);
    world.gone::<Volume>(&name).await;
    assert!(engine.objects().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recreated_volume_survives_the_deletion_of_the_old_mirror() {
    let engine = FakeEngine::default();
    let first = engine.create_volume("x");
    let world = World::new(&engine).await;
    world.synced().await;
    let later = first.saturating_add(jiff::SignedDuration::from_secs(5));
    let old = delete_unheard(&world, &engine, later).await;
    // Only the creation time that the call carries can save it.
    eventually("the call", || async {
        match &removals(&engine)[..] {
            [RemoveRequest::Volume { created_at, .. }] if *created_at == Some(first) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    engine.release_events();
    another(&world, &old).await;
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
    another(&world, &old).await;
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

/// Lets the engine's `x` be replaced without a word, by one of this age; then
/// deletes the mirror, as it was seen before, and ends the silence.
async fn delete_unheard(
    world: &World,
    engine: &FakeEngine,
    created_at: rdd_core::Timestamp,
) -> Volume {
    let old = world.all::<Volume>().await.remove(0);
    engine.hold_events();
    engine.remove_volume("x");
    engine.create_volume_at("x", created_at);
    world
        .api::<Volume>()
        .delete(&old.name_any(), &DeleteParams::default())
        .await
        .unwrap();
    old
}

/// Waits for a mirror that is another than `old`.
async fn another(world: &World, old: &Volume) {
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
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_recreated_within_its_second_survives_the_deletion_of_the_old_mirror() {
    let engine = FakeEngine::default();
    let first = engine.create_volume("x");
    let world = World::with(&engine, |world| {
        // However slow the machine is, the second is not over.
        world.timing.volume_youth = rdd_testkit::PATIENCE;
    })
    .await;
    world.synced().await;
    let old = delete_unheard(&world, &engine, first).await;
    // The deletion was heard, and the engine is left alone all the same.
    eventually("the deletion", || async {
        let volume = world.api::<Volume>().get(&old.name_any()).await.unwrap();
        volume
            .metadata
            .deletion_timestamp
            .map(|_| ())
            .ok_or_else(String::new)
    })
    .await;
    engine.release_events();
    another(&world, &old).await;
    assert_eq!(removals(&engine), []);
    assert_eq!(engine.objects().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_replaced_while_the_engine_was_away_survives_the_deletion_of_the_old_mirror() {
    let engine = FakeEngine::default();
    let first = engine.create_volume("x");
    let mut world = World::new(&engine).await;
    world.synced().await;
    world.tasks.shutdown().await;
    let later = first.saturating_add(jiff::SignedDuration::from_secs(5));
    let old = delete_unheard(&world, &engine, later).await;
    engine.drop_held_events();
    world.start();
    another(&world, &old).await;
    assert_eq!(removals(&engine), []);
    assert_eq!(engine.objects().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_is_written_to_keeps_its_mirror() {
    let engine = FakeEngine::default();
    engine.create_volume("x");
    let world = World::new(&engine).await;
    world.synced().await;
    let old = world.all::<Volume>().await.remove(0);
    engine.cut_watches();
    let moved = engine.write_to_volume("x");
    let new = eventually("the new time", || async {
        let volume = world.api::<Volume>().get(&old.name_any()).await.unwrap();
        let shown = volume.status.clone().unwrap_or_default().created_at;
        match shown {
            Some(time) if Some(time) == moved.to_civil().and_then(EngineTime::new) => Ok(volume),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert_eq!(new.uid(), old.uid());
    // And it is this one whose deletion counts.
    world
        .api::<Volume>()
        .delete(&old.name_any(), &DeleteParams::default())
        .await
        .unwrap();
    world.gone::<Volume>(&old.name_any()).await;
    assert!(engine.objects().is_empty());
}
