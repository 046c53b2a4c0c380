//! The engine's object in, the status out.

use super::*;
use crate::fixtures::{at, container, image, volume};
use rdd_api::Time;
use rdd_core::{ExposedPort, PortBinding};

fn of_container(container: Container, was: Option<&Status>, own: Own<'_>) -> ContainerStatus {
    match Desired::Container(Arc::new(container)).status(was, own, at(50)) {
        Some(Status::Container(status)) => status,
        other => panic!("{other:?}"),
    }
}

#[test]
fn times_that_the_wire_cannot_carry_are_left_out() {
    for (engine, wire) in [
        (None, None),
        (Some("0001-01-01T00:00:00Z"), None),
        (Some("-000044-03-15T12:00:00Z"), None),
        (
            Some("2026-01-01T00:00:01.999Z"),
            Some("2026-01-01T00:00:01Z"),
        ),
        (Some("1969-12-31T23:59:59Z"), Some("1969-12-31T23:59:59Z")),
        (Some("1066-10-14T09:00:00Z"), Some("1066-10-14T09:00:00Z")),
    ] {
        let engine = engine.map(|text| text.parse::<jiff::Timestamp>().expect("a time").into());
        let shown = time(engine).map(|time| serde_json::to_value(time).expect("JSON"));
        assert_eq!(shown, wire.map(serde_json::Value::from), "{engine:?}");
    }
}

