//! Why a session ends, and the close frame that the client gets.

use std::borrow::Cow;

use rdd_core::{EngineError, ErrorCode, ServingSnapshot, ServingState, UnavailableReason};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::limits;

/// Why a session ends.
#[derive(Debug)]
pub(crate) enum CloseReason {
    /// The container stopped, or the log is not followed.
    LogEnded,
    /// The process exited with this code.
    ProcessExited(i32),
    /// The engine or the backend failed.
    EngineFailed(EngineError),
    /// The App was stopped, another backend was selected, or the daemon shuts down.
    ServingLost(&'static str),
    /// The peer sent a close frame first.
    PeerClosed,
    /// The connection was lost, or the peer does not respond.
    PeerLost(Error),
    /// The peer violated the protocol or a limit.
    PeerViolation(CloseCode, Cow<'static, str>),
}

impl CloseReason {
    /// The reason when the daemon ends.
    pub(crate) const SHUTDOWN: Self = Self::ServingLost("the daemon is shutting down");

    /// Converts an error of reading from the peer, whose messages are limited to
    /// `max_message` bytes.
    pub(crate) fn from_read_error(error: Error, max_message: usize) -> Self {
        match error {
            Error::Capacity(_) => Self::PeerViolation(
                CloseCode::Size,
                format!("messages to this endpoint are limited to {max_message} bytes").into(),
            ),
            Error::Utf8(_) => Self::PeerViolation(CloseCode::Invalid, "text must be UTF-8".into()),
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Self::PeerLost(error),
            Error::Protocol(_) => {
                Self::PeerViolation(CloseCode::Protocol, "WebSocket protocol violation".into())
            }
            _ => Self::PeerLost(error),
        }
    }

    /// Returns the close frame to send. `None` if the peer closed first, since the
    /// library has queued the answer, or if the peer is lost.
    pub(crate) fn into_close_frame(self) -> Option<CloseFrame> {
        let (code, text): (CloseCode, Cow<'static, str>) = match self {
            Self::LogEnded => (CloseCode::Normal, "the log ended".into()),
            Self::ProcessExited(code) => (CloseCode::Normal, format!("exit code {code}").into()),
            Self::ServingLost(text) => (CloseCode::Away, text.into()),
            Self::EngineFailed(error) => {
                let code = match error.code {
                    ErrorCode::Unavailable | ErrorCode::LimitReached | ErrorCode::Timeout => {
                        CloseCode::Again
                    }
                    _ => CloseCode::Error,
                };
                (code, error.message.into())
            }
            Self::PeerViolation(code, text) => (code, text),
            Self::PeerClosed | Self::PeerLost(_) => return None,
        };
        Some(CloseFrame {
            code,
            reason: rdd_core::text::truncate(&text, limits::MAX_CLOSE_REASON).into(),
        })
    }
}

/// Resolves when the user stops the App or selects another backend. An
/// unreachable engine does not count: it closes its own streams.
pub(crate) async fn serving_lost(
    serving: &mut watch::Receiver<ServingSnapshot>,
    backend: &str,
) -> CloseReason {
    let is_lost = |snapshot: &ServingSnapshot| {
        snapshot.backend != backend
            || matches!(
                snapshot.serving,
                ServingState::Unavailable(
                    UnavailableReason::Stopped | UnavailableReason::BackendNotInstalled { .. }
                )
            )
    };
    let reason = serving.wait_for(is_lost).await.map(|snapshot| {
        if snapshot.backend != backend {
            return CloseReason::ServingLost("another backend was selected");
        }
        match snapshot.serving {
            ServingState::Unavailable(UnavailableReason::Stopped) => {
                CloseReason::ServingLost("the container engine was stopped")
            }
            // As its streams end, whichever is seen first.
            _ => CloseReason::EngineFailed(EngineError::new(
                ErrorCode::Unavailable,
                "the backend is no longer usable",
            )),
        }
    });
    match reason {
        Ok(reason) => reason,
        // The reconciler has ended, so the daemon shuts down.
        Err(_) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_session_of_a_backend_that_is_gone_may_be_tried_again() {
        let gone = UnavailableReason::BackendNotInstalled {
            backend: "moby".to_owned(),
            reason: "it was disabled".to_owned(),
        };
        for (backend, reason, expected) in [
            ("moby", gone.clone(), CloseCode::Again),
            ("other", gone, CloseCode::Away),
            ("moby", UnavailableReason::Stopped, CloseCode::Away),
        ] {
            let snapshot = ServingSnapshot {
                backend: backend.to_owned(),
                info: None,
                serving: ServingState::Unavailable(reason),
            };
            let mut serving = watch::Sender::new(snapshot).subscribe();
            let lost = serving_lost(&mut serving, "moby").await;
            assert_eq!(lost.into_close_frame().unwrap().code, expected);
        }
    }

    #[test]
    fn a_close_reason_is_truncated_at_a_character_boundary() {
        let message = "ü".repeat(100);
        let error = EngineError::new(ErrorCode::Internal, message);
        let frame = CloseReason::EngineFailed(error).into_close_frame().unwrap();
        assert_eq!(frame.code, CloseCode::Error);
        assert_eq!(frame.reason.len(), limits::MAX_CLOSE_REASON - 1);
    }
}
