//! Whose a mirror is, and who may write.

use super::*;

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
