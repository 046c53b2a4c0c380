//! What is known in, the next step out.

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
fn what_is_not_ours_is_left_alone() {
    let foreign = |e: &mut Entry| {
        observed(e).backend = None;
        observed(e).finalizer = None;
        e.observed.as_mut().expect("a mirror").owner = Owner::Nobody;
        e.desired = None;
    };
    assert_eq!(after(|e, _| foreign(e)), "");
    assert_eq!(
        after(|e, c| {
            foreign(e);
            c.running = false;
        }),
        ""
    );
}

#[test]
fn a_label_that_was_taken_off_does_not_save_a_mirror() {
    assert_eq!(
        after(|e, _| {
            observed(e).backend = None;
            e.desired = None;
        }),
        "strip and delete"
    );
    // Nor when we have stripped it already.
    assert_eq!(
        after(|e, _| {
            observed(e).backend = None;
            observed(e).finalizer = None;
            e.desired = None;
        }),
        "delete"
    );
    assert_eq!(
        after(|e, c| {
            observed(e).backend = None;
            observed(e).finalizer = None;
            c.running = false;
        }),
        "delete"
    );
    assert_eq!(
        after(|e, c| {
            observed(e).backend = None;
            c.running = false;
        }),
        "strip and delete"
    );
}

#[test]
fn a_deletion_asks_the_engine_once_and_then_lets_go() {
    let deleted = |e: &mut Entry| observed(e).terminating = true;
    assert_eq!(after(|e, _| deleted(e)), "remove");
    for (stage, expected) in [
        (
            RemovalStage::Running {
                uid: "u1".into(),
                call: CALL,
            },
            "",
        ),
        (RemovalStage::Done("u1".into()), "strip"),
        (RemovalStage::Withdrawn("u1".into()), "strip"),
        (RemovalStage::Done("another".into()), "remove"),
    ] {
        assert_eq!(
            after(|e, _| {
                deleted(e);
                e.removal = stage;
            }),
            expected
        );
    }
    assert_eq!(
        after(|e, c| {
            deleted(e);
            c.callable = false;
        }),
        ""
    );
}

#[test]
fn a_refusal_is_shown_and_asked_again_when_it_is_due() {
    for (next, expected) in [
        (
            NextAttempt::Waiting {
                rested: true,
                woken: false,
            },
            "write status",
        ),
        (NextAttempt::Due, "write status, remove"),
        (NextAttempt::Running(CALL), "write status"),
    ] {
        assert_eq!(
            after(|e, _| {
                observed(e).terminating = true;
                e.removal = RemovalStage::Refused {
                    uid: "u1".into(),
                    refusal: crate::desired::Refusal {
                        reason: "Conflict".to_owned(),
                        message: "in use".to_owned(),
                    },
                    attempts: 1,
                    next,
                };
            }),
            expected
        );
    }
}

#[test]
fn a_deletion_never_reaches_another_object() {
    for change in [
        |e: &mut Entry| e.incarnation += 1,
        |e: &mut Entry| e.desired = None,
        |e: &mut Entry| e.removed = Some(1),
    ] {
        assert_eq!(
            after(|e, _| {
                observed(e).terminating = true;
                change(e);
            }),
            "strip"
        );
    }
    // Before the first listing nobody knows what the mirror stands for.
    assert_eq!(
        after(|e, c| {
            observed(e).terminating = true;
            e.desired = None;
            c.complete = false;
        }),
        ""
    );
    // Somebody else's finalizer holds it; ours is off, and we are done.
    assert_eq!(
        after(|e, _| {
            observed(e).terminating = true;
            observed(e).finalizer = None;
        }),
        ""
    );
}

#[test]
fn each_removal_carries_its_proof() {
    let image = |tags: &[&str], tag: Option<&str>| Desired::Image {
        image: Arc::new(image("sha256:1", tags)),
        tag: tag.map(Into::into),
    };
    for (kind, desired, expected) in [
        (
            Kind::Container,
            Desired::Container(Arc::new(container("aaaa"))),
            Removal::Container {
                id: "aaaa".to_owned(),
            },
        ),
        (
            Kind::Image,
            image(&["a:1"], Some("a:1")),
            Removal::ImageTag {
                tag: "a:1".to_owned(),
                image_id: "sha256:1".to_owned(),
            },
        ),
        (
            Kind::Image,
            image(&[], None),
            Removal::Image {
                id: "sha256:1".to_owned(),
            },
        ),
        (
            Kind::Volume,
            desired_volume("x", at(7)),
            Removal::Volume {
                name: "x".to_owned(),
                created_at: Some(at(7).into()),
            },
        ),
    ] {
        let (key, mut entry) = entry(key(kind, "aaaa"), desired);
        observed(&mut entry).terminating = true;
        let plan = plan(&key, &entry, CONTEXT, at(9));
        let expected = Operation::Remove {
            uid: "u1".into(),
            target: expected,
        };
        assert_eq!(plan.operation, Some(expected));
    }
}

