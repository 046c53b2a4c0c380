//! Tests of the next step for a mirror.

mod actions;
mod deletions;
mod owners;

use super::*;
use crate::entry::{NextAttempt, RemovalCall, RemovalStage};
use crate::fixtures::{
    INSTANCE, NAMESPACE, at, container, desired_volume, image, key, object, status, volume_key,
};

const CONTEXT: PlanContext<'static> = PlanContext {
    instance: INSTANCE,
    lease_held: true,
    backend: "moby",
    running: true,
    namespace: NAMESPACE,
    engine_listed: true,
    engine_callable: true,
    blocked: false,
    read_only: false,
};

const CALL: RemovalCall = RemovalCall {
    incarnation: 0,
    blocker_removed: false,
};

/// Returns the key and the entry of a container with an up-to-date mirror.
fn mirrored() -> (MirrorKey, MirrorEntry) {
    let key = key(MirrorKind::Container, "aaaa");
    entry(key, DesiredState::Container(Arc::new(container("aaaa"))))
}

fn entry(key: MirrorKey, desired: DesiredState) -> (MirrorKey, MirrorEntry) {
    let object = object(&key, status(&desired));
    let entry = MirrorEntry {
        desired: Some(desired),
        observed: Some(ObservedMirror {
            object,
            incarnation: 0,
            list_generation: 0,
            owner: MirrorOwner::ThisInstance,
        }),
        ..MirrorEntry::default()
    };
    (key, entry)
}

/// Returns a short name for the next step.
fn next_step(key: &MirrorKey, entry: &MirrorEntry, context: PlanContext<'_>) -> String {
    let plan = reconcile(key, entry, context, at(9));
    let job = match &plan.write {
        None => "",
        Some(WriteRequest::Apply {
            metadata: true,
            status: Some(_),
            ..
        }) => "write both",
        Some(WriteRequest::Apply { metadata: true, .. }) => "write metadata",
        Some(WriteRequest::Apply {
            expected_version: Some(_),
            ..
        }) => "write status conditionally",
        Some(WriteRequest::Apply { .. }) => "write status",
        Some(WriteRequest::Prune {
            finalizer: None,
            delete: true,
            ..
        }) => "delete",
        Some(WriteRequest::Prune { delete: true, .. }) => "remove finalizer and delete",
        Some(WriteRequest::Prune { .. }) => "remove finalizer",
        Some(WriteRequest::ClearAction { .. }) => "clear action",
    };
    let operation = match &plan.engine_request {
        None => "",
        Some(EngineRequest::Remove { .. }) => "remove",
        Some(EngineRequest::Act { .. }) => "act",
        Some(EngineRequest::Reject { .. }) => "reject",
    };
    [job, operation]
        .into_iter()
        .filter(|s| !s.is_empty())
        .collect::<Vec<_>>()
        .join(", ")
}

/// Returns the next step after `change` was applied to an up-to-date mirror.
fn step_after(change: impl FnOnce(&mut MirrorEntry, &mut PlanContext<'_>)) -> String {
    let (key, mut entry) = mirrored();
    let mut context = CONTEXT;
    change(&mut entry, &mut context);
    next_step(&key, &entry, context)
}

fn observed(entry: &mut MirrorEntry) -> &mut MirrorObject {
    &mut entry
        .observed
        .as_mut()
        .expect("there must be a mirror")
        .object
}

#[test]
fn an_up_to_date_mirror_needs_nothing() {
    assert_eq!(step_after(|_, _| {}), "");
}

#[test]
fn a_live_mirror_follows_the_engine() {
    assert_eq!(step_after(|e, _| e.observed = None), "write both");
    assert_eq!(step_after(|e, _| observed(e).status = None), "write status");
    assert_eq!(
        step_after(|e, _| observed(e).backend = None),
        "write metadata"
    );
    assert_eq!(
        step_after(|e, _| observed(e).finalizer = None),
        "write metadata"
    );
    assert_eq!(
        step_after(|e, _| e.incarnation += 1),
        "remove finalizer and delete"
    );
    assert_eq!(
        step_after(|e, _| e.desired = None),
        "remove finalizer and delete"
    );
    assert_eq!(
        step_after(|e, _| e.removed_in_listing = Some(1)),
        "remove finalizer and delete"
    );
}

#[test]
fn a_missing_object_is_not_considered_gone_before_the_first_listing() {
    assert_eq!(
        step_after(|e, c| {
            e.desired = None;
            c.engine_listed = false;
        }),
        ""
    );
}

#[test]
fn mirrors_of_another_selection_are_pruned_without_an_engine_request() {
    assert_eq!(
        step_after(|_, c| c.running = false),
        "remove finalizer and delete"
    );
    assert_eq!(
        step_after(|_, c| c.backend = "other"),
        "remove finalizer and delete"
    );
    assert_eq!(
        step_after(|_, c| c.namespace = "elsewhere"),
        "remove finalizer and delete"
    );
    assert_eq!(
        step_after(|e, c| {
            observed(e).terminating = true;
            c.backend = "other";
        }),
        "remove finalizer"
    );
}

#[test]
fn a_namespace_has_no_finalizer_and_no_engine_request() {
    let (key, mut entry) = entry(key(MirrorKind::Namespace, "moby"), DesiredState::Namespace);
    observed(&mut entry).finalizer = None;
    assert_eq!(next_step(&key, &entry, CONTEXT), "");
    observed(&mut entry).terminating = true;
    assert_eq!(next_step(&key, &entry, CONTEXT), "");
    observed(&mut entry).finalizer = Some(0);
    assert_eq!(next_step(&key, &entry, CONTEXT), "remove finalizer");
}

/// Returns a change of the owner and of the instance label.
fn belongs_to(owner: MirrorOwner) -> impl Fn(&mut MirrorEntry) {
    move |entry| {
        let observed = entry.observed.as_mut().expect("there must be a mirror");
        observed.owner = owner;
        observed.object.instance = match owner {
            MirrorOwner::ThisInstance => Some(INSTANCE.into()),
            MirrorOwner::OtherInstance => Some("other".into()),
            MirrorOwner::Unclaimed | MirrorOwner::Unmanaged => None,
        };
    }
}

#[test]
fn a_mirror_is_released_and_not_written_while_its_definition_or_namespace_is_deleted() {
    let blocked = |change: fn(&mut MirrorEntry)| {
        step_after(|e, c| {
            c.blocked = true;
            // No engine request is needed.
            c.engine_callable = false;
            change(e);
        })
    };
    assert_eq!(
        blocked(|e| observed(e).terminating = true),
        "remove finalizer"
    );
    assert_eq!(blocked(|e| e.observed = None), "");
    assert_eq!(blocked(|e| observed(e).status = None), "");
    assert_eq!(blocked(|e| observed(e).action = Some("stop".into())), "");
    // Even before the engine has been listed.
    assert_eq!(
        step_after(|e, c| {
            c.blocked = true;
            c.engine_listed = false;
            e.desired = None;
            observed(e).terminating = true;
        }),
        "remove finalizer"
    );
}
