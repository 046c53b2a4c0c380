//! Actions on containers: the call to the engine and the outcome for the
//! status.

use jiff::Timestamp;
use rdd_api::{ActionName, ActionState, LastAction};
use rdd_core::{
    Container, ContainerAction, ContainerEngine, ContainerRef, EngineError, EngineObject, ErrorCode,
};

use crate::desired_state::{RequestFailure, whole_seconds};
use crate::options::WallClock;

/// Performs an action on a container whose last known state is `container`, and
/// returns the outcome.
pub(crate) async fn perform_action(
    engine: &dyn ContainerEngine,
    container: &Container,
    name: ActionName,
    observed_at: Timestamp,
    clock: &WallClock,
) -> LastAction {
    let result = call_engine(engine, container, name).await;
    last_action(name.as_str(), result, observed_at, clock())
}

/// Returns the outcome of an action in the form that the status contains.
pub(crate) fn last_action(
    action: &str,
    result: Result<(), RequestFailure>,
    observed_at: Timestamp,
    completed_at: Timestamp,
) -> LastAction {
    let (state, error, reason) = match result {
        Ok(()) => (ActionState::Succeeded, String::new(), String::new()),
        Err(failure) => (ActionState::Failed, failure.message, failure.reason),
    };
    LastAction {
        action: truncate_action(action),
        state,
        error,
        reason,
        observed_at: whole_seconds(observed_at),
        completed_at: whole_seconds(completed_at),
    }
}

/// Returns why an invalid value of the action annotation is rejected.
pub(crate) fn invalid_action(value: &str) -> RequestFailure {
    let valid = ActionName::ALL.map(ActionName::as_str).join(", ");
    let hint = match ActionName::parse(&value.trim().to_ascii_lowercase()) {
        Some(action) => format!(" (did you mean {:?}?)", action.as_str()),
        None => String::new(),
    };
    RequestFailure {
        reason: "InvalidAction".to_owned(),
        message: format!(
            "{:?} is not an action{hint}; the actions are {valid}",
            truncate_action(value)
        ),
    }
}

/// Returns why an action that another instance has claimed is rejected.
pub(crate) fn interrupted_action() -> RequestFailure {
    RequestFailure {
        reason: "Interrupted".to_owned(),
        message: "another instance of the daemon started this action and stopped before it \
                  reported the outcome; check the container and request the action again if \
                  necessary"
            .to_owned(),
    }
}

/// Truncates an invalid action, which may be 256 KiB long, to a length at which
/// it can still be recognized.
fn truncate_action(value: &str) -> String {
    const MAX_LEN: usize = 64;
    rdd_core::text::truncate(value, MAX_LEN).to_owned()
}

async fn call_engine(
    engine: &dyn ContainerEngine,
    container: &Container,
    name: ActionName,
) -> Result<(), RequestFailure> {
    let action = match name {
        ActionName::Pause if container.paused => return Ok(()),
        ActionName::Unpause if !container.running => {
            let message = format!("container {} is not running", container.id);
            return Err(EngineError::new(ErrorCode::Conflict, message).into());
        }
        ActionName::Start => ContainerAction::Start,
        ActionName::Stop => ContainerAction::Stop,
        ActionName::Pause => ContainerAction::Pause,
        ActionName::Unpause => ContainerAction::Unpause,
        ActionName::Restart => ContainerAction::Restart,
    };
    let reference = container.container_ref();
    match engine.act(&reference, action).await {
        Ok(()) => Ok(()),
        // An action that is repeated after a crash may already be done.
        Err(error)
            if error.code == ErrorCode::Conflict
                && is_in_target_state(engine, &reference, action).await =>
        {
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Returns whether the container is in the state that the action leads to.
async fn is_in_target_state(
    engine: &dyn ContainerEngine,
    container: &ContainerRef,
    action: ContainerAction,
) -> bool {
    let Ok(inspection) = engine.inspect(&container.clone().into()).await else {
        return false;
    };
    let EngineObject::Container(container) = inspection.object else {
        return false;
    };
    match action {
        ContainerAction::Start | ContainerAction::Unpause => container.running && !container.paused,
        ContainerAction::Pause => container.paused,
        ContainerAction::Stop => !container.running,
        ContainerAction::Restart => false,
    }
}

#[cfg(test)]
mod tests;
