//! The messages of `rdd serve` on standard output.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use rdd_core::{ServingSnapshot, ServingState, UnavailableReason};
use rdd_gateway::InstanceKubeconfig;
use rdd_mirror::MirrorProgress;
use tokio::sync::watch;

use crate::progress_line::ProgressLine;
use crate::state_dir::StateDir;
use crate::telemetry::LogFormat;

/// Prints the state of the daemon for a person. Silent if the log format is
/// JSON, which is for programs.
pub(crate) struct ConsoleWriter {
    is_text: bool,
    progress_line: ProgressLine,
    engine: String,
}

impl ConsoleWriter {
    /// Creates a writer. `url` is the address of the engine, `source` where it was
    /// configured.
    pub(crate) fn new(
        format: LogFormat,
        progress_line: ProgressLine,
        url: &str,
        source: &str,
    ) -> Self {
        Self {
            is_text: format == LogFormat::Text,
            progress_line,
            engine: format!("{url} (from {source})"),
        }
    }

    /// Prints the address, and what to try next. With JSON, logs it instead.
    pub(crate) fn print_ready(
        &self,
        after: Duration,
        address: SocketAddr,
        web_endpoint: Option<&str>,
        state_dir: &StateDir,
    ) {
        let server = InstanceKubeconfig::server_url(address);
        let kubeconfig = state_dir.kubeconfig();
        let millis = after.as_millis();
        if !self.is_text {
            tracing::info!(%server, web = web_endpoint, kubeconfig = %kubeconfig.display(), millis, "ready");
            return;
        }
        let web = match web_endpoint {
            Some(url) => format!("  web page    {url} (open it with 'rdd dashboard')\n"),
            None => String::new(),
        };
        self.print(&format!(
            "rdd is ready ({millis} ms)\n  address     {server}\n{web}  kubeconfig  {kubeconfig}\n  engine      {}\n  try         KUBECONFIG={kubeconfig} kubectl get containers,images,volumes -A\n",
            self.engine,
            kubeconfig = kubeconfig.display(),
        ));
    }

    /// Prints each change of the engine's state, as long as the daemon runs.
    pub(crate) async fn print_changes(
        &self,
        mut serving: watch::Receiver<ServingSnapshot>,
        mut progress: watch::Receiver<MirrorProgress>,
    ) {
        let mut last = String::new();
        loop {
            let line = describe_serving(
                &serving.borrow_and_update(),
                progress.borrow().standby.as_deref(),
            );
            if line != last {
                self.print(&format!("{line}\n"));
                last = line;
            }
            let is_closed = tokio::select! {
                changed = serving.changed() => changed.is_err(),
                changed = progress.changed() => {
                    self.show_progress(&progress.borrow_and_update());
                    changed.is_err()
                }
            };
            if is_closed {
                return std::future::pending().await;
            }
        }
    }

    fn show_progress(&self, progress: &MirrorProgress) {
        if progress.synced {
            self.progress_line.erase();
        } else if self.is_text && progress.total > 0 {
            self.progress_line.show(&format!(
                "mirroring {} of {} objects",
                progress.done, progress.total
            ));
        }
    }

    fn print(&self, text: &str) {
        if self.is_text {
            self.progress_line.erase();
            let mut out = std::io::stdout().lock();
            // The daemon keeps running if standard output is closed.
            out.write_all(text.as_bytes())
                .and_then(|()| out.flush())
                .ok();
        }
    }
}

/// Returns the state of the engine as text. `standby` is why this instance does
/// not mirror.
fn describe_serving(snapshot: &ServingSnapshot, standby: Option<&str>) -> String {
    match &snapshot.serving {
        ServingState::Ready(engine) => {
            let connected = format!("{} is connected", engine.info().engine);
            match standby {
                Some(reason) => format!("{connected}; nothing is mirrored from here: {reason}"),
                None => connected,
            }
        }
        ServingState::Unavailable(UnavailableReason::Starting) => {
            "connecting to the engine".to_owned()
        }
        ServingState::Unavailable(UnavailableReason::Stopped) => {
            "the App is stopped; nothing is mirrored".to_owned()
        }
        // The reason names the backend.
        ServingState::Unavailable(UnavailableReason::BackendNotInstalled { reason, .. }) => {
            reason.clone()
        }
        ServingState::Unavailable(UnavailableReason::EngineUnreachable { reason }) => {
            format!(
                "the engine cannot be reached, retrying: {reason}\n  is it running? use another one with --engine-endpoint, or start a private one: export $(make engine)"
            )
        }
        ServingState::Unavailable(UnavailableReason::BackendRestarting { reason }) => {
            format!("waiting for the backend: {reason}")
        }
    }
}
