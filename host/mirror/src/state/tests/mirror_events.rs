//! Tests of late and early events of the API.

use super::*;

#[test]
fn late_events_about_a_pruned_mirror_trigger_no_request() {
    let (mut state, key, mirror) = with_volume();
    apply_event(&mut state, removed(ObjectKind::Volume, "x"));
    assert!(matches!(
        next_write_of(&mut state, &key),
        Some(WriteRequest::Prune { delete: true, .. })
    ));
    // The volume is recreated while the old mirror is being pruned.
    apply_event(
        &mut state,
        applied(EngineObject::Volume(volume("x", at(1)))),
    );
    state.on_write_finished(&key, pruned(&mirror));
    let mut late = version(mirror.clone(), "8");
    late.terminating = true;
    state.on_mirror_event(MirrorEvent::Apply(late.clone()));
    assert!(matches!(
        next_write_of(&mut state, &key),
        Some(WriteRequest::Apply { metadata: true, .. })
    ));
    assert!(state.take_requests().engine_requests.is_empty());
    // After the watch has reported the deletion, the tombstone is removed.
    state.on_mirror_event(MirrorEvent::Delete(version(late, "9")));
    let second = MirrorObject {
        uid: "u2".into(),
        ..version(mirror, "10")
    };
    state.on_write_finished(&key, WriteOutcome::Written(second));
    assert_eq!(state.next_write(at(9)), None);
}

#[test]
fn a_mirror_from_before_this_process_does_not_represent_a_volume_created_since() {
    let mut state = MirrorState::new(INSTANCE.into(), false);
    let view = EngineView::new(NAMESPACE.into(), info());
    state.select_backend(scope(), Some(view));
    state.set_lease_held(true);
    list(&mut state, [EngineObject::Volume(volume("x", at(1)))]);
    apply_event(&mut state, removed(ObjectKind::Volume, "x"));
    apply_event(
        &mut state,
        applied(EngineObject::Volume(volume("x", at(1)))),
    );
    for kind in MirrorKind::ALL {
        state.on_mirror_event(MirrorEvent::Init(kind));
        if kind == MirrorKind::Volume {
            let desired = desired_volume("x", at(1));
            let mut old = object(&volume_key("x"), status(&desired));
            old.terminating = true;
            state.on_mirror_event(MirrorEvent::Apply(old));
        }
        state.on_mirror_event(MirrorEvent::InitDone(kind));
    }
    fire_settle_timers(&mut state);
    let mut jobs = Vec::new();
    while let Some((key, job)) = state.next_write(at(9)) {
        jobs.push((key.kind, job));
    }
    assert!(jobs.iter().any(|(kind, job)| *kind == MirrorKind::Volume
        && matches!(job, WriteRequest::Prune { delete: false, .. })));
    assert!(state.take_requests().engine_requests.is_empty());
}

#[test]
fn a_mirror_missing_from_a_new_listing_of_the_api_is_recreated() {
    let (mut state, key, mirror) = with_volume();
    state.on_mirror_event(MirrorEvent::Init(MirrorKind::Volume));
    state.on_mirror_event(MirrorEvent::Apply(mirror.clone()));
    state.on_mirror_event(MirrorEvent::InitDone(MirrorKind::Volume));
    assert_eq!(state.next_write(at(9)), None);
    state.on_mirror_event(MirrorEvent::Init(MirrorKind::Volume));
    state.on_mirror_event(MirrorEvent::InitDone(MirrorKind::Volume));
    assert!(matches!(
        next_write_of(&mut state, &key),
        Some(WriteRequest::Apply { metadata: true, .. })
    ));
    // The listing was older than the mirror: its event restores it without a
    // new version.
    state.on_mirror_event(MirrorEvent::Apply(mirror.clone()));
    state.on_write_finished(&key, WriteOutcome::Written(mirror));
    assert_eq!(state.next_write(at(9)), None);
}

#[test]
fn a_mirror_belongs_to_the_incarnation_that_its_write_was_planned_for() {
    let mut state = state([EngineObject::Volume(volume("x", at(1)))]);
    let key = volume_key("x");
    assert!(next_write_of(&mut state, &key).is_some());
    apply_event(&mut state, removed(ObjectKind::Volume, "x"));
    apply_event(
        &mut state,
        applied(EngineObject::Volume(volume("x", at(1)))),
    );
    let mirror = object(&key, status(&desired_volume("x", at(1))));
    state.on_write_finished(&key, WriteOutcome::Written(mirror));
    assert!(matches!(
        next_write_of(&mut state, &key),
        Some(WriteRequest::Prune { delete: true, .. })
    ));
}

#[test]
fn a_mirror_without_label_and_finalizer_is_deleted_with_its_object() {
    let (mut state, key, mirror) = with_volume();
    apply_event(&mut state, removed(ObjectKind::Volume, "x"));
    assert!(next_write_of(&mut state, &key).is_some());
    // We removed the finalizer, a client removed the label, and the deletion
    // failed.
    let mut bare = version(mirror, "6");
    bare.finalizer = None;
    bare.backend = None;
    state.on_mirror_event(MirrorEvent::Apply(bare));
    state.on_write_finished(&key, WriteOutcome::Failed(api_error("conflict")));
    for timer in state.take_requests().timers {
        state.on_timer(timer);
    }
    assert!(matches!(
        next_write_of(&mut state, &key),
        Some(WriteRequest::Prune {
            finalizer: None,
            delete: true,
            ..
        })
    ));
}
