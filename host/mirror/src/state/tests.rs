//! News of both sides in, jobs and operations out.

use std::sync::Arc;

use rdd_api::{ActionName, ActionState, LastAction};
use rdd_core::{EngineError, ErrorCode, Object as EngineObject, ObjectKind, WatchEvent};

use super::*;
use crate::desired::Desired;
use crate::entry::{Object, Version};
use crate::fixtures::{
    NAMESPACE, applied, at, container, desired_volume, info, key, object, removed, status, volume,
    volume_key,
};
use crate::plan::Job;

/// A state whose API is empty and whose engine has these objects.
fn state(objects: impl IntoIterator<Item = EngineObject>) -> State {
    let mut state = State::new();
    let view = View::new(NAMESPACE.into(), info());
    state.choose(NAMESPACE.into(), Some(("moby".into(), view)));
    for kind in Kind::ALL {
        state.on_news(News::Begin(kind));
        state.on_news(News::Done(kind));
    }
    list(&mut state, objects);
    // The namespace's mirror is of no interest here.
    let namespace = key(Kind::Namespace, "moby");
    let mut mirror = object(&namespace, None);
    mirror.finalizer = None;
    state.on_news(News::Object(mirror));
    state
}

fn list(state: &mut State, objects: impl IntoIterator<Item = EngineObject>) {
    hear(state, WatchEvent::InitBegin);
    for object in objects {
        hear(state, applied(object));
    }
    hear(state, WatchEvent::InitDone);
}

fn hear(state: &mut State, event: WatchEvent) {
    state.on_engine(event).expect("a good event");
}

/// The next job about this key; there must be no other.
fn job(state: &mut State, about: &Key) -> Option<Job> {
    let (key, job) = state.next_job(at(9))?;
    assert_eq!(key, *about);
    Some(job)
}

/// Works off everything, as an API would that takes all of it; returns what is
/// asked of the engine.
fn work(state: &mut State, mirror: &mut Object) -> Vec<(Key, Operation)> {
    while let Some(job) = job(state, &mirror.key.clone()) {
        let Job::Write { status, .. } = job else {
            panic!("{job:?}");
        };
        if let Some(status) = status {
            mirror.status = Some(*status);
        }
        let number = mirror.version.number().expect("a number") + 1;
        mirror.version = Version(number.to_string().into());
        state.on_outcome(&mirror.key, Outcome::Written(mirror.clone()));
    }
    state.take_requests().operations
}

/// Lets the API have the mirror of this.
fn settle(state: &mut State, desired: &Desired, mirror: &Key) {
    let before = version(object(mirror, status(desired)), "4");
    work(state, &mut before.clone());
}

fn version(object: Object, version: &str) -> Object {
    Object {
        version: Version(version.into()),
        ..object
    }
}

/// A state with one volume `x`, mirrored and no longer young; its key and
/// mirror.
fn with_volume() -> (State, Key, Object) {
    let mut state = state([EngineObject::Volume(volume("x", at(1)))]);
    let key = volume_key("x");
    let desired = desired_volume("x", at(1));
    grow_up(&mut state);
    settle(&mut state, &desired, &key);
    let mirror = object(&key, status(&desired));
    (state, key, mirror)
}

fn grow_up(state: &mut State) {
    for timer in state.take_requests().timers {
        if matches!(timer, Timer::Young(..)) {
            state.on_timer(timer);
        }
    }
}

/// Lets a user delete the mirror; returns what is asked of the engine.
fn delete(state: &mut State, mirror: &Object) -> Vec<(Key, Operation)> {
    let mut deleted = version(mirror.clone(), "6");
    deleted.terminating = true;
    state.on_news(News::Object(deleted));
    assert_eq!(state.next_job(at(9)), None);
    state.take_requests().operations
}

fn refused() -> Result<(), EngineError> {
    Err(EngineError::new(ErrorCode::Conflict, "in use"))
}

#[test]
fn nothing_is_written_before_both_sides_are_known() {
    let mut state = State::new();
    assert_eq!(state.next_job(at(9)), None);
    let view = View::new(NAMESPACE.into(), info());
    state.choose(NAMESPACE.into(), Some(("moby".into(), view)));
    list(&mut state, [EngineObject::Container(container("aaaa"))]);
    assert!(!state.is_synced() && !state.is_listed());
    assert_eq!(state.next_job(at(9)), None);
}

