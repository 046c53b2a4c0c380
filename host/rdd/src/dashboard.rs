//! `rdd dashboard`.

use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use http::Request;
use rdd_web::CodeDescription;
use serde::de::IgnoredAny;
use tokio::process::Command;

use crate::client;
use crate::discovery_entry::DiscoveryEntry;
use crate::output;
use crate::state_dir::StateDir;

/// The program that opens a URL with the user's browser.
const OPENER: &str = match cfg!(target_os = "macos") {
    true => "open",
    false => "xdg-open",
};
/// How long the opener may take to report a failure. Some of them run as long as
/// the browser does.
const OPENER_LIMIT: Duration = Duration::from_secs(5);

/// Options of `rdd dashboard`.
#[derive(Args)]
pub(crate) struct DashboardArgs {
    /// Print the link instead of opening it; it works once, within a minute
    #[arg(long, conflicts_with = "revoke")]
    print: bool,
    /// End all sessions of the page
    #[arg(long)]
    revoke: bool,
}

/// Opens the page, prints the link to it, or ends its sessions.
pub(crate) async fn run(state_dir: &StateDir, args: DashboardArgs) -> Result<ExitCode> {
    let client = client::connect_to_daemon(state_dir).await?;
    let Some(page) = DiscoveryEntry::read(state_dir)?.web_endpoint else {
        bail!("this daemon serves no web page; start it without --no-web");
    };
    if args.revoke {
        let request = Request::delete(rdd_web::SESSIONS_PATH).body(Vec::new())?;
        client
            .request::<IgnoredAny>(request)
            .await
            .context("cannot end the sessions of the page")?;
        return Ok(ExitCode::SUCCESS);
    }
    let request = Request::post(rdd_web::CODES_PATH).body(Vec::new())?;
    let description: CodeDescription = client
        .request(request)
        .await
        .context("cannot get a code for the page")?;
    let link = format!("{page}#code={}", description.code);
    if args.print {
        output::print(&format!("{link}\n"))?;
    } else if let Err(error) = open(&link).await {
        output::print_error(&format!(
            "{error:#}; open this link within {} s:",
            description.expires_in_seconds
        ));
        output::print(&format!("{link}\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn open(link: &str) -> Result<()> {
    let mut child = Command::new(OPENER)
        .arg(link)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot run {OPENER}"))?;
    match tokio::time::timeout(OPENER_LIMIT, child.wait()).await {
        Ok(Ok(status)) if !status.success() => bail!("{OPENER} found no browser"),
        Ok(result) => result.map(drop).context("cannot open a browser"),
        Err(_) => Ok(()),
    }
}
