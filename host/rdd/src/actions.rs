//! `rdd start`, `stop`, `restart`, `pause`, `unpause` and `rm`: by name what
//! an action's annotation and a deletion do, with their outcome.
//!
//! The daemon writes an action's outcome to `status.lastAction` and then takes
//! the annotation off. Two things keep an earlier action's outcome from being
//! taken for this one's: the annotation is set only while there is none (with
//! the resource version that was seen), and the outcome is read once it is gone.

use std::cell::Cell;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use kube::runtime::wait::await_condition;
use kube::{Client, ResourceExt as _};
use rdd_api::{
    ACTION_ANNOTATION, APP_NAME, ActionName, ActionState, App, Container, LastAction, condition,
    reason,
};
use serde_json::json;

use crate::client;
use crate::logs::resolve;
use crate::output;
use crate::state_dir::StateDir;

/// How many containers are waited for side by side: each costs a watch, and
/// the engine has to carry the actions out.
const CONCURRENT: usize = 32;

/// How often a request is made anew after somebody else's write came between.
const MAX_CONFLICTS: usize = 20;

/// Exit code after SIGINT, as shells have it: 128 + 2.
const INTERRUPTED: u8 = 130;

/// Options of the commands that change containers.
#[derive(Args)]
pub(crate) struct ActionArgs {
    /// Names, IDs or unique prefixes of IDs
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
    /// Stop waiting after so long, such as 30s; what was asked for still stands [default: wait for the outcome]
    #[arg(long, value_name = "DURATION", value_parser = crate::cli::duration)]
    timeout: Option<Duration>,
}

/// Options of `rdd rm`.
#[derive(Args)]
pub(crate) struct RemoveArgs {
    #[command(flatten)]
    common: ActionArgs,
    /// Accepted since docker has it: running containers are removed, too, with or without it
    #[arg(short, long)]
    force: bool,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Action(ActionName),
    Removal,
}

impl Request {
    /// For messages: what was to be done.
    fn verb(self) -> &'static str {
        match self {
            Self::Action(name) => name.as_str(),
            Self::Removal => "remove",
        }
    }
}

/// One container of the command line.
struct Target<'a> {
    text: &'a str,
    /// Whether the daemon has the request, whoever waits for its outcome.
    requested: Cell<bool>,
    done: Cell<bool>,
}

/// Asks for an action on each container and waits for the outcomes.
pub(crate) async fn run(
    state_dir: &StateDir,
    action: ActionName,
    args: ActionArgs,
) -> Result<ExitCode> {
    request(state_dir, Request::Action(action), args).await
}

/// Removes each container and waits until it is gone.
pub(crate) async fn remove(state_dir: &StateDir, args: RemoveArgs) -> Result<ExitCode> {
    let RemoveArgs { common, force: _ } = args;
    request(state_dir, Request::Removal, common).await
}