#[test]
fn a_listing_is_worked_off_and_a_lost_one_says_nothing() {
    let mut state = state([EngineObject::Container(container("aaaa"))]);
    assert!(!state.is_synced());
    let key = key(Kind::Container, "aaaa");
    settle(
        &mut state,
        &Desired::Container(Arc::new(container("aaaa"))),
        &key,
    );
    assert!(state.is_synced());
    state.interrupted();
    hear(&mut state, WatchEvent::InitBegin);
    assert!(!state.is_synced());
}

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
fn late_news_of_a_discarded_mirror_asks_for_nothing() {
    let (mut state, key, mirror) = with_volume();
    hear(&mut state, removed(ObjectKind::Volume, "x"));
    assert!(matches!(
        job(&mut state, &key),
        Some(Job::Discard { delete: true, .. })
    ));
    // Made again by the engine, while the old mirror is being discarded.
    hear(
        &mut state,
        applied(EngineObject::Volume(volume("x", at(1)))),
    );
    let version_7 = Version("7".into());
    let uid = Arc::clone(&mirror.uid);
    state.on_outcome(
        &key,
        Outcome::Discarded {
            uid,
            version: version_7,
        },
    );
    let mut late = version(mirror.clone(), "8");
    late.terminating = true;
    state.on_news(News::Object(late.clone()));
    assert!(matches!(
        job(&mut state, &key),
        Some(Job::Write { metadata: true, .. })
    ));
    assert!(state.take_requests().operations.is_empty());
    // Once the watch has told its end, nothing of it is left.
    state.on_news(News::Deleted(version(late, "9")));
    let second = Object {
        uid: "u2".into(),
        ..version(mirror, "10")
    };
    state.on_outcome(&key, Outcome::Written(second));
    assert_eq!(state.next_job(at(9)), None);
}

#[test]
fn a_mirror_from_before_this_process_is_not_of_a_volume_made_since() {
    let mut state = State::new();
    let view = View::new(NAMESPACE.into(), info());
    state.choose(NAMESPACE.into(), Some(("moby".into(), view)));
    list(&mut state, [EngineObject::Volume(volume("x", at(1)))]);
    hear(&mut state, removed(ObjectKind::Volume, "x"));
    hear(
        &mut state,
        applied(EngineObject::Volume(volume("x", at(1)))),
    );
    for kind in Kind::ALL {
        state.on_news(News::Begin(kind));
        if kind == Kind::Volume {
            let desired = desired_volume("x", at(1));
            let mut old = object(&volume_key("x"), status(&desired));
            old.terminating = true;
            state.on_news(News::Object(old));
        }
        state.on_news(News::Done(kind));
    }
    grow_up(&mut state);
    let mut jobs = Vec::new();
    while let Some((key, job)) = state.next_job(at(9)) {
        jobs.push((key.kind, job));
    }
    assert!(
        jobs.iter().any(|(kind, job)| *kind == Kind::Volume
            && matches!(job, Job::Discard { delete: false, .. }))
    );
    assert!(state.take_requests().operations.is_empty());
}

