//! `rdd start`, `stop`, `restart`, `pause`, `unpause`, and `rm`: set the action
//! annotation or delete the object of a container by name, and wait for the
//! outcome.

mod container_request;

use std::cell::Cell;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use futures::{StreamExt as _, stream};
use kube::Client;
use kube::api::Api;
use rdd_api::{APP_NAME, ActionName, App, Container, condition, reason};

use self::container_request::{request_action, request_removal};
use crate::client;
use crate::completion;
use crate::container_lookup;
use crate::duration_argument::parse_duration;
use crate::output;
use crate::state_dir::StateDir;

/// The maximum number of containers that are processed concurrently. Each one
/// needs a watch, and the engine has to perform the actions.
const MAX_CONCURRENT: usize = 32;

/// Exit code after SIGINT: 128 + 2, as in shells.
const INTERRUPTED_EXIT_CODE: u8 = 130;

/// Options of the commands that change containers.
#[derive(Args)]
pub(crate) struct ActionArgs {
    /// Names, IDs, or unique ID prefixes of containers
    #[arg(
        required = true,
        value_name = "CONTAINER",
        add = ArgValueCompleter::new(completion::containers)
    )]
    containers: Vec<String>,
    /// Maximum time to wait for the outcome, such as 30s; the request is not canceled after that [default: no limit]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    timeout: Option<Duration>,
}

/// Options of `rdd rm`.
#[derive(Args)]
pub(crate) struct RemoveArgs {
    #[command(flatten)]
    common: ActionArgs,
    /// Accepted for compatibility with docker; running containers are removed with or without it
    #[arg(short, long)]
    force: bool,
}

/// A request for a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ContainerRequest {
    Action(ActionName),
    Removal,
}

impl ContainerRequest {
    /// Returns the verb for messages.
    fn verb(self) -> &'static str {
        match self {
            Self::Action(name) => name.as_str(),
            Self::Removal => "remove",
        }
    }
}

/// A container on the command line.
struct ContainerTarget<'a> {
    text: &'a str,
    /// Whether the request was written to the API.
    requested: Cell<bool>,
    done: Cell<bool>,
}

/// Requests an action on each container and waits for the outcomes.
pub(crate) async fn run(
    state_dir: &StateDir,
    action: ActionName,
    args: ActionArgs,
) -> Result<ExitCode> {
    request(state_dir, ContainerRequest::Action(action), args).await
}

/// Removes each container and waits until it is removed.
pub(crate) async fn remove(state_dir: &StateDir, args: RemoveArgs) -> Result<ExitCode> {
    let RemoveArgs { common, force: _ } = args;
    request(state_dir, ContainerRequest::Removal, common).await
}

async fn request(
    state_dir: &StateDir,
    request: ContainerRequest,
    args: ActionArgs,
) -> Result<ExitCode> {
    let ActionArgs {
        containers,
        timeout,
    } = args;
    let client = client::connect(state_dir).await?;
    let api = containers_of_app(&client).await?;
    let targets: Vec<_> = containers
        .iter()
        .map(|text| ContainerTarget {
            text,
            requested: Cell::new(false),
            done: Cell::new(false),
        })
        .collect();
    let work = async {
        let mut outcomes = stream::iter(&targets)
            .map(|target| perform(&client, &api, request, target))
            .buffered(MAX_CONCURRENT);
        let mut failed = false;
        let mut printed = targets.iter();
        while let Some(outcome) = outcomes.next().await {
            let Some(target) = printed.next() else { break };
            target.done.set(true);
            match outcome {
                Ok(()) => output::print(&format!("{}\n", target.text))?,
                Err(error) => {
                    failed = true;
                    output::print_error(&format!(
                        "cannot {} {:?}: {}",
                        request.verb(),
                        target.text,
                        output::format_error_chain(&error)
                    ));
                }
            }
        }
        anyhow::Ok(if failed {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    };
    let expired = async {
        match timeout {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        result = work => result,
        () = expired => {
            report_pending(request, &targets, "timed out");
            Ok(ExitCode::FAILURE)
        }
        signal = tokio::signal::ctrl_c() => {
            signal.context("cannot catch SIGINT")?;
            report_pending(request, &targets, "interrupted");
            Ok(ExitCode::from(INTERRUPTED_EXIT_CODE))
        }
    }
}

/// Prints for each container without an outcome whether the request stands.
fn report_pending(request: ContainerRequest, targets: &[ContainerTarget<'_>], reason: &str) {
    for target in targets.iter().filter(|target| !target.done.get()) {
        let state = if target.requested.get() {
            "the request stands, and the daemon continues with it"
        } else {
            "nothing was requested"
        };
        output::print_error(&format!(
            "{reason} while waiting to {} {:?}: {state}",
            request.verb(),
            target.text
        ));
    }
}

/// Returns the API of the App's containers. Fails if none are mirrored, and
/// prints a note while the engine is not ready.
async fn containers_of_app(client: &Client) -> Result<Api<Container>> {
    let app = Api::<App>::all(client.clone())
        .get(APP_NAME)
        .await
        .context("cannot read the App")?;
    if !app.spec.running {
        bail!(
            "the App is stopped, so no container is mirrored; start it with: rdd ctl patch app {APP_NAME} --type=merge -p '{{\"spec\":{{\"running\":true}}}}'"
        );
    }
    let conditions = app.status.map(|status| status.conditions);
    let not_ready = conditions
        .unwrap_or_default()
        .into_iter()
        .find(|found| found.type_ == condition::CONTAINER_ENGINE_READY && found.status != "True");
    if let Some(found) = not_ready {
        // Waiting does not install a backend.
        if found.reason == reason::BACKEND_NOT_INSTALLED {
            bail!("{}", found.message);
        }
        output::print_note(&format!(
            "waiting for the engine: {} ({})",
            found.message, found.reason
        ));
    }
    Ok(Api::namespaced(client.clone(), &app.spec.namespace))
}

async fn perform(
    client: &Client,
    api: &Api<Container>,
    request: ContainerRequest,
    target: &ContainerTarget<'_>,
) -> Result<()> {
    let id = container_lookup::resolve_container(client.clone(), target.text).await?;
    match request {
        ContainerRequest::Action(name) => request_action(api, &id, name, &target.requested).await,
        ContainerRequest::Removal => request_removal(api, &id, &target.requested).await,
    }
}
