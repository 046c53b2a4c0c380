//! `act`.
//!
//! The engine has all the time that it takes: for a stop that is the grace
//! period of the container, which may be an hour.
//!
//! Idempotent, though the engine's pause and unpause are not: the container is
//! looked at first, and again where the engine says that the state forbids the
//! action, as somebody else may have done it in between. What remains is a
//! container that changes between the last look and the engine's answer; then
//! the engine's words are the answer.
//!
//! The engine takes an ID for a name where no container has the ID (any
//! more). So nothing is done where another container bears this ID as its
//! name, and afterwards the container must still be there: then it was this
//! one that was acted on. Where it vanished meanwhile and another took its ID
//! for a name, that is told as a failure, since the other may have been hit.

use rdd_sdk::http::{Call, Method};
use rdd_sdk::types::{Action, Error, ErrorCode};

use crate::backend::Moby;
use crate::{model, objects};

/// Answers `act`.
pub(crate) async fn run(moby: &Moby, id: &str, action: Action) -> Result<(), Error> {
    let (container, _) = objects::container(&moby.api, id).await?;
    if is_done(&container.state, id, action)? {
        return Ok(());
    }
    objects::unambiguous(&moby.api, id).await?;
    let path = format!("/containers/{id}/{}", verb(action));
    let sent = moby
        .api
        .send(&path, |path| Call::new(Method::POST, path))
        .await;
    match sent {
        Ok(_) => was_hit(moby, id, action).await,
        // Older engines answer a paused container's second pause with 500.
        Err(error) if matches!(error.code, ErrorCode::Conflict | ErrorCode::Internal) => {
            let (container, _) = objects::container(&moby.api, id).await?;
            match is_done(&container.state, id, action) {
                Ok(true) => Ok(()),
                _ => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

/// Makes sure that it was this container that was acted on. One that is gone
/// (`docker run --rm`) is no failure, as long as its ID is nobody's name.
async fn was_hit(moby: &Moby, id: &str, action: Action) -> Result<(), Error> {
    match objects::container_named(&moby.api, id).await {
        Ok(found) if found.id == id => Ok(()),
        Ok(other) => Err(Error::replaced(format!(
            "container {id} is gone, and container {} bears its ID as a name by now: the engine may have done the {} to that one",
            other.id,
            verb(action)
        ))),
        Err(error) if error.code == ErrorCode::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether there is nothing to do. Only for what the engine itself does not
/// take as done: it answers a start or stop without a change with success.
fn is_done(state: &model::State, id: &str, action: Action) -> Result<bool, Error> {
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

    fn state(running: bool, paused: bool) -> model::State {
        model::State {
            running,
            paused,
            ..model::State::default()
        }
    }

    #[test]
    fn pause_and_unpause_are_idempotent() {
        let paused = state(true, true);
        let running = state(true, false);
        let stopped = state(false, false);
        assert!(is_done(&paused, "x", Action::Pause).unwrap());
        assert!(!is_done(&running, "x", Action::Pause).unwrap());
        assert!(!is_done(&paused, "x", Action::Unpause).unwrap());
        assert!(is_done(&running, "x", Action::Unpause).unwrap());
        let error = is_done(&stopped, "x", Action::Unpause).unwrap_err();
        assert_eq!(error.code, ErrorCode::Conflict);
        assert!(
            error.message.ends_with("is not running"),
            "{}",
            error.message
        );
    }
}
