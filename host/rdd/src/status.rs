//! `rdd status`.

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
use crate::discovery_entry::DiscoveryEntry;
use crate::output::{self, CommandReport, OutputArgs};
use crate::state_dir::StateDir;

/// How long a daemon may take to respond. It usually needs milliseconds, so one
/// that takes this long is not usable.
const STATUS_TIMEOUT: Duration = Duration::from_secs(10);

/// The state of the daemon. The exit codes are those of "status" in init scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum DaemonState {
    /// Ready to serve.
    Running,
    /// Running, but not responding.
    Busy,
    /// Not running, or not ready.
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

/// The output of `rdd status`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusReport {
    instance: String,
    state: DaemonState,
    state_dir: PathBuf,
    /// Why the daemon is not running, and the remedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    serving: Option<ServingReport>,
}

/// What a running daemon serves.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ServingReport {
    start_time: Timestamp,
    kubeconfig: PathBuf,
    passthrough_endpoint: String,
    backend: String,
    /// Which instance mirrors the backend instead of this daemon. The conditions
    /// are then those of its engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    standby: Option<String>,
    conditions: Vec<Condition>,
}

impl CommandReport for StatusReport {
    fn text(&self) -> String {
        let mut text = String::new();
        if let Some(message) = &self.message {
            text.push_str(message);
            text.push('\n');
        }
        let Some(serving) = &self.serving else {
            return text;
        };
        let mut fields = vec![
            ["running since", &serving.start_time.to_string()],
            ["kubeconfig", &serving.kubeconfig.display().to_string()],
            ["logs", &serving.passthrough_endpoint],
            ["backend", &serving.backend],
        ]
        .into_iter()
        .map(|row| row.map(str::to_owned))
        .collect::<Vec<_>>();
        if let Some(reason) = &serving.standby {
            fields.push([
                "standing by".to_owned(),
                format!(
                    "{reason}; logs are those of this daemon's engine, the conditions are those of the other one's"
                ),
            ]);
        }
        text.push_str(&output::format_table(&fields));
        let conditions: Vec<_> = serving
            .conditions
            .iter()
            .map(|condition| {
                let message = match condition.message.as_str() {
                    "" => condition.reason.clone(),
                    message => format!("{}: {message}", condition.reason),
                };
                [condition.type_.clone(), condition.status.clone(), message]
            })
            .collect();
        text.push_str(&output::format_table(&conditions));
        text
    }

    fn names(&self) -> Vec<String> {
        vec![self.instance.clone()]
    }
}

/// The state of a daemon that serves nothing.
struct UnavailableReport {
    state: DaemonState,
    message: String,
}

