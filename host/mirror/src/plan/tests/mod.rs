//! What is known in, the next step out.

mod actions;
mod deletions;
mod owners;

use super::*;
use crate::entry::{Call, NextAttempt, RemovalStage};
use crate::fixtures::{
    INSTANCE, NAMESPACE, at, container, desired_volume, image, key, object, status, volume_key,
};

const CONTEXT: Context<'static> = Context {
    instance: INSTANCE,
    held: true,
    backend: "moby",
    running: true,
    namespace: NAMESPACE,
    complete: true,
    callable: true,
    blocked: false,
    read_only: false,
};

const CALL: Call = Call {
    incarnation: 0,
    woken: false,
};

/// The key and the entry of a container that is mirrored as it should be.
fn mirrored() -> (Key, Entry) {
    let key = key(Kind::Container, "aaaa");
    entry(key, Desired::Container(Arc::new(container("aaaa"))))
}

fn entry(key: Key, desired: Desired) -> (Key, Entry) {
    let object = object(&key, status(&desired));
    let entry = Entry {
        desired: Some(desired),
        observed: Some(Observed {
            object,
            incarnation: 0,
            epoch: 0,
            owner: Owner::Me,
        }),
        ..Entry::default()
    };
    (key, entry)
}

/// A short name for the next step.
fn next(key: &Key, entry: &Entry, context: Context<'_>) -> String {
    let plan = plan(key, entry, context, at(9));
    let job = match &plan.job {
        None => "",
        Some(Job::Write {
            metadata: true,
            status: Some(_),
            ..
        }) => "write both",
        Some(Job::Write { metadata: true, .. }) => "write metadata",
        Some(Job::Write { over: Some(_), .. }) => "write status over its version",
        Some(Job::Write { .. }) => "write status",
        Some(Job::Discard {
            finalizer: None,
            delete: true,
            ..
        }) => "delete",
        Some(Job::Discard { delete: true, .. }) => "strip and delete",
        Some(Job::Discard { .. }) => "strip",
        Some(Job::DropAction { .. }) => "drop the action",
    };
    let operation = match &plan.operation {
        None => "",
        Some(Operation::Remove { .. }) => "remove",
        Some(Operation::Act { .. }) => "act",
        Some(Operation::Reject { .. }) => "reject",
    };
    [job, operation]
        .into_iter()
        .filter(|s| !s.is_empty())
        .collect::<Vec<_>>()
        .join(", ")
}

/// What comes next after `change` has had its way with a mirror that is right.
fn after(change: impl FnOnce(&mut Entry, &mut Context<'_>)) -> String {
    let (key, mut entry) = mirrored();
    let mut context = CONTEXT;
    change(&mut entry, &mut context);
    next(&key, &entry, context)
}

fn observed(entry: &mut Entry) -> &mut Object {
    &mut entry.observed.as_mut().expect("a mirror").object
}

#[test]
fn what_is_right_is_left_alone() {
    assert_eq!(after(|_, _| {}), "");
}

#[test]
fn a_live_mirror_follows_the_engine() {
    assert_eq!(after(|e, _| e.observed = None), "write both");
    assert_eq!(after(|e, _| observed(e).status = None), "write status");
    assert_eq!(after(|e, _| observed(e).backend = None), "write metadata");
    assert_eq!(after(|e, _| observed(e).finalizer = None), "write metadata");
    assert_eq!(after(|e, _| e.incarnation += 1), "strip and delete");
    assert_eq!(after(|e, _| e.desired = None), "strip and delete");
    assert_eq!(after(|e, _| e.removed = Some(1)), "strip and delete");
}

#[test]
fn absence_is_no_fact_before_the_first_listing() {
    assert_eq!(
        after(|e, c| {
            e.desired = None;
            c.complete = false;
        }),
        ""
    );
}

#[test]
fn mirrors_of_another_choice_go_without_a_call() {
    assert_eq!(after(|_, c| c.running = false), "strip and delete");
    assert_eq!(after(|_, c| c.backend = "other"), "strip and delete");
    assert_eq!(after(|_, c| c.namespace = "elsewhere"), "strip and delete");
    assert_eq!(
        after(|e, c| {
            observed(e).terminating = true;
            c.backend = "other";
        }),
        "strip"
    );
}

#[test]
fn a_namespace_has_no_finalizer_and_no_call() {
    let (key, mut entry) = entry(key(Kind::Namespace, "moby"), Desired::Namespace);
    observed(&mut entry).finalizer = None;
    assert_eq!(next(&key, &entry, CONTEXT), "");
    observed(&mut entry).terminating = true;
    assert_eq!(next(&key, &entry, CONTEXT), "");
    observed(&mut entry).finalizer = Some(0);
    assert_eq!(next(&key, &entry, CONTEXT), "strip");
}

/// A change that makes the mirror another's, as far as its label tells.
fn belongs_to(owner: Owner) -> impl Fn(&mut Entry) {
    move |entry| {
        let observed = entry.observed.as_mut().expect("a mirror");
        observed.owner = owner;
        observed.object.instance = match owner {
            Owner::Me => Some(INSTANCE.into()),
            Owner::Other => Some("other".into()),
            Owner::Unclaimed | Owner::Nobody => None,
        };
    }
}

#[test]
fn while_its_definition_or_namespace_goes_a_mirror_is_let_go_and_not_written() {
    let blocked = |change: fn(&mut Entry)| {
        after(|e, c| {
            c.blocked = true;
            // Nobody has to be asked about it.
            c.callable = false;
            change(e);
        })
    };
    assert_eq!(blocked(|e| observed(e).terminating = true), "strip");
    assert_eq!(blocked(|e| e.observed = None), "");
    assert_eq!(blocked(|e| observed(e).status = None), "");
    assert_eq!(blocked(|e| observed(e).action = Some("stop".into())), "");
    // Not even before anybody knows what the mirror stands for.
    assert_eq!(
        after(|e, c| {
            c.blocked = true;
            c.complete = false;
            e.desired = None;
            observed(e).terminating = true;
        }),
        "strip"
    );
}
