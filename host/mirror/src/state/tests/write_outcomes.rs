//! Tests of the outcomes of writes.

use super::*;

#[test]
fn a_change_during_a_write_is_written_afterwards() {
    let mut state = state([EngineObject::Container(container("aaaa"))]);
    let key = key(MirrorKind::Container, "aaaa");
    assert!(next_write_of(&mut state, &key).is_some());
    let renamed = rdd_core::Container {
        name: "renamed".to_owned(),
        ..container("aaaa")
    };
    apply_event(&mut state, applied(EngineObject::Container(renamed)));
    assert_eq!(state.next_write(at(9)), None);
    let written = object(
        &key,
        status(&DesiredState::Container(Arc::new(container("aaaa")))),
    );
    state.on_write_finished(&key, WriteOutcome::Written(written));
    assert!(matches!(
        next_write_of(&mut state, &key),
        Some(WriteRequest::Apply {
            metadata: false,
            ..
        })
    ));
}

#[test]
fn a_failed_write_waits_for_its_timer_each_time() {
    let mut state = state([EngineObject::Container(container("aaaa"))]);
    let key = key(MirrorKind::Container, "aaaa");
    for failures in 1..=3 {
        assert!(next_write_of(&mut state, &key).is_some());
        state.on_write_finished(&key, WriteOutcome::Failed(api_error("no")));
        assert_eq!(state.next_write(at(9)), None);
        let timers = state.take_requests().timers;
        assert_eq!(timers, [MirrorTimer::Write(key.clone(), failures)]);
        // The timer of an earlier failure is ignored.
        state.on_timer(MirrorTimer::Write(key.clone(), failures - 1));
        assert_eq!(state.next_write(at(9)), None);
        state.on_timer(timers[0].clone());
    }
    assert!(next_write_of(&mut state, &key).is_some());
}

#[test]
fn a_refused_write_of_an_unchanged_object_backs_off() {
    let (mut state, key, mirror) = with_volume();
    let desired = volume("x", at(1));
    let other = rdd_core::Volume {
        mountpoint: "/m".to_owned(),
        ..desired
    };
    apply_event(&mut state, applied(EngineObject::Volume(other)));
    let refresh = |object: &MirrorObject| WriteOutcome::Refreshed {
        object: Some(object.clone()),
        error: api_error("invalid"),
    };
    // The object had another version: retry immediately.
    assert!(next_write_of(&mut state, &key).is_some());
    let newer = version(mirror, "7");
    state.on_write_finished(&key, refresh(&newer));
    assert!(state.take_requests().timers.is_empty());
    // The same version is refused again: back off.
    assert!(next_write_of(&mut state, &key).is_some());
    state.on_write_finished(&key, refresh(&newer));
    assert_eq!(
        state.take_requests().timers,
        [MirrorTimer::Write(key.clone(), 1)]
    );
    assert_eq!(state.next_write(at(9)), None);
}

#[test]
fn a_write_without_effect_backs_off() {
    let (mut state, key, mirror) = with_volume();
    let mut bare = version(mirror, "6");
    bare.finalizer = None;
    state.on_mirror_event(MirrorEvent::Apply(bare.clone()));
    assert!(next_write_of(&mut state, &key).is_some());
    state.on_write_finished(&key, WriteOutcome::Written(bare.clone()));
    assert_eq!(state.next_write(at(9)), None);
    let timer = MirrorTimer::Write(key.clone(), 1);
    assert_eq!(state.take_requests().timers, std::slice::from_ref(&timer));
    state.on_timer(timer);
    assert!(next_write_of(&mut state, &key).is_some());
    // The watch may report a write before its response arrives.
    let mut written = version(bare, "7");
    written.finalizer = Some(0);
    state.on_mirror_event(MirrorEvent::Apply(written.clone()));
    state.on_write_finished(&key, WriteOutcome::Written(written));
    assert!(state.take_requests().timers.is_empty());
    assert_eq!(state.next_write(at(9)), None);
}

#[test]
fn a_mirror_created_during_a_not_found_response_is_kept() {
    let (mut state, key, mirror) = with_volume();
    let other = rdd_core::Volume {
        mountpoint: "/m".to_owned(),
        ..volume("x", at(1))
    };
    apply_event(&mut state, applied(EngineObject::Volume(other)));
    assert!(next_write_of(&mut state, &key).is_some());
    state.on_mirror_event(MirrorEvent::Delete(version(mirror.clone(), "6")));
    let second = MirrorObject {
        uid: "u2".into(),
        ..version(mirror, "7")
    };
    state.on_mirror_event(MirrorEvent::Apply(second));
    let missing = WriteOutcome::Refreshed {
        object: None,
        error: api_error("not found"),
    };
    state.on_write_finished(&key, missing);
    assert!(matches!(
        next_write_of(&mut state, &key),
        Some(WriteRequest::Apply {
            metadata: false,
            ..
        })
    ));
}