#[test]
fn a_moved_creation_time_is_followed_but_never_removed() {
    let (key, mut entry) = entry(volume_key("x"), desired_volume("x", at(1)));
    entry.desired = Some(desired_volume("x", at(2)));
    assert_eq!(next(&key, &entry, CONTEXT), "write status over its version");
    observed(&mut entry).finalizer = None;
    assert_eq!(next(&key, &entry, CONTEXT), "write metadata");
    observed(&mut entry).finalizer = Some(0);
    observed(&mut entry).terminating = true;
    assert_eq!(next(&key, &entry, CONTEXT), "strip");
}

#[test]
fn a_young_volume_is_not_removed_yet() {
    let (key, mut entry) = entry(volume_key("x"), desired_volume("x", at(1)));
    observed(&mut entry).terminating = true;
    entry.young = Some(1);
    assert_eq!(next(&key, &entry, CONTEXT), "");
    entry.young = None;
    assert_eq!(next(&key, &entry, CONTEXT), "remove");
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

#[test]
fn an_action_is_done_once_and_shown_before_its_annotation_goes() {
    let asked = |stage: ActionStage| {
        after(|e, _| {
            observed(e).action = Some("stop".into());
            e.action = stage;
        })
    };
    assert_eq!(asked(ActionStage::Idle), "act");
    assert_eq!(asked(ActionStage::Done("stop".into())), "drop the action");
    assert_eq!(asked(ActionStage::Done("start".into())), "act");
    assert_eq!(
        after(|e, _| {
            observed(e).action = Some("stop".into());
            e.acting = Some("u0".into());
        }),
        ""
    );
    assert_eq!(
        after(|e, _| {
            observed(e).action = Some("stop".into());
            observed(e).status = None;
            e.action = ActionStage::Done("stop".into());
        }),
        "write status"
    );
}

#[test]
fn nonsense_is_rejected_and_an_absent_engine_is_waited_for() {
    for value in ["explode", "Pause", ""] {
        assert_eq!(
            after(|e, c| {
                observed(e).action = Some(value.into());
                // Nobody has to be asked about it.
                c.callable = false;
            }),
            "reject"
        );
        assert_eq!(
            after(|e, _| {
                observed(e).action = Some(value.into());
                e.action = ActionStage::Done(value.into());
            }),
            "drop the action"
        );
    }
    assert_eq!(
        after(|e, c| {
            observed(e).action = Some("stop".into());
            c.callable = false;
        }),
        ""
    );
    assert_eq!(
        after(|e, _| {
            observed(e).action = Some("stop".into());
            observed(e).terminating = true;
        }),
        "remove"
    );
}

#[test]
fn nothing_that_is_asked_for_in_read_only_mode_outlives_it() {
    let read_only = |callable: bool, change: fn(&mut Entry)| {
        after(|e, c| {
            c.read_only = true;
            c.callable = callable;
            change(e);
        })
    };
    for callable in [true, false] {
        assert_eq!(
            read_only(callable, |e| observed(e).terminating = true),
            "strip"
        );
        assert_eq!(
            read_only(callable, |e| observed(e).action = Some("stop".into())),
            "reject"
        );
    }
    // Not even before anybody knows what the mirror stands for.
    assert_eq!(
        after(|e, c| {
            c.read_only = true;
            c.complete = false;
            e.desired = None;
            observed(e).terminating = true;
        }),
        "strip"
    );
    // The mirror itself is kept up.
    assert_eq!(
        read_only(true, |e| observed(e).status = None),
        "write status"
    );
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
fn without_the_lease_nothing_is_written() {
    let idle = |change: &dyn Fn(&mut Entry)| {
        after(|e, c| {
            c.held = false;
            change(e);
        })
    };
    assert_eq!(idle(&|e| e.observed = None), "");
    for owner in [Owner::Me, Owner::Other, Owner::Unclaimed, Owner::Nobody] {
        let owned = belongs_to(owner);
        assert_eq!(idle(&|e| owned(e)), "", "{owner:?}");
        for change in [
            |e: &mut Entry| observed(e).status = None,
            |e: &mut Entry| observed(e).backend = None,
            |e: &mut Entry| observed(e).terminating = true,
            |e: &mut Entry| observed(e).action = Some("stop".into()),
            |e: &mut Entry| observed(e).action = Some("explode".into()),
            |e: &mut Entry| e.desired = None,
            |e: &mut Entry| e.incarnation += 1,
        ] {
            assert_eq!(
                idle(&|e| {
                    owned(e);
                    change(e);
                }),
                "",
                "{owner:?}"
            );
        }
    }
    // But for the end of our own mirrors that belong nowhere any more.
    let stopped = |owner| {
        let owned = belongs_to(owner);
        after(|e, c| {
            c.held = false;
            c.running = false;
            owned(e);
        })
    };
    assert_eq!(stopped(Owner::Me), "strip and delete");
    for owner in [Owner::Other, Owner::Unclaimed, Owner::Nobody] {
        assert_eq!(stopped(owner), "", "{owner:?}");
    }
}

#[test]
fn a_mirror_from_before_the_label_is_claimed_and_never_removed() {
    let unclaimed = belongs_to(Owner::Unclaimed);
    assert_eq!(after(|e, _| unclaimed(e)), "write metadata");
    // Its deletion may have been the pruning of another daemon.
    assert_eq!(
        after(|e, _| {
            unclaimed(e);
            observed(e).terminating = true;
        }),
        "strip"
    );
    // Nor does anything happen to the container before the mirror is ours.
    assert_eq!(
        after(|e, _| {
            unclaimed(e);
            observed(e).action = Some("stop".into());
        }),
        "write metadata"
    );
    assert_eq!(
        after(|e, _| {
            unclaimed(e);
            e.desired = None;
        }),
        "strip and delete"
    );
}

#[test]
fn the_mirrors_of_the_instance_before_are_replaced_without_a_call() {
    let other = belongs_to(Owner::Other);
    // The same container, since no two have one ID.
    assert_eq!(after(|e, _| other(e)), "write metadata");
    let (key, mut volume) = entry(volume_key("x"), desired_volume("x", at(1)));
    other(&mut volume);
    assert_eq!(next(&key, &volume, CONTEXT), "strip and delete");
    for change in [
        |e: &mut Entry| observed(e).terminating = true,
        |e: &mut Entry| {
            observed(e).terminating = true;
            e.desired = None;
        },
    ] {
        assert_eq!(
            after(|e, _| {
                other(e);
                change(e);
            }),
            "strip"
        );
    }
    assert_eq!(
        after(|e, _| {
            other(e);
            e.desired = None;
        }),
        "strip and delete"
    );
    // Absence is no fact before the first listing.
    assert_eq!(
        after(|e, c| {
            other(e);
            e.desired = None;
            c.complete = false;
        }),
        ""
    );
    assert_eq!(
        after(|e, c| {
            other(e);
            c.running = false;
        }),
        "strip and delete"
    );
    // Those that are under another Lease are somebody's.
    for running in [true, false] {
        for (backend, namespace) in [("other", NAMESPACE), ("moby", "elsewhere")] {
            assert_eq!(
                after(|e, c| {
                    other(e);
                    c.running = running;
                    c.backend = backend;
                    c.namespace = namespace;
                }),
                ""
            );
        }
    }
}

#[test]
fn an_action_that_another_instance_has_claimed_is_not_done_again() {
    let claimed = |by: &str, acting: Option<&str>| {
        after(|e, _| {
            observed(e).action = Some("restart".into());
            observed(e).claim = Some(by.into());
            e.acting = acting.map(Into::into);
        })
    };
    assert_eq!(claimed("other", None), "reject");
    // Our own, from before a crash.
    assert_eq!(claimed(INSTANCE, None), "act");
    assert_eq!(claimed(INSTANCE, Some("u1")), "");
    // A claim without an action claims nothing.
    let left = |acting: Option<&str>| {
        after(|e, _| {
            observed(e).claim = Some(INSTANCE.into());
            e.acting = acting.map(Into::into);
        })
    };
    assert_eq!(left(None), "drop the action");
    assert_eq!(left(Some("u1")), "");
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
