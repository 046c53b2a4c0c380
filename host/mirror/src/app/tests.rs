//! Tests of the App's conditions and of the availability for request handlers.

use rdd_api::{AppSpec, AppStatus, ContainerEngineSpec};

use super::*;

fn app(running: bool, generation: i64, conditions: Vec<Condition>) -> App {
    let mut app = App::new(
        "app",
        AppSpec {
            container_engine: ContainerEngineSpec {
                name: "moby".to_owned(),
            },
            running,
            namespace: "rancher-desktop".to_owned(),
        },
    );
    app.metadata.generation = Some(generation);
    app.status = Some(AppStatus { conditions });
    app
}

fn summary(conditions: &[Condition]) -> Vec<String> {
    conditions
        .iter()
        .map(|c| {
            format!(
                "{}={}/{}@{:?}",
                c.type_, c.status, c.reason, c.observed_generation
            )
        })
        .collect()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("the timestamp must be valid")
}

#[test]
fn each_phase_has_its_reason() {
    let disconnected = |is_plugin_failure| EnginePhase::Disconnected {
        reason: "gone".to_owned(),
        is_plugin_failure,
    };
    let reason = || "why".to_owned();
    for (phase, ready, why) in [
        (
            EnginePhase::NotInstalled { reason: reason() },
            "False",
            "BackendNotInstalled",
        ),
        (
            EnginePhase::Restarting { reason: reason() },
            "False",
            "PluginFailed",
        ),
        (EnginePhase::Connecting, "False", "Resyncing"),
        (disconnected(false), "False", "ConnectFailed"),
        (disconnected(true), "False", "PluginFailed"),
        (EnginePhase::Syncing, "False", "Resyncing"),
        (EnginePhase::Synced, "True", "Connected"),
    ] {
        let context = ConditionContext {
            phase: &phase,
            pruned: true,
            problem: None,
        };
        let settled = if ready == "True" { "Settled" } else { why };
        assert_eq!(
            summary(&conditions(&app(true, 3, Vec::new()), context, at(1))),
            [
                "Running=True/Started@Some(3)".to_owned(),
                format!("ContainerEngineReady={ready}/{why}@Some(3)"),
                format!("Settled={ready}/{settled}@Some(3)"),
            ]
        );
    }
}

#[test]
fn stopped_is_reported_only_after_all_mirrors_are_deleted() {
    let running = conditions(
        &app(true, 1, Vec::new()),
        ConditionContext {
            phase: &EnginePhase::Synced,
            pruned: true,
            problem: None,
        },
        at(1),
    );
    let stopping = conditions(
        &app(false, 2, running),
        ConditionContext {
            phase: &EnginePhase::Synced,
            pruned: false,
            problem: None,
        },
        at(2),
    );
    assert_eq!(
        summary(&stopping),
        [
            "Running=True/Started@Some(1)",
            "ContainerEngineReady=True/Connected@Some(1)",
            "Settled=False/Stopping@Some(2)",
        ]
    );
    let stopped = conditions(
        &app(false, 2, stopping),
        ConditionContext {
            phase: &EnginePhase::Synced,
            pruned: true,
            problem: None,
        },
        at(3),
    );
    assert_eq!(
        summary(&stopped),
        [
            "Running=False/Stopped@Some(2)",
            "ContainerEngineReady=False/Stopped@Some(2)",
            "Settled=True/Settled@Some(2)",
        ]
    );
}

#[test]
fn a_transition_time_changes_only_with_the_status() {
    let context = ConditionContext {
        phase: &EnginePhase::Syncing,
        pruned: true,
        problem: None,
    };
    let first = conditions(&app(true, 1, Vec::new()), context, at(1));
    let disconnected = EnginePhase::Disconnected {
        reason: "gone".to_owned(),
        is_plugin_failure: false,
    };
    let context = ConditionContext {
        phase: &disconnected,
        pruned: true,
        problem: None,
    };
    let second = conditions(&app(true, 1, first), context, at(2));
    let context = ConditionContext {
        phase: &EnginePhase::Synced,
        pruned: true,
        problem: None,
    };
    let third = conditions(&app(true, 1, second.clone()), context, at(3));
    let ready = |list: &[Condition]| list[1].last_transition_time.0;
    assert_eq!(ready(&second), at(1));
    assert_eq!(ready(&third), at(3));
}

#[test]
fn a_missing_backend_is_distinguished_from_an_unreachable_engine() {
    let not_installed = EnginePhase::NotInstalled {
        reason: "no plugin".to_owned(),
    };
    assert!(matches!(
        unavailable_reason("containerd", true, &not_installed),
        Some(UnavailableReason::BackendNotInstalled { backend, .. }) if backend == "containerd"
    ));
    let disconnected = EnginePhase::Disconnected {
        reason: "refused".to_owned(),
        is_plugin_failure: false,
    };
    assert!(matches!(
        unavailable_reason("moby", true, &disconnected),
        Some(UnavailableReason::EngineUnreachable { .. })
    ));
    assert_eq!(
        unavailable_reason("moby", false, &not_installed),
        Some(UnavailableReason::Stopped)
    );
    assert_eq!(
        unavailable_reason("moby", true, &EnginePhase::Syncing),
        None
    );
}

#[test]
fn the_app_is_not_settled_while_mirrors_cannot_be_written() {
    let context = ConditionContext {
        phase: &EnginePhase::Synced,
        pruned: true,
        problem: Some("the namespace rd is being deleted"),
    };
    let running = conditions(&app(true, 3, Vec::new()), context, at(9));
    assert_eq!(
        summary(&running)[1..],
        [
            "ContainerEngineReady=True/Connected@Some(3)",
            "Settled=False/Resyncing@Some(3)"
        ]
    );
    assert_eq!(running[2].message, "the namespace rd is being deleted");
    let stopped = conditions(&app(false, 3, Vec::new()), context, at(9));
    assert_eq!(summary(&stopped), ["Settled=False/Stopping@Some(3)"]);
}
