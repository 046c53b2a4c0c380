//! Actions by annotation.

use kube::ResourceExt;
use rdd_api::{ActionState, ContainerState};
use rdd_testkit::{FakeEngine, Operation, eventually};

use crate::world::{World, status};

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_stop_holds_up_nothing_else() {
    let engine = FakeEngine::default();
    let slow = engine.run_container("slow");
    let quick = engine.run_container("quick");
    let world = World::new(&engine).await;
    world.synced().await;
    let gate = engine.gate(Operation::Act, Some(&slow));
    world.annotate(&slow, "stop").await;
    eventually("the stop begun", || async {
        if engine.begun(Operation::Act) == 1 {
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
async fn actions_fail_with_the_engines_words_and_nonsense_is_dropped() {
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
    world.annotate(&id, "explode").await;
    let after = world.container(&id, |c| c.annotations().is_empty()).await;
    assert_eq!(status(&after).last_action, Some(last));
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only_reaches_no_engine() {
    let engine = FakeEngine::default();
    let id = engine.run_container("web");
    let world = World::with(&engine, |world| world.read_only = true).await;
    world.synced().await;
    world.annotate(&id, "stop").await;
    let done = world
        .container(&id, |c| status(c).last_action.is_some())
        .await;
    let last = status(&done).last_action.clone().unwrap();
    assert_eq!(last.state, ActionState::Failed);
    assert!(last.error.contains("--read-only"), "{}", last.error);
    assert_eq!(engine.calls(), []);
}