#[test]
fn ports_are_sorted_and_merged_and_bad_addresses_left_out() {
    let port = |name: &str, bindings: &[(&str, &str)]| ExposedPort {
        name: name.to_owned(),
        bindings: bindings
            .iter()
            .map(|(ip, port)| PortBinding {
                host_ip: ip.to_string(),
                host_port: port.to_string(),
            })
            .collect(),
    };
    let ports = ports(&[
        port("80/tcp", &[("::", "2"), ("0.0.0.0", "1")]),
        port("443/tcp", &[]),
        port("80/tcp", &[("0.0.0.0", "1"), ("not an address", "3")]),
    ]);
    let shown: Vec<_> = ports
        .iter()
        .map(|port| {
            let bindings = port.bindings.iter();
            let bindings = bindings.map(|b| (b.host_ip.as_str(), b.host_port.as_str()));
            (port.name.as_str(), bindings.collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("443/tcp", vec![]),
            ("80/tcp", vec![("", "3"), ("0.0.0.0", "1"), ("::", "2")]),
        ]
    );
}

#[test]
fn each_condition_says_what_the_engine_says() {
    type Edit = fn(&mut Container);
    let edits: [(&str, Edit); 5] = [
        (condition::RUNNING, |c| c.running = true),
        (condition::PAUSED, |c| c.paused = true),
        (condition::RESTARTING, |c| c.restarting = true),
        (condition::OOM_KILLED, |c| c.oom_killed = true),
        (condition::DEAD, |c| c.dead = true),
    ];
    for (type_, edit) in edits {
        let mut engine = container("aaaa");
        edit(&mut engine);
        let status = of_container(engine, None, Own::default());
        let (yes, no): (Vec<_>, Vec<_>) = status
            .conditions
            .iter()
            .partition(|condition| condition.status == "True");
        assert!(matches!(&yes[..], [one] if one.type_ == type_), "{yes:?}");
        assert_eq!(no.len(), 4);
    }
}

#[test]
fn a_condition_keeps_its_time_until_its_status_moves() {
    let first = of_container(container("aaaa"), None, Own::default());
    let was = Status::Container(ContainerStatus {
        conditions: first
            .conditions
            .into_iter()
            .map(|condition| Condition {
                last_transition_time: Time(at(3)),
                ..condition
            })
            .collect(),
        ..ContainerStatus::default()
    });
    let running = Container {
        running: true,
        ..container("aaaa")
    };
    let second = of_container(running, Some(&was), Own::default());
    let moved: Vec<_> = second
        .conditions
        .iter()
        .filter(|condition| condition.last_transition_time.0 == at(50))
        .map(|condition| condition.type_.as_str())
        .collect();
    assert_eq!(moved, [condition::RUNNING]);
}

fn last_action(action: &str, reason: &str) -> LastAction {
    LastAction {
        action: action.to_owned(),
        state: ActionState::Failed,
        error: "no answer".to_owned(),
        reason: reason.to_owned(),
        observed_at: Time(at(40)),
        completed_at: Time(at(45)),
    }
}

#[test]
fn the_last_action_outlives_what_follows() {
    let action = last_action("stop", "Conflict");
    let own = Own {
        last_action: Some(&action),
        ..Own::default()
    };
    let first = of_container(container("aaaa"), None, own);
    assert_eq!(first.last_action.as_ref(), Some(&action));
    let was = Status::Container(first);
    let later = of_container(container("aaaa"), Some(&was), Own::default());
    assert_eq!(later.last_action, Some(action));
}

#[test]
fn an_action_without_an_answer_succeeded_when_the_engine_did_it_after_all() {
    let running = |started_at: i64| Container {
        running: true,
        started_at: Some(at(started_at).into()),
        ..container("aaaa")
    };
    let paused = || Container {
        paused: true,
        ..running(1)
    };
    for (action, before, after) in [
        ("stop", running(1), container("aaaa")),
        ("start", container("aaaa"), running(41)),
        ("pause", running(1), paused()),
        ("unpause", paused(), running(1)),
        ("restart", running(1), running(41)),
    ] {
        for reason in ["Timeout", "PluginFailed", "Unavailable"] {
            let failed = last_action(action, reason);
            let own = Own {
                last_action: Some(&failed),
                ..Own::default()
            };
            let first = of_container(before.clone(), None, own);
            assert_eq!(first.last_action.as_ref(), Some(&failed), "{action}");
            let was = Status::Container(first);
            // As well by a process that only has the old status.
            for own in [own, Own::default()] {
                let status = of_container(after.clone(), Some(&was), own);
                let last = status.last_action.clone().expect("a last action");
                assert_eq!(last.state, ActionState::Succeeded, "{action} {reason}");
                assert_eq!((&*last.error, &*last.reason), ("", ""));
                assert_eq!(last.completed_at.0, at(50));
                // Once, and not anew at each sync.
                let was = Status::Container(status.clone());
                let desired = Desired::Container(Arc::new(after.clone()));
                assert_eq!(desired.status(Some(&was), own, at(99)), Some(was));
            }
        }
        // What the engine refused, it did not do.
        let refused = last_action(action, "Conflict");
        let own = Own {
            last_action: Some(&refused),
            ..Own::default()
        };
        let status = of_container(after, None, own);
        assert_eq!(status.last_action, Some(refused), "{action}");
    }
}

#[test]
fn a_refusal_shows_until_a_newer_attempt_speaks_or_the_deletion_is_over() {
    let refusal = Refusal {
        reason: "Conflict".to_owned(),
        message: "in use".to_owned(),
    };
    let refused = Own {
        deleting: true,
        refusal: Some(&refusal),
        ..Own::default()
    };
    let trying = Own {
        deleting: true,
        ..Own::default()
    };
    let shown = |status: &Option<Status>| -> Vec<String> {
        let conditions = match status {
            Some(Status::Container(status)) => &status.conditions,
            Some(Status::Image(status)) => &status.conditions,
            Some(Status::Volume(status)) => &status.conditions,
            None => panic!("no status"),
        };
        let failed = conditions
            .iter()
            .filter(|c| c.type_ == condition::DELETE_FAILED);
        failed
            .map(|c| format!("{}: {}", c.reason, c.message))
            .collect()
    };
    for desired in [
        Desired::Container(Arc::new(container("aaaa"))),
        Desired::Image {
            image: Arc::new(image("sha256:1", &[])),
            tag: None,
        },
        Desired::Volume(Arc::new(volume("x", at(1)))),
    ] {
        let first = desired.status(None, refused, at(50));
        assert_eq!(shown(&first), ["Conflict: in use"]);
        let second = desired.status(first.as_ref(), trying, at(50));
        assert_eq!(shown(&second), ["Conflict: in use"]);
        let third = desired.status(second.as_ref(), Own::default(), at(50));
        assert!(shown(&third).is_empty());
    }
}
