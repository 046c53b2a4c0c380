//! Conditions and the serving snapshot, decision by decision.

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

fn show(conditions: &[Condition]) -> Vec<String> {
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
    Timestamp::from_second(second).expect("a time")
}

#[test]
fn each_phase_has_its_reason() {
    let lost = |plugin| Phase::Lost {
        reason: "gone".to_owned(),
        plugin,
    };
    let reason = || "why".to_owned();
    for (phase, ready, why) in [
        (
            Phase::NotInstalled { reason: reason() },
            "False",
            "BackendNotInstalled",
        ),
        (
            Phase::Restarting { reason: reason() },
            "False",
            "PluginFailed",
        ),
        (Phase::Connecting, "False", "Resyncing"),
        (lost(false), "False", "ConnectFailed"),
        (lost(true), "False", "PluginFailed"),
        (Phase::Reading, "False", "Resyncing"),
        (Phase::Synced, "True", "Connected"),
    ] {
        let facts = Facts {
            phase: &phase,
            swept: true,
            problem: None,
        };
        let settled = if ready == "True" { "Settled" } else { why };
        assert_eq!(
            show(&conditions(&app(true, 3, Vec::new()), facts, at(1))),
            [
                "Running=True/Started@Some(3)".to_owned(),
                format!("ContainerEngineReady={ready}/{why}@Some(3)"),
                format!("Settled={ready}/{settled}@Some(3)"),
            ]
        );
    }
}

#[test]
fn a_stop_shows_only_once_nothing_is_left() {
    let running = conditions(
        &app(true, 1, Vec::new()),
        Facts {
            phase: &Phase::Synced,
            swept: true,
            problem: None,
        },
        at(1),
    );
    let stopping = conditions(
        &app(false, 2, running),
        Facts {
            phase: &Phase::Synced,
            swept: false,
            problem: None,
        },
        at(2),
    );
    assert_eq!(
        show(&stopping),
        [
            "Running=True/Started@Some(1)",
            "ContainerEngineReady=True/Connected@Some(1)",
            "Settled=False/Stopping@Some(2)",
        ]
    );
    let stopped = conditions(
        &app(false, 2, stopping),
        Facts {
            phase: &Phase::Synced,
            swept: true,
            problem: None,
        },
        at(3),
    );
    assert_eq!(
        show(&stopped),
        [
            "Running=False/Stopped@Some(2)",
            "ContainerEngineReady=False/Stopped@Some(2)",
            "Settled=True/Settled@Some(2)",
        ]
    );
}

#[test]
fn a_transition_time_moves_only_with_the_status() {
    let facts = Facts {
        phase: &Phase::Reading,
        swept: true,
        problem: None,
    };
    let first = conditions(&app(true, 1, Vec::new()), facts, at(1));
    let lost = Phase::Lost {
        reason: "gone".to_owned(),
        plugin: false,
    };
    let facts = Facts {
        phase: &lost,
        swept: true,
        problem: None,
    };
    let second = conditions(&app(true, 1, first), facts, at(2));
    let facts = Facts {
        phase: &Phase::Synced,
        swept: true,
        problem: None,
    };
    let third = conditions(&app(true, 1, second.clone()), facts, at(3));
    let ready = |list: &[Condition]| list[1].last_transition_time.0;
    assert_eq!(ready(&second), at(1));
    assert_eq!(ready(&third), at(3));
}

#[test]
fn absent_is_not_unreachable() {
    let absent = Phase::NotInstalled {
        reason: "no plugin".to_owned(),
    };
    assert!(matches!(
        not_serving("containerd", true, &absent),
        Some(UnavailableReason::BackendNotInstalled { backend, .. }) if backend == "containerd"
    ));
    let lost = Phase::Lost {
        reason: "refused".to_owned(),
        plugin: false,
    };
    assert!(matches!(
        not_serving("moby", true, &lost),
        Some(UnavailableReason::EngineUnreachable { .. })
    ));
    assert_eq!(
        not_serving("moby", false, &absent),
        Some(UnavailableReason::Stopped)
    );
    assert_eq!(not_serving("moby", true, &Phase::Reading), None);
}

#[test]
fn nothing_is_settled_while_mirrors_cannot_be_written() {
    let facts = Facts {
        phase: &Phase::Synced,
        swept: true,
        problem: Some("the namespace rd is being deleted"),
    };
    let running = conditions(&app(true, 3, Vec::new()), facts, at(9));
    assert_eq!(
        show(&running)[1..],
        [
            "ContainerEngineReady=True/Connected@Some(3)",
            "Settled=False/Resyncing@Some(3)"
        ]
    );
    assert_eq!(running[2].message, "the namespace rd is being deleted");
    let stopped = conditions(&app(false, 3, Vec::new()), facts, at(9));
    assert_eq!(show(&stopped), ["Settled=False/Stopping@Some(3)"]);
}
