//! Tests of lost events, failing backends, and a failing API.

use std::time::Duration;

use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use rdd_api::{ActionState, App, Container, Volume};
use rdd_core::{RemoveTarget, ServingState, UnavailableReason, WatchEvent};
use rdd_testkit::{EngineOperation, FakeEngine, eventually};
use serde_json::json;

use crate::test_mirror::{TestMirror, removals, status};

#[tokio::test(flavor = "multi_thread")]
async fn mirrors_keep_their_uids_while_the_plugin_restarts() {
    let engine = FakeEngine::default();
    let id = engine.run_container("web");
    let mirror = TestMirror::new(&engine).await;
    mirror.wait_for_sync().await;
    let before = mirror.wait_for_container(&id, |_| true).await;
    mirror.backends.crash("moby", "it trapped");
    mirror
        .wait_for_condition("ContainerEngineReady", "False", "PluginFailed")
        .await;
    assert!(matches!(
        &mirror.serving.borrow().serving,
        ServingState::Unavailable(UnavailableReason::BackendRestarting { reason }) if reason == "it trapped"
    ));
    // Requested while the engine cannot be called: it waits.
    mirror.annotate(&id, "pause").await;
    engine.rename(&id, "renamed");
    mirror.backends.load(engine.clone());
    let after = mirror
        .wait_for_container(&id, |c| {
            status(c).name == "renamed" && status(c).last_action.is_some()
        })
        .await;
    assert_eq!(before.uid(), after.uid());
    let last = status(&after).last_action.as_ref().unwrap();
    assert_eq!(last.state, ActionState::Succeeded, "{last:?}");
    mirror
        .wait_for_condition("ContainerEngineReady", "True", "Connected")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_violates_the_watch_protocol_is_watched_again() {
    let engine = FakeEngine::default();
    let mirror = TestMirror::new(&engine).await;
    mirror.wait_for_sync().await;
    // Until the condition was seen, no other watch starts.
    let gate = engine.gate(EngineOperation::Watch, None);
    engine.send_raw(WatchEvent::InitDone);
    mirror
        .wait_for_condition("ContainerEngineReady", "False", "PluginFailed")
        .await;
    gate.open();
    let id = engine.create_container("meanwhile");
    mirror.wait_for_container(&id, |c| c.status.is_some()).await;
    mirror
        .wait_for_condition("ContainerEngineReady", "True", "Connected")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_of_the_backend_fails_only_the_call() {
    let engine = FakeEngine::default();
    let id = engine.run_container("web");
    let mirror = TestMirror::new(&engine).await;
    mirror.wait_for_sync().await;
    // Until the condition was seen, no watch starts after the one that panics.
    let panicking = engine.gate(EngineOperation::Watch, None);
    engine.panic_next(EngineOperation::Watch);
    engine.cut_watches();
    eventually("the next watch", || async {
        match engine.call_count(EngineOperation::Watch) {
            2 => Ok(()),
            n => Err(format!("{n}")),
        }
    })
    .await;
    let gate = engine.gate(EngineOperation::Watch, None);
    panicking.open();
    mirror
        .wait_for_condition("ContainerEngineReady", "False", "PluginFailed")
        .await;
    gate.open();
    mirror
        .wait_for_condition("ContainerEngineReady", "True", "Connected")
        .await;
    engine.panic_next(EngineOperation::Act);
    mirror.annotate(&id, "stop").await;
    let after = mirror
        .wait_for_container(&id, |c| {
            c.annotations().is_empty() && status(c).last_action.is_some()
        })
        .await;
    let last = status(&after).last_action.as_ref().unwrap();
    assert_eq!(last.state, ActionState::Failed);
    engine.panic_next(EngineOperation::Remove);
    mirror
        .api::<Container>()
        .delete(&id, &DeleteParams::default())
        .await
        .unwrap();
    mirror.wait_until_gone::<Container>(&id).await;
    assert!(engine.container(&id).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_listing_recovers_lost_events() {
    let engine = FakeEngine::default();
    let dropped = engine.run_container("dropped");
    let kept = engine.run_container("kept");
    let mirror = TestMirror::start_with(&engine, |mirror| {
        mirror.timing.resync_interval = Duration::from_millis(300);
    })
    .await;
    mirror.wait_for_sync().await;
    let before = mirror.wait_for_container(&kept, |_| true).await;
    engine.hold_events();
    engine.remove_container(&dropped);
    engine.stop(&kept);
    let added = engine.create_container("added");
    engine.drop_held_events();
    mirror.wait_until_gone::<Container>(&dropped).await;
    mirror
        .wait_for_container(&added, |c| c.status.is_some())
        .await;
    let after = mirror
        .wait_for_container(&kept, |c| {
            status(c).status == rdd_api::ContainerState::Exited
        })
        .await;
    assert_eq!(before.uid(), after.uid());
    assert_eq!(removals(&engine), []);
    // A resync does not count as a loss of the engine.
    mirror
        .wait_for_condition("ContainerEngineReady", "True", "Connected")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_whose_event_is_lost_triggers_a_resync() {
    let engine = FakeEngine::default();
    let id = engine.run_container("web");
    let other = engine.run_container("other");
    let mirror = TestMirror::start_with(&engine, |mirror| {
        mirror.timing.removal_event_timeout = Duration::from_millis(200);
    })
    .await;
    mirror.wait_for_sync().await;
    engine.hold_events();
    // This event is lost as well, and recovered by the same listing.
    engine.rename(&other, "renamed");
    mirror
        .api::<Container>()
        .delete(&id, &DeleteParams::default())
        .await
        .unwrap();
    mirror.wait_until_gone::<Container>(&id).await;
    engine.drop_held_events();
    mirror
        .wait_for_container(&other, |c| status(c).name == "renamed")
        .await;
    assert!(
        mirror
            .api::<Container>()
            .get_opt(&id)
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(removals(&engine), [RemoveTarget::Container { id }]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_is_retried_when_the_engine_returns() {
    let engine = FakeEngine::default();
    engine.create_volume("data");
    let mirror = TestMirror::start_with(&engine, |mirror| {
        // Longer than the test waits: only the return of the engine triggers a
        // retry.
        mirror.timing.removal_retry_min = Duration::from_secs(300);
    })
    .await;
    mirror.wait_for_sync().await;
    let name = mirror.list::<Volume>().await[0].name_any();
    engine.go_offline("connection refused");
    mirror
        .wait_for_condition("ContainerEngineReady", "False", "ConnectFailed")
        .await;
    mirror
        .api::<Volume>()
        .delete(&name, &DeleteParams::default())
        .await
        .unwrap();
    eventually("the condition", || async {
        let volume = mirror.api::<Volume>().get(&name).await.unwrap();
        let conditions = volume.status.unwrap_or_default().conditions;
        match conditions.first() {
            Some(c) if c.reason == "Unavailable" && c.message == "connection refused" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    engine.go_online();
    mirror.wait_until_gone::<Volume>(&name).await;
    assert!(engine.objects().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_to_a_failing_api_back_off() {
    const CONTAINERS: usize = 10;
    let engine = FakeEngine::default();
    let mirror = TestMirror::start_with(&engine, |mirror| {
        mirror.timing.write_retry_min = Duration::from_millis(100);
        mirror.timing.write_retry_max = Duration::from_millis(800);
    })
    .await;
    mirror.wait_for_sync().await;
    mirror
        .wait_for_condition("Settled", "True", "Settled")
        .await;
    mirror.faults.fail(100, 1);
    let start = std::time::Instant::now();
    let before = mirror.faults.requests();
    let ids: Vec<String> = (0..CONTAINERS)
        .map(|i| engine.create_container(&format!("c{i}")))
        .collect();
    // Each attempt is at most two requests: the write, and a read of the
    // current object. The fourth attempt follows 700 ms after the first.
    eventually("four attempts each", || async {
        match mirror.faults.requests() - before {
            requests if requests >= 4 * CONTAINERS => Ok(()),
            requests => Err(format!("{requests} requests")),
        }
    })
    .await;
    assert!(
        start.elapsed() >= Duration::from_millis(250),
        "{:?}",
        start.elapsed()
    );
    mirror.faults.clear();
    for id in ids {
        mirror.wait_for_container(&id, |c| c.status.is_some()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_of_others_in_the_apps_status_are_kept_without_a_write_loop() {
    let engine = FakeEngine::default();
    let mirror = TestMirror::new(&engine).await;
    mirror.wait_for_sync().await;
    mirror
        .wait_for_condition("Settled", "True", "Settled")
        .await;
    let api: Api<App> = Api::all(mirror.client.clone());
    let theirs = json!({
        "apiVersion": "app.rancherdesktop.io/v1alpha1",
        "kind": "App",
        "status": {"conditions": [{
            "type": "Theirs", "status": "True", "reason": "Because", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }]},
    });
    let params = PatchParams::apply("somebody-else");
    api.patch_status("app", &params, &Patch::Apply(theirs))
        .await
        .unwrap();
    // After the response to a later change of the App, the mirror has also
    // observed their condition.
    mirror.patch_app(json!({"running": false})).await;
    mirror
        .wait_for_condition("Running", "False", "Stopped")
        .await;
    let before = mirror.faults.requests() - mirror.faults.lease_requests();
    let settled = api.get("app").await.unwrap();
    assert_eq!(settled.status.unwrap().conditions.len(), 4);
    mirror.patch_app(json!({"running": true})).await;
    mirror
        .wait_for_condition("Settled", "True", "Settled")
        .await;
    // Those of the Lease are more, the longer the change takes.
    let requests = mirror.faults.requests() - mirror.faults.lease_requests() - before;
    assert!(requests < 20, "{requests} requests");
}
