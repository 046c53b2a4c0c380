//! Events that get lost, backends that break, an API that fails.

use std::time::Duration;

use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use rdd_api::{ActionState, App, Container, Volume};
use rdd_core::{RemoveRequest, ServingState, UnavailableReason, WatchEvent};
use rdd_testkit::{EngineOperation, FakeEngine, eventually};
use serde_json::json;

use crate::world::{World, removals, status};

#[tokio::test(flavor = "multi_thread")]
async fn a_crashed_plugin_keeps_its_mirrors_and_their_uids() {
    let engine = FakeEngine::default();
    let id = engine.run_container("web");
    let world = World::new(&engine).await;
    world.synced().await;
    let before = world.container(&id, |_| true).await;
    world.backends.crash("moby", "it trapped");
    world
        .condition("ContainerEngineReady", "False", "PluginFailed")
        .await;
    assert!(matches!(
        &world.serving.borrow().serving,
        ServingState::Unavailable(UnavailableReason::BackendRestarting { reason }) if reason == "it trapped"
    ));
    // Asked for while nobody can be called: it waits.
    world.annotate(&id, "pause").await;
    engine.rename(&id, "renamed");
    world.backends.load(engine.clone());
    let after = world
        .container(&id, |c| {
            status(c).name == "renamed" && status(c).last_action.is_some()
        })
        .await;
    assert_eq!(before.uid(), after.uid());
    let last = status(&after).last_action.as_ref().unwrap();
    assert_eq!(last.state, ActionState::Succeeded, "{last:?}");
    world
        .condition("ContainerEngineReady", "True", "Connected")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_breaks_its_watch_is_tried_again() {
    let engine = FakeEngine::default();
    let world = World::new(&engine).await;
    world.synced().await;
    engine.send_raw(WatchEvent::InitDone);
    world
        .condition("ContainerEngineReady", "False", "PluginFailed")
        .await;
    let id = engine.create_container("meanwhile");
    world.container(&id, |c| c.status.is_some()).await;
    world
        .condition("ContainerEngineReady", "True", "Connected")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_panics_breaks_nothing_but_the_call() {
    let engine = FakeEngine::default();
    let id = engine.run_container("web");
    let world = World::new(&engine).await;
    world.synced().await;
    engine.panic_next(EngineOperation::Watch);
    engine.cut_watches();
    world
        .condition("ContainerEngineReady", "False", "PluginFailed")
        .await;
    world
        .condition("ContainerEngineReady", "True", "Connected")
        .await;
    engine.panic_next(EngineOperation::Act);
    world.annotate(&id, "stop").await;
    let after = world
        .container(&id, |c| {
            c.annotations().is_empty() && status(c).last_action.is_some()
        })
        .await;
    let last = status(&after).last_action.as_ref().unwrap();
    assert_eq!(last.state, ActionState::Failed);
    engine.panic_next(EngineOperation::Remove);
    world
        .api::<Container>()
        .delete(&id, &DeleteParams::default())
        .await
        .unwrap();
    world.gone::<Container>(&id).await;
    assert!(engine.container(&id).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_events_are_made_up_for_by_the_next_listing() {
    let engine = FakeEngine::default();
    let dropped = engine.run_container("dropped");
    let kept = engine.run_container("kept");
    let world = World::with(&engine, |world| {
        world.timing.resync_interval = Duration::from_millis(300);
    })
    .await;
    world.synced().await;
    let before = world.container(&kept, |_| true).await;
    engine.hold_events();
    engine.remove_container(&dropped);
    engine.stop(&kept);
    let added = engine.create_container("added");
    engine.drop_held_events();
    world.gone::<Container>(&dropped).await;
    world.container(&added, |c| c.status.is_some()).await;
    let after = world
        .container(&kept, |c| {
            status(c).status == rdd_api::ContainerState::Exited
        })
        .await;
    assert_eq!(before.uid(), after.uid());
    assert_eq!(removals(&engine), []);
    // A renewal is no loss.
    world
        .condition("ContainerEngineReady", "True", "Connected")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_whose_event_is_lost_is_looked_after() {
    let engine = FakeEngine::default();
    let id = engine.run_container("web");
    let other = engine.run_container("other");
    let world = World::with(&engine, |world| {
        world.timing.removal_echo = Duration::from_millis(200);
    })
    .await;
    world.synced().await;
    engine.hold_events();
    // Lost along with it, and found by the same listing.
    engine.rename(&other, "renamed");
    world
        .api::<Container>()
        .delete(&id, &DeleteParams::default())
        .await
        .unwrap();
    world.gone::<Container>(&id).await;
    engine.drop_held_events();
    world
        .container(&other, |c| status(c).name == "renamed")
        .await;
    assert!(
        world
            .api::<Container>()
            .get_opt(&id)
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(removals(&engine), [RemoveRequest::Container { id }]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_an_absent_engine_could_not_do_follows_its_return() {
    let engine = FakeEngine::default();
    engine.create_volume("data");
    let world = World::with(&engine, |world| {
        // Longer than the test waits: only the engine's return can help.
        world.timing.removal_retry_min = Duration::from_secs(300);
    })
    .await;
    world.synced().await;
    let name = world.all::<Volume>().await[0].name_any();
    engine.go_offline("connection refused");
    world
        .condition("ContainerEngineReady", "False", "ConnectFailed")
        .await;
    world
        .api::<Volume>()
        .delete(&name, &DeleteParams::default())
        .await
        .unwrap();
    eventually("the condition", || async {
        let volume = world.api::<Volume>().get(&name).await.unwrap();
        let conditions = volume.status.unwrap_or_default().conditions;
        match conditions.first() {
            Some(c) if c.reason == "Unavailable" && c.message == "connection refused" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    engine.go_online();
    world.gone::<Volume>(&name).await;
    assert!(engine.objects().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_fails_is_asked_less_and_less() {
    const CONTAINERS: usize = 10;
    let engine = FakeEngine::default();
    let world = World::with(&engine, |world| {
        world.timing.write_retry_min = Duration::from_millis(100);
        world.timing.write_retry_max = Duration::from_millis(800);
    })
    .await;
    world.synced().await;
    world.condition("Settled", "True", "Settled").await;
    world.faults.fail(100, 1);
    let begun = std::time::Instant::now();
    let before = world.faults.requests();
    let ids: Vec<String> = (0..CONTAINERS)
        .map(|i| engine.create_container(&format!("c{i}")))
        .collect();
    // Each try is two requests at the most: the write, and a look at what the
    // API has. The fourth try comes 700 ms after the first.
    eventually("four tries each", || async {
        match world.faults.requests() - before {
            tries if tries >= 4 * CONTAINERS => Ok(()),
            tries => Err(format!("{tries} requests")),
        }
    })
    .await;
    assert!(
        begun.elapsed() >= Duration::from_millis(250),
        "{:?}",
        begun.elapsed()
    );
    world.faults.mend();
    for id in ids {
        world.container(&id, |c| c.status.is_some()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_write_into_the_apps_status_starts_no_quarrel() {
    let engine = FakeEngine::default();
    let world = World::new(&engine).await;
    world.synced().await;
    world.condition("Settled", "True", "Settled").await;
    let api: Api<App> = Api::all(world.client.clone());
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
    // A change of the App that the mirror has to answer shows that it has seen
    // theirs.
    world.patch_app(json!({"running": false})).await;
    world.condition("Running", "False", "Stopped").await;
    let before = world.faults.requests();
    let settled = api.get("app").await.unwrap();
    assert_eq!(settled.status.unwrap().conditions.len(), 4);
    world.patch_app(json!({"running": true})).await;
    world.condition("Settled", "True", "Settled").await;
    let requests = world.faults.requests() - before;
    assert!(requests < 20, "{requests} requests");
}
