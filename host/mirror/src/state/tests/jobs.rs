//! How jobs end.

use super::*;

#[test]
fn one_job_at_a_time_and_news_meanwhile_is_not_lost() {
    let mut state = state([EngineObject::Container(container("aaaa"))]);
    let key = key(Kind::Container, "aaaa");
    assert!(job(&mut state, &key).is_some());
    let renamed = rdd_core::Container {
        name: "renamed".to_owned(),
        ..container("aaaa")
    };
    hear(&mut state, applied(EngineObject::Container(renamed)));
    assert_eq!(state.next_job(at(9)), None);
    let written = object(
        &key,
        status(&Desired::Container(Arc::new(container("aaaa")))),
    );
    state.on_outcome(&key, Outcome::Written(written));
    assert!(matches!(
        job(&mut state, &key),
        Some(Job::Write {
            metadata: false,
            ..
        })
    ));
}

#[test]
fn a_failed_job_waits_for_its_timer_and_waits_longer_each_time() {
    let mut state = state([EngineObject::Container(container("aaaa"))]);
    let key = key(Kind::Container, "aaaa");
    for failures in 1..=3 {
        assert!(job(&mut state, &key).is_some());
        state.on_outcome(&key, Outcome::Failed("no".to_owned()));
        assert_eq!(state.next_job(at(9)), None);
        let timers = state.take_requests().timers;
        assert_eq!(timers, [Timer::Job(key.clone(), failures)]);
        // An older reminder is not this one.
        state.on_timer(Timer::Job(key.clone(), failures - 1));
        assert_eq!(state.next_job(at(9)), None);
        state.on_timer(timers[0].clone());
    }
    assert!(job(&mut state, &key).is_some());
}

#[test]
fn a_refusal_of_the_api_that_says_nothing_new_waits_too() {
    let (mut state, key, mirror) = with_volume();
    let desired = volume("x", at(1));
    let other = rdd_core::Volume {
        mountpoint: "/m".to_owned(),
        ..desired
    };
    hear(&mut state, applied(EngineObject::Volume(other)));
    let refresh = |object: &Object| Outcome::Refreshed {
        object: Some(object.clone()),
        message: "invalid".to_owned(),
    };
    // It was another version: try again at once.
    assert!(job(&mut state, &key).is_some());
    let newer = version(mirror, "7");
    state.on_outcome(&key, refresh(&newer));
    assert!(state.take_requests().timers.is_empty());
    // The same version is refused again: wait.
    assert!(job(&mut state, &key).is_some());
    state.on_outcome(&key, refresh(&newer));
    assert_eq!(state.take_requests().timers, [Timer::Job(key.clone(), 1)]);
    assert_eq!(state.next_job(at(9)), None);
}

#[test]
fn a_write_that_changes_nothing_is_not_repeated_at_once() {
    let (mut state, key, mirror) = with_volume();
    let mut bare = version(mirror, "6");
    bare.finalizer = None;
    state.on_news(News::Object(bare.clone()));
    assert!(job(&mut state, &key).is_some());
    state.on_outcome(&key, Outcome::Written(bare.clone()));
    assert_eq!(state.next_job(at(9)), None);
    let timer = Timer::Job(key.clone(), 1);
    assert_eq!(state.take_requests().timers, std::slice::from_ref(&timer));
    state.on_timer(timer);
    assert!(job(&mut state, &key).is_some());
    // The watch may tell of a write before its answer is here.
    let mut written = version(bare, "7");
    written.finalizer = Some(0);
    state.on_news(News::Object(written.clone()));
    state.on_outcome(&key, Outcome::Written(written));
    assert!(state.take_requests().timers.is_empty());
    assert_eq!(state.next_job(at(9)), None);
}

#[test]
fn a_mirror_that_comes_while_there_seemed_to_be_none_is_not_forgotten() {
    let (mut state, key, mirror) = with_volume();
    let other = rdd_core::Volume {
        mountpoint: "/m".to_owned(),
        ..volume("x", at(1))
    };
    hear(&mut state, applied(EngineObject::Volume(other)));
    assert!(job(&mut state, &key).is_some());
    state.on_news(News::Deleted(version(mirror.clone(), "6")));
    let second = Object {
        uid: "u2".into(),
        ..version(mirror, "7")
    };
    state.on_news(News::Object(second));
    let missing = Outcome::Refreshed {
        object: None,
        message: "not found".to_owned(),
    };
    state.on_outcome(&key, missing);
    assert!(matches!(
        job(&mut state, &key),
        Some(Job::Write {
            metadata: false,
            ..
        })
    ));
}

