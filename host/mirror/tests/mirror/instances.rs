//! Tests of two instances of the daemon on the same API.

use std::collections::BTreeSet;

use k8s_openapi::api::coordination::v1::Lease;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use rdd_api::{ActionState, Container, INSTANCE_LABEL, Image, Volume};
use rdd_core::{ContainerAction, ServingState};
use rdd_testkit::{EngineCall, EngineOperation, FakeEngine, eventually};
use serde_json::json;

use crate::test_mirror::{MirroredResource, TestMirror, removals, short_lease, status};

/// Returns an engine with objects of every kind. The volume and the tag named
/// `both` exist in every engine.
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

fn leases(mirror: &TestMirror) -> Api<Lease> {
    Api::namespaced(mirror.client.clone(), rdd_api::SYSTEM_NAMESPACE)
}

async fn holder(mirror: &TestMirror) -> String {
    let lease = leases(mirror).get("rancher-desktop.moby").await.unwrap();
    lease.spec.unwrap().holder_identity.unwrap()
}

/// Returns the owners of all mirrors of containers, images, and volumes.
async fn owners(mirror: &TestMirror) -> BTreeSet<String> {
    async fn of<K: MirroredResource>(mirror: &TestMirror, owners: &mut BTreeSet<String>) {
        for object in mirror.list::<K>().await {
            owners.insert(object.labels()[INSTANCE_LABEL].clone());
        }
    }
    let mut owners = BTreeSet::new();
    of::<Container>(mirror, &mut owners).await;
    of::<Image>(mirror, &mut owners).await;
    of::<Volume>(mirror, &mut owners).await;
    owners
}

