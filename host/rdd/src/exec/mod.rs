//! `rdd exec`: runs a process in a container, connected to this terminal or these
//! pipes.

mod arguments;

mod exchange;
mod process_status;
mod standard_input;

mod raw_terminal;
mod termination;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use anyhow::Result;
use tokio::sync::mpsc;

pub(crate) use self::arguments::ExecArgs;
use self::exchange::TerminalResizes;
use self::raw_terminal::RawTerminal;
use crate::client;
use crate::container_lookup;
use crate::logs::print::{self, OutputStreams};
use crate::logs::socket;
use crate::state_dir::StateDir;

/// The subprotocol: Kubernetes' channels, of which standard input can be closed.
const SUBPROTOCOL: &str = "v5.channel.k8s.io";

/// The maximum number of messages that wait to be printed: 1 MiB with the largest
/// ones of the daemon.
const QUEUE_CAPACITY: usize = 16;

/// Runs the process until it exits. Returns its exit code.
pub(crate) async fn run(state_dir: &StateDir, args: ExecArgs) -> Result<ExitCode> {
    args.check_terminal(std::io::stdin().is_terminal())?;
    let query = args.query(|name| std::env::var(name).ok())?;
    let api = client::connect(state_dir).await?;
    let mirror = container_lookup::resolve_container(api, args.container()).await?;
    let endpoint = socket::LogEndpoint::discover(state_dir)?;
    let path = format!("exec/{mirror}");
    let socket = socket::connect(&endpoint, &path, &query, SUBPROTOCOL).await?;

    // Only now: errors so far are printed to a terminal that is not raw.
    let terminal = args.needs_raw_terminal().then(RawTerminal::enter);
    let terminal = terminal.transpose()?;
    let resizes = args.has_terminal().then(TerminalResizes::watch);
    let resizes = resizes.transpose()?;
    let input = args.has_input().then(standard_input::read);
    let (queue, messages) = mpsc::channel(QUEUE_CAPACITY);
    // A blocking thread, since a pager may stall the output for hours.
    let printing =
        tokio::task::spawn_blocking(move || print::print(messages, OutputStreams::unfiltered()));
    let exchanged = async {
        let outcome = exchange::run(socket, input, resizes, queue).await;
        // Print what has arrived, however the process ended.
        printing.await??;
        outcome?.exit_code()
    };
    let code = tokio::select! {
        code = exchanged => code,
        // A raw terminal sends no signals for keys; others may.
        code = termination::signal_received(), if terminal.is_some() => code,
    };
    drop(terminal);
    code
}
