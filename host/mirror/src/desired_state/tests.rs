//! Tests of the status derived from an object of the engine.

use super::*;
use crate::fixtures::{at, container, image, volume};
use rdd_api::Time;
use rdd_core::{ExposedPort, PortBinding};

fn container_status_of(
    container: Container,
    current: Option<&MirrorStatus>,
    host_status: HostStatus<'_>,
) -> ContainerStatus {
    match DesiredState::Container(Arc::new(container)).status(current, host_status, at(50)) {
        Some(MirrorStatus::Container(status)) => status,
        other => panic!("{other:?}"),
    }
}

#[test]
fn timestamps_that_the_api_cannot_represent_are_omitted() {
    for (engine, expected) in [
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
        let engine = engine.map(|text| {
            text.parse::<jiff::Timestamp>()
                .expect("the timestamp must be valid")
                .into()
        });
        let serialized = wire_time(engine)
            .map(|time| serde_json::to_value(time).expect("the timestamp must serialize"));
        assert_eq!(
            serialized,
            expected.map(serde_json::Value::from),
            "{engine:?}"
        );
    }
}

#[test]
fn ports_are_sorted_and_merged_and_invalid_addresses_are_omitted() {
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
    let ports = wire_ports(&[
        port("80/tcp", &[("::", "2"), ("0.0.0.0", "1")]),
        port("443/tcp", &[]),
        port("80/tcp", &[("0.0.0.0", "1"), ("not an address", "3")]),
    ]);
    let summary: Vec<_> = ports
        .iter()
        .map(|port| {
            let bindings = port.bindings.iter();
            let bindings = bindings.map(|b| (b.host_ip.as_str(), b.host_port.as_str()));
            (port.name.as_str(), bindings.collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(
        summary,
        [
            ("443/tcp", vec![]),
            ("80/tcp", vec![("", "3"), ("0.0.0.0", "1"), ("::", "2")]),
        ]
    );
}

#[test]
fn each_condition_reflects_what_the_engine_reports() {
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
        let status = container_status_of(engine, None, HostStatus::default());
        let (yes, no): (Vec<_>, Vec<_>) = status
            .conditions
            .iter()
            .partition(|condition| condition.status == "True");
        assert!(matches!(&yes[..], [one] if one.type_ == type_), "{yes:?}");
        assert_eq!(no.len(), 4);
    }
}

#[test]
fn a_transition_time_changes_only_with_the_status() {
    let first = container_status_of(container("aaaa"), None, HostStatus::default());
    let current = MirrorStatus::Container(ContainerStatus {
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
    let second = container_status_of(running, Some(&current), HostStatus::default());
    let changed: Vec<_> = second
        .conditions
        .iter()
        .filter(|condition| condition.last_transition_time.0 == at(50))
        .map(|condition| condition.type_.as_str())
        .collect();
    assert_eq!(changed, [condition::RUNNING]);
}

fn last_action(action: &str, reason: &str) -> LastAction {
    LastAction {
        action: action.to_owned(),
        state: ActionState::Failed,
        error: "no response".to_owned(),
        reason: reason.to_owned(),
        observed_at: Time(at(40)),
        completed_at: Time(at(45)),
    }
}

#[test]
fn the_last_action_is_kept_by_later_updates() {
    let action = last_action("stop", "Conflict");
    let host_status = HostStatus {
        last_action: Some(&action),
        ..HostStatus::default()
    };
    let first = container_status_of(container("aaaa"), None, host_status);
    assert_eq!(first.last_action.as_ref(), Some(&action));
    let current = MirrorStatus::Container(first);
    let later = container_status_of(container("aaaa"), Some(&current), HostStatus::default());
    assert_eq!(later.last_action, Some(action));
}

#[test]
fn an_action_without_a_response_succeeded_if_the_container_reached_the_target_state() {
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
            let host_status = HostStatus {
                last_action: Some(&failed),
                ..HostStatus::default()
            };
            let first = container_status_of(before.clone(), None, host_status);
            assert_eq!(first.last_action.as_ref(), Some(&failed), "{action}");
            let current = MirrorStatus::Container(first);
            // Also in a new process that only has the current status.
            for host_status in [host_status, HostStatus::default()] {
                let status = container_status_of(after.clone(), Some(&current), host_status);
                let last = status
                    .last_action
                    .clone()
                    .expect("there must be a last action");
                assert_eq!(last.state, ActionState::Succeeded, "{action} {reason}");
                assert_eq!((&*last.error, &*last.reason), ("", ""));
                assert_eq!(last.completed_at.0, at(50));
                // Corrected once, and not again at each sync.
                let current = MirrorStatus::Container(status.clone());
                let desired = DesiredState::Container(Arc::new(after.clone()));
                assert_eq!(
                    desired.status(Some(&current), host_status, at(99)),
                    Some(current)
                );
            }
        }
        // An action that the engine refused current not carried out.
        let refused = last_action(action, "Conflict");
        let host_status = HostStatus {
            last_action: Some(&refused),
            ..HostStatus::default()
        };
        let status = container_status_of(after, None, host_status);
        assert_eq!(status.last_action, Some(refused), "{action}");
    }
}

#[test]
fn a_failed_deletion_is_reported_until_the_next_attempt_or_the_end_of_the_deletion() {
    let failure = RequestFailure {
        reason: "Conflict".to_owned(),
        message: "in use".to_owned(),
    };
    let refused = HostStatus {
        is_deleting: true,
        failure: Some(&failure),
        ..HostStatus::default()
    };
    let trying = HostStatus {
        is_deleting: true,
        ..HostStatus::default()
    };
    let delete_failed = |status: &Option<MirrorStatus>| -> Vec<String> {
        let conditions = match status {
            Some(MirrorStatus::Container(status)) => &status.conditions,
            Some(MirrorStatus::Image(status)) => &status.conditions,
            Some(MirrorStatus::Volume(status)) => &status.conditions,
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
        DesiredState::Container(Arc::new(container("aaaa"))),
        DesiredState::Image {
            image: Arc::new(image("sha256:1", &[])),
            tag: None,
        },
        DesiredState::Volume(Arc::new(volume("x", at(1)))),
    ] {
        let first = desired.status(None, refused, at(50));
        assert_eq!(delete_failed(&first), ["Conflict: in use"]);
        let second = desired.status(first.as_ref(), trying, at(50));
        assert_eq!(delete_failed(&second), ["Conflict: in use"]);
        let third = desired.status(second.as_ref(), HostStatus::default(), at(50));
        assert!(delete_failed(&third).is_empty());
    }
}
