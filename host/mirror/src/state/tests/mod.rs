//! Tests of the state: events of both sides in, writes and engine requests out.

mod actions;
mod engine_events;
mod engine_requests;
mod mirror_events;
mod write_outcomes;

use std::sync::Arc;

use rdd_api::{ActionName, ActionState, LastAction};
use rdd_core::{EngineError, EngineObject, ErrorCode, ObjectKind, WatchEvent};

use super::*;
use crate::desired_state::DesiredState;
use crate::entry::{MirrorObject, ResourceVersion};
use crate::fixtures::{
    INSTANCE, NAMESPACE, applied, at, container, desired_volume, info, key, object, removed,
    status, volume, volume_key,
};
use crate::mirror_writer::{WriteError, WriteOutcome};

/// Returns a state whose API is empty and whose engine has these objects.
fn state(objects: impl IntoIterator<Item = EngineObject>) -> MirrorState {
    let mut state = MirrorState::new(INSTANCE.into(), false);
    let view = EngineView::new(NAMESPACE.into(), info());
    state.select_backend(scope(), Some(view));
    state.set_lease_held(true);
    for kind in MirrorKind::ALL {
        state.on_mirror_event(MirrorEvent::Init(kind));
        state.on_mirror_event(MirrorEvent::InitDone(kind));
    }
    list(&mut state, objects);
    // The mirror of the namespace is not part of these tests.
    let namespace = key(MirrorKind::Namespace, "moby");
    let mut mirror = object(&namespace, None);
    mirror.finalizer = None;
    state.on_mirror_event(MirrorEvent::Apply(mirror));
    state
}

fn scope() -> LeaseScope {
    LeaseScope {
        namespace: NAMESPACE.into(),
        backend: "moby".into(),
    }
}

fn list(state: &mut MirrorState, objects: impl IntoIterator<Item = EngineObject>) {
    apply_event(state, WatchEvent::InitBegin);
    for object in objects {
        apply_event(state, applied(object));
    }
    apply_event(state, WatchEvent::InitDone);
}

fn apply_event(state: &mut MirrorState, event: WatchEvent) {
    state
        .on_watch_event(event)
        .expect("the event must be valid");
}

/// Returns the next write, which must be about this key.
fn next_write_of(state: &mut MirrorState, about: &MirrorKey) -> Option<WriteRequest> {
    let (key, job) = state.next_write(at(9))?;
    assert_eq!(key, *about);
    Some(job)
}

/// Performs all writes as an API that accepts them would. Returns the engine
/// requests.
fn perform_writes(
    state: &mut MirrorState,
    mirror: &mut MirrorObject,
) -> Vec<(MirrorKey, EngineRequest)> {
    while let Some(job) = next_write_of(state, &mirror.key.clone()) {
        let WriteRequest::Apply { status, .. } = job else {
            panic!("{job:?}");
        };
        if let Some(status) = status {
            mirror.status = Some(*status);
        }
        let number = mirror
            .version
            .number()
            .expect("the version must be a number")
            + 1;
        mirror.version = ResourceVersion(number.to_string().into());
        state.on_write_finished(&mirror.key, WriteOutcome::Written(mirror.clone()));
    }
    state.take_requests().engine_requests
}

/// Creates the mirror in the API.
fn create_mirror(state: &mut MirrorState, desired: &DesiredState, mirror: &MirrorKey) {
    let before = version(object(mirror, status(desired)), "4");
    perform_writes(state, &mut before.clone());
}

/// Returns the outcome of pruning the mirror in version 7.
fn pruned(mirror: &MirrorObject) -> WriteOutcome {
    WriteOutcome::Pruned {
        uid: Arc::clone(&mirror.uid),
        version: ResourceVersion("7".into()),
    }
}

fn version(object: MirrorObject, version: &str) -> MirrorObject {
    MirrorObject {
        version: ResourceVersion(version.into()),
        ..object
    }
}

/// Returns a state with one volume `x` that is mirrored and no longer new, its
/// key, and its mirror.
fn with_volume() -> (MirrorState, MirrorKey, MirrorObject) {
    let mut state = state([EngineObject::Volume(volume("x", at(1)))]);
    let key = volume_key("x");
    let desired = desired_volume("x", at(1));
    fire_settle_timers(&mut state);
    create_mirror(&mut state, &desired, &key);
    let mirror = object(&key, status(&desired));
    (state, key, mirror)
}

fn fire_settle_timers(state: &mut MirrorState) {
    for timer in state.take_requests().timers {
        if matches!(timer, MirrorTimer::VolumeSettle(..)) {
            state.on_timer(timer);
        }
    }
}

/// Deletes the mirror as a client would. Returns the engine requests.
fn delete(state: &mut MirrorState, mirror: &MirrorObject) -> Vec<(MirrorKey, EngineRequest)> {
    let mut deleted = version(mirror.clone(), "6");
    deleted.terminating = true;
    state.on_mirror_event(MirrorEvent::Apply(deleted));
    assert_eq!(state.next_write(at(9)), None);
    state.take_requests().engine_requests
}

fn refused() -> Result<(), EngineError> {
    Err(EngineError::new(ErrorCode::Conflict, "in use"))
}

fn api_error(message: &str) -> WriteError {
    WriteError::Api {
        code: 500,
        message: message.to_owned(),
    }
}
