//! What `serve` tells the person who started it, on standard output.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use rdd_core::{ServingSnapshot, ServingState, UnavailableReason};
use rdd_gateway::Kubeconfig;
use rdd_mirror::MirrorProgress;
use tokio::sync::watch;

use crate::cli::LogFormat;
use crate::progress_line::ProgressLine;
use crate::state_dir::StateDir;

/// Prints in text form; silent where logs are JSON, which somebody else reads.
pub(crate) struct Banner {
    text: bool,
    progress_line: ProgressLine,
    engine: String,
}

impl Banner {
    /// `url` is the engine's address, `source` what decided on it.
    pub(crate) fn new(
        format: LogFormat,
        progress_line: ProgressLine,
        url: &str,
        source: &str,
    ) -> Self {
        Self {
            text: format == LogFormat::Text,
            progress_line,
            engine: format!("{url} (from {source})"),
        }
    }

    /// Ready: where, and what to try next. Told once: here, or in a log that
    /// programs read.
    pub(crate) fn ready(&self, after: Duration, address: SocketAddr, state_dir: &StateDir) {
        let server = Kubeconfig::server(address);
        let kubeconfig = state_dir.kubeconfig();
        let millis = after.as_millis();
        if !self.text {
            tracing::info!(%server, kubeconfig = %kubeconfig.display(), millis, "ready");
            return;
        }
        self.print(&format!(
            "rdd is ready ({millis} ms)\n  address     {server}\n  kubeconfig  {kubeconfig}\n  engine      {}\n  try         KUBECONFIG={kubeconfig} kubectl get containers,images,volumes -A\n",
            self.engine,
            kubeconfig = kubeconfig.display(),
        ));
    }

    /// Says what becomes of the engine, for as long as the daemon runs.
    pub(crate) async fn follow(
        &self,
        mut serving: watch::Receiver<ServingSnapshot>,
        mut progress: watch::Receiver<MirrorProgress>,
    ) {
        let mut last = String::new();
        loop {
            let line = describe(
                &serving.borrow_and_update(),
                progress.borrow().standby.as_deref(),
            );
            if line != last {
                self.print(&format!("{line}\n"));
                last = line;
            }
            let gone = tokio::select! {
                changed = serving.changed() => changed.is_err(),
                changed = progress.changed() => {
                    self.show_progress(&progress.borrow_and_update());
                    changed.is_err()
                }
            };
            if gone {
                return std::future::pending().await;
            }
        }
    }

    fn show_progress(&self, progress: &MirrorProgress) {
        if progress.synced {
            self.progress_line.erase();
        } else if self.text && progress.total > 0 {
            self.progress_line.show(&format!(
                "mirroring {} of {} objects",
                progress.done, progress.total
            ));
        }
    }

    /// Standard output may be closed; the daemon goes on all the same.
    fn print(&self, text: &str) {
        if self.text {
            self.progress_line.erase();
            let mut out = std::io::stdout().lock();
            // Whoever started it may have closed their end: the daemon goes on.
            out.write_all(text.as_bytes())
                .and_then(|()| out.flush())
                .ok();
        }
    }
}

/// `standby` says why this instance mirrors nothing although it could.
fn describe(snapshot: &ServingSnapshot, standby: Option<&str>) -> String {
    match &snapshot.serving {
        ServingState::Ready(engine) => {
            let connected = format!("{} is connected", engine.info().engine);
            match standby {
                Some(reason) => format!("{connected}; nothing is mirrored from here: {reason}"),
                None => connected,
            }
        }
        ServingState::Unavailable(UnavailableReason::Starting) => {
            "looking for the engine".to_owned()
        }
        ServingState::Unavailable(UnavailableReason::Stopped) => {
            "the App is stopped: nothing is mirrored".to_owned()
        }
        // Both name the backend.
        ServingState::Unavailable(UnavailableReason::BackendNotInstalled { reason, .. }) => {
            reason.clone()
        }
        ServingState::Unavailable(UnavailableReason::EngineUnreachable { reason }) => {
            format!(
                "the engine cannot be reached, trying again: {reason}\n  is it running? name another with --engine-endpoint, or start a private one and name it: export $(make engine)"
            )
        }
        ServingState::Unavailable(UnavailableReason::BackendRestarting { reason }) => {
            format!("waiting for the backend: {reason}")
        }
    }
}