#[test]
fn what_a_new_listing_of_the_api_does_not_name_is_forgotten() {
    let (mut state, key, mirror) = with_volume();
    state.on_news(News::Begin(Kind::Volume));
    state.on_news(News::Object(mirror.clone()));
    state.on_news(News::Done(Kind::Volume));
    assert_eq!(state.next_job(at(9)), None);
    state.on_news(News::Begin(Kind::Volume));
    state.on_news(News::Done(Kind::Volume));
    assert!(matches!(
        job(&mut state, &key),
        Some(Job::Write { metadata: true, .. })
    ));
    // The listing was older than the mirror: its own news, not a new version,
    // brings it back.
    state.on_news(News::Object(mirror.clone()));
    state.on_outcome(&key, Outcome::Written(mirror));
    assert_eq!(state.next_job(at(9)), None);
}

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
fn the_engines_older_words_do_not_bring_back_what_was_removed() {
    let (mut state, key, mirror) = with_volume();
    assert_eq!(delete(&mut state, &mirror).len(), 1);
    state.on_removed(&key, &mirror.uid, Ok(()));
    assert!(matches!(
        job(&mut state, &key),
        Some(Job::Discard { delete: false, .. })
    ));
    let uid = Arc::clone(&mirror.uid);
    let gone = Outcome::Discarded {
        uid,
        version: Version("7".into()),
    };
    state.on_outcome(&key, gone);
    let late = rdd_core::Volume {
        mountpoint: "/m".to_owned(),
        ..volume("x", at(1))
    };
    hear(&mut state, applied(EngineObject::Volume(late)));
    assert_eq!(state.next_job(at(9)), None);
    // One of another time is another.
    hear(
        &mut state,
        applied(EngineObject::Volume(volume("x", at(2)))),
    );
    assert!(matches!(
        job(&mut state, &key),
        Some(Job::Write { metadata: true, .. })
    ));
}

#[test]
fn a_volume_made_again_before_the_removal_was_answered_is_mirrored() {
    let (mut state, key, mirror) = with_volume();
    assert_eq!(delete(&mut state, &mirror).len(), 1);
    hear(&mut state, removed(ObjectKind::Volume, "x"));
    hear(
        &mut state,
        applied(EngineObject::Volume(volume("x", at(2)))),
    );
    state.on_removed(&key, &mirror.uid, Ok(()));
    assert!(matches!(
        job(&mut state, &key),
        Some(Job::Discard { delete: false, .. })
    ));
    let uid = Arc::clone(&mirror.uid);
    let gone = Outcome::Discarded {
        uid,
        version: Version("7".into()),
    };
    state.on_outcome(&key, gone);
    assert!(matches!(
        job(&mut state, &key),
        Some(Job::Write { metadata: true, .. })
    ));
}

#[test]
fn a_removal_that_the_engine_does_not_confirm_asks_for_a_new_listing() {
    let (mut state, key, mirror) = with_volume();
    delete(&mut state, &mirror);
    state.on_removed(&key, &mirror.uid, Ok(()));
    assert!(job(&mut state, &key).is_some());
    let uid = Arc::clone(&mirror.uid);
    let gone = Outcome::Discarded {
        uid,
        version: Version("7".into()),
    };
    state.on_outcome(&key, gone);
    let timers = state.take_requests().timers;
    let [timer @ Timer::Removed(..)] = &timers[..] else {
        panic!("{timers:?}");
    };
    // A listing that began before the removal ended proves nothing.
    hear(&mut state, WatchEvent::InitBegin);
    state.on_timer(timer.clone());
    let requests = state.take_requests();
    assert!(
        !requests.resync && requests.timers == [timer.clone()],
        "{requests:?}"
    );
    state.interrupted();
    state.on_timer(timer.clone());
    assert!(state.take_requests().resync);
    assert_eq!(state.next_job(at(9)), None);
    // Listed again, it is there again.
    list(&mut state, [EngineObject::Volume(volume("x", at(1)))]);
    assert!(matches!(
        job(&mut state, &key),
        Some(Job::Write { metadata: true, .. })
    ));
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
    let uid = Arc::clone(&mirror.uid);
    let gone = Outcome::Discarded {
        uid,
        version: Version("7".into()),
    };
    state.on_outcome(&key, gone);
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
fn a_write_of_the_choice_before_may_still_bring_a_stray() {
    let mut state = state([EngineObject::Container(container("aaaa"))]);
    let key = key(Kind::Container, "aaaa");
    assert!(job(&mut state, &key).is_some());
    state.choose(NAMESPACE.into(), None);
    assert!(state.has_strays());
    state.on_outcome(&key, Outcome::Written(object(&key, None)));
    assert!(state.has_strays());
    while let Some((key, _)) = state.next_job(at(9)) {
        let uid = "u1".into();
        let gone = Outcome::Discarded {
            uid,
            version: Version::default(),
        };
        state.on_outcome(&key, gone);
    }
    assert!(!state.has_strays());
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
