//! Actions that annotations ask for.

use super::*;

#[test]
fn an_action_is_done_once_and_shown_before_its_annotation_goes() {
    let asked = |stage: ActionStage| {
        after(|e, _| {
            observed(e).action = Some("stop".into());
            e.action = stage;
        })
    };
    assert_eq!(asked(ActionStage::Idle), "act");
    assert_eq!(asked(ActionStage::Running("stop".into())), "");
    assert_eq!(asked(ActionStage::Done("stop".into())), "drop the action");
    assert_eq!(asked(ActionStage::Done("start".into())), "act");
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

#[test]
fn an_action_that_another_instance_has_claimed_is_not_done_again() {
    let claimed = |by: &str, stage: ActionStage| {
        after(|e, _| {
            observed(e).action = Some("restart".into());
            observed(e).claim = Some(by.into());
            e.action = stage;
        })
    };
    assert_eq!(claimed("other", ActionStage::Idle), "reject");
    // Our own, from before a crash.
    assert_eq!(claimed(INSTANCE, ActionStage::Idle), "act");
    assert_eq!(
        claimed(INSTANCE, ActionStage::Running("restart".into())),
        ""
    );
    // A claim without an action claims nothing.
    let left = |stage: ActionStage| {
        after(|e, _| {
            observed(e).claim = Some(INSTANCE.into());
            e.action = stage;
        })
    };
    assert_eq!(left(ActionStage::Idle), "drop the action");
    assert_eq!(left(ActionStage::Running("stop".into())), "");
}
