//! Two instances of the daemon on one API.

use std::collections::BTreeSet;

use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use rdd_api::{ActionState, Container, INSTANCE_LABEL, Image, Volume};
use rdd_core::{ContainerAction, ServingState};
use rdd_testkit::{EngineCall, EngineOperation, FakeEngine, eventually};
use serde_json::json;

use crate::world::{Mirror, World, removals, status};

/// An engine with some of everything; names of volumes and tags are on both.
fn engine(prefix: &str) -> FakeEngine {
    let engine = FakeEngine::default();
    for i in 0..10 {
        engine.run_container(&format!("{prefix}{i}"));
        engine.create_volume(&format!("{prefix}{i}"));
    }
    engine.create_volume("both");
    engine.add_image(&["both:1", &format!("{prefix}:1")]);
    engine
}

fn leases(world: &World) -> Api<Lease> {
    Api::namespaced(world.client.clone(), rdd_api::SYSTEM_NAMESPACE)
}

async fn holder(world: &World) -> String {
    let lease = leases(world).get("rancher-desktop.moby").await.unwrap();
    lease.spec.unwrap().holder_identity.unwrap()
}

/// Whose mirrors there are, of containers, images and volumes.
async fn owners(world: &World) -> BTreeSet<String> {
    async fn of<K: Mirror>(world: &World, owners: &mut BTreeSet<String>) {
        for object in world.all::<K>().await {
            owners.insert(object.labels()[INSTANCE_LABEL].clone());
        }
    }
    let mut owners = BTreeSet::new();
    of::<Container>(world, &mut owners).await;
    of::<Image>(world, &mut owners).await;
    of::<Volume>(world, &mut owners).await;
    owners
}

