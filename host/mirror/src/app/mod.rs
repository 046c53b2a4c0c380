//! The App: what its spec and the engine's state mean for its conditions and
//! for request handlers. Pure functions.

use jiff::Timestamp;
use rdd_api::{App, Condition, condition, reason};
use rdd_core::UnavailableReason;

use crate::conditions::Conditions;

/// How the chosen backend is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No usable plugin of that name.
    NotInstalled { reason: String },
    /// The plugin is being restarted.
    Restarting { reason: String },
    /// The engine has not answered yet.
    Connecting,
    /// The engine is lost.
    Lost { reason: String, plugin: bool },
    /// The engine answers; mirrors are not yet what they should be.
    Reading,
    /// Mirrors are what they should be.
    Synced,
}

/// What is decided upon.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) phase: &'a Phase,
    /// Whether no mirror is left that must go.
    pub(crate) swept: bool,
    /// Why mirrors cannot be written, if they cannot.
    pub(crate) problem: Option<&'a str>,
}

/// The App's conditions, each stamped with the generation of `app`, which is
/// what was decided from.
pub(crate) fn conditions(app: &App, facts: Facts<'_>, now: Timestamp) -> Vec<Condition> {
    let was = app
        .status
        .as_ref()
        .map_or(&[][..], |status| status.conditions.as_slice());
    let generation = app.metadata.generation;
    let mut conditions = Conditions::over(was, now);
    if !app.spec.running {
        if facts.swept && facts.problem.is_none() {
            conditions.set(condition::RUNNING, false, reason::STOPPED, "", generation);
            conditions.set(
                condition::CONTAINER_ENGINE_READY,
                false,
                reason::STOPPED,
                "spec.running is false",
                generation,
            );
            conditions.set(condition::SETTLED, true, reason::SETTLED, "", generation);
        } else {
            conditions.keep(condition::RUNNING);
            conditions.keep(condition::CONTAINER_ENGINE_READY);
            conditions.set(
                condition::SETTLED,
                false,
                reason::STOPPING,
                facts.problem.unwrap_or("mirrors are being removed"),
                generation,
            );
        }
        return conditions.into_vec();
    }
    conditions.set(condition::RUNNING, true, reason::STARTED, "", generation);
    let (ready, why, message) = readiness(facts);
    conditions.set(
        condition::CONTAINER_ENGINE_READY,
        ready,
        why,
        message,
        generation,
    );
    let (settled, why, message) = match facts.problem {
        Some(problem) if ready => (false, reason::RESYNCING, problem),
        _ if ready => (true, reason::SETTLED, message),
        _ => (false, why, message),
    };
    conditions.set(condition::SETTLED, settled, why, message, generation);
    conditions.into_vec()
}

fn readiness(facts: Facts<'_>) -> (bool, &'static str, &str) {
    if !facts.swept {
        return (
            false,
            reason::RESYNCING,
            "the mirrors of another backend are being removed",
        );
    }
    match facts.phase {
        Phase::NotInstalled { reason: why } => (false, reason::BACKEND_NOT_INSTALLED, why),
        Phase::Restarting { reason: why } => (false, reason::PLUGIN_FAILED, why),
        Phase::Connecting => (false, reason::RESYNCING, "connecting to the engine"),
        Phase::Lost {
            reason: why,
            plugin,
        } => {
            let code = if *plugin {
                reason::PLUGIN_FAILED
            } else {
                reason::CONNECT_FAILED
            };
            (false, code, why)
        }
        Phase::Reading => (false, reason::RESYNCING, "reading the engine's objects"),
        Phase::Synced => (true, reason::CONNECTED, ""),
    }
}

/// Why request handlers may not ask the engine; `None` when they may. An
/// engine that is still being read can be asked.
pub(crate) fn not_serving(
    backend: &str,
    running: bool,
    phase: &Phase,
) -> Option<UnavailableReason> {
    if !running {
        return Some(UnavailableReason::Stopped);
    }
    match phase {
        Phase::NotInstalled { reason } => Some(UnavailableReason::BackendNotInstalled {
            backend: backend.to_owned(),
            reason: reason.clone(),
        }),
        Phase::Restarting { reason }
        | Phase::Lost {
            reason,
            plugin: true,
        } => Some(UnavailableReason::BackendRestarting {
            reason: reason.clone(),
        }),
        Phase::Connecting => Some(UnavailableReason::Starting),
        Phase::Lost {
            reason,
            plugin: false,
        } => Some(UnavailableReason::EngineUnreachable {
            reason: reason.clone(),
        }),
        Phase::Reading | Phase::Synced => None,
    }
}

#[cfg(test)]
mod tests;
