//! Tests of events of the engine.

use super::*;

#[test]
fn nothing_is_written_before_the_api_and_the_engine_are_listed() {
    let mut state = MirrorState::new(INSTANCE.into(), false);
    assert_eq!(state.next_write(at(9)), None);
    let view = EngineView::new(NAMESPACE.into(), info());
    state.select_backend(scope(), Some(view));
    state.set_lease_held(true);
    list(&mut state, [EngineObject::Container(container("aaaa"))]);
    assert!(!state.is_synced() && !state.is_api_listed());
    assert_eq!(state.next_write(at(9)), None);
}

#[test]
fn a_listing_is_synced_until_the_watch_ends() {
    let mut state = state([EngineObject::Container(container("aaaa"))]);
    assert!(!state.is_synced());
    let key = key(MirrorKind::Container, "aaaa");
    create_mirror(
        &mut state,
        &DesiredState::Container(Arc::new(container("aaaa"))),
        &key,
    );
    assert!(state.is_synced());
    state.on_watch_ended();
    apply_event(&mut state, WatchEvent::InitBegin);
    assert!(!state.is_synced());
}

#[test]
fn late_events_do_not_recreate_the_mirror_of_a_removed_object() {
    let (mut state, key, mirror) = with_volume();
    assert_eq!(delete(&mut state, &mirror).len(), 1);
    state.on_removal_finished(&key, &mirror.uid, Ok(()));
    assert!(matches!(
        next_write_of(&mut state, &key),
        Some(WriteRequest::Prune { delete: false, .. })
    ));
    state.on_write_finished(&key, pruned(&mirror));
    let late = rdd_core::Volume {
        mountpoint: "/m".to_owned(),
        ..volume("x", at(1))
    };
    apply_event(&mut state, applied(EngineObject::Volume(late)));
    assert_eq!(state.next_write(at(9)), None);
    // A volume with another creation time is another volume.
    apply_event(
        &mut state,
        applied(EngineObject::Volume(volume("x", at(2)))),
    );
    assert!(matches!(
        next_write_of(&mut state, &key),
        Some(WriteRequest::Apply { metadata: true, .. })
    ));
}

#[test]
fn a_volume_recreated_before_the_response_to_its_removal_is_mirrored() {
    let (mut state, key, mirror) = with_volume();
    assert_eq!(delete(&mut state, &mirror).len(), 1);
    apply_event(&mut state, removed(ObjectKind::Volume, "x"));
    apply_event(
        &mut state,
        applied(EngineObject::Volume(volume("x", at(2)))),
    );
    state.on_removal_finished(&key, &mirror.uid, Ok(()));
    assert!(matches!(
        next_write_of(&mut state, &key),
        Some(WriteRequest::Prune { delete: false, .. })
    ));
    state.on_write_finished(&key, pruned(&mirror));
    assert!(matches!(
        next_write_of(&mut state, &key),
        Some(WriteRequest::Apply { metadata: true, .. })
    ));
}

#[test]
fn a_removal_without_an_event_triggers_a_resync() {
    let (mut state, key, mirror) = with_volume();
    delete(&mut state, &mirror);
    state.on_removal_finished(&key, &mirror.uid, Ok(()));
    assert!(next_write_of(&mut state, &key).is_some());
    state.on_write_finished(&key, pruned(&mirror));
    let timers = state.take_requests().timers;
    let [timer @ MirrorTimer::RemovalEvent(..)] = &timers[..] else {
        panic!("{timers:?}");
    };
    // A listing that began before the removal finished proves nothing.
    apply_event(&mut state, WatchEvent::InitBegin);
    state.on_timer(timer.clone());
    let requests = state.take_requests();
    assert!(
        !requests.resync && requests.timers == [timer.clone()],
        "{requests:?}"
    );
    state.on_watch_ended();
    state.on_timer(timer.clone());
    assert!(state.take_requests().resync);
    assert_eq!(state.next_write(at(9)), None);
    // The new listing contains it, so it is mirrored again.
    list(&mut state, [EngineObject::Volume(volume("x", at(1)))]);
    assert!(matches!(
        next_write_of(&mut state, &key),
        Some(WriteRequest::Apply { metadata: true, .. })
    ));
}
