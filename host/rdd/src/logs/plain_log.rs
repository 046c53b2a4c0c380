//! The log of one container as bytes, of a backend that does not report when
//! entries were written.

use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::mux_client::{FollowMode, LogRange, connection_lost};
use super::receive::{self, ReceiveOutcome};
use super::socket::{self, LogEndpoint};
use crate::state_dir::StateDir;

/// The subprotocol of a log whose frames begin with one byte for their source.
const SUBPROTOCOL: &str = "rdd.logs.v1+source";

/// Receives the log of a container, by the name of its mirror, until it ends.
pub(super) async fn run(
    state_dir: &StateDir,
    mirror: &str,
    range: LogRange,
    follow: FollowMode,
    timestamps: bool,
    queue: mpsc::Sender<Bytes>,
) -> Result<ExitCode> {
    let boolean = |value| if value { "true" } else { "false" };
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair(
        "follow",
        match follow {
            FollowMode::No => "false",
            FollowMode::Yes => "true",
            FollowMode::Restart => "restart",
        },
    );
    query.append_pair("timestamps", boolean(timestamps));
    let LogRange { tail, since, until } = range;
    for (name, value) in [("tail", tail), ("since", since), ("until", until)] {
        if let Some(value) = value {
            query.append_pair(name, &value);
        }
    }
    let endpoint = LogEndpoint::discover(state_dir)?;
    let path = format!("logs/{mirror}");
    let socket = socket::connect(&endpoint, &path, &query.finish(), SUBPROTOCOL).await?;
    exit_code(receive::run(socket, queue).await)
}

/// Converts the outcome of a stream to the exit code of the command.
fn exit_code(outcome: ReceiveOutcome) -> Result<ExitCode> {
    let interrupted = |reason: anyhow::Error| reason.context("the log was interrupted");
    match outcome {
        ReceiveOutcome::PrinterGone => Ok(ExitCode::SUCCESS),
        ReceiveOutcome::Closed(Some(frame)) => match frame.code {
            CloseCode::Normal => Ok(ExitCode::SUCCESS),
            CloseCode::Again => bail!(
                "the log was interrupted: {} (1013); run the command again when the engine is back",
                frame.reason
            ),
            code => bail!("the log was interrupted: {} ({code})", frame.reason),
        },
        ReceiveOutcome::Closed(None) => Err(interrupted(anyhow!("the daemon gave no reason"))),
        ReceiveOutcome::ConnectionLost(error) => Err(interrupted(connection_lost(error))),
    }
}
