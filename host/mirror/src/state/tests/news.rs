//! What the API says, late and early.

use super::*;

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
    state.on_outcome(&key, gone(&mirror));
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
    let mut state = State::new(INSTANCE.into(), false);
    let view = View::new(NAMESPACE.into(), info());
    state.choose(scope(), Some(view));
    state.set_held(true);
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
fn a_mirror_is_of_the_volume_that_its_write_was_planned_for() {
    let mut state = state([EngineObject::Volume(volume("x", at(1)))]);
    let key = volume_key("x");
    assert!(job(&mut state, &key).is_some());
    hear(&mut state, removed(ObjectKind::Volume, "x"));
    hear(
        &mut state,
        applied(EngineObject::Volume(volume("x", at(1)))),
    );
    let mirror = object(&key, status(&desired_volume("x", at(1))));
    state.on_outcome(&key, Outcome::Written(mirror));
    assert!(matches!(
        job(&mut state, &key),
        Some(Job::Discard { delete: true, .. })
    ));
}

#[test]
fn a_mirror_that_lost_all_its_marks_goes_with_its_object() {
    let (mut state, key, mirror) = with_volume();
    hear(&mut state, removed(ObjectKind::Volume, "x"));
    assert!(job(&mut state, &key).is_some());
    // We stripped it, somebody took the label off, and the deletion failed.
    let mut bare = version(mirror, "6");
    bare.finalizer = None;
    bare.backend = None;
    state.on_news(News::Object(bare));
    state.on_outcome(&key, Outcome::Failed("conflict".to_owned()));
    for timer in state.take_requests().timers {
        state.on_timer(timer);
    }
    assert!(matches!(
        job(&mut state, &key),
        Some(Job::Discard {
            finalizer: None,
            delete: true,
            ..
        })
    ));
}
