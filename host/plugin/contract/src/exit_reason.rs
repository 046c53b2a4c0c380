//! The reason why an instance of a backend ended.

use std::time::Duration;

use rdd_core::{EngineError, ErrorCode};
use tokio::sync::watch;

use crate::{BusyError, MemoryError};

/// The kind of the reason why an instance ended, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitKind {
    /// The guest trapped, or the library caught a panic.
    Trap,
    /// It needed more memory than it may use.
    Memory,
    /// It violated the contract.
    Contract,
    /// It did not return, or waited for nothing.
    Unresponsive,
    /// It used the processor without making progress.
    Busy,
    /// It reported more changes than the daemon can follow.
    Flood,
    /// Anything else that the backend caused.
    Failed,
    /// The host ended it.
    Shutdown,
}

impl ExitKind {
    /// All kinds, with their names.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Trap, "trap"),
        (Self::Memory, "memory"),
        (Self::Contract, "contract"),
        (Self::Unresponsive, "unresponsive"),
        (Self::Busy, "busy"),
        (Self::Flood, "flood"),
        (Self::Failed, "failed"),
        (Self::Shutdown, "shutdown"),
    ];
}

/// The reason why an instance ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitReason {
    /// The end of a sentence that begins with the backend's name, such as
    /// `trapped: …`.
    pub message: String,
    /// Whether the backend caused the end. If so, it counts toward the number
    /// of failures after which the backend is not started again.
    pub is_guest_fault: bool,
    /// The kind of the reason.
    pub kind: ExitKind,
}

impl From<BusyError> for ExitReason {
    fn from(error: BusyError) -> Self {
        Self::guest_fault(error.to_string()).with_kind(ExitKind::Busy)
    }
}

impl From<MemoryError> for ExitReason {
    /// An instance that exceeds its own limit is at fault. One that gets no memory
    /// because other streams have it all is not.
    fn from(error: MemoryError) -> Self {
        Self {
            is_guest_fault: matches!(error, MemoryError::Instance { .. }),
            message: error.to_string(),
            kind: ExitKind::Memory,
        }
    }
}

impl ExitReason {
    /// Returns the reason for an instance that ended through a fault of the
    /// backend. `message` is the end of a sentence that begins with its name.
    pub fn guest_fault(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            is_guest_fault: true,
            kind: ExitKind::Failed,
        }
    }

    /// Returns the reason for a violation of the contract. `message` is the end of
    /// a sentence that begins with the backend's name.
    pub fn violation(message: impl Into<String>) -> Self {
        Self::guest_fault(message).with_kind(ExitKind::Contract)
    }

    /// Returns the same reason with another kind.
    #[must_use]
    pub fn with_kind(self, kind: ExitKind) -> Self {
        Self { kind, ..self }
    }

    /// Returns the reason for an instance that the host ended.
    pub fn shutdown() -> Self {
        Self {
            message: "was shut down".to_owned(),
            is_guest_fault: false,
            kind: ExitKind::Shutdown,
        }
    }

    /// Returns the reason for a call, named `what`, that made no progress and
    /// waited for nothing for `limit`.
    pub fn stalled(what: &str, limit: Duration) -> Self {
        Self::guest_fault(format!(
            "stalled: {what} has waited for neither the engine nor a timer for {limit:?}"
        ))
        .with_kind(ExitKind::Unresponsive)
    }

    /// Returns the reason for a store that calls of WASI blocked for `limit`.
    pub fn blocked(limit: Duration) -> Self {
        Self::guest_fault(format!(
            "blocked all its calls for {limit:?} in a call of WASI; wait for the engine and for timers with the functions of the contract instead"
        ))
        .with_kind(ExitKind::Unresponsive)
    }

    /// Returns the reason for a step, named `what`, that exceeded its limit.
    pub fn timed_out(what: &str, limit: Duration) -> Self {
        Self::guest_fault(format!("did not finish {what} within {limit:?}"))
            .with_kind(ExitKind::Unresponsive)
    }

    /// Returns the reason for an instance whose task ended without a reason, which
    /// means that it panicked: a task that is dropped with its runtime leaves no
    /// one to read the reason. It counts as a fault of the guest, because a
    /// backend that triggers a panic must not be restarted forever.
    pub fn task_panicked() -> Self {
        Self::guest_fault(
            "was stopped by a panic in the daemon; please report this with the daemon's log",
        )
    }

    /// Waits for the reason that an instance's task publishes. The channels of the
    /// instance's calls close slightly earlier.
    pub async fn wait(exit: &mut watch::Receiver<Option<Self>>) -> Self {
        match exit.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(exit)) => exit.clone(),
            Ok(None) | Err(_) => Self::task_panicked(),
        }
    }

    /// Returns the error for each call that the end of the instance interrupted. If
    /// the host ended it, the backend did not fail, and a retry may reach its
    /// successor.
    pub fn to_error(&self, backend: &str) -> EngineError {
        let code = match self.is_guest_fault {
            true => ErrorCode::PluginFailed,
            false => ErrorCode::Unavailable,
        };
        EngineError::new(code, format!("the backend {backend} {}", self.message))
    }

    /// Returns the error for a stream, such as a `log stream`, that ended with an
    /// instance of its own. If the whole backend was shut down, it is the error
    /// of every other call.
    pub fn to_stream_error(&self, stream: &str, backend: &str) -> EngineError {
        if !self.is_guest_fault {
            return self.to_error(backend);
        }
        EngineError::new(
            ErrorCode::StreamFailed,
            format!("the {stream} of the backend {backend} {}", self.message),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_of_the_store_task_is_not_a_shutdown() {
        let (sender, mut exit) = watch::channel(None);
        let task = tokio::spawn(async move {
            let _sender = sender;
            panic!("injected");
        });
        task.await.unwrap_err();
        let exit = ExitReason::wait(&mut exit).await;
        assert!(exit.is_guest_fault, "{exit:?}");
        assert!(exit.message.contains("panic"), "{exit:?}");
    }
}
