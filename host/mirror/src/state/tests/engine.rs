//! What the engine says.

use super::*;

#[test]
fn nothing_is_written_before_both_sides_are_known() {
    let mut state = State::new(INSTANCE.into(), false);
    assert_eq!(state.next_job(at(9)), None);
    let view = View::new(NAMESPACE.into(), info());
    state.choose(scope(), Some(view));
    state.set_held(true);
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
fn the_engines_older_words_do_not_bring_back_what_was_removed() {
    let (mut state, key, mirror) = with_volume();
    assert_eq!(delete(&mut state, &mirror).len(), 1);
    state.on_removed(&key, &mirror.uid, Ok(()));
    assert!(matches!(
        job(&mut state, &key),
        Some(Job::Discard { delete: false, .. })
    ));
    state.on_outcome(&key, gone(&mirror));
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
    state.on_outcome(&key, gone(&mirror));
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
    state.on_outcome(&key, gone(&mirror));
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
