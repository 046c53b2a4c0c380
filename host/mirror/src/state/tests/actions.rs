//! Tests of actions whose mirror, App, or instance changes in the meantime.

use super::*;
use crate::desired_state::MirrorStatus;

/// Returns a state with one mirrored container, its key, and its mirror.
fn with_container() -> (MirrorState, MirrorKey, MirrorObject) {
    let mut state = state([EngineObject::Container(container("aaaa"))]);
    let key = key(MirrorKind::Container, "aaaa");
    let desired = DesiredState::Container(Arc::new(container("aaaa")));
    create_mirror(&mut state, &desired, &key);
    let mirror = object(&key, status(&desired));
    (state, key, mirror)
}

/// Requests an action as a client would.
fn request_action(state: &mut MirrorState, mirror: &MirrorObject, at_version: &str, action: &str) {
    let mut requested = version(mirror.clone(), at_version);
    requested.action = Some(action.into());
    state.on_mirror_event(MirrorEvent::Apply(requested));
}

/// Returns the number of actions that are started next.
fn started_actions(state: &mut MirrorState) -> usize {
    while state.next_write(at(9)).is_some() {}
    let operations = state.take_requests().engine_requests;
    let is_action = |(_, operation): &&(MirrorKey, EngineRequest)| {
        matches!(operation, EngineRequest::Act { .. })
    };
    operations.iter().filter(is_action).count()
}

fn succeeded(action: &str) -> LastAction {
    LastAction {
        action: action.to_owned(),
        state: ActionState::Succeeded,
        error: String::new(),
        reason: String::new(),
        observed_at: rdd_api::Time(at(1)),
        completed_at: rdd_api::Time(at(1)),
    }
}

#[test]
fn a_running_action_is_not_started_again_when_the_app_restarts() {
    let (mut state, key, mirror) = with_container();
    request_action(&mut state, &mirror, "6", "restart");
    assert_eq!(started_actions(&mut state), 1);
    state.select_backend(scope(), None);
    state.select_backend(scope(), Some(EngineView::new(NAMESPACE.into(), info())));
    list(&mut state, [EngineObject::Container(container("aaaa"))]);
    assert_eq!(started_actions(&mut state), 0);
    // Its result still counts, because the mirror still requests it.
    state.on_action_finished(&key, "restart", succeeded("restart"));
    let outcome = state.next_write(at(9));
    let has_last_action = |status: &MirrorStatus| match status {
        MirrorStatus::Container(status) => status.last_action.is_some(),
        _ => false,
    };
    assert!(
        matches!(&outcome, Some((of, WriteRequest::Apply { status: Some(status), .. }))
            if *of == key && has_last_action(status)),
        "{outcome:?}"
    );
    assert_eq!(started_actions(&mut state), 0);
}

#[test]
fn a_claim_lost_with_its_mirror_does_not_affect_the_next_mirror() {
    let (mut state, key, mirror) = with_container();
    request_action(&mut state, &mirror, "6", "restart");
    assert_eq!(started_actions(&mut state), 1);
    state.on_mirror_event(MirrorEvent::Delete(version(mirror.clone(), "7")));
    assert!(matches!(
        next_write_of(&mut state, &key),
        Some(WriteRequest::Apply { .. })
    ));
    let second = MirrorObject {
        uid: "u2".into(),
        ..version(mirror, "8")
    };
    state.on_write_finished(&key, WriteOutcome::Written(second.clone()));
    request_action(&mut state, &second, "9", "restart");
    // One at a time, so that each result belongs to a known action.
    assert_eq!(started_actions(&mut state), 0);
    state.on_claim_lost(&key);
    for timer in state.take_requests().timers {
        state.on_timer(timer);
    }
    assert_eq!(started_actions(&mut state), 1);
    state.on_action_finished(&key, "restart", succeeded("restart"));
    assert_eq!(started_actions(&mut state), 0);
}

#[test]
fn a_lost_claim_is_not_retried_immediately() {
    let (mut state, key, mirror) = with_container();
    request_action(&mut state, &mirror, "6", "restart");
    assert_eq!(started_actions(&mut state), 1);
    state.on_claim_lost(&key);
    assert_eq!(state.next_write(at(9)), None);
    let requests = state.take_requests();
    assert_eq!(requests.engine_requests, []);
    assert_eq!(requests.timers, [MirrorTimer::Claim(key.clone())]);
    // The container may be gone when the timer fires.
    apply_event(&mut state, removed(ObjectKind::Container, "aaaa"));
    state.on_mirror_event(MirrorEvent::Delete(version(mirror, "7")));
    assert_eq!(started_actions(&mut state), 0);
    state.on_timer(MirrorTimer::Claim(key));
    assert_eq!(started_actions(&mut state), 0);
}

#[test]
fn a_claim_that_keeps_failing_backs_off() {
    let (mut state, key, mirror) = with_container();
    let status = kube::core::Status::failure("forbidden", "Forbidden").with_code(403);
    let forbidden = kube::Error::Api(status.boxed());
    request_action(&mut state, &mirror, "6", "restart");
    for failures in 1..5 {
        while state.next_write(at(9)).is_some() {}
        let requests = state.take_requests();
        assert_eq!(requests.engine_requests.len(), 1);
        state.on_claim_failed(&key, &forbidden);
        let timer = MirrorTimer::Write(key.clone(), failures);
        assert_eq!(state.take_requests().timers, std::slice::from_ref(&timer));
        state.on_timer(timer);
    }
    assert!(state.failure_summary().is_some());
    // An action that is no longer requested is no longer failing.
    assert_eq!(started_actions(&mut state), 1);
    state.on_mirror_event(MirrorEvent::Apply(version(mirror, "7")));
    state.on_claim_lost(&key);
    for timer in state.take_requests().timers {
        state.on_timer(timer);
    }
    assert_eq!(started_actions(&mut state), 0);
    assert_eq!(state.failure_summary(), None);
}

#[test]
fn the_last_action_of_another_instance_is_not_overwritten() {
    let (mut state, key, mirror) = with_container();
    request_action(&mut state, &mirror, "6", "stop");
    assert_eq!(started_actions(&mut state), 1);
    state.on_action_finished(&key, "stop", succeeded("stop"));
    state.set_lease_held(false);
    // Another instance adopts the mirror and carries out the next action.
    let mut theirs = version(mirror, "9");
    theirs.instance = Some("other".into());
    if let Some(MirrorStatus::Container(status)) = &mut theirs.status {
        status.last_action = Some(succeeded("start"));
    }
    state.on_mirror_event(MirrorEvent::Apply(theirs));
    state.set_lease_held(true);
    // Only the labels change.
    let relabeled = next_write_of(&mut state, &key);
    assert!(
        matches!(
            relabeled,
            Some(WriteRequest::Apply {
                metadata: true,
                status: None,
                ..
            })
        ),
        "{relabeled:?}"
    );
}