#[test]
fn an_answer_that_news_has_overtaken_is_dropped() {
    for outcome in [
        |object: Object| Outcome::Written(object),
        |object: Object| Outcome::Refreshed {
            object: Some(object),
            message: String::new(),
        },
    ] {
        let (mut state, key, mirror) = with_volume();
        let moved = rdd_core::Volume {
            mountpoint: "/m".to_owned(),
            ..volume("x", at(1))
        };
        hear(&mut state, applied(EngineObject::Volume(moved)));
        assert!(job(&mut state, &key).is_some());
        let mut deleted = version(mirror.clone(), "8");
        deleted.terminating = true;
        state.on_news(News::Object(deleted));
        state.on_outcome(&key, outcome(version(mirror, "7")));
        assert!(
            job(&mut state, &key).is_some(),
            "the status of the deleted mirror"
        );
        assert_eq!(state.take_requests().operations.len(), 1);
    }
}

#[test]
fn a_write_of_the_choice_before_may_still_bring_a_stray() {
    let mut state = state([EngineObject::Container(container("aaaa"))]);
    let container = key(Kind::Container, "aaaa");
    assert!(job(&mut state, &container).is_some());
    state.choose(scope(), None);
    let mirror = object(&container, None);
    // The namespace's mirror goes; the container's is on its way.
    let namespace = key(Kind::Namespace, "moby");
    assert!(job(&mut state, &namespace).is_some());
    state.on_outcome(&namespace, gone(&mirror));
    assert_eq!(state.next_job(at(9)), None);
    assert!(state.has_strays());
    state.on_outcome(&container, Outcome::Written(mirror.clone()));
    assert!(state.has_strays());
    assert!(matches!(
        job(&mut state, &container),
        Some(Job::Discard { .. })
    ));
    state.on_outcome(&container, gone(&mirror));
    assert!(!state.has_strays());
}

#[test]
fn what_cannot_be_written_shows_and_nothing_at_all_is_no_sync() {
    let mut state = state([EngineObject::Container(container("aaaa"))]);
    let container = key(Kind::Container, "aaaa");
    let fail = |state: &mut State| {
        assert!(job(state, &container).is_some());
        state.on_outcome(&container, Outcome::Failed("quota exceeded".to_owned()));
        assert_eq!(state.next_job(at(9)), None);
    };
    let wait = |state: &mut State| {
        for timer in state.take_requests().timers {
            state.on_timer(timer);
        }
    };
    for _ in 0..2 {
        fail(&mut state);
        // It is tried again soon, and the listing waits for that.
        assert_eq!(state.failures(), None);
        assert!(!state.is_synced());
        wait(&mut state);
    }
    fail(&mut state);
    // The namespace's mirror is written, one of two.
    let failures = state.failures().expect("a failure");
    assert!(failures.starts_with("1 of 2 mirrors"), "{failures}");
    assert!(failures.contains("quota exceeded"), "{failures}");
    assert!(state.is_synced());
    // Were it not, nothing would be.
    state.wanted = 1;
    assert!(!state.is_synced());
    state.wanted = 2;
    wait(&mut state);
    let desired = Desired::Container(Arc::new(crate::fixtures::container("aaaa")));
    settle(&mut state, &desired, &container);
    assert_eq!(state.failures(), None);
    assert!(state.is_synced());
}

#[test]
fn a_write_that_arrived_though_its_answers_were_lost_fails_no_more() {
    let mut state = state([EngineObject::Container(container("aaaa"))]);
    let key = key(Kind::Container, "aaaa");
    for _ in 0..3 {
        assert!(job(&mut state, &key).is_some());
        state.on_outcome(&key, Outcome::Failed("the connection broke".to_owned()));
        assert_eq!(state.next_job(at(9)), None);
        for timer in state.take_requests().timers {
            state.on_timer(timer);
        }
    }
    assert!(state.failures().is_some());
    let desired = Desired::Container(Arc::new(container("aaaa")));
    state.on_news(News::Object(object(&key, status(&desired))));
    assert_eq!(job(&mut state, &key), None);
    assert_eq!(state.failures(), None);
}