async fn request(state_dir: &StateDir, request: Request, args: ActionArgs) -> Result<ExitCode> {
    let ActionArgs {
        containers,
        timeout,
    } = args;
    let client = client::connect(state_dir).await?;
    let api = containers_of_app(&client).await?;
    let targets: Vec<_> = containers
        .iter()
        .map(|text| Target {
            text,
            requested: Cell::new(false),
            done: Cell::new(false),
        })
        .collect();
    let work = async {
        let mut outcomes = stream::iter(&targets)
            .map(|target| perform(&client, &api, request, target))
            .buffered(CONCURRENT);
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
                        output::describe(&error)
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
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

/// Says of each container without an outcome whether the request stands.
fn report_pending(request: Request, targets: &[Target<'_>], why: &str) {
    for target in targets.iter().filter(|target| !target.done.get()) {
        let stands = if target.requested.get() {
            "the request stands, and the daemon carries it out"
        } else {
            "nothing was asked for"
        };
        output::print_error(&format!(
            "{why} before {:?} was done with {:?}: {stands}",
            request.verb(),
            target.text
        ));
    }
}

/// The namespace with the App's containers. Says what keeps it from being of use.
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
        // No waiting will help.
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
    request: Request,
    target: &Target<'_>,
) -> Result<()> {
    let id = resolve::container(client.clone(), target.text).await?;
    match request {
        Request::Action(name) => act(api, &id, name, &target.requested).await,
        Request::Removal => remove_one(api, &id, &target.requested).await,
    }
}

async fn act(
    api: &Api<Container>,
    id: &str,
    name: ActionName,
    requested: &Cell<bool>,
) -> Result<()> {
    let asked_at = Timestamp::now();
    let asked = annotate(api, id, name).await?;
    requested.set(true);
    let uid = asked.uid();
    let before = last_action(&asked);
    let is_over = |seen: Option<&Container>| {
        seen.is_none_or(|seen| seen.uid() != uid || action_asked(seen) != Some(name.as_str()))
    };
    let seen = await_condition(api.clone(), id, is_over)
        .await
        .context("cannot wait for the outcome; the request stands")?
        .filter(|seen| seen.uid() == uid)
        .context("the container was removed meanwhile")?;
    outcome(name, before.as_ref(), &seen, asked_at)
}

/// Sets the annotation once there is none, so that what was asked for before
/// is over, and has been recorded.
async fn annotate(api: &Api<Container>, id: &str, name: ActionName) -> Result<Container> {
    for _ in 0..MAX_CONFLICTS {
        let nothing_asked =
            |seen: Option<&Container>| seen.is_none_or(|seen| action_asked(seen).is_none());
        let seen = await_condition(api.clone(), id, nothing_asked)
            .await
            .context("cannot read the container")?
            .context("it was removed meanwhile")?;
        let patch = json!({"metadata": {
            "resourceVersion": seen.metadata.resource_version,
            "annotations": {ACTION_ANNOTATION: name.as_str()},
        }});
        match api
            .patch(id, &PatchParams::default(), &Patch::Merge(patch))
            .await
        {
            Ok(asked) => return Ok(asked),
            Err(kube::Error::Api(status)) if status.is_conflict() => {}
            Err(error) => return Err(error.into()),
        }
    }
    bail!("others write to it all the time; try again")
}

/// What came of an action whose annotation is gone, or is another one's.
fn outcome(
    name: ActionName,
    before: Option<&LastAction>,
    seen: &Container,
    asked_at: Timestamp,
) -> Result<()> {
    let recorded = last_action(seen).filter(|last| {
        // The record has whole seconds: an action may end as the one before
        // did, within the same second.
        let is_new =
            before != Some(last) || last.completed_at.0.as_second() >= asked_at.as_second();
        last.action == name && is_new
    });
    match recorded {
        Some(last) if last.state == ActionState::Succeeded => Ok(()),
        Some(last) => bail!("{}", last.error),
        None => match action_asked(seen) {
            Some(other) => bail!("somebody asked for {other:?} instead"),
            None => bail!("somebody withdrew the request"),
        },
    }
}

async fn remove_one(api: &Api<Container>, id: &str, requested: &Cell<bool>) -> Result<()> {
    let Some(found) = api.get_opt(id).await.context("cannot read the container")? else {
        bail!("it was removed meanwhile");
    };
    let uid = found.uid();
    let params = DeleteParams::default().preconditions(Preconditions {
        uid: uid.clone(),
        resource_version: None,
    });
    match api.delete(id, &params).await {
        Ok(_) => requested.set(true),
        Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    let is_over = |seen: Option<&Container>| {
        seen.is_none_or(|seen| seen.uid() != uid || refusal(seen).is_some())
    };
    let seen = await_condition(api.clone(), id, is_over)
        .await
        .context("cannot wait for the outcome; the request stands")?;
    match seen
        .as_ref()
        .filter(|seen| seen.uid() == uid)
        .and_then(refusal)
    {
        None => Ok(()),
        Some(reason) => bail!("{reason}; the request stands and is tried again"),
    }
}

fn last_action(container: &Container) -> Option<LastAction> {
    container.status.as_ref()?.last_action.clone()
}

fn action_asked(container: &Container) -> Option<&str> {
    container
        .annotations()
        .get(ACTION_ANNOTATION)
        .map(String::as_str)
}

/// Why the engine does not let a deleted container go, in its own words.
fn refusal(container: &Container) -> Option<&str> {
    let conditions = &container.status.as_ref()?.conditions;
    conditions
        .iter()
        .find(|found| found.type_ == condition::DELETE_FAILED && found.status == "True")
        .map(|found| found.message.as_str())
}

#[cfg(test)]
mod tests {
    use rdd_api::{ContainerStatus, Time};

    use super::*;

    /// One that ended a minute after the epoch, or at another second.
    fn record(action: ActionName, state: ActionState, second: i64) -> LastAction {
        let at = Time(Timestamp::from_second(second).unwrap());
        let failed = state == ActionState::Failed;
        serde_json::from_value(json!({
            "action": action,
            "state": state,
            "error": if failed { "the engine's words" } else { "" },
            "observedAt": at,
            "completedAt": at,
        }))
        .unwrap()
    }

    fn seen(annotation: Option<&str>, last: Option<LastAction>) -> Container {
        let mut container = Container::new("id", rdd_api::ContainerFields::default());
        container.status = Some(ContainerStatus {
            last_action: last,
            ..ContainerStatus::default()
        });
        if let Some(value) = annotation {
            container
                .annotations_mut()
                .insert(ACTION_ANNOTATION.to_owned(), value.to_owned());
        }
        container
    }

    fn judge(before: Option<LastAction>, seen: &Container) -> String {
        let asked_at = Timestamp::from_second(100).unwrap();
        match outcome(ActionName::Stop, before.as_ref(), seen, asked_at) {
            Ok(()) => "done".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_new_record_is_the_outcome() {
        let old = || Some(record(ActionName::Stop, ActionState::Succeeded, 60));
        let failed = record(ActionName::Stop, ActionState::Failed, 101);
        assert_eq!(
            judge(old(), &seen(None, Some(failed))),
            "the engine's words"
        );
        let done = record(ActionName::Stop, ActionState::Succeeded, 101);
        assert_eq!(judge(old(), &seen(None, Some(done.clone()))), "done");
        assert_eq!(judge(None, &seen(Some("start"), Some(done))), "done");
    }

    #[test]
    fn an_equal_record_of_the_same_second_is_the_outcome() {
        let equal = || Some(record(ActionName::Stop, ActionState::Succeeded, 100));
        assert_eq!(judge(equal(), &seen(None, equal())), "done");
    }

    #[test]
    fn the_record_of_an_earlier_equal_action_is_not_the_outcome() {
        let old = || Some(record(ActionName::Stop, ActionState::Succeeded, 60));
        let withdrawn = judge(old(), &seen(None, old()));
        assert!(withdrawn.contains("withdrew"), "{withdrawn}");
        let replaced = judge(old(), &seen(Some("start"), old()));
        assert!(replaced.contains("\"start\" instead"), "{replaced}");
        let other = record(ActionName::Start, ActionState::Succeeded, 101);
        let withdrawn = judge(old(), &seen(None, Some(other)));
        assert!(withdrawn.contains("withdrew"), "{withdrawn}");
    }
}
