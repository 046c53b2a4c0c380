//! Tests of engine requests.

use super::*;

/// Fires the timers that end cool-downs.
fn end_cooldown(state: &mut MirrorState) {
    for timer in state.take_requests().timers {
        if matches!(timer, MirrorTimer::RemovalCooldown(..)) {
            state.on_timer(timer);
        }
    }
}

/// Returns a state with a mirrored volume and containers that may use it.
fn with_containers() -> (MirrorState, MirrorKey, MirrorObject) {
    let (mut state, key, mirror) = with_volume();
    for id in ["bbbb", "cccc", "dddd"] {
        apply_event(&mut state, applied(EngineObject::Container(container(id))));
    }
    while state.next_write(at(9)).is_some() {}
    (state, key, mirror)
}

/// Performs all writes. Returns the number of engine requests about this
/// mirror.
fn count_requests(state: &mut MirrorState, mirror: &mut MirrorObject) -> usize {
    while let Some((key, job)) = state.next_write(at(9)) {
        if key != mirror.key {
            continue;
        }
        if let WriteRequest::Apply {
            status: Some(status),
            ..
        } = job
        {
            mirror.status = Some(*status);
        }
        let number = mirror.version.number().expect("a number") + 1;
        mirror.version = ResourceVersion(number.to_string().into());
        state.on_write_finished(&key, WriteOutcome::Written(mirror.clone()));
    }
    let operations = state.take_requests().engine_requests;
    let about = operations.iter().filter(|(key, _)| *key == mirror.key);
    about.count()
}

/// Deletes the mirror as a client would.
fn delete_mirror(state: &mut MirrorState, mirror: MirrorObject) -> MirrorObject {
    let mut mirror = version(mirror, "60");
    mirror.terminating = true;
    state.on_mirror_event(MirrorEvent::Apply(mirror.clone()));
    mirror
}

#[test]
fn a_refused_removal_is_retried_when_a_possible_blocker_is_removed() {
    let (mut state, key, mirror) = with_containers();
    let mut mirror = delete_mirror(&mut state, mirror);
    assert_eq!(count_requests(&mut state, &mut mirror), 1);
    state.on_removal_finished(&key, &mirror.uid, refused());
    end_cooldown(&mut state);
    apply_event(&mut state, removed(ObjectKind::Container, "bbbb"));
    assert_eq!(count_requests(&mut state, &mut mirror), 1);
    // A blocker that is removed during the attempt counts as well.
    apply_event(&mut state, removed(ObjectKind::Container, "cccc"));
    state.on_removal_finished(&key, &mirror.uid, refused());
    end_cooldown(&mut state);
    assert_eq!(count_requests(&mut state, &mut mirror), 1);
    // So does a complete listing: the engine may have been unreachable.
    state.on_removal_finished(&key, &mirror.uid, refused());
    end_cooldown(&mut state);
    list(&mut state, [EngineObject::Volume(volume("x", at(1)))]);
    assert_eq!(count_requests(&mut state, &mut mirror), 1);
    // So does the retry timer of the last refusal.
    state.on_removal_finished(&key, &mirror.uid, refused());
    let timer = MirrorTimer::Removal(key.clone(), 4);
    assert!(state.take_requests().timers.contains(&timer));
    state.on_timer(MirrorTimer::Removal(key.clone(), 3));
    assert_eq!(count_requests(&mut state, &mut mirror), 0);
    state.on_timer(timer);
    assert_eq!(count_requests(&mut state, &mut mirror), 1);
}

#[test]
fn a_burst_of_removals_triggers_one_retry() {
    let (mut state, key, mirror) = with_containers();
    let mut mirror = delete_mirror(&mut state, mirror);
    assert_eq!(count_requests(&mut state, &mut mirror), 1);
    state.on_removal_finished(&key, &mirror.uid, refused());
    let timers = state.take_requests().timers;
    for id in ["bbbb", "cccc", "dddd"] {
        apply_event(&mut state, removed(ObjectKind::Container, id));
        assert_eq!(count_requests(&mut state, &mut mirror), 0);
    }
    for timer in timers {
        if matches!(timer, MirrorTimer::RemovalCooldown(..)) {
            state.on_timer(timer);
        }
    }
    assert_eq!(count_requests(&mut state, &mut mirror), 1);
}

#[test]
fn the_removal_of_an_unrelated_object_triggers_no_retry() {
    let (mut state, key, mirror) = with_containers();
    let other = volume("y", at(1));
    apply_event(&mut state, applied(EngineObject::Volume(other)));
    let mut mirror = delete_mirror(&mut state, mirror);
    assert_eq!(count_requests(&mut state, &mut mirror), 1);
    state.on_removal_finished(&key, &mirror.uid, refused());
    end_cooldown(&mut state);
    apply_event(&mut state, removed(ObjectKind::Volume, "y"));
    assert_eq!(count_requests(&mut state, &mut mirror), 0);

    let image = |id: &str| DesiredState::Image {
        image: Arc::new(crate::fixtures::image(id, &["a:1"])),
        tag: Some("a:1".into()),
    };
    let container = DesiredState::Container(Arc::new(container("bbbb")));
    let may_block = |kept| super::super::engine_requests::may_block_removal(&container, &kept);
    assert!(may_block(image("sha256:1")));
    assert!(!may_block(image("sha256:2")));
}

