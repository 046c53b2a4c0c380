//! Actions that outlive what they were asked on.

use super::*;
use crate::desired::Status;

/// A state with one container, mirrored, and its mirror.
fn with_container() -> (State, Key, Object) {
    let mut state = state([EngineObject::Container(container("aaaa"))]);
    let key = key(Kind::Container, "aaaa");
    let desired = Desired::Container(Arc::new(container("aaaa")));
    settle(&mut state, &desired, &key);
    let mirror = object(&key, status(&desired));
    (state, key, mirror)
}

/// A user asks for an action.
fn ask(state: &mut State, mirror: &Object, at_version: &str, action: &str) {
    let mut asked = version(mirror.clone(), at_version);
    asked.action = Some(action.into());
    state.on_news(News::Object(asked));
}

/// How many actions are begun next.
fn begun(state: &mut State) -> usize {
    while state.next_job(at(9)).is_some() {}
    let operations = state.take_requests().operations;
    let is_action = |(_, operation): &&(Key, Operation)| matches!(operation, Operation::Act { .. });
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
fn an_action_under_way_is_not_begun_again_by_an_app_that_stops_for_a_moment() {
    let (mut state, key, mirror) = with_container();
    ask(&mut state, &mirror, "6", "restart");
    assert_eq!(begun(&mut state), 1);
    state.choose(scope(), None);
    state.choose(scope(), Some(View::new(NAMESPACE.into(), info())));
    list(&mut state, [EngineObject::Container(container("aaaa"))]);
    assert_eq!(begun(&mut state), 0);
    // Its end counts all the same: the mirror still asks for it.
    state.on_acted(&key, "restart", succeeded("restart"));
    let outcome = state.next_job(at(9));
    let is_told = |status: &Status| match status {
        Status::Container(status) => status.last_action.is_some(),
        _ => false,
    };
    assert!(
        matches!(&outcome, Some((of, Job::Write { status: Some(status), .. }))
            if *of == key && is_told(status)),
        "{outcome:?}"
    );
    assert_eq!(begun(&mut state), 0);
}

#[test]
fn a_claim_that_is_lost_with_its_mirror_says_nothing_of_the_next_one() {
    let (mut state, key, mirror) = with_container();
    ask(&mut state, &mirror, "6", "restart");
    assert_eq!(begun(&mut state), 1);
    state.on_news(News::Deleted(version(mirror.clone(), "7")));
    assert!(matches!(job(&mut state, &key), Some(Job::Write { .. })));
    let second = Object {
        uid: "u2".into(),
        ..version(mirror, "8")
    };
    state.on_outcome(&key, Outcome::Written(second.clone()));
    ask(&mut state, &second, "9", "restart");
    // One at a time, so that each end is known for what it is.
    assert_eq!(begun(&mut state), 0);
    state.on_claim_lost(&key);
    for timer in state.take_requests().timers {
        state.on_timer(timer);
    }
    assert_eq!(begun(&mut state), 1);
    state.on_acted(&key, "restart", succeeded("restart"));
    assert_eq!(begun(&mut state), 0);
}

#[test]
fn a_claim_that_is_lost_is_not_tried_again_at_once() {
    let (mut state, key, mirror) = with_container();
    ask(&mut state, &mirror, "6", "restart");
    assert_eq!(begun(&mut state), 1);
    state.on_claim_lost(&key);
    assert_eq!(state.next_job(at(9)), None);
    let requests = state.take_requests();
    assert_eq!(requests.operations, []);
    assert_eq!(requests.timers, [Timer::Claim(key.clone())]);
    // The container may be gone by then.
    hear(&mut state, removed(ObjectKind::Container, "aaaa"));
    state.on_news(News::Deleted(version(mirror, "7")));
    assert_eq!(begun(&mut state), 0);
    state.on_timer(Timer::Claim(key));
    assert_eq!(begun(&mut state), 0);
}

#[test]
fn a_claim_that_keeps_failing_is_tried_less_and_less_often() {
    let (mut state, key, mirror) = with_container();
    ask(&mut state, &mirror, "6", "restart");
    for failures in 1..5 {
        while state.next_job(at(9)).is_some() {}
        let requests = state.take_requests();
        assert_eq!(requests.operations.len(), 1);
        state.on_unclaimed(&key, "the API refuses it");
        let timer = Timer::Job(key.clone(), failures);
        assert_eq!(state.take_requests().timers, std::slice::from_ref(&timer));
        state.on_timer(timer);
    }
    assert!(state.failures().is_some());
    // An action that nobody asks for any more fails no more.
    assert_eq!(begun(&mut state), 1);
    state.on_news(News::Object(version(mirror, "7")));
    state.on_claim_lost(&key);
    for timer in state.take_requests().timers {
        state.on_timer(timer);
    }
    assert_eq!(begun(&mut state), 0);
    assert_eq!(state.failures(), None);
}

#[test]
fn what_another_instance_did_since_is_not_unsaid() {
    let (mut state, key, mirror) = with_container();
    ask(&mut state, &mirror, "6", "stop");
    assert_eq!(begun(&mut state), 1);
    state.on_acted(&key, "stop", succeeded("stop"));
    state.set_held(false);
    // The other one kept the mirror, and carried out the next action.
    let mut theirs = version(mirror, "9");
    theirs.instance = Some("other".into());
    if let Some(Status::Container(status)) = &mut theirs.status {
        status.last_action = Some(succeeded("start"));
    }
    state.on_news(News::Object(theirs));
    state.set_held(true);
    // It is relabeled, and nothing else.
    let relabeled = job(&mut state, &key);
    assert!(
        matches!(
            relabeled,
            Some(Job::Write {
                metadata: true,
                status: None,
                ..
            })
        ),
        "{relabeled:?}"
    );
}
