//! The conditions of the App, and whether request handlers may use the engine:
//! pure functions of the App's spec and the state of the engine.

use jiff::Timestamp;
use rdd_api::{App, Condition, condition, reason};
use rdd_core::UnavailableReason;

use crate::conditions::ConditionSet;

/// The phase of the connection to the engine of the selected backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EnginePhase {
    /// There is no usable plugin of that name.
    NotInstalled { reason: String },
    /// The plugin is being restarted.
    Restarting { reason: String },
    /// The engine has not responded yet.
    Connecting,
    /// The connection to the engine is lost.
    Disconnected {
        reason: String,
        is_plugin_failure: bool,
    },
    /// The engine responds; mirrors are not yet up to date.
    Syncing,
    /// Mirrors are up to date.
    Synced,
}

/// The state that the conditions are derived from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConditionContext<'a> {
    pub(crate) phase: &'a EnginePhase,
    /// Whether all orphans are pruned.
    pub(crate) pruned: bool,
    /// Why mirrors cannot be written; `None` if they can.
    pub(crate) problem: Option<&'a str>,
}

/// Returns the conditions of the App, with the generation of `app` as their
/// observed generation.
pub(crate) fn conditions(
    app: &App,
    context: ConditionContext<'_>,
    now: Timestamp,
) -> Vec<Condition> {
    let previous = app
        .status
        .as_ref()
        .map_or(&[][..], |status| status.conditions.as_slice());
    let generation = app.metadata.generation;
    let mut conditions = ConditionSet::replacing(previous, now);
    if !app.spec.running {
        if context.pruned && context.problem.is_none() {
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
                context.problem.unwrap_or("mirrors are being deleted"),
                generation,
            );
        }
        return conditions.into_vec();
    }
    conditions.set(condition::RUNNING, true, reason::STARTED, "", generation);
    let (ready, why, message) = readiness(context);
    conditions.set(
        condition::CONTAINER_ENGINE_READY,
        ready,
        why,
        message,
        generation,
    );
    let (settled, why, message) = match context.problem {
        Some(problem) if ready => (false, reason::RESYNCING, problem),
        _ if ready => (true, reason::SETTLED, message),
        _ => (false, why, message),
    };
    conditions.set(condition::SETTLED, settled, why, message, generation);
    conditions.into_vec()
}

fn readiness(context: ConditionContext<'_>) -> (bool, &'static str, &str) {
    if !context.pruned {
        return (
            false,
            reason::RESYNCING,
            "the mirrors of another backend are being deleted",
        );
    }
    match context.phase {
        EnginePhase::NotInstalled { reason: why } => (false, reason::BACKEND_NOT_INSTALLED, why),
        EnginePhase::Restarting { reason: why } => (false, reason::PLUGIN_FAILED, why),
        EnginePhase::Connecting => (false, reason::RESYNCING, "connecting to the engine"),
        EnginePhase::Disconnected {
            reason: why,
            is_plugin_failure,
        } => {
            let reason = if *is_plugin_failure {
                reason::PLUGIN_FAILED
            } else {
                reason::CONNECT_FAILED
            };
            (false, reason, why)
        }
        EnginePhase::Syncing => (false, reason::RESYNCING, "mirroring the engine's objects"),
        EnginePhase::Synced => (true, reason::CONNECTED, ""),
    }
}

/// Returns why request handlers cannot use the engine; `None` if they can. An
/// engine can be used while its objects are still being mirrored.
pub(crate) fn unavailable_reason(
    backend: &str,
    running: bool,
    phase: &EnginePhase,
) -> Option<UnavailableReason> {
    if !running {
        return Some(UnavailableReason::Stopped);
    }
    match phase {
        EnginePhase::NotInstalled { reason } => Some(UnavailableReason::BackendNotInstalled {
            backend: backend.to_owned(),
            reason: reason.clone(),
        }),
        EnginePhase::Restarting { reason }
        | EnginePhase::Disconnected {
            reason,
            is_plugin_failure: true,
        } => Some(UnavailableReason::BackendRestarting {
            reason: reason.clone(),
        }),
        EnginePhase::Connecting => Some(UnavailableReason::Starting),
        EnginePhase::Disconnected {
            reason,
            is_plugin_failure: false,
        } => Some(UnavailableReason::EngineUnreachable {
            reason: reason.clone(),
        }),
        EnginePhase::Syncing | EnginePhase::Synced => None,
    }
}

#[cfg(test)]
mod tests;