/// Waits until the mirrors are those of this engine and instance, and only
/// those.
async fn mirrored(world: &World, engine: &FakeEngine) {
    let ids: BTreeSet<String> = engine
        .objects()
        .into_iter()
        .filter_map(|object| match object {
            rdd_core::EngineObject::Container(container) => Some(container.id),
            _ => None,
        })
        .collect();
    eventually("the mirrors of the engine", || async {
        let found: BTreeSet<String> = world
            .all::<Container>()
            .await
            .iter()
            .map(ResourceExt::name_any)
            .collect();
        let owners = owners(world).await;
        if found == ids && owners == BTreeSet::from([world.instance.to_string()]) {
            Ok(())
        } else {
            Err(format!("{} containers of {owners:?}", found.len()))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_instance_mirrors_nothing_and_says_whose_it_is() {
    let (one, two) = (engine("one"), engine("two"));
    let first = World::new(&one).await;
    first.synced().await;
    let second = first.join("second", &two);
    let words = second.on_standby().await;
    assert!(words.contains("instance first"), "{words}");
    assert!(words.contains("rdd-system/rancher-desktop.moby"), "{words}");
    assert_eq!(holder(&first).await, "first");
    // Its engine can be asked all the same.
    eventually("its engine", || async {
        match second.serving.borrow().serving {
            ServingState::Ready(_) => Ok(()),
            ref other => Err(format!("{other:?}")),
        }
    })
    .await;
    // Both see what happens, and one of them acts on it.
    let new = one.run_container("new");
    let theirs = two.run_container("theirs");
    first.container(&new, |c| c.status.is_some()).await;
    let api = first.api::<Container>();
    api.delete(&new, &DeleteParams::default()).await.unwrap();
    first.gone::<Container>(&new).await;
    assert_eq!(removals(&one).len(), 1);
    assert!(api.get_opt(&theirs).await.unwrap().is_none());
    assert_eq!(two.calls(), []);
    assert!(!second.progress.borrow().synced);
    mirrored(&first, &one).await;
    first.condition("Settled", "True", "Settled").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_starts_again_takes_its_own_lease_at_once() {
    let (one, two) = (engine("one"), engine("two"));
    let mut first = World::with(&one, |world| {
        // Nobody could wait for its end.
        world.timing.lease.duration = std::time::Duration::from_secs(3600);
    })
    .await;
    first.synced().await;
    let second = first.join("second", &two);
    second.on_standby().await;
    first.tasks.shutdown().await;
    first.start();
    first.synced().await;
    assert_eq!(holder(&first).await, "first");
    mirrored(&first, &one).await;
    assert_eq!((one.calls(), two.calls()), (vec![], vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_over_replaces_mirrors_and_touches_no_engine() {
    let (one, two) = (engine("one"), engine("two"));
    let mut first = World::new(&one).await;
    first.synced().await;
    mirrored(&first, &one).await;
    let mut second = first.join("second", &two);
    second.on_standby().await;
    first.tasks.shutdown().await;
    // Deleted while nobody who could do it is there: nobody does.
    for volume in first.all::<Volume>().await {
        let api = first.api::<Volume>();
        api.delete(&volume.name_any(), &DeleteParams::default())
            .await
            .unwrap();
    }
    second.synced().await;
    assert_eq!(holder(&first).await, "second");
    mirrored(&second, &two).await;
    // The first one is back, and has nothing to say.
    first.start();
    let words = first.on_standby().await;
    assert!(words.contains("instance second"), "{words}");
    second.tasks.shutdown().await;
    first.synced().await;
    mirrored(&first, &one).await;
    assert_eq!((one.calls(), two.calls()), (vec![], vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_both_hold_the_lease_for_a_while_touch_no_engine() {
    let (one, two) = (engine("one"), engine("two"));
    let first = World::new(&one).await;
    first.synced().await;
    let second = first.join("second", &two);
    second.on_standby().await;
    // Whoever is told last, both believe for a moment that it is theirs.
    for _ in 0..20 {
        for name in ["second", "first"] {
            let patch = json!({"spec": {"holderIdentity": name}});
            let params = PatchParams::default();
            leases(&first)
                .patch("rancher-desktop.moby", &params, &Patch::Merge(patch))
                .await
                .unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
    mirrored(&first, &one).await;
    assert_eq!((one.calls(), two.calls()), (vec![], vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_lease_ends_all_writing() {
    let engine = engine("one");
    let world = World::new(&engine).await;
    world.synced().await;
    let patch = json!({"spec": {
        "holderIdentity": "somebody", "leaseDurationSeconds": 3600,
    }});
    leases(&world)
        .patch(
            "rancher-desktop.moby",
            &PatchParams::default(),
            &Patch::Merge(patch),
        )
        .await
        .unwrap();
    let words = world.on_standby().await;
    assert!(words.contains("instance somebody"), "{words}");
    let before = world.all::<Container>().await;
    let new = engine.run_container("new");
    engine.rename(&before[0].name_any(), "renamed");
    world.annotate(&before[1].name_any(), "stop").await;
    let deletion = DeleteParams::default();
    let api = world.api::<Container>();
    api.delete(&before[2].name_any(), &deletion).await.unwrap();
    // It goes on looking at the Lease, and writes nothing.
    let requests = world.faults.requests();
    eventually("looks at the Lease", || async {
        match world.faults.requests() - requests {
            looks if looks >= 5 => Ok(()),
            looks => Err(format!("{looks}")),
        }
    })
    .await;
    assert!(api.get_opt(&new).await.unwrap().is_none());
    let unchanged = api.get(&before[0].name_any()).await.unwrap();
    assert_eq!(unchanged.resource_version(), before[0].resource_version());
    assert_eq!(engine.calls(), []);
    leases(&world)
        .delete("rancher-desktop.moby", &deletion)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn mirrors_from_before_the_label_are_claimed_and_their_deletions_let_go() {
    let engine = engine("one");
    let mut world = World::new(&engine).await;
    world.synced().await;
    world.tasks.shutdown().await;
    let before = world.all::<Container>().await;
    let api = world.api::<Container>();
    for container in &before {
        let patch = json!({"metadata": {"labels": {INSTANCE_LABEL: null}}});
        api.patch(
            &container.name_any(),
            &PatchParams::default(),
            &Patch::Merge(patch),
        )
        .await
        .unwrap();
    }
    let deleted = before[0].name_any();
    api.delete(&deleted, &DeleteParams::default())
        .await
        .unwrap();
    world.start();
    world.synced().await;
    mirrored(&world, &engine).await;
    assert_eq!(engine.calls(), []);
    for container in &before {
        let is = api.get(&container.name_any()).await.unwrap();
        assert_eq!(is.uid() == container.uid(), is.name_any() != deleted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_on_one_engine_carry_an_action_out_once() {
    let engine = FakeEngine::default();
    let id = engine.run_container("web");
    let mut first = World::new(&engine).await;
    first.synced().await;
    let mut second = first.join("second", &engine);
    second.on_standby().await;
    first.annotate(&id, "restart").await;
    first
        .container(&id, |c| {
            c.annotations().is_empty() && status(c).last_action.is_some()
        })
        .await;
    let restart = EngineCall::Act {
        id: id.clone(),
        action: ContainerAction::Restart,
    };
    assert_eq!(engine.calls(), std::slice::from_ref(&restart));

    // The first one ends in the middle of an action; the second takes over.
    let gate = engine.gate(EngineOperation::Act, Some(&id));
    first.annotate(&id, "restart").await;
    eventually("the action begun", || async {
        match engine.call_count(EngineOperation::Act) {
            2 => Ok(()),
            n => Err(format!("{n}")),
        }
    })
    .await;
    first.tasks.shutdown().await;
    second.synced().await;
    let done = second.container(&id, |c| c.annotations().is_empty()).await;
    let last = status(&done).last_action.clone().unwrap();
    assert_eq!(
        (last.state, &*last.reason),
        (ActionState::Failed, "Interrupted")
    );
    assert_eq!(engine.calls(), [restart.clone(), restart.clone()]);
    assert_eq!(done.labels()[INSTANCE_LABEL], "second");
    gate.open();

    // The same instance, after a crash, finds its own claim.
    let gate = engine.gate(EngineOperation::Act, Some(&id));
    second.annotate(&id, "stop").await;
    eventually("the action begun", || async {
        match engine.call_count(EngineOperation::Act) {
            3 => Ok(()),
            n => Err(format!("{n}")),
        }
    })
    .await;
    second.tasks.shutdown().await;
    gate.open();
    second.start();
    let done = second.container(&id, |c| c.annotations().is_empty()).await;
    let last = status(&done).last_action.clone().unwrap();
    assert_eq!(
        (&*last.action, last.state),
        ("stop", ActionState::Succeeded)
    );
}
