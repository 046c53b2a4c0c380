//! Tests of actions requested by annotation.

use kube::ResourceExt;
use kube::api::DeleteParams;
use rdd_api::{ActionState, Container, ContainerState, Image, Volume};
use rdd_core::{EngineError, ErrorCode};
use rdd_testkit::{EngineOperation, FakeEngine, eventually};

use crate::test_mirror::{MirroredResource, TestMirror, status};

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_stop_does_not_delay_other_actions() {
    let engine = FakeEngine::default();
    let slow = engine.run_container("slow");
    let quick = engine.run_container("quick");
    let mirror = TestMirror::new(&engine).await;
    mirror.wait_for_sync().await;
    let gate = engine.gate(EngineOperation::Act, Some(&slow));
    mirror.annotate(&slow, "stop").await;
    eventually("the start of the stop action", || async {
        if engine.call_count(EngineOperation::Act) == 1 {
            Ok(())
        } else {
            Err(String::new())
        }
    })
    .await;
    mirror.annotate(&quick, "pause").await;
    let done = mirror
        .wait_for_container(&quick, |c| status(c).last_action.is_some())
        .await;
    assert_eq!(
        status(&done).last_action.as_ref().unwrap().state,
        ActionState::Succeeded
    );
    assert_eq!(
        status(&mirror.wait_for_container(&slow, |_| true).await).last_action,
        None
    );
    gate.open();
    let done = mirror
        .wait_for_container(&slow, |c| {
            status(c).last_action.is_some() && c.annotations().is_empty()
        })
        .await;
    assert_eq!(
        status(&done).last_action.as_ref().unwrap().state,
        ActionState::Succeeded
    );
    // Kept when the container changes outside of the mirror.
    engine.start(&slow);
    let later = mirror
        .wait_for_container(&slow, |c| status(c).status == ContainerState::Running)
        .await;
    assert_eq!(status(&later).last_action, status(&done).last_action);
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_and_invalid_actions_are_reported() {
    let engine = FakeEngine::default();
    let id = engine.create_container("web");
    let mirror = TestMirror::new(&engine).await;
    mirror.wait_for_sync().await;
    mirror.annotate(&id, "unpause").await;
    let done = mirror
        .wait_for_container(&id, |c| status(c).last_action.is_some())
        .await;
    let last = status(&done).last_action.clone().unwrap();
    assert_eq!(last.state, ActionState::Failed);
    assert!(last.error.contains("not running"), "{}", last.error);
    assert_eq!(engine.calls(), []);
    mirror
        .wait_for_container(&id, |c| c.annotations().is_empty())
        .await;
    for (value, shown) in [
        (
            "explode",
            "\"explode\" is not an action; the actions are start, stop",
        ),
        ("Pause", "did you mean \"pause\"?"),
        (&*"x".repeat(1000), "xxxx\" is not an action"),
    ] {
        mirror.annotate(&id, value).await;
        let after = mirror
            .wait_for_container(&id, |c| c.annotations().is_empty())
            .await;
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
async fn a_timed_out_action_is_corrected_if_the_engine_carries_it_out_later() {
    let engine = FakeEngine::default();
    let id = engine.run_container("slow");
    let mirror = TestMirror::new(&engine).await;
    mirror.wait_for_sync().await;
    let error = EngineError::new(ErrorCode::Timeout, "no response within 420 s");
    engine.fail_next(EngineOperation::Act, None, error);
    mirror.annotate(&id, "stop").await;
    let failed = mirror
        .wait_for_container(&id, |c| status(c).last_action.is_some())
        .await;
    let last = status(&failed).last_action.clone().unwrap();
    assert_eq!(
        (last.state, &*last.reason),
        (ActionState::Failed, "Timeout")
    );
    engine.stop(&id);
    let stopped = mirror
        .wait_for_container(&id, |c| status(c).status == ContainerState::Exited)
        .await;
    let last = status(&stopped).last_action.clone().unwrap();
    assert_eq!((last.state, &*last.error), (ActionState::Succeeded, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_in_read_only_mode_are_dropped() {
    let engine = FakeEngine::default();
    let stopped = engine.run_container("stopped");
    let deleted = engine.run_container("deleted");
    engine.create_volume("data");
    engine.add_image(&["a:1"]);
    let mut mirror = TestMirror::start_with(&engine, |mirror| mirror.read_only = true).await;
    mirror.wait_for_sync().await;
    mirror.annotate(&stopped, "stop").await;
    let done = mirror
        .wait_for_container(&stopped, |c| {
            status(c).last_action.is_some() && c.annotations().is_empty()
        })
        .await;
    let last = status(&done).last_action.clone().unwrap();
    assert_eq!(last.state, ActionState::Failed);
    assert!(last.error.contains("--read-only"), "{}", last.error);

    let old = delete_all::<Container>(&mirror).await;
    wait_for_recreation::<Container>(&mirror, &old).await;
    let old = delete_all::<Volume>(&mirror).await;
    wait_for_recreation::<Volume>(&mirror, &old).await;
    let old = delete_all::<Image>(&mirror).await;
    wait_for_recreation::<Image>(&mirror, &old).await;

    // Also those made while the engine is disconnected.
    engine.go_offline("connection refused");
    mirror
        .wait_for_condition("ContainerEngineReady", "False", "ConnectFailed")
        .await;
    let deletion = DeleteParams::default();
    let api = mirror.api::<Container>();
    api.delete(&deleted, &deletion).await.unwrap();
    mirror.annotate(&stopped, "stop").await;
    mirror
        .wait_for_container(&stopped, |c| c.annotations().is_empty())
        .await;
    mirror.wait_for_deletion_to_finish(&deleted).await;
    mirror.read_only = false;
    engine.go_online();
    mirror.start();
    mirror.wait_for_sync().await;
    mirror
        .wait_for_container(&deleted, |c| c.status.is_some())
        .await;
    assert_eq!(engine.calls(), []);
    assert!(engine.container(&deleted).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only_mode_drops_an_earlier_deletion() {
    let engine = FakeEngine::default();
    let id = engine.run_container("web");
    let mut mirror = TestMirror::new(&engine).await;
    mirror.wait_for_sync().await;
    mirror.tasks.shutdown().await;
    let api = mirror.api::<Container>();
    let old = api.get(&id).await.unwrap();
    api.delete(&id, &DeleteParams::default()).await.unwrap();
    mirror.read_only = true;
    mirror.start();
    let new = mirror
        .wait_for_container(&id, |c| {
            c.metadata.deletion_timestamp.is_none() && c.status.is_some()
        })
        .await;
    assert_ne!(new.uid(), old.uid());
    assert_eq!(engine.calls(), []);
}

/// Deletes every mirror of a kind. Returns their UIDs.
async fn delete_all<K: MirroredResource>(mirror: &TestMirror) -> Vec<String> {
    let objects = mirror.list::<K>().await;
    assert!(!objects.is_empty());
    for object in &objects {
        let api = mirror.api::<K>();
        api.delete(&object.name_any(), &DeleteParams::default())
            .await
            .unwrap();
    }
    objects.iter().filter_map(ResourceExt::uid).collect()
}

/// Waits until there are as many live mirrors as before, all with new UIDs.
async fn wait_for_recreation<K: MirroredResource>(mirror: &TestMirror, old: &[String]) {
    eventually("the recreation of the mirrors", || async {
        let new = mirror.list::<K>().await;
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
