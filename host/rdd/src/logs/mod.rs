//! `rdd logs`: a container's log on standard output and standard error.

mod output;
mod receive;
pub(crate) mod resolve;
mod socket;
mod terminal;
mod when;

use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use clap::Args;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use self::receive::End;
use crate::client;
use crate::state_dir::StateDir;

/// Frames that wait to be printed: with the largest that the daemon sends, 1 MiB.
const QUEUE: usize = 16;

/// Options of `rdd logs`, by the names that `docker logs` gave them.
#[derive(Args)]
pub(crate) struct LogsArgs {
    /// Name, ID or unique prefix of an ID
    container: String,
    /// Stay, and print what the container writes next
    #[arg(short, long)]
    follow: bool,
    /// Only lines since then: a time (2026-01-31T12:00:00Z), Unix seconds, or a duration back from now (10m)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Only lines before then, in the same forms; a negative duration lies ahead
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Only the last so many lines; all of them where the number is negative
    #[arg(
        short = 'n',
        long,
        default_value = "all",
        value_name = "LINES",
        allow_hyphen_values = true
    )]
    tail: String,
    /// Prefix each line with its time
    #[arg(short, long)]
    timestamps: bool,
    /// Extra details of the log driver (not to be had here)
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
    query.append_pair("tail", &lines(&tail));
    query.append_pair("timestamps", if timestamps { "true" } else { "false" });
    for (name, value) in [("since", since), ("until", until)] {
        // An empty one is none, as with docker: what a script's empty variable gives.
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            query.append_pair(name, &when::normalise(&value));
        }
    }
    let api = client::connect(state_dir).await?;
    let id = resolve::container(api.clone(), &container).await?;
    let endpoint = socket::Endpoint::discover(state_dir)?;
    let socket = socket::open(&endpoint, &id, &query.finish()).await?;
    let (queue, frames) = mpsc::channel(QUEUE);
    let streams = output::Streams::new();
    // A thread of its own: a pager may hold it up for hours.
    let printing = tokio::task::spawn_blocking(move || output::print(frames, streams));
    let end = receive::run(socket, queue).await;
    // What has arrived is printed, however the stream ended.
    printing.await??;
    conclude(end)
}

/// The number of lines as the daemon takes it. A negative one means all, as
/// with docker; what is no number is left for the daemon, which says so.
fn lines(tail: &str) -> String {
    match tail.parse::<i64>() {
        Ok(count) if count < 0 => "all".to_owned(),
        Ok(count) => count.to_string(),
        Err(_) if tail.is_empty() => "all".to_owned(),
        Err(_) => tail.to_owned(),
    }
}

/// What the end of a stream means for the command.
fn conclude(end: End) -> Result<ExitCode> {
    match end {
        End::Unwanted => Ok(ExitCode::SUCCESS),
        End::Closed(Some(frame)) => match frame.code {
            CloseCode::Normal => Ok(ExitCode::SUCCESS),
            CloseCode::Again => bail!(
                "the log was cut: {} (1013); run the command again when the engine is back",
                frame.reason
            ),
            code => bail!("the log was cut: {} ({code})", frame.reason),
        },
        End::Closed(None) => bail!("the log was cut: the daemon gave no reason"),
        End::Broken(Some(error)) => {
            Err(anyhow!(error).context("the log was cut: the connection to the daemon broke"))
        }
        End::Broken(None) => bail!("the log was cut: the connection to the daemon broke"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_lines_is_read_as_docker_reads_it() {
        for (given, sent) in [
            ("-1", "all"),
            ("-5", "all"),
            ("", "all"),
            ("all", "all"),
            ("0", "0"),
            ("+2", "2"),
            ("ten", "ten"),
        ] {
            assert_eq!(lines(given), sent, "{given:?}");
        }
    }
}