/// Prints whether the daemon is running and what it serves.
pub(crate) async fn run(state_dir: &StateDir, output: OutputArgs) -> Result<ExitCode> {
    let (state, message, serving) = match timeout(STATUS_TIMEOUT, query_daemon(state_dir)).await {
        Ok(Ok(Ok(serving))) => (DaemonState::Running, None, Some(serving)),
        Ok(Ok(Err(UnavailableReport { state, message }))) => (state, Some(message), None),
        Ok(Err(error)) => return Err(error),
        Err(_) => {
            let reason = format!("no response within {} s", STATUS_TIMEOUT.as_secs());
            (
                DaemonState::Busy,
                Some(busy_message(state_dir, &reason)),
                None,
            )
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

async fn query_daemon(state_dir: &StateDir) -> Result<Result<ServingReport, UnavailableReport>> {
    if !state_dir.kubeconfig().exists() {
        // The kubeconfig exists only between readiness and shutdown.
        if state_dir.is_locked() {
            return Ok(Err(UnavailableReport {
                state: DaemonState::Stopped,
                message: format!(
                    "not ready: the daemon on {} is starting or stopping",
                    state_dir.root().display()
                ),
            }));
        }
        return Ok(Err(UnavailableReport {
            state: DaemonState::Stopped,
            message: format!(
                "not running: {}; until then there is no kubeconfig, and kubectl may connect to localhost:8080 instead",
                client::not_ready_message(state_dir)
            ),
        }));
    }
    let discovery = DiscoveryEntry::read(state_dir)?;
    // An external cluster responds even if the daemon is not running.
    if let Err(error) = check_reachable(&discovery.passthrough_endpoint).await {
        return Ok(Err(unavailable(state_dir, &error)));
    }
    let api = client::connect(state_dir).await?;
    let app = Api::<App>::all(api.clone())
        .get(rdd_api::APP_NAME)
        .await
        .context("cannot read the App");
    let app = match app {
        Ok(app) => app,
        Err(error) => return Ok(Err(unavailable(state_dir, &error))),
    };
    let standby = standby_reason(state_dir, api, &app).await?;
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

/// Returns why this instance does not mirror, if another one holds the Lease of
/// the App's backend.
async fn standby_reason(
    state_dir: &StateDir,
    api: kube::Client,
    app: &App,
) -> Result<Option<String>> {
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

/// Checks that a process listens on the daemon's address.
async fn check_reachable(endpoint: &str) -> Result<()> {
    let url: Uri = endpoint
        .parse()
        .context("the daemon published an invalid endpoint")?;
    let authority = url
        .authority()
        .context("the daemon published an endpoint without a host")?;
    TcpStream::connect(authority.as_str())
        .await
        .with_context(|| format!("cannot reach {authority}"))?;
    Ok(())
}

/// Distinguishes a busy daemon from one that is not running by how a request
/// failed.
fn unavailable(state_dir: &StateDir, error: &anyhow::Error) -> UnavailableReport {
    let reason = output::format_error_chain(error);
    // The lock is held as long as the process exists.
    if state_dir.is_locked() || is_overload(error) {
        return UnavailableReport {
            state: DaemonState::Busy,
            message: busy_message(state_dir, &reason),
        };
    }
    UnavailableReport {
        state: DaemonState::Stopped,
        message: format!(
            "not running: no daemon responds on {}; it may have been killed: start it again with 'rdd serve' ({reason})",
            state_dir.root().display()
        ),
    }
}

fn busy_message(state_dir: &StateDir, reason: &str) -> String {
    format!(
        "busy: the daemon on {} is running but does not respond; try again, or check its log ({reason})",
        state_dir.root().display()
    )
}

/// Returns whether the server is running but overloaded: it rejects requests
/// temporarily (429, 5xx), or drops the connection. If the connection is refused,
/// no server is running.
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
    fn a_refused_connection_means_stopped_and_a_dropped_one_means_busy() {
        let failed = |kind| anyhow::Error::new(io::Error::from(kind)).context("cannot connect");
        assert!(!is_overload(&failed(io::ErrorKind::ConnectionRefused)));
        assert!(is_overload(&failed(io::ErrorKind::ConnectionReset)));
        assert!(is_overload(&failed(io::ErrorKind::UnexpectedEof)));
    }

    #[tokio::test]
    async fn a_daemon_that_holds_the_lock_is_running() {
        let dir = tempfile::tempdir().unwrap();
        let state_dir = StateDir::locate(Some(dir.path().join("state"))).unwrap();
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let refused = anyhow::Error::new(refused).context("cannot reach it");
        let check = |report: &UnavailableReport, state, prefix| {
            assert_eq!(report.state, state);
            assert!(report.message.starts_with(prefix), "{}", report.message);
        };
        let lock = state_dir.lock().await.unwrap();
        check(
            &unavailable(&state_dir, &refused),
            DaemonState::Busy,
            "busy: ",
        );
        let starting = query_daemon(&state_dir).await.unwrap().err().unwrap();
        check(&starting, DaemonState::Stopped, "not ready: ");
        drop(lock);
        crate::state_dir::wait_until_free(&state_dir).await;
        let killed = unavailable(&state_dir, &refused);
        check(&killed, DaemonState::Stopped, "not running: ");
        let stopped = query_daemon(&state_dir).await.unwrap().err().unwrap();
        check(&stopped, DaemonState::Stopped, "not running: ");
    }

    #[test]
    fn temporary_errors_of_the_daemon_mean_busy_and_permanent_ones_do_not() {
        let refused = |code| {
            let status = kube::core::Status::failure("no", "No").with_code(code);
            anyhow::Error::new(kube::Error::Api(Box::new(status)))
        };
        for (code, busy) in [(429, true), (503, true), (401, false), (404, false)] {
            assert_eq!(is_overload(&refused(code)), busy, "{code}");
        }
    }
}