#[test]
fn a_response_older_than_a_watch_event_is_dropped() {
    for outcome in [
        |object: MirrorObject| WriteOutcome::Written(object),
        |object: MirrorObject| WriteOutcome::Refreshed {
            object: Some(object),
            error: api_error(""),
        },
    ] {
        let (mut state, key, mirror) = with_volume();
        let moved = rdd_core::Volume {
            mountpoint: "/m".to_owned(),
            ..volume("x", at(1))
        };
        apply_event(&mut state, applied(EngineObject::Volume(moved)));
        assert!(next_write_of(&mut state, &key).is_some());
        let mut deleted = version(mirror.clone(), "8");
        deleted.terminating = true;
        state.on_mirror_event(MirrorEvent::Apply(deleted));
        state.on_write_finished(&key, outcome(version(mirror, "7")));
        assert!(
            next_write_of(&mut state, &key).is_some(),
            "the status of the deleted mirror"
        );
        assert_eq!(state.take_requests().engine_requests.len(), 1);
    }
}

#[test]
fn a_write_of_the_previous_selection_may_create_an_orphan() {
    let mut state = state([EngineObject::Container(container("aaaa"))]);
    let container = key(MirrorKind::Container, "aaaa");
    assert!(next_write_of(&mut state, &container).is_some());
    state.select_backend(scope(), None);
    let mirror = object(&container, None);
    // The mirror of the namespace is pruned; that of the container is in
    // flight.
    let namespace = key(MirrorKind::Namespace, "moby");
    assert!(next_write_of(&mut state, &namespace).is_some());
    state.on_write_finished(&namespace, pruned(&mirror));
    assert_eq!(state.next_write(at(9)), None);
    assert!(state.has_orphans());
    state.on_write_finished(&container, WriteOutcome::Written(mirror.clone()));
    assert!(state.has_orphans());
    assert!(matches!(
        next_write_of(&mut state, &container),
        Some(WriteRequest::Prune { .. })
    ));
    state.on_write_finished(&container, pruned(&mirror));
    assert!(!state.has_orphans());
}

#[test]
fn failing_writes_are_reported_and_prevent_a_sync_only_if_all_fail() {
    let mut state = state([EngineObject::Container(container("aaaa"))]);
    let container = key(MirrorKind::Container, "aaaa");
    let fail = |state: &mut MirrorState| {
        assert!(next_write_of(state, &container).is_some());
        state.on_write_finished(
            &container,
            WriteOutcome::Failed(api_error("quota exceeded")),
        );
        assert_eq!(state.next_write(at(9)), None);
    };
    let wait = |state: &mut MirrorState| {
        for timer in state.take_requests().timers {
            state.on_timer(timer);
        }
    };
    for _ in 0..2 {
        fail(&mut state);
        // It is retried soon, and the sync waits for that.
        assert_eq!(state.failure_summary(), None);
        assert!(!state.is_synced());
        wait(&mut state);
    }
    fail(&mut state);
    // One of two mirrors is written: that of the namespace.
    let failures = state.failure_summary().expect("there must be a failure");
    assert!(failures.starts_with("1 of 2 mirrors"), "{failures}");
    assert!(failures.contains("quota exceeded"), "{failures}");
    assert!(state.is_synced());
    // If it were the only one, the state would not be synced.
    state.desired_count = 1;
    assert!(!state.is_synced());
    state.desired_count = 2;
    wait(&mut state);
    let desired = DesiredState::Container(Arc::new(crate::fixtures::container("aaaa")));
    create_mirror(&mut state, &desired, &container);
    assert_eq!(state.failure_summary(), None);
    assert!(state.is_synced());
}

#[test]
fn a_write_that_succeeded_without_a_response_is_no_longer_failing() {
    let mut state = state([EngineObject::Container(container("aaaa"))]);
    let key = key(MirrorKind::Container, "aaaa");
    for _ in 0..3 {
        assert!(next_write_of(&mut state, &key).is_some());
        state.on_write_finished(
            &key,
            WriteOutcome::Failed(api_error("the connection was reset")),
        );
        assert_eq!(state.next_write(at(9)), None);
        for timer in state.take_requests().timers {
            state.on_timer(timer);
        }
    }
    assert!(state.failure_summary().is_some());
    let desired = DesiredState::Container(Arc::new(container("aaaa")));
    state.on_mirror_event(MirrorEvent::Apply(object(&key, status(&desired))));
    assert_eq!(next_write_of(&mut state, &key), None);
    assert_eq!(state.failure_summary(), None);
}