/// Waits until the mirrors are exactly those of this engine and instance.
async fn wait_for_mirrors_of(mirror: &TestMirror, engine: &FakeEngine) {
    let ids: BTreeSet<String> = engine
        .objects()
        .into_iter()
        .filter_map(|object| match object {
            rdd_core::EngineObject::Container(container) => Some(container.id),
            _ => None,
        })
        .collect();
    eventually("the mirrors of the engine", || async {
        let found: BTreeSet<String> = mirror
            .list::<Container>()
            .await
            .iter()
            .map(ResourceExt::name_any)
            .collect();
        let owners = owners(mirror).await;
        if found == ids && owners == BTreeSet::from([mirror.instance.to_string()]) {
            Ok(())
        } else {
            Err(format!("{} containers of {owners:?}", found.len()))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_instance_stands_by_and_names_the_holder() {
    let (one, two) = (engine("one"), engine("two"));
    let first = TestMirror::new(&one).await;
    first.wait_for_sync().await;
    let second = first.join("second", &two);
    let reason = second.wait_for_standby().await;
    assert!(reason.contains("instance first"), "{reason}");
    assert!(
        reason.contains("rdd-system/rancher-desktop.moby"),
        "{reason}"
    );
    assert_eq!(holder(&first).await, "first");
    // Its engine can still be called.
    eventually("the serving snapshot", || async {
        match second.serving.borrow().serving {
            ServingState::Ready(_) => Ok(()),
            ref other => Err(format!("{other:?}")),
        }
    })
    .await;
    // Both observe changes, and only one acts on them.
    let new = one.run_container("new");
    let theirs = two.run_container("theirs");
    first.wait_for_container(&new, |c| c.status.is_some()).await;
    let api = first.api::<Container>();
    api.delete(&new, &DeleteParams::default()).await.unwrap();
    first.wait_until_gone::<Container>(&new).await;
    assert_eq!(removals(&one).len(), 1);
    assert!(api.get_opt(&theirs).await.unwrap().is_none());
    assert_eq!(two.calls(), []);
    assert!(!second.progress.borrow().synced);
    wait_for_mirrors_of(&first, &one).await;
    first.wait_for_condition("Settled", "True", "Settled").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_instance_acquires_its_own_lease_at_once() {
    let (one, two) = (engine("one"), engine("two"));
    let mut first = TestMirror::start_with(&one, |mirror| {
        // Too long to wait for its expiry.
        mirror.timing.lease.duration = std::time::Duration::from_secs(3600);
    })
    .await;
    first.wait_for_sync().await;
    let second = first.join("second", &two);
    second.wait_for_standby().await;
    first.tasks.shutdown().await;
    first.start();
    first.wait_for_sync().await;
    assert_eq!(holder(&first).await, "first");
    wait_for_mirrors_of(&first, &one).await;
    assert_eq!((one.calls(), two.calls()), (vec![], vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_replaces_the_mirrors_and_changes_no_engine() {
    let (one, two) = (engine("one"), engine("two"));
    let mut first = TestMirror::start_with(&one, |mirror| {
        mirror.timing.lease = short_lease();
    })
    .await;
    first.wait_for_sync().await;
    wait_for_mirrors_of(&first, &one).await;
    let mut second = first.join("second", &two);
    second.wait_for_standby().await;
    first.tasks.shutdown().await;
    // Deleted while their instance is stopped: the engine is not changed.
    for volume in first.list::<Volume>().await {
        let api = first.api::<Volume>();
        let preconditions = Preconditions {
            uid: volume.uid(),
            ..Preconditions::default()
        };
        let params = DeleteParams::default().preconditions(preconditions);
        // On a busy machine, the second instance may have replaced it already.
        match api.delete(&volume.name_any(), &params).await {
            Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => {}
            deleted => drop(deleted.unwrap()),
        }
    }
    second.wait_for_sync().await;
    assert_eq!(holder(&first).await, "second");
    wait_for_mirrors_of(&second, &two).await;
    // The first instance returns and stands by.
    first.start();
    let reason = first.wait_for_standby().await;
    assert!(reason.contains("instance second"), "{reason}");
    second.tasks.shutdown().await;
    first.wait_for_sync().await;
    wait_for_mirrors_of(&first, &one).await;
    assert_eq!((one.calls(), two.calls()), (vec![], vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_that_briefly_both_hold_the_lease_change_no_engine() {
    let (one, two) = (engine("one"), engine("two"));
    let first = TestMirror::new(&one).await;
    first.wait_for_sync().await;
    let second = first.join("second", &two);
    second.wait_for_standby().await;
    // For a moment, both instances consider themselves the holder.
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
    wait_for_mirrors_of(&first, &one).await;
    assert_eq!((one.calls(), two.calls()), (vec![], vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_after_the_lease_is_lost() {
    let engine = engine("one");
    let mirror = TestMirror::new(&engine).await;
    mirror.wait_for_sync().await;
    let patch = json!({"spec": {
        "holderIdentity": "somebody", "leaseDurationSeconds": 3600,
    }});
    leases(&mirror)
        .patch(
            "rancher-desktop.moby",
            &PatchParams::default(),
            &Patch::Merge(patch),
        )
        .await
        .unwrap();
    let reason = mirror.wait_for_standby().await;
    assert!(reason.contains("instance somebody"), "{reason}");
    let before = mirror.list::<Container>().await;
    let new = engine.run_container("new");
    engine.rename(&before[0].name_any(), "renamed");
    mirror.annotate(&before[1].name_any(), "stop").await;
    let deletion = DeleteParams::default();
    let api = mirror.api::<Container>();
    api.delete(&before[2].name_any(), &deletion).await.unwrap();
    // It keeps reading the Lease and writes nothing.
    let requests = mirror.faults.requests();
    eventually("reads of the Lease", || async {
        match mirror.faults.requests() - requests {
            reads if reads >= 5 => Ok(()),
            reads => Err(format!("{reads}")),
        }
    })
    .await;
    assert!(api.get_opt(&new).await.unwrap().is_none());
    let unchanged = api.get(&before[0].name_any()).await.unwrap();
    assert_eq!(unchanged.resource_version(), before[0].resource_version());
    assert_eq!(engine.calls(), []);
    leases(&mirror)
        .delete("rancher-desktop.moby", &deletion)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn mirrors_without_an_instance_label_are_claimed_and_their_deletions_dropped() {
    let engine = engine("one");
    let mut mirror = TestMirror::new(&engine).await;
    mirror.wait_for_sync().await;
    mirror.tasks.shutdown().await;
    let before = mirror.list::<Container>().await;
    let api = mirror.api::<Container>();
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
    mirror.start();
    mirror.wait_for_sync().await;
    wait_for_mirrors_of(&mirror, &engine).await;
    assert_eq!(engine.calls(), []);
    for container in &before {
        let current = api.get(&container.name_any()).await.unwrap();
        assert_eq!(
            current.uid() == container.uid(),
            current.name_any() != deleted
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_on_one_engine_carry_out_an_action_once() {
    let engine = FakeEngine::default();
    let id = engine.run_container("web");
    let mut first = TestMirror::start_with(&engine, |mirror| {
        mirror.timing.lease = short_lease();
    })
    .await;
    first.wait_for_sync().await;
    let mut second = first.join("second", &engine);
    second.wait_for_standby().await;
    first.annotate(&id, "restart").await;
    first
        .wait_for_container(&id, |c| {
            c.annotations().is_empty() && status(c).last_action.is_some()
        })
        .await;
    let restart = EngineCall::Act {
        container: engine.container_ref(&id),
        action: ContainerAction::Restart,
    };
    assert_eq!(engine.calls(), std::slice::from_ref(&restart));

    // The first instance stops during an action, and the second takes over.
    let gate = engine.gate(EngineOperation::Act, Some(&id));
    first.annotate(&id, "restart").await;
    eventually("the start of the action", || async {
        match engine.call_count(EngineOperation::Act) {
            2 => Ok(()),
            n => Err(format!("{n}")),
        }
    })
    .await;
    first.tasks.shutdown().await;
    second.wait_for_sync().await;
    let done = second
        .wait_for_container(&id, |c| c.annotations().is_empty())
        .await;
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
    eventually("the start of the action", || async {
        match engine.call_count(EngineOperation::Act) {
            3 => Ok(()),
            n => Err(format!("{n}")),
        }
    })
    .await;
    second.tasks.shutdown().await;
    gate.open();
    second.start();
    let done = second
        .wait_for_container(&id, |c| c.annotations().is_empty())
        .await;
    let last = status(&done).last_action.clone().unwrap();
    assert_eq!(
        (&*last.action, last.state),
        ("stop", ActionState::Succeeded)
    );
}
