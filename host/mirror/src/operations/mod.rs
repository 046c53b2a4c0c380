//! Calls to the engine: actions and removals.

use std::sync::Arc;

use jiff::Timestamp;
use rdd_api::{ActionName, ActionState, LastAction, Time};
use rdd_core::{
    Container, ContainerAction, ContainerEngine, EngineError, EngineObject, ErrorCode, ObjectKind,
    ObjectRef,
};

use crate::desired::Refusal;
use crate::options::Clock;

/// Performs an action on a container that looked like `container`, and says
/// how it went.
pub(crate) async fn act(
    engine: &dyn ContainerEngine,
    container: &Container,
    name: ActionName,
    observed_at: Timestamp,
    clock: &Clock,
) -> LastAction {
    let result = perform(engine, container, name).await;
    outcome(name.as_str(), result, observed_at, clock())
}

/// How an action went, as the status says it.
pub(crate) fn outcome(
    action: &str,
    result: Result<(), Refusal>,
    observed_at: Timestamp,
    completed_at: Timestamp,
) -> LastAction {
    let (state, error, reason) = match result {
        Ok(()) => (ActionState::Succeeded, String::new(), String::new()),
        Err(refusal) => (ActionState::Failed, refusal.message, refusal.reason),
    };
    LastAction {
        action: shortened(action),
        state,
        error,
        reason,
        observed_at: whole(observed_at),
        completed_at: whole(completed_at),
    }
}

/// Why a value of the action annotation is not carried out.
pub(crate) fn invalid_action(value: &str) -> Refusal {
    let valid = ActionName::ALL.map(ActionName::as_str).join(", ");
    let hint = match ActionName::parse(&value.trim().to_ascii_lowercase()) {
        Some(meant) => format!(" (did you mean {:?}?)", meant.as_str()),
        None => String::new(),
    };
    Refusal {
        reason: "InvalidAction".to_owned(),
        message: format!(
            "{:?} is not an action{hint}; the actions are {valid}",
            shortened(value)
        ),
    }
}

/// Why an action is not carried out that another instance has claimed.
pub(crate) fn interrupted_action() -> Refusal {
    Refusal {
        reason: "Interrupted".to_owned(),
        message: "another instance of the daemon began this action and ended before it said \
                  how it went; look at the container, and ask again if it is not as wanted"
            .to_owned(),
    }
}

/// An annotation may hold 256 KiB; what is not an action is shown as far as a
/// person needs to recognize it.
fn shortened(value: &str) -> String {
    const MAX_LEN: usize = 64;
    rdd_core::text::truncate(value, MAX_LEN).to_owned()
}

async fn perform(
    engine: &dyn ContainerEngine,
    container: &Container,
    name: ActionName,
) -> Result<(), Refusal> {
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
    match engine.act(&container.id, action).await {
        Ok(()) => Ok(()),
        // An action that is replayed after a crash finds its work done.
        Err(error)
            if error.code == ErrorCode::Conflict && is_so(engine, &container.id, action).await =>
        {
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether the container is what the action would make of it.
async fn is_so(engine: &dyn ContainerEngine, id: &str, action: ContainerAction) -> bool {
    let reference = ObjectRef {
        kind: ObjectKind::Container,
        id: id.to_owned(),
    };
    let Ok(inspection) = engine.inspect(&reference).await else {
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

/// A time as the wire carries it.
pub(crate) fn whole(at: Timestamp) -> Time {
    // Cannot fail: a second of a timestamp is a timestamp.
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}

/// Calls that may run at once, of one sort.
pub(crate) type Slots = Arc<tokio::sync::Semaphore>;

#[cfg(test)]
mod tests;
