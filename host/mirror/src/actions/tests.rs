//! Tests of actions against the fake engine.

use rdd_testkit::{EngineCall, EngineOperation, FakeEngine};

use std::sync::Arc;

use super::*;
use crate::fixtures::at;

/// Performs `name` on a container whose last known state is from before
/// `meanwhile`.
async fn perform_after(
    engine: &FakeEngine,
    id: &str,
    name: ActionName,
    meanwhile: impl FnOnce(),
) -> LastAction {
    let last_known = engine.container(id).expect("no such container");
    meanwhile();
    let clock: WallClock = Arc::new(|| at(7));
    perform_action(engine, &last_known, name, at(5), &clock).await
}

fn conflict() -> EngineError {
    EngineError::new(ErrorCode::Conflict, "the message of the engine")
}

#[tokio::test]
async fn actions_with_a_known_result_are_not_requested_from_the_engine() {
    let engine = FakeEngine::default();
    let paused = engine.run_container("paused");
    engine.pause(&paused);
    let last = perform_after(&engine, &paused, ActionName::Pause, || {}).await;
    assert_eq!((last.state, &*last.error), (ActionState::Succeeded, ""));
    let stopped = engine.create_container("stopped");
    let last = perform_after(&engine, &stopped, ActionName::Unpause, || {}).await;
    assert_eq!(last.state, ActionState::Failed);
    assert!(last.error.contains("not running"), "{}", last.error);
    assert_eq!(engine.calls(), []);
}

#[tokio::test]
async fn each_action_makes_the_corresponding_call() {
    for (name, action) in [
        (ActionName::Start, ContainerAction::Start),
        (ActionName::Stop, ContainerAction::Stop),
        (ActionName::Pause, ContainerAction::Pause),
        (ActionName::Unpause, ContainerAction::Unpause),
        (ActionName::Restart, ContainerAction::Restart),
    ] {
        let engine = FakeEngine::default();
        let id = engine.run_container("web");
        let prepare = || {
            if name == ActionName::Unpause {
                engine.pause(&id);
            }
        };
        let last = perform_after(&engine, &id, name, prepare).await;
        assert_eq!(last.state, ActionState::Succeeded, "{last:?}");
        assert_eq!(last.action, name);
        assert_eq!(last.observed_at.0, at(5));
        assert_eq!(last.completed_at.0, at(7));
        let container = engine.container_ref(&id);
        assert_eq!(engine.calls(), [EngineCall::Act { container, action }]);
    }
}

#[tokio::test]
async fn repeating_an_action_that_is_already_done_succeeds() {
    let engine = FakeEngine::default();
    let id = engine.run_container("web");
    let last = perform_after(&engine, &id, ActionName::Pause, || engine.pause(&id)).await;
    assert_eq!(last.state, ActionState::Succeeded, "{last:?}");
    engine.fail(EngineOperation::Act, None, conflict());
    let last = perform_after(&engine, &id, ActionName::Stop, || engine.stop(&id)).await;
    assert_eq!(last.state, ActionState::Succeeded, "{last:?}");
}

#[tokio::test]
async fn a_failure_contains_the_message_of_the_engine() {
    let engine = FakeEngine::default();
    let id = engine.run_container("web");
    engine.fail(EngineOperation::Act, None, conflict());
    for name in [ActionName::Pause, ActionName::Stop, ActionName::Restart] {
        let last = perform_after(&engine, &id, name, || {}).await;
        assert_eq!(last.state, ActionState::Failed);
        assert_eq!(last.error, "the message of the engine");
    }
    // Only a conflict can mean that the action is already done.
    let gone = EngineError::new(ErrorCode::NotFound, "no such container");
    engine.fail(EngineOperation::Act, None, gone);
    let last = perform_after(&engine, &id, ActionName::Stop, || engine.stop(&id)).await;
    assert_eq!(last.error, "no such container");
}
