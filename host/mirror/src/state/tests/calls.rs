//! Calls to the engine.

use super::*;

#[test]
fn a_refused_removal_is_tried_again_when_anything_goes() {
    let (mut state, key, mut mirror) = with_volume();
    assert_eq!(delete(&mut state, &mirror).len(), 1);
    mirror.terminating = true;
    state.on_removed(&key, &mirror.uid, refused());
    assert!(work(&mut state, &mut mirror).is_empty());
    hear(&mut state, removed(ObjectKind::Container, "bbbb"));
    assert_eq!(work(&mut state, &mut mirror).len(), 1);
    // What goes while the engine is thinking counts as well.
    hear(&mut state, removed(ObjectKind::Container, "cccc"));
    state.on_removed(&key, &mirror.uid, refused());
    assert_eq!(work(&mut state, &mut mirror).len(), 1);
    // So does a whole listing: the engine may have been away.
    state.on_removed(&key, &mirror.uid, refused());
    list(&mut state, [EngineObject::Volume(volume("x", at(1)))]);
    assert_eq!(work(&mut state, &mut mirror).len(), 1);
    // And its own timer, of which there is one for each refusal.
    state.on_removed(&key, &mirror.uid, refused());
    let timer = Timer::Removal(key.clone(), 4);
    assert_eq!(state.take_requests().timers, std::slice::from_ref(&timer));
    state.on_timer(Timer::Removal(key, 3));
    assert!(work(&mut state, &mut mirror).is_empty());
    state.on_timer(timer);
    assert_eq!(work(&mut state, &mut mirror).len(), 1);
}

#[test]
fn what_is_gone_or_another_by_now_is_no_failure() {
    for code in [ErrorCode::NotFound, ErrorCode::Replaced] {
        let (mut state, key, mirror) = with_volume();
        delete(&mut state, &mirror);
        let error = EngineError::new(code, "it is not that one");
        state.on_removed(&key, &mirror.uid, Err(error));
        assert!(matches!(
            job(&mut state, &key),
            Some(Job::Discard { delete: false, .. })
        ));
        let requests = state.take_requests();
        assert!(
            matches!(requests.timers[..], [Timer::Removed(..)]),
            "{requests:?}"
        );
    }
}

#[test]
fn a_volume_of_the_last_two_seconds_waits_for_its_removal() {
    let (mut state, key, mirror) = with_volume();
    hear(&mut state, removed(ObjectKind::Volume, "x"));
    hear(
        &mut state,
        applied(EngineObject::Volume(volume("x", at(2)))),
    );
    assert!(matches!(job(&mut state, &key), Some(Job::Discard { .. })));
    state.on_outcome(&key, gone(&mirror));
    assert!(job(&mut state, &key).is_some());
    let desired = desired_volume("x", at(2));
    let mut second = version(object(&key, status(&desired)), "8");
    second.uid = "u2".into();
    second.terminating = true;
    state.on_outcome(&key, Outcome::Written(second));
    assert_eq!(state.next_job(at(9)), None);
    let requests = state.take_requests();
    assert!(requests.operations.is_empty(), "{requests:?}");
    for timer in requests.timers {
        state.on_timer(timer);
    }
    assert_eq!(state.next_job(at(9)), None);
    assert_eq!(state.take_requests().operations.len(), 1);
}

#[test]
fn an_engine_that_tells_finer_times_is_believed_at_once() {
    let fine = at(1) + jiff::SignedDuration::from_nanos(1);
    let mut state = state([EngineObject::Volume(volume("x", fine))]);
    assert!(state.take_requests().timers.is_empty());
    settle(&mut state, &desired_volume("x", fine), &volume_key("x"));
}

#[test]
fn an_action_that_is_asked_for_meanwhile_is_done_next() {
    let mut state = state([EngineObject::Container(container("aaaa"))]);
    let key = key(Kind::Container, "aaaa");
    let desired = Desired::Container(Arc::new(container("aaaa")));
    settle(&mut state, &desired, &key);
    let asked = |version_: &str, action: &str| {
        let mut mirror = version(object(&key, status(&desired)), version_);
        mirror.action = Some(action.into());
        News::Object(mirror)
    };
    let last = LastAction {
        action: ActionName::Stop,
        state: ActionState::Succeeded,
        error: String::new(),
        observed_at: rdd_api::Time(at(1)),
        completed_at: rdd_api::Time(at(1)),
    };
    state.on_news(asked("6", "stop"));
    while state.next_job(at(9)).is_some() {}
    assert_eq!(state.take_requests().operations.len(), 1);
    // Not twice, and not beside each other.
    state.on_news(asked("7", "start"));
    while state.next_job(at(9)).is_some() {}
    assert!(state.take_requests().operations.is_empty());
    state.on_acted(&key, "stop", last);
    while state.next_job(at(9)).is_some() {}
    let operations = state.take_requests().operations;
    assert!(matches!(
        &operations[..],
        [(
            _,
            Operation::Act {
                action: ActionName::Start,
                ..
            }
        )]
    ));
}
