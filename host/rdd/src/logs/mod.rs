//! `rdd logs`: prints the logs of containers to standard output and standard error.
//!
//! A connection receives entries and remembers their cursors, so that it continues
//! after an interruption. A task makes lines of them, and a thread prints, which a
//! pager may stall for hours.

mod arguments;
mod time_argument;

mod mux_client;
mod plain_log;
mod receive;
pub(crate) mod socket;

mod line_output;
pub(crate) mod print;
mod terminal;

use std::collections::HashMap;
use std::process::ExitCode;

use anstream::{AutoStream, ColorChoice};
use anyhow::{Context as _, Result};
use http::StatusCode;
use rdd_core::COMPOSE_PROJECT_LABEL;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Bytes;

pub(crate) use self::arguments::LogsArgs;
use self::line_output::{LineFormat, LineOrder, LogPrinter, PrinterOptions};
use self::mux_client::{
    FollowMode, LogEvent, LogId, LogSelection, MAX_SUBSCRIPTIONS, MuxClient, SubscriptionFailure,
};
use crate::client;
use crate::container_lookup::{self, KnownContainer};
use crate::output;
use crate::state_dir::StateDir;

/// The maximum number of frames that wait to be printed: 1 MiB with the largest
/// frames of the daemon.
const QUEUE_CAPACITY: usize = 16;

/// What is read.
struct LogPlan {
    selections: Vec<LogSelection>,
    names: HashMap<LogId, String>,
    is_single: bool,
}

/// Prints the logs until they end.
pub(crate) async fn run(state_dir: &StateDir, args: LogsArgs) -> Result<ExitCode> {
    args.check()?;
    let (form, filter) = (args.form()?, args.filter()?);
    let Some(plan) = plan(state_dir, &args).await? else {
        return Ok(ExitCode::SUCCESS);
    };
    args.color().write_global();
    let use_color = [
        AutoStream::choice(&std::io::stdout()),
        AutoStream::choice(&std::io::stderr()),
    ]
    .map(|choice| choice != ColorChoice::Never);
    let format = LineFormat {
        form,
        has_prefix: args.has_prefix(plan.is_single),
        has_timestamps: args.timestamps,
        use_color,
        highlight: filter
            .highlight()
            .filter(|_| use_color != [false; 2])
            .cloned(),
    };
    let options = PrinterOptions {
        order: match args.follow() {
            _ if plan.is_single => LineOrder::Arrival,
            FollowMode::No => LineOrder::Time,
            FollowMode::Yes | FollowMode::Restart => LineOrder::TimeWindow,
        },
        format,
        filter,
        is_single: plan.is_single,
        max_logs: args.max_log_requests.into(),
        names: plan.names.clone(),
    };
    let prints_bytes = options.prints_bytes();
    let (queue, frames) = mpsc::channel(QUEUE_CAPACITY);
    let streams = print::OutputStreams::new();
    let printing = tokio::task::spawn_blocking(move || print::print(frames, streams));
    let mut result = read(state_dir, &args, &plan, options, queue.clone()).await;
    if let Some(mirror) = plan.only_container()
        && prints_bytes
        && is_not_implemented(&result)
    {
        // The backend does not report times; bytes it may have.
        result = plain_log::run(
            state_dir,
            mirror,
            args.range(),
            args.follow(),
            args.timestamps,
            queue.clone(),
        )
        .await;
    }
    drop(queue);
    // Print what has arrived, however the logs ended.
    printing.await??;
    result
}

/// Returns what is read, or `None` after a note if no container is selected.
async fn plan(state_dir: &StateDir, args: &LogsArgs) -> Result<Option<LogPlan>> {
    let api = client::connect(state_dir).await?;
    let follows = args.follow() != FollowMode::No;
    let selection = match (&args.selector, &args.project) {
        (Some(selector), _) => LogSelection::Selector(selector.clone()),
        (None, Some(project)) => LogSelection::Project(project.clone()),
        (None, None) => {
            let found = container_lookup::resolve_containers(api, &args.containers).await?;
            check_count(found.len(), args)?;
            return Ok(Some(LogPlan::of_containers(found, true)));
        }
    };
    if follows {
        return Ok(Some(LogPlan {
            selections: vec![selection],
            names: HashMap::new(),
            is_single: false,
        }));
    }
    let mut found = container_lookup::list_containers(api).await?;
    match &selection {
        LogSelection::Selector(text) => {
            let selector = rdd_apiserver::LabelSelector::parse(text)
                .with_context(|| format!("the label selector {text:?} is not valid"))?;
            found.retain(|known| selector.matches_labels(&known.labels));
        }
        LogSelection::Project(project) => {
            found.retain(|known| known.labels.get(COMPOSE_PROJECT_LABEL) == Some(project));
        }
        LogSelection::Container(mirror) => found.retain(|known| known.mirror == *mirror),
    }
    if found.is_empty() {
        output::print_note("no container matches");
        return Ok(None);
    }
    check_count(found.len(), args)?;
    Ok(Some(LogPlan::of_containers(found, false)))
}

fn check_count(count: usize, args: &LogsArgs) -> Result<()> {
    anyhow::ensure!(
        count <= args.max_log_requests.into(),
        "{count} containers are selected; narrow the selection, or raise the limit with --max-log-requests"
    );
    Ok(())
}

impl LogPlan {
    fn of_containers(containers: Vec<KnownContainer>, are_named: bool) -> Self {
        Self {
            is_single: are_named && containers.len() == 1,
            names: containers
                .iter()
                .map(|known| (LogId::from(&*known.mirror), known.name.clone()))
                .collect(),
            selections: containers
                .into_iter()
                .map(|known| LogSelection::Container(known.mirror))
                .collect(),
        }
    }

    fn only_container(&self) -> Option<&str> {
        match &*self.selections {
            [LogSelection::Container(mirror)] if self.is_single => Some(mirror),
            _ => None,
        }
    }
}

/// Reads and prints the logs.
async fn read(
    state_dir: &StateDir,
    args: &LogsArgs,
    plan: &LogPlan,
    options: PrinterOptions,
    queue: mpsc::Sender<Bytes>,
) -> Result<ExitCode> {
    let (sender, events) = mpsc::channel::<LogEvent>(QUEUE_CAPACITY);
    let mut clients = JoinSet::new();
    for selections in plan.selections.chunks(MAX_SUBSCRIPTIONS) {
        let client = MuxClient::new(
            state_dir.clone(),
            selections.to_vec(),
            &args.range(),
            args.follow(),
            sender.clone(),
        );
        clients.spawn(client.run());
    }
    drop(sender);
    let printed = LogPrinter::new(options, queue).run(events).await;
    while let Some(ended) = clients.join_next().await {
        ended??;
    }
    Ok(if printed? {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Returns whether a log could not begin since the backend lacks a capability.
fn is_not_implemented(result: &Result<ExitCode>) -> bool {
    let failure = result
        .as_ref()
        .err()
        .and_then(|error| error.downcast_ref::<SubscriptionFailure>());
    failure.is_some_and(|failure| {
        failure.code == StatusCode::NOT_IMPLEMENTED.as_u16() && !failure.has_begun
    })
}
