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