#[test]
fn a_removal_of_a_missing_or_replaced_object_is_not_a_failure() {
    for code in [ErrorCode::NotFound, ErrorCode::Replaced] {
        let (mut state, key, mirror) = with_volume();
        delete(&mut state, &mirror);
        let error = EngineError::new(code, "it is not that one");
        state.on_removal_finished(&key, &mirror.uid, Err(error));
        assert!(matches!(
            next_write_of(&mut state, &key),
            Some(WriteRequest::Prune { delete: false, .. })
        ));
        let requests = state.take_requests();
        assert!(
            matches!(requests.timers[..], [MirrorTimer::RemovalEvent(..)]),
            "{requests:?}"
        );
    }
}

#[test]
fn the_removal_of_a_new_volume_waits_for_its_settle_time() {
    let (mut state, key, mirror) = with_volume();
    apply_event(&mut state, removed(ObjectKind::Volume, "x"));
    apply_event(
        &mut state,
        applied(EngineObject::Volume(volume("x", at(2)))),
    );
    assert!(matches!(
        next_write_of(&mut state, &key),
        Some(WriteRequest::Prune { .. })
    ));
    state.on_write_finished(&key, pruned(&mirror));
    assert!(next_write_of(&mut state, &key).is_some());
    let desired = desired_volume("x", at(2));
    let mut second = version(object(&key, status(&desired)), "8");
    second.uid = "u2".into();
    second.terminating = true;
    state.on_write_finished(&key, WriteOutcome::Written(second));
    assert_eq!(state.next_write(at(9)), None);
    let requests = state.take_requests();
    assert!(requests.engine_requests.is_empty(), "{requests:?}");
    for timer in requests.timers {
        state.on_timer(timer);
    }
    assert_eq!(state.next_write(at(9)), None);
    assert_eq!(state.take_requests().engine_requests.len(), 1);
}

#[test]
fn a_volume_with_a_fine_creation_time_needs_no_settle_time() {
    let fine = at(1) + jiff::SignedDuration::from_nanos(1);
    let mut state = state([EngineObject::Volume(volume("x", fine))]);
    assert!(state.take_requests().timers.is_empty());
    create_mirror(&mut state, &desired_volume("x", fine), &volume_key("x"));
}

#[test]
fn an_action_requested_during_another_one_is_performed_next() {
    let mut state = state([EngineObject::Container(container("aaaa"))]);
    let key = key(MirrorKind::Container, "aaaa");
    let desired = DesiredState::Container(Arc::new(container("aaaa")));
    create_mirror(&mut state, &desired, &key);
    let requested = |version_: &str, action: &str| {
        let mut mirror = version(object(&key, status(&desired)), version_);
        mirror.action = Some(action.into());
        MirrorEvent::Apply(mirror)
    };
    let last = LastAction {
        action: "stop".to_owned(),
        state: ActionState::Succeeded,
        error: String::new(),
        reason: String::new(),
        observed_at: rdd_api::Time(at(1)),
        completed_at: rdd_api::Time(at(1)),
    };
    state.on_mirror_event(requested("6", "stop"));
    while state.next_write(at(9)).is_some() {}
    assert_eq!(state.take_requests().engine_requests.len(), 1);
    // Not repeated, and not concurrently.
    state.on_mirror_event(requested("7", "start"));
    while state.next_write(at(9)).is_some() {}
    assert!(state.take_requests().engine_requests.is_empty());
    state.on_action_finished(&key, "stop", last);
    while state.next_write(at(9)).is_some() {}
    let operations = state.take_requests().engine_requests;
    assert!(matches!(
        &operations[..],
        [(
            _,
            EngineRequest::Act {
                action: ActionName::Start,
                ..
            }
        )]
    ));
}

#[test]
fn an_action_that_changes_while_it_is_being_claimed_is_planned_again() {
    let mut state = state([EngineObject::Container(container("aaaa"))]);
    let key = key(MirrorKind::Container, "aaaa");
    let desired = DesiredState::Container(Arc::new(container("aaaa")));
    create_mirror(&mut state, &desired, &key);
    let requested = |version_: &str, action: &str| {
        let mut mirror = version(object(&key, status(&desired)), version_);
        mirror.action = Some(action.into());
        MirrorEvent::Apply(mirror)
    };
    state.on_mirror_event(requested("6", "restart"));
    while state.next_write(at(9)).is_some() {}
    assert_eq!(state.take_requests().engine_requests.len(), 1);
    // The event about the second action arrives before the claim for the first
    // is lost.
    state.on_mirror_event(requested("7", "stop"));
    while state.next_write(at(9)).is_some() {}
    state.on_claim_lost(&key);
    let timers = state.take_requests().timers;
    assert_eq!(timers, [MirrorTimer::Claim(key.clone())]);
    for timer in timers {
        state.on_timer(timer);
    }
    while state.next_write(at(9)).is_some() {}
    let operations = state.take_requests().engine_requests;
    assert!(
        matches!(
            &operations[..],
            [(
                _,
                EngineRequest::Act {
                    action: ActionName::Stop,
                    ..
                }
            )]
        ),
        "{operations:?}"
    );
}
