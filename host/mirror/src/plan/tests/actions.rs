//! Tests of actions requested by annotation.

use super::*;

#[test]
fn an_action_is_performed_once_and_reported_before_its_annotation_is_removed() {
    let requested = |stage: ActionStage| {
        step_after(|e, _| {
            observed(e).action = Some("stop".into());
            e.action = stage;
        })
    };
    assert_eq!(requested(ActionStage::Idle), "act");
    assert_eq!(requested(ActionStage::Done("stop".into())), "clear action");
    assert_eq!(requested(ActionStage::Done("start".into())), "act");
    assert_eq!(
        step_after(|e, _| {
            observed(e).action = Some("stop".into());
            e.acting_uid = Some("u0".into());
        }),
        ""
    );
    assert_eq!(
        step_after(|e, _| {
            observed(e).action = Some("stop".into());
            observed(e).status = None;
            e.action = ActionStage::Done("stop".into());
        }),
        "write status"
    );
}

#[test]
fn invalid_actions_are_rejected_and_valid_ones_wait_for_the_engine() {
    for value in ["explode", "Pause", ""] {
        assert_eq!(
            step_after(|e, c| {
                observed(e).action = Some(value.into());
                // No engine request is needed.
                c.engine_callable = false;
            }),
            "reject"
        );
        assert_eq!(
            step_after(|e, _| {
                observed(e).action = Some(value.into());
                e.action = ActionStage::Done(value.into());
            }),
            "clear action"
        );
    }
    assert_eq!(
        step_after(|e, c| {
            observed(e).action = Some("stop".into());
            c.engine_callable = false;
        }),
        ""
    );
    assert_eq!(
        step_after(|e, _| {
            observed(e).action = Some("stop".into());
            observed(e).terminating = true;
        }),
        "remove"
    );
}

#[test]
fn requests_in_read_only_mode_are_dropped() {
    let read_only = |callable: bool, change: fn(&mut MirrorEntry)| {
        step_after(|e, c| {
            c.read_only = true;
            c.engine_callable = callable;
            change(e);
        })
    };
    for callable in [true, false] {
        assert_eq!(
            read_only(callable, |e| observed(e).terminating = true),
            "remove finalizer"
        );
        assert_eq!(
            read_only(callable, |e| observed(e).action = Some("stop".into())),
            "reject"
        );
    }
    // Even before the engine has been listed.
    assert_eq!(
        step_after(|e, c| {
            c.read_only = true;
            c.engine_listed = false;
            e.desired = None;
            observed(e).terminating = true;
        }),
        "remove finalizer"
    );
    // The mirror itself is still updated.
    assert_eq!(
        read_only(true, |e| observed(e).status = None),
        "write status"
    );
}

#[test]
fn an_action_claimed_by_another_instance_is_not_performed_again() {
    let claimed = |by: &str, acting: Option<&str>| {
        step_after(|e, _| {
            observed(e).action = Some("restart".into());
            observed(e).claim = Some(by.into());
            e.acting_uid = acting.map(Into::into);
        })
    };
    assert_eq!(claimed("other", None), "reject");
    // Claimed by this instance before a crash.
    assert_eq!(claimed(INSTANCE, None), "act");
    assert_eq!(claimed(INSTANCE, Some("u1")), "");
    // A claim without an action is removed.
    let leftover = |acting: Option<&str>| {
        step_after(|e, _| {
            observed(e).claim = Some(INSTANCE.into());
            e.acting_uid = acting.map(Into::into);
        })
    };
    assert_eq!(leftover(None), "clear action");
    assert_eq!(leftover(Some("u1")), "");
}
