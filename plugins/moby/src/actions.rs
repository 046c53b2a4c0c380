//! Actions on containers (`act`).
//!
//! There is no time limit: a stop takes as long as the grace period of the
//! container, which may be an hour.
//!
//! Actions are idempotent, although the engine's pause and unpause are not. The
//! container is inspected first, and again if the engine returns a conflict,
//! because another client may have performed the action in between. A container
//! that changes between the last inspection and the engine's response fails
//! with the engine's message.
//!
//! The engine treats an ID as a name if no container has the ID (anymore). So
//! an action is rejected if another container has this ID as its name, and
//! afterwards the container must still exist, which proves that it was the one
//! acted on. If it was removed meanwhile and another container took its ID as a
//! name, the action fails, since the engine may have acted on the other one.

use rdd_sdk::types::{Action, Error, ErrorCode};

use crate::backend::MobyBackend;
use crate::{model, objects};

/// Performs an action on a container.
pub(crate) async fn run(moby: &MobyBackend, id: &str, action: Action) -> Result<(), Error> {
    let (container, _) = objects::inspect_container(&moby.client, id).await?;
    if is_already_done(&container.state, id, action)? {
        return Ok(());
    }
    objects::ensure_id_is_not_a_name(&moby.client, id).await?;
    let path = format!("/containers/{id}/{}", verb(action));
    match moby.client.post(&path).await {
        Ok(()) => verify_target(moby, id, action).await,
        // Older engines reject a second pause with status 500.
        Err(error) if matches!(error.code, ErrorCode::Conflict | ErrorCode::Internal) => {
            let (container, _) = objects::inspect_container(&moby.client, id).await?;
            match is_already_done(&container.state, id, action) {
                Ok(true) => Ok(()),
                _ => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

/// Checks that the engine acted on this container. A container that is gone
/// (`docker run --rm`) is not an error, unless another one has its ID as a name.
async fn verify_target(moby: &MobyBackend, id: &str, action: Action) -> Result<(), Error> {
    match objects::resolve_container(&moby.client, id).await {
        Ok(found) if found.id == id => Ok(()),
        Ok(other) => Err(Error::replaced(format!(
            "container {id} is gone, and container {} now has its ID as a name: the engine may have performed the {} on that one",
            other.id,
            verb(action)
        ))),
        Err(error) if error.code == ErrorCode::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Returns whether the container already has the state that the action leads to.
/// Only for pause and unpause: the engine itself returns success for a start or
/// stop without a change.
fn is_already_done(state: &model::ContainerState, id: &str, action: Action) -> Result<bool, Error> {
    match action {
        Action::Pause => Ok(state.paused),
        Action::Unpause if state.running || state.paused => Ok(!state.paused),
        Action::Unpause => Err(Error::conflict(format!("container {id} is not running"))),
        Action::Start | Action::Stop | Action::Restart => Ok(false),
    }
}

fn verb(action: Action) -> &'static str {
    match action {
        Action::Start => "start",
        Action::Stop => "stop",
        Action::Pause => "pause",
        Action::Unpause => "unpause",
        Action::Restart => "restart",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(running: bool, paused: bool) -> model::ContainerState {
        model::ContainerState {
            running,
            paused,
            ..model::ContainerState::default()
        }
    }

    #[test]
    fn pause_and_unpause_are_idempotent() {
        let paused = state(true, true);
        let running = state(true, false);
        let stopped = state(false, false);
        assert!(is_already_done(&paused, "x", Action::Pause).unwrap());
        assert!(!is_already_done(&running, "x", Action::Pause).unwrap());
        assert!(!is_already_done(&paused, "x", Action::Unpause).unwrap());
        assert!(is_already_done(&running, "x", Action::Unpause).unwrap());
        let error = is_already_done(&stopped, "x", Action::Unpause).unwrap_err();
        assert_eq!(error.code, ErrorCode::Conflict);
        assert!(
            error.message.ends_with("is not running"),
            "{}",
            error.message
        );
    }
}
