//! Calls to the engine.

use super::*;

/// Fires the reminder that lets a refused removal be woken.
fn rest(state: &mut State) {
    for timer in state.take_requests().timers {
        if matches!(timer, Timer::Rested(..)) {
            state.on_timer(timer);
        }
    }
}

fn with_users() -> (State, Key, Object) {
    let (mut state, key, mirror) = with_volume();
    for id in ["bbbb", "cccc", "dddd"] {
        hear(&mut state, applied(EngineObject::Container(container(id))));
    }
    while state.next_job(at(9)).is_some() {}
    (state, key, mirror)
}

/// Works off everything; returns how often the engine is asked about this
/// mirror.
fn asked(state: &mut State, mirror: &mut Object) -> usize {
    while let Some((key, job)) = state.next_job(at(9)) {
        if key != mirror.key {
            continue;
        }
        if let Job::Write {
            status: Some(status),
            ..
        } = job
        {
            mirror.status = Some(*status);
        }
        let number = mirror.version.number().expect("a number") + 1;
        mirror.version = Version(number.to_string().into());
        state.on_outcome(&key, Outcome::Written(mirror.clone()));
    }
    let operations = state.take_requests().operations;
    let about = operations.iter().filter(|(key, _)| *key == mirror.key);
    about.count()
}

/// A user deletes the mirror.
fn deleted(state: &mut State, mirror: Object) -> Object {
    let mut mirror = version(mirror, "60");
    mirror.terminating = true;
    state.on_news(News::Object(mirror.clone()));
    mirror
}

#[test]
fn a_refused_removal_is_tried_again_when_something_goes_that_it_may_wait_for() {
    let (mut state, key, mirror) = with_users();
    let mut mirror = deleted(&mut state, mirror);
    assert_eq!(asked(&mut state, &mut mirror), 1);
    state.on_removed(&key, &mirror.uid, refused());
    rest(&mut state);
    hear(&mut state, removed(ObjectKind::Container, "bbbb"));
    assert_eq!(asked(&mut state, &mut mirror), 1);
    // What goes while the engine is thinking counts as well.
    hear(&mut state, removed(ObjectKind::Container, "cccc"));
    state.on_removed(&key, &mirror.uid, refused());
    rest(&mut state);
    assert_eq!(asked(&mut state, &mut mirror), 1);
    // So does a whole listing: the engine may have been away.
    state.on_removed(&key, &mirror.uid, refused());
    rest(&mut state);
    list(&mut state, [EngineObject::Volume(volume("x", at(1)))]);
    assert_eq!(asked(&mut state, &mut mirror), 1);
    // And its own timer, of which there is one for each refusal.
    state.on_removed(&key, &mirror.uid, refused());
    let timer = Timer::Removal(key.clone(), 4);
    assert!(state.take_requests().timers.contains(&timer));
    state.on_timer(Timer::Removal(key.clone(), 3));
    assert_eq!(asked(&mut state, &mut mirror), 0);
    state.on_timer(timer);
    assert_eq!(asked(&mut state, &mut mirror), 1);
}

#[test]
fn a_burst_of_removals_wakes_a_refused_one_once() {
    let (mut state, key, mirror) = with_users();
    let mut mirror = deleted(&mut state, mirror);
    assert_eq!(asked(&mut state, &mut mirror), 1);
    state.on_removed(&key, &mirror.uid, refused());
    let timers = state.take_requests().timers;
    for id in ["bbbb", "cccc", "dddd"] {
        hear(&mut state, removed(ObjectKind::Container, id));
        assert_eq!(asked(&mut state, &mut mirror), 0);
    }
    for timer in timers {
        if matches!(timer, Timer::Rested(..)) {
            state.on_timer(timer);
        }
    }
    assert_eq!(asked(&mut state, &mut mirror), 1);
}

#[test]
fn what_cannot_have_been_in_the_way_wakes_nothing() {
    let (mut state, key, mirror) = with_users();
    let other = volume("y", at(1));
    hear(&mut state, applied(EngineObject::Volume(other)));
    let mut mirror = deleted(&mut state, mirror);
    assert_eq!(asked(&mut state, &mut mirror), 1);
    state.on_removed(&key, &mirror.uid, refused());
    rest(&mut state);
    hear(&mut state, removed(ObjectKind::Volume, "y"));
    assert_eq!(asked(&mut state, &mut mirror), 0);

    let image = |id: &str| Desired::Image {
        image: Arc::new(crate::fixtures::image(id, &["a:1"])),
        tag: Some("a:1".into()),
    };
    let user = Desired::Container(Arc::new(container("bbbb")));
    let in_the_way = |kept| super::super::calls::may_stand_in_the_way(&user, &kept);
    assert!(in_the_way(image("sha256:1")));
    assert!(!in_the_way(image("sha256:2")));
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
        action: "stop".to_owned(),
        state: ActionState::Succeeded,
        error: String::new(),
        reason: String::new(),
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

#[test]
fn an_action_that_changes_while_it_is_claimed_is_looked_at_again() {
    let mut state = state([EngineObject::Container(container("aaaa"))]);
    let key = key(Kind::Container, "aaaa");
    let desired = Desired::Container(Arc::new(container("aaaa")));
    settle(&mut state, &desired, &key);
    let asked = |version_: &str, action: &str| {
        let mut mirror = version(object(&key, status(&desired)), version_);
        mirror.action = Some(action.into());
        News::Object(mirror)
    };
    state.on_news(asked("6", "restart"));
    while state.next_job(at(9)).is_some() {}
    assert_eq!(state.take_requests().operations.len(), 1);
    // The news of the other action comes before the claim of the first is lost.
    state.on_news(asked("7", "stop"));
    while state.next_job(at(9)).is_some() {}
    state.on_claim_lost(&key);
    let timers = state.take_requests().timers;
    assert_eq!(timers, [Timer::Claim(key.clone())]);
    for timer in timers {
        state.on_timer(timer);
    }
    while state.next_job(at(9)).is_some() {}
    let operations = state.take_requests().operations;
    assert!(
        matches!(
            &operations[..],
            [(
                _,
                Operation::Act {
                    action: ActionName::Stop,
                    ..
                }
            )]
        ),
        "{operations:?}"
    );
}
