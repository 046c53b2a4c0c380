//! News of both sides in, jobs and operations out.

mod actions;
mod calls;
mod engine;
mod jobs;
mod news;

use std::sync::Arc;

use rdd_api::{ActionName, ActionState, LastAction};
use rdd_core::{EngineError, EngineObject, ErrorCode, ObjectKind, WatchEvent};

use super::*;
use crate::desired::Desired;
use crate::entry::{Object, Version};
use crate::fixtures::{
    INSTANCE, NAMESPACE, applied, at, container, desired_volume, info, key, object, removed,
    status, volume, volume_key,
};
use crate::plan::Job;

/// A state whose API is empty and whose engine has these objects.
fn state(objects: impl IntoIterator<Item = EngineObject>) -> State {
    let mut state = State::new(INSTANCE.into(), false);
    let view = View::new(NAMESPACE.into(), info());
    state.choose(scope(), Some(view));
    state.set_held(true);
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

fn scope() -> LeaseScope {
    LeaseScope {
        namespace: NAMESPACE.into(),
        backend: "moby".into(),
    }
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

/// The mirror was discarded, in version 7.
fn gone(mirror: &Object) -> Outcome {
    Outcome::Discarded {
        uid: Arc::clone(&mirror.uid),
        version: Version("7".into()),
    }
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
