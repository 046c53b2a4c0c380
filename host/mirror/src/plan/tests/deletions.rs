//! Deletions, and the calls that they lead to.

use super::*;

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
            RemoveRequest::Container {
                id: "aaaa".to_owned(),
            },
        ),
        (
            Kind::Image,
            image(&["a:1"], Some("a:1")),
            RemoveRequest::ImageTag {
                tag: "a:1".to_owned(),
                image_id: "sha256:1".to_owned(),
            },
        ),
        (
            Kind::Image,
            image(&[], None),
            RemoveRequest::Image {
                id: "sha256:1".to_owned(),
            },
        ),
        (
            Kind::Volume,
            desired_volume("x", at(7)),
            RemoveRequest::Volume {
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
