//! How a process ended, and the exit code of the command.

use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// What a client cannot tell when the connection ends before the process.
const MAY_STILL_RUN: &str = "the process may still run";

/// Why the exchange with a process ended.
#[derive(Debug)]
pub(super) enum ProcessOutcome {
    /// The daemon sent a status.
    Ended(Box<Status>),
    /// The daemon closed the connection without one.
    Closed(Option<CloseFrame>),
    /// The connection was lost.
    ConnectionLost(Option<Error>),
    /// The output cannot be printed.
    PrinterGone,
}

impl ProcessOutcome {
    /// Returns the exit code of the command: that of the process.
    pub(super) fn exit_code(self) -> Result<ExitCode> {
        match self {
            Self::Ended(status) => match exit_code_of(&status) {
                Some(code) => Ok(ExitCode::from(code)),
                None => bail!(
                    "{}; {MAY_STILL_RUN}",
                    status.message.as_deref().unwrap_or("the process failed")
                ),
            },
            Self::Closed(Some(frame)) => bail!(
                "the process was disconnected: {} ({}); {MAY_STILL_RUN}",
                frame.reason,
                frame.code
            ),
            Self::Closed(None) => {
                bail!("the process was disconnected: the daemon gave no reason; {MAY_STILL_RUN}")
            }
            Self::ConnectionLost(error) => {
                let lost = format!("the connection to the daemon was lost; {MAY_STILL_RUN}");
                Err(match error {
                    Some(error) => anyhow!(error).context(lost),
                    None => anyhow!(lost),
                })
            }
            // The printer's own error was reported.
            Self::PrinterGone => Ok(ExitCode::SUCCESS),
        }
    }
}

/// Returns the exit code in a status, as far as an operating system returns it.
/// `None` if the process did not exit.
fn exit_code_of(status: &Status) -> Option<u8> {
    if status.status.as_deref() == Some("Success") {
        return Some(0);
    }
    let causes = status.details.as_ref()?.causes.as_ref()?;
    let cause = causes
        .iter()
        .find(|cause| cause.reason.as_deref() == Some("ExitCode"))?;
    let code: i32 = cause.message.as_deref()?.parse().ok()?;
    let [lowest, ..] = code.to_le_bytes();
    Some(lowest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(status: &str) -> Option<u8> {
        exit_code_of(&serde_json::from_str(status).unwrap())
    }

    #[test]
    fn the_exit_code_is_in_the_status() {
        let failure = |code: &str| {
            format!(
                r#"{{"metadata":{{}},"status":"Failure","message":"command terminated","reason":"NonZeroExitCode","details":{{"causes":[{{"reason":"ExitCode","message":"{code}"}}]}}}}"#
            )
        };
        assert_eq!(code(r#"{"metadata":{},"status":"Success"}"#), Some(0));
        for (text, expected) in [
            ("3", 3),
            ("127", 127),
            ("137", 137),
            ("256", 0),
            ("-1", 255),
        ] {
            assert_eq!(code(&failure(text)), Some(expected), "{text}");
        }
        assert_eq!(code(&failure("many")), None);
        assert_eq!(
            code(r#"{"status":"Failure","reason":"InternalError"}"#),
            None
        );
    }

    #[test]
    fn a_process_that_may_still_run_is_an_error_that_says_so() {
        let status = r#"{"status":"Failure","message":"Internal error occurred: gone","reason":"InternalError"}"#;
        for (outcome, words) in [
            (
                ProcessOutcome::Ended(serde_json::from_str(status).unwrap()),
                "gone",
            ),
            (ProcessOutcome::Closed(None), "no reason"),
            (ProcessOutcome::ConnectionLost(None), "was lost"),
        ] {
            let error = outcome.exit_code().unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
            assert!(error.ends_with(MAY_STILL_RUN), "{error}");
        }
    }
}
