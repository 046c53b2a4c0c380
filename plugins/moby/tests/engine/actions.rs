//! Tests of actions and their idempotence.

use rdd_sdk::Backend;
use rdd_sdk::types::{Action, Container, ContainerState, ErrorCode, Object, ObjectKind, ObjectRef};

use crate::fixture::{self, EngineFixture, container_ref};

async fn container(fixture: &EngineFixture, id: &str) -> Container {
    let object = ObjectRef {
        kind: ObjectKind::Container,
        namespace: "moby".to_owned(),
        id: id.to_owned(),
    };
    match fixture.moby.inspect(object).await.unwrap().object {
        Object::Container(container) => container,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_repeated_action_changes_nothing() {
    fixture::run("act", |fixture| async move {
        let id = fixture.create("a", "exec sleep 600", false).await;
        for (action, state) in [
            (Action::Start, ContainerState::Running),
            (Action::Pause, ContainerState::Paused),
            (Action::Unpause, ContainerState::Running),
            (Action::Stop, ContainerState::Exited),
        ] {
            let mut seen = Vec::new();
            for _ in 0..2 {
                fixture.moby.act(container_ref(&id), action).await.unwrap();
                let now = container(&fixture, &id).await;
                assert_eq!(now.state, state, "{action:?}");
                seen.push((now.started_at, now.finished_at, now.pid));
            }
            assert_eq!(seen[0], seen[1], "{action:?} twice made a change");
        }
        fixture
            .moby
            .act(container_ref(&id), Action::Restart)
            .await
            .unwrap();
        let restarted = container(&fixture, &id).await;
        assert!(restarted.running && restarted.started_at > restarted.finished_at);
    });
}

#[test]
fn an_action_that_the_state_does_not_allow_is_a_conflict() {
    fixture::run("conflict", |fixture| async move {
        let id = fixture.create("a", "true", false).await;
        for action in [Action::Pause, Action::Unpause] {
            let error = fixture
                .moby
                .act(container_ref(&id), action)
                .await
                .unwrap_err();
            assert_eq!(
                error.code,
                ErrorCode::Conflict,
                "{action:?}: {}",
                error.message
            );
            assert!(
                error.message.contains("is not running"),
                "{}",
                error.message
            );
        }
        let missing = "0123456789abcdef".repeat(4);
        let error = fixture
            .moby
            .act(container_ref(&missing), Action::Start)
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::NotFound);
    });
}
