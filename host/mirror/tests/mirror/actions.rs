//! Actions by annotation.

use kube::ResourceExt;
use kube::api::DeleteParams;
use rdd_api::{ActionState, Container, ContainerState, Image, Volume};
use rdd_core::{EngineError, ErrorCode};
use rdd_testkit::{EngineOperation, FakeEngine, eventually};

use crate::world::{Mirror, World, status};

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_stop_holds_up_nothing_else() {
    let engine = FakeEngine::default();
    let slow = engine.run_container("slow");
    let quick = engine.run_container("quick");
    let world = World::new(&engine).await;
    world.synced().await;
    let gate = engine.gate(EngineOperation::Act, Some(&slow));
    world.annotate(&slow, "stop").await;
    eventually("the stop begun", || async {
        if engine.call_count(EngineOperation::Act) == 1 {
            Ok(())
        } else {
            Err(String::new())
        }
    })
    .await;
    world.annotate(&quick, "pause").await;
    let done = world
        .container(&quick, |c| status(c).last_action.is_some())
        .await;
    assert_eq!(
        status(&done).last_action.as_ref().unwrap().state,
        ActionState::Succeeded
    );
    assert_eq!(
        status(&world.container(&slow, |_| true).await).last_action,
        None
    );
    gate.open();
    let done = world
        .container(&slow, |c| {
            status(c).last_action.is_some() && c.annotations().is_empty()
        })
        .await;
    assert_eq!(
        status(&done).last_action.as_ref().unwrap().state,
        ActionState::Succeeded
    );
    // Outlives what happens outside.
    engine.start(&slow);
    let later = world
        .container(&slow, |c| status(c).status == ContainerState::Running)
        .await;
    assert_eq!(status(&later).last_action, status(&done).last_action);
}

#[tokio::test(flavor = "multi_thread")]
async fn actions_fail_with_the_engines_words_and_nonsense_is_told() {
    let engine = FakeEngine::default();
    let id = engine.create_container("web");
    let world = World::new(&engine).await;
    world.synced().await;
    world.annotate(&id, "unpause").await;
    let done = world
        .container(&id, |c| status(c).last_action.is_some())
        .await;
    let last = status(&done).last_action.clone().unwrap();
    assert_eq!(last.state, ActionState::Failed);
    assert!(last.error.contains("not running"), "{}", last.error);
    assert_eq!(engine.calls(), []);
    world.container(&id, |c| c.annotations().is_empty()).await;
    for (value, shown) in [
        (
            "explode",
            "\"explode\" is not an action; the actions are start, stop",
        ),
        ("Pause", "did you mean \"pause\"?"),
        (&*"x".repeat(1000), "xxxx\" is not an action"),
    ] {
        world.annotate(&id, value).await;
        let after = world.container(&id, |c| c.annotations().is_empty()).await;
        let last = status(&after).last_action.clone().unwrap();
        assert_eq!(last.state, ActionState::Failed);
        assert_eq!(last.reason, "InvalidAction");
        assert!(last.error.contains(shown), "{}", last.error);
        assert!(last.error.contains("start, stop, pause, unpause, restart"));
        assert!(value.starts_with(&last.action) && last.action.len() <= 64);
    }
    assert_eq!(engine.calls(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_that_timed_out_is_corrected_when_the_engine_does_it_after_all() {
    let engine = FakeEngine::default();
    let id = engine.run_container("slow");
    let world = World::new(&engine).await;
    world.synced().await;
    let error = EngineError::new(ErrorCode::Timeout, "no answer within 420 s");
    engine.fail_next(EngineOperation::Act, None, error);
    world.annotate(&id, "stop").await;
    let failed = world
        .container(&id, |c| status(c).last_action.is_some())
        .await;
    let last = status(&failed).last_action.clone().unwrap();
    assert_eq!(
        (last.state, &*last.reason),
        (ActionState::Failed, "Timeout")
    );
    engine.stop(&id);
    let stopped = world
        .container(&id, |c| status(c).status == ContainerState::Exited)
        .await;
    let last = status(&stopped).last_action.clone().unwrap();
    assert_eq!((last.state, &*last.error), (ActionState::Succeeded, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_asked_for_in_read_only_mode_outlives_it() {
    let engine = FakeEngine::default();
    let stopped = engine.run_container("stopped");
    let deleted = engine.run_container("deleted");
    engine.create_volume("data");
    engine.add_image(&["a:1"]);
    let mut world = World::with(&engine, |world| world.read_only = true).await;
    world.synced().await;
    world.annotate(&stopped, "stop").await;
    let done = world
        .container(&stopped, |c| {
            status(c).last_action.is_some() && c.annotations().is_empty()
        })
        .await;
    let last = status(&done).last_action.clone().unwrap();
    assert_eq!(last.state, ActionState::Failed);
    assert!(last.error.contains("--read-only"), "{}", last.error);

    let old = delete_all::<Container>(&world).await;
    again::<Container>(&world, &old).await;
    let old = delete_all::<Volume>(&world).await;
    again::<Volume>(&world, &old).await;
    let old = delete_all::<Image>(&world).await;
    again::<Image>(&world, &old).await;

    // Nor what is asked for while the engine is away, or nobody runs.
    engine.go_offline("connection refused");
    world
        .condition("ContainerEngineReady", "False", "ConnectFailed")
        .await;
    let deletion = DeleteParams::default();
    let api = world.api::<Container>();
    api.delete(&deleted, &deletion).await.unwrap();
    world.annotate(&stopped, "stop").await;
    world
        .container(&stopped, |c| c.annotations().is_empty())
        .await;
    world.gone_or_another(&deleted).await;
    world.read_only = false;
    engine.go_online();
    world.start();
    world.synced().await;
    world.container(&deleted, |c| c.status.is_some()).await;
    assert_eq!(engine.calls(), []);
    assert!(engine.container(&deleted).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_from_before_is_forgotten_by_read_only_mode() {
    let engine = FakeEngine::default();
    let id = engine.run_container("web");
    let mut world = World::new(&engine).await;
    world.synced().await;
    world.tasks.shutdown().await;
    let api = world.api::<Container>();
    let old = api.get(&id).await.unwrap();
    api.delete(&id, &DeleteParams::default()).await.unwrap();
    world.read_only = true;
    world.start();
    let new = world
        .container(&id, |c| {
            c.metadata.deletion_timestamp.is_none() && c.status.is_some()
        })
        .await;
    assert_ne!(new.uid(), old.uid());
    assert_eq!(engine.calls(), []);
}

/// Deletes every mirror of a kind; returns the uids that they had.
async fn delete_all<K: Mirror>(world: &World) -> Vec<String> {
    let objects = world.all::<K>().await;
    assert!(!objects.is_empty());
    for object in &objects {
        let api = world.api::<K>();
        api.delete(&object.name_any(), &DeleteParams::default())
            .await
            .unwrap();
    }
    objects.iter().filter_map(ResourceExt::uid).collect()
}

/// Waits until as many live mirrors are there as before, each another one.
async fn again<K: Mirror>(world: &World, old: &[String]) {
    eventually("the mirrors again", || async {
        let new = world.all::<K>().await;
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
