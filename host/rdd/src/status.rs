//! `rdd status`.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use http::Uri;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::Api;
use rdd_api::{App, Condition};
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client;
use crate::output::{self, OutputArgs, Report};
use crate::serve::announce;
use crate::state_dir::StateDir;

/// How long a daemon may take to answer. It answers within milliseconds; one
/// that takes this long is of no use to anybody now.
const PATIENCE: Duration = Duration::from_secs(10);

/// The state of the daemon; the exit codes are those that init scripts give
/// for "status".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum DaemonState {
    /// Ready to serve.
    Running,
    /// It is there and does not answer.
    Busy,
    /// None is ready.
    Stopped,
}

impl DaemonState {
    fn exit_code(self) -> u8 {
        match self {
            Self::Running => 0,
            Self::Stopped => 3,
            Self::Busy => 4,
        }
    }
}

/// What `rdd status` prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusReport {
    instance: String,
    state: DaemonState,
    state_dir: PathBuf,
    /// Why it is not running, and the remedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    serving: Option<ServingReport>,
}

/// What a daemon that runs serves.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ServingReport {
    start_time: Timestamp,
    kubeconfig: PathBuf,
    passthrough_endpoint: String,
    backend: String,
    /// Who mirrors the backend in the place of this daemon; the conditions
    /// are then about the engine of that one.
    #[serde(skip_serializing_if = "Option::is_none")]
    standby: Option<String>,
    conditions: Vec<Condition>,
}

impl Report for StatusReport {
    fn text(&self) -> String {
        let mut text = String::new();
        if let Some(message) = &self.message {
            text.push_str(message);
            text.push('\n');
        }
        let Some(serving) = &self.serving else {
            return text;
        };
        for (label, value) in [
            ("running since", serving.start_time.to_string()),
            ("kubeconfig", serving.kubeconfig.display().to_string()),
            ("logs", serving.passthrough_endpoint.clone()),
            ("backend", serving.backend.clone()),
        ] {
            // Writing to a string does not fail.
            writeln!(text, "{label:<13}  {value}").ok();
        }
        if let Some(reason) = &serving.standby {
            // As above, and below.
            writeln!(
                text,
                "standing by    {reason}; logs are of this daemon's engine, what follows is of the other one's"
            )
            .ok();
        }
        for condition in &serving.conditions {
            let message = match condition.message.as_str() {
                "" => String::new(),
                message => format!(": {message}"),
            };
            writeln!(
                text,
                "{:<22} {:<7} {}{message}",
                condition.type_, condition.status, condition.reason
            )
            .ok();
        }
        text
    }

    fn names(&self) -> Vec<String> {
        vec![self.instance.clone()]
    }
}

/// Why there is nothing to report of a daemon.
struct Absence {
    state: DaemonState,
    message: String,
}

/// Says whether the daemon runs and what it serves.
pub(crate) async fn run(state_dir: &StateDir, output: OutputArgs) -> Result<ExitCode> {
    let (state, message, serving) = match timeout(PATIENCE, look(state_dir)).await {
        Ok(Ok(Ok(serving))) => (DaemonState::Running, None, Some(serving)),
        Ok(Ok(Err(Absence { state, message }))) => (state, Some(message), None),
        Ok(Err(error)) => return Err(error),
        Err(_) => {
            let reason = format!("no answer within {} s", PATIENCE.as_secs());
            (DaemonState::Busy, Some(busy(state_dir, &reason)), None)
        }
    };
    output.print(&StatusReport {
        instance: state_dir.context_name(),
        state,
        state_dir: state_dir.root().to_owned(),
        message,
        serving,
    })?;
    Ok(ExitCode::from(state.exit_code()))
}

async fn look(state_dir: &StateDir) -> Result<Result<ServingReport, Absence>> {
    if !state_dir.kubeconfig().exists() {
        // It goes as the end begins, and comes when all is ready.
        if state_dir.is_locked() {
            return Ok(Err(Absence {
                state: DaemonState::Stopped,
                message: format!(
                    "not ready: the daemon on {} is starting or stopping",
                    state_dir.root().display()
                ),
            }));
        }
        return Ok(Err(Absence {
            state: DaemonState::Stopped,
            message: format!(
                "not running: {}; until then its kubeconfig is not there, and kubectl may ask localhost:8080 instead",
                client::not_ready(state_dir)
            ),
        }));
    }
    let discovery = announce::read(state_dir)?;
    // Where the API is a cluster's, it answers also for a daemon that is gone.
    if let Err(error) = reach(&discovery.passthrough_endpoint).await {
        return Ok(Err(absence(state_dir, &error)));
    }
    let api = client::connect(state_dir).await?;
    let app = Api::<App>::all(api.clone())
        .get(rdd_api::APP_NAME)
        .await
        .context("cannot read the App");
    let app = match app {
        Ok(app) => app,
        Err(error) => return Ok(Err(absence(state_dir, &error))),
    };
    let standby = standby(state_dir, api, &app).await?;
    Ok(Ok(ServingReport {
        standby,
        start_time: discovery.start_time,
        kubeconfig: state_dir.kubeconfig(),
        passthrough_endpoint: discovery.passthrough_endpoint,
        backend: app.spec.container_engine.name,
        conditions: app
            .status
            .map(|status| status.conditions)
            .unwrap_or_default(),
    }))
}

