//! `rdd logs`: a container's log on standard output and standard error.

mod output;
pub(crate) mod resolve;
mod socket;
mod terminal;
mod when;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;

use crate::client;
use crate::state_dir::StateDir;

/// Options of `rdd logs`, by the names that `docker logs` gave them.
#[derive(Args)]
pub(crate) struct LogsArgs {
    /// Name, ID or unique prefix of an ID
    container: String,
    /// Stay, and print what the container writes next
    #[arg(short, long)]
    follow: bool,
    /// Only lines since then: a time (2026-01-31T12:00:00Z), Unix seconds, or a duration back from now (10m)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only lines before then, in the same forms
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only the last so many lines
    #[arg(short = 'n', long, default_value = "all", value_name = "LINES")]
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
    query.append_pair("tail", &tail);
    query.append_pair("timestamps", if timestamps { "true" } else { "false" });
    for (name, value) in [("since", since), ("until", until)] {
        if let Some(value) = value {
            query.append_pair(name, &when::normalise(&value));
        }
    }
    let api = client::connect(state_dir).await?;
    let id = resolve::container(api.clone(), &container).await?;
    let endpoint = socket::Endpoint::discover(state_dir, api).await?;
    let socket = socket::open(&endpoint, &id, &query.finish()).await?;
    output::print(socket, output::Streams::new()).await
}
