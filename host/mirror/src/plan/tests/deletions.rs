//! Tests of deletions and the removals that they lead to.

use rdd_core::{RemoveRequest, RemoveTarget};

use super::*;

#[test]
fn a_deletion_requests_one_removal_and_then_releases_the_mirror() {
    let deleted = |e: &mut MirrorEntry| observed(e).terminating = true;
    assert_eq!(step_after(|e, _| deleted(e)), "remove");
    for (stage, expected) in [
        (
            RemovalStage::Running {
                uid: "u1".into(),
                call: CALL,
            },
            "",
        ),
        (RemovalStage::Done("u1".into()), "remove finalizer"),
        (RemovalStage::Dismissed("u1".into()), "remove finalizer"),
        (RemovalStage::Done("another".into()), "remove"),
    ] {
        assert_eq!(
            step_after(|e, _| {
                deleted(e);
                e.removal = stage;
            }),
            expected
        );
    }
    assert_eq!(
        step_after(|e, c| {
            deleted(e);
            c.engine_callable = false;
        }),
        ""
    );
}

#[test]
fn a_refused_removal_is_reported_and_retried_when_it_is_due() {
    for (next, expected) in [
        (
            NextAttempt::Waiting {
                cooled_down: true,
                blocker_removed: false,
            },
            "write status",
        ),
        (NextAttempt::Due, "write status, remove"),
        (NextAttempt::Running(CALL), "write status"),
    ] {
        assert_eq!(
            step_after(|e, _| {
                observed(e).terminating = true;
                e.removal = RemovalStage::Refused {
                    uid: "u1".into(),
                    failure: crate::desired_state::RequestFailure {
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
fn a_deletion_never_removes_another_object() {
    for change in [
        |e: &mut MirrorEntry| e.incarnation += 1,
        |e: &mut MirrorEntry| e.desired = None,
        |e: &mut MirrorEntry| e.removed_in_listing = Some(1),
    ] {
        assert_eq!(
            step_after(|e, _| {
                observed(e).terminating = true;
                change(e);
            }),
            "remove finalizer"
        );
    }
    // Before the first listing, it is unknown whether the object exists.
    assert_eq!(
        step_after(|e, c| {
            observed(e).terminating = true;
            e.desired = None;
            c.engine_listed = false;
        }),
        ""
    );
    // Our finalizer is removed and another one holds the mirror: nothing is
    // left to do.
    assert_eq!(
        step_after(|e, _| {
            observed(e).terminating = true;
            observed(e).finalizer = None;
        }),
        ""
    );
}

#[test]
fn each_removal_identifies_the_exact_object() {
    let image = |tags: &[&str], tag: Option<&str>| DesiredState::Image {
        image: Arc::new(image("sha256:1", tags)),
        tag: tag.map(Into::into),
    };
    for (kind, desired, expected) in [
        (
            MirrorKind::Container,
            DesiredState::Container(Arc::new(container("aaaa"))),
            RemoveTarget::Container {
                id: "aaaa".to_owned(),
            },
        ),
        (
            MirrorKind::Image,
            image(&["a:1"], Some("a:1")),
            RemoveTarget::ImageTag {
                tag: "a:1".to_owned(),
                image_id: "sha256:1".to_owned(),
            },
        ),
        (
            MirrorKind::Image,
            image(&[], None),
            RemoveTarget::Image {
                id: "sha256:1".to_owned(),
            },
        ),
        (
            MirrorKind::Volume,
            desired_volume("x", at(7)),
            RemoveTarget::Volume {
                name: "x".to_owned(),
                created_at: Some(at(7).into()),
            },
        ),
    ] {
        let (key, mut entry) = entry(key(kind, "hashed"), desired);
        observed(&mut entry).terminating = true;
        let plan = reconcile(&key, &entry, CONTEXT, at(9));
        let expected = EngineRequest::Remove {
            uid: "u1".into(),
            request: RemoveRequest {
                namespace: "moby".to_owned(),
                target: expected,
            },
        };
        assert_eq!(plan.engine_request, Some(expected));
    }
}

#[test]
fn a_changed_creation_time_is_mirrored_but_the_volume_is_never_removed() {
    let (key, mut entry) = entry(volume_key("x"), desired_volume("x", at(1)));
    entry.desired = Some(desired_volume("x", at(2)));
    assert_eq!(
        next_step(&key, &entry, CONTEXT),
        "write status conditionally"
    );
    observed(&mut entry).finalizer = None;
    assert_eq!(next_step(&key, &entry, CONTEXT), "write metadata");
    observed(&mut entry).finalizer = Some(0);
    observed(&mut entry).terminating = true;
    assert_eq!(next_step(&key, &entry, CONTEXT), "remove finalizer");
}

#[test]
fn a_mirror_of_another_namespace_follows_the_object_that_is_never_removed_for_it() {
    let other = |namespace: &str| {
        DesiredState::Container(Arc::new(Container {
            namespace: namespace.to_owned(),
            ..container("aaaa")
        }))
    };
    let (key, mut entry) = entry(key(MirrorKind::Container, "aaaa"), other("moby"));
    entry.desired = Some(other("shop"));
    assert_eq!(
        next_step(&key, &entry, CONTEXT),
        "write status conditionally"
    );
    observed(&mut entry).terminating = true;
    assert_eq!(next_step(&key, &entry, CONTEXT), "remove finalizer");
}

#[test]
fn a_new_volume_is_not_removed_yet() {
    let (key, mut entry) = entry(volume_key("x"), desired_volume("x", at(1)));
    observed(&mut entry).terminating = true;
    entry.settling = Some(1);
    assert_eq!(next_step(&key, &entry, CONTEXT), "");
    entry.settling = None;
    assert_eq!(next_step(&key, &entry, CONTEXT), "remove");
}
