//! `rdd logs`: prints a container's log to standard output and standard error.

pub(crate) mod container_lookup;
pub(crate) mod socket;
mod time_argument;

pub(crate) mod print;
mod receive;
mod terminal;

use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use clap::Args;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use self::receive::ReceiveOutcome;
use crate::client;
use crate::state_dir::StateDir;

/// The maximum number of frames that wait to be printed: 1 MiB with the largest
/// frames of the daemon.
const QUEUE_CAPACITY: usize = 16;

/// Options of `rdd logs`, with the names of `docker logs`.
#[derive(Args)]
pub(crate) struct LogsArgs {
    /// Name, ID, or unique ID prefix of the container
    container: String,
    /// Follow log output
    #[arg(short, long)]
    follow: bool,
    /// Show logs since a timestamp (2026-01-31T12:00:00Z), Unix seconds, or a duration before now (10m)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Show logs before a timestamp, Unix seconds, or a duration before now; a negative duration is in the future
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Number of lines to show from the end of the log; all lines if negative
    #[arg(
        short = 'n',
        long,
        default_value = "all",
        value_name = "LINES",
        allow_hyphen_values = true
    )]
    tail: String,
    /// Show timestamps
    #[arg(short, long)]
    timestamps: bool,
    /// Show extra details (not supported)
    #[arg(long, hide = true)]
    details: bool,
}

/// Prints the log until it ends.
pub(crate) async fn run(state_dir: &StateDir, args: LogsArgs) -> Result<ExitCode> {
    let LogsArgs {
        container,
        follow,
        since,
        until,
        tail,
        timestamps,
        details,
    } = args;
    if details {
        bail!(
            "--details is not supported: engine backends do not report the log driver's attributes"
        );
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("follow", if follow { "true" } else { "false" });
    query.append_pair("tail", &tail_parameter(&tail));
    query.append_pair("timestamps", if timestamps { "true" } else { "false" });
    for (name, value) in [("since", since), ("until", until)] {
        // An empty value means none, as with docker: scripts pass empty variables.
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            query.append_pair(name, &time_argument::normalize_time(&value));
        }
    }
    let api = client::connect(state_dir).await?;
    let mirror = container_lookup::resolve_container(api.clone(), &container).await?;
    let endpoint = socket::LogEndpoint::discover(state_dir)?;
    let socket = socket::open(&endpoint, &mirror, &query.finish()).await?;
    let (queue, frames) = mpsc::channel(QUEUE_CAPACITY);
    let streams = print::OutputStreams::new();
    // A blocking thread, since a pager may stall the output for hours.
    let printing = tokio::task::spawn_blocking(move || print::print(frames, streams));
    let outcome = receive::run(socket, queue).await;
    // Print what has arrived, however the stream ended.
    printing.await??;
    exit_code(outcome)
}

/// Returns the value of the parameter `tail`. A negative number means all lines,
/// as with docker. The daemon rejects what is not a number.
fn tail_parameter(tail: &str) -> String {
    match tail.parse::<i64>() {
        Ok(count) if count < 0 => "all".to_owned(),
        Ok(count) => count.to_string(),
        Err(_) if tail.is_empty() => "all".to_owned(),
        Err(_) => tail.to_owned(),
    }
}

/// Converts the outcome of a stream to the exit code of the command.
fn exit_code(outcome: ReceiveOutcome) -> Result<ExitCode> {
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
        ReceiveOutcome::Closed(None) => bail!("the log was interrupted: the daemon gave no reason"),
        ReceiveOutcome::ConnectionLost(Some(error)) => Err(anyhow!(error)
            .context("the log was interrupted: the connection to the daemon was lost")),
        ReceiveOutcome::ConnectionLost(None) => {
            bail!("the log was interrupted: the connection to the daemon was lost")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tail_is_parsed_like_docker_does() {
        for (given, sent) in [
            ("-1", "all"),
            ("-5", "all"),
            ("", "all"),
            ("all", "all"),
            ("0", "0"),
            ("+2", "2"),
            ("ten", "ten"),
        ] {
            assert_eq!(tail_parameter(given), sent, "{given:?}");
        }
    }
}
