//! Tests of ownership and of the permission to write.

use super::*;

#[test]
fn unmanaged_objects_are_left_alone() {
    let foreign = |e: &mut MirrorEntry| {
        observed(e).backend = None;
        observed(e).finalizer = None;
        e.observed.as_mut().expect("there must be a mirror").owner = MirrorOwner::Unmanaged;
        e.desired = None;
    };
    assert_eq!(step_after(|e, _| foreign(e)), "");
    assert_eq!(
        step_after(|e, c| {
            foreign(e);
            c.running = false;
        }),
        ""
    );
}

#[test]
fn a_mirror_without_its_label_is_still_pruned() {
    assert_eq!(
        step_after(|e, _| {
            observed(e).backend = None;
            e.desired = None;
        }),
        "remove finalizer and delete"
    );
    // Also if our finalizer has already been removed.
    assert_eq!(
        step_after(|e, _| {
            observed(e).backend = None;
            observed(e).finalizer = None;
            e.desired = None;
        }),
        "delete"
    );
    assert_eq!(
        step_after(|e, c| {
            observed(e).backend = None;
            observed(e).finalizer = None;
            c.running = false;
        }),
        "delete"
    );
    assert_eq!(
        step_after(|e, c| {
            observed(e).backend = None;
            c.running = false;
        }),
        "remove finalizer and delete"
    );
}

#[test]
fn without_the_lease_nothing_is_written() {
    let standby = |change: &dyn Fn(&mut MirrorEntry)| {
        step_after(|e, c| {
            c.lease_held = false;
            change(e);
        })
    };
    assert_eq!(standby(&|e| e.observed = None), "");
    for owner in [
        MirrorOwner::ThisInstance,
        MirrorOwner::OtherInstance,
        MirrorOwner::Unclaimed,
        MirrorOwner::Unmanaged,
    ] {
        let owned = belongs_to(owner);
        assert_eq!(standby(&|e| owned(e)), "", "{owner:?}");
        for change in [
            |e: &mut MirrorEntry| observed(e).status = None,
            |e: &mut MirrorEntry| observed(e).backend = None,
            |e: &mut MirrorEntry| observed(e).terminating = true,
            |e: &mut MirrorEntry| observed(e).action = Some("stop".into()),
            |e: &mut MirrorEntry| observed(e).action = Some("explode".into()),
            |e: &mut MirrorEntry| e.desired = None,
            |e: &mut MirrorEntry| e.incarnation += 1,
        ] {
            assert_eq!(
                standby(&|e| {
                    owned(e);
                    change(e);
                }),
                "",
                "{owner:?}"
            );
        }
    }
    // Only our own orphans are pruned.
    let stopped = |owner| {
        let owned = belongs_to(owner);
        step_after(|e, c| {
            c.lease_held = false;
            c.running = false;
            owned(e);
        })
    };
    assert_eq!(
        stopped(MirrorOwner::ThisInstance),
        "remove finalizer and delete"
    );
    for owner in [
        MirrorOwner::OtherInstance,
        MirrorOwner::Unclaimed,
        MirrorOwner::Unmanaged,
    ] {
        assert_eq!(stopped(owner), "", "{owner:?}");
    }
}

#[test]
fn a_mirror_from_before_the_label_is_claimed_and_its_deletion_removes_nothing() {
    let unclaimed = belongs_to(MirrorOwner::Unclaimed);
    assert_eq!(step_after(|e, _| unclaimed(e)), "write metadata");
    // The deletion may have been pruning by another daemon.
    assert_eq!(
        step_after(|e, _| {
            unclaimed(e);
            observed(e).terminating = true;
        }),
        "remove finalizer"
    );
    // Actions wait until the mirror is claimed.
    assert_eq!(
        step_after(|e, _| {
            unclaimed(e);
            observed(e).action = Some("stop".into());
        }),
        "write metadata"
    );
    assert_eq!(
        step_after(|e, _| {
            unclaimed(e);
            e.desired = None;
        }),
        "remove finalizer and delete"
    );
}

#[test]
fn mirrors_of_the_previous_instance_are_replaced_without_an_engine_request() {
    let other = belongs_to(MirrorOwner::OtherInstance);
    // Container IDs are unique, so it is the same container.
    assert_eq!(step_after(|e, _| other(e)), "write metadata");
    let (key, mut volume) = entry(volume_key("x"), desired_volume("x", at(1)));
    other(&mut volume);
    assert_eq!(
        next_step(&key, &volume, CONTEXT),
        "remove finalizer and delete"
    );
    for change in [
        |e: &mut MirrorEntry| observed(e).terminating = true,
        |e: &mut MirrorEntry| {
            observed(e).terminating = true;
            e.desired = None;
        },
    ] {
        assert_eq!(
            step_after(|e, _| {
                other(e);
                change(e);
            }),
            "remove finalizer"
        );
    }
    assert_eq!(
        step_after(|e, _| {
            other(e);
            e.desired = None;
        }),
        "remove finalizer and delete"
    );
    // A missing object is not considered gone before the first listing.
    assert_eq!(
        step_after(|e, c| {
            other(e);
            e.desired = None;
            c.engine_listed = false;
        }),
        ""
    );
    assert_eq!(
        step_after(|e, c| {
            other(e);
            c.running = false;
        }),
        "remove finalizer and delete"
    );
    // Mirrors under another Lease are left alone.
    for running in [true, false] {
        for (backend, namespace) in [("other", NAMESPACE), ("moby", "elsewhere")] {
            assert_eq!(
                step_after(|e, c| {
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