/// Who holds the Lease of what the App asks for, when it is another instance.
async fn standby(state_dir: &StateDir, api: kube::Client, app: &App) -> Result<Option<String>> {
    let name = rdd_mirror::lease_name(&app.spec.namespace, &app.spec.container_engine.name);
    let lease = Api::<Lease>::namespaced(api, rdd_api::SYSTEM_NAMESPACE)
        .get_opt(&name)
        .await
        .with_context(|| format!("cannot read the Lease {}/{name}", rdd_api::SYSTEM_NAMESPACE))?;
    let instance = state_dir.instance_id()?;
    let holder = lease.and_then(|lease| lease.spec?.holder_identity);
    Ok(holder
        .filter(|holder| !holder.is_empty() && holder != instance.as_str())
        .map(|holder| {
            format!(
                "instance {holder} mirrors here: it holds the Lease {}/{name}",
                rdd_api::SYSTEM_NAMESPACE
            )
        }))
}

/// Whether something listens at the daemon's address.
async fn reach(endpoint: &str) -> Result<()> {
    let url: Uri = endpoint
        .parse()
        .context("the daemon announced no usable endpoint")?;
    let authority = url
        .authority()
        .context("the daemon announced an endpoint without a host")?;
    TcpStream::connect(authority.as_str())
        .await
        .with_context(|| format!("cannot reach {authority}"))?;
    Ok(())
}

/// Tells a daemon that is busy from one that is gone, by how asking it failed.
fn absence(state_dir: &StateDir, error: &anyhow::Error) -> Absence {
    let told = output::describe(error);
    // Its lock is held as long as its process is there.
    if state_dir.is_locked() || is_overload(error) {
        return Absence {
            state: DaemonState::Busy,
            message: busy(state_dir, &told),
        };
    }
    Absence {
        state: DaemonState::Stopped,
        message: format!(
            "not running: no daemon answers for {}; it may have been killed: start it again with 'rdd serve' ({told})",
            state_dir.root().display()
        ),
    }
}

fn busy(state_dir: &StateDir, reason: &str) -> String {
    format!(
        "busy: the daemon of {} is there and does not answer; try again, or look at its log ({reason})",
        state_dir.root().display()
    )
}

/// Whether whoever was asked is there and has no time: it refuses for now
/// (429, 5xx), or lets the connection go. A refused connection is nobody's.
fn is_overload(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        if let Some(kube::Error::Api(status)) = cause.downcast_ref() {
            return status.code == 429 || status.code >= 500;
        }
        cause.downcast_ref::<io::Error>().is_some_and(|error| {
            matches!(
                error.kind(),
                io::ErrorKind::ConnectionReset
                    | io::ErrorKind::TimedOut
                    | io::ErrorKind::UnexpectedEof
            )
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_connection_is_nobody_and_a_dropped_one_is_somebody_busy() {
        let failed = |kind| anyhow::Error::new(io::Error::from(kind)).context("cannot ask");
        assert!(!is_overload(&failed(io::ErrorKind::ConnectionRefused)));
        assert!(is_overload(&failed(io::ErrorKind::ConnectionReset)));
        assert!(is_overload(&failed(io::ErrorKind::UnexpectedEof)));
    }

    #[tokio::test]
    async fn who_holds_the_lock_is_there_whatever_fails() {
        let dir = tempfile::tempdir().unwrap();
        let state_dir = StateDir::locate(Some(dir.path().join("state"))).unwrap();
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let refused = anyhow::Error::new(refused).context("cannot reach it");
        let told = |absence: &Absence, state, words| {
            assert_eq!(absence.state, state);
            assert!(absence.message.starts_with(words), "{}", absence.message);
        };
        let lock = state_dir.lock().await.unwrap();
        told(&absence(&state_dir, &refused), DaemonState::Busy, "busy: ");
        let starting = look(&state_dir).await.unwrap().err().unwrap();
        told(&starting, DaemonState::Stopped, "not ready: ");
        drop(lock);
        let gone = absence(&state_dir, &refused);
        told(&gone, DaemonState::Stopped, "not running: ");
        let stopped = look(&state_dir).await.unwrap().err().unwrap();
        told(&stopped, DaemonState::Stopped, "not running: ");
    }

    #[test]
    fn the_daemons_refusals_for_now_are_told_from_those_for_good() {
        let refused = |code| {
            let status = kube::core::Status::failure("no", "No").with_code(code);
            anyhow::Error::new(kube::Error::Api(Box::new(status)))
        };
        for (code, busy) in [(429, true), (503, true), (401, false), (404, false)] {
            assert_eq!(is_overload(&refused(code)), busy, "{code}");
        }
    }
}
