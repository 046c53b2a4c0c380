//! What `serve` tells the person who started it, on standard output.

use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use rdd_core::{NotServing, Serving, ServingSnapshot};
use rdd_front::Kubeconfig;
use rdd_mirror::Progress;
use tokio::sync::watch;

use crate::cli::LogFormat;
use crate::state_dir::StateDir;

/// Prints in text form; silent where logs are JSON, which somebody else reads.
pub(crate) struct Banner {
    text: bool,
    terminal: bool,
    engine: String,
}

impl Banner {
    /// `url` is the engine's address, `source` what decided on it.
    pub(crate) fn new(format: LogFormat, url: &str, source: &str) -> Self {
        Self {
            text: format == LogFormat::Text,
            terminal: std::io::stdout().is_terminal(),
            engine: format!("{url} (from {source})"),
        }
    }

    /// Ready: where, and what to try next.
    pub(crate) fn ready(&self, after: Duration, address: SocketAddr, state_dir: &StateDir) {
        let server = Kubeconfig::server(address);
        tracing::info!(%server, kubeconfig = %state_dir.kubeconfig().display(), millis = after.as_millis(), "ready");
        self.say(&format!(
            "rdd is ready ({} ms)\n  address     {server}\n  kubeconfig  {}\n  engine      {}\n  try         KUBECONFIG={} kubectl get containers,images,volumes -A\n",
            after.as_millis(),
            state_dir.kubeconfig().display(),
            self.engine,
            state_dir.kubeconfig().display(),
        ));
    }

    /// Says what becomes of the engine, for as long as the daemon runs.
    pub(crate) async fn follow(
        &self,
        mut serving: watch::Receiver<ServingSnapshot>,
        mut progress: watch::Receiver<Progress>,
    ) {
        let mut last = String::new();
        loop {
            let line = describe(&serving.borrow_and_update());
            if line != last {
                self.clear_progress();
                self.say(&format!("{line}\n"));
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

    fn show_progress(&self, progress: &Progress) {
        if self.terminal && !progress.synced && progress.total > 0 {
            self.say(&format!(
                "\r\x1b[Kmirroring {} of {} objects",
                progress.done, progress.total
            ));
        }
    }

    fn clear_progress(&self) {
        if self.terminal {
            self.say("\r\x1b[K");
        }
    }

    /// Standard output may be closed; the daemon goes on all the same.
    fn say(&self, text: &str) {
        if self.text {
            let mut out = std::io::stdout().lock();
            out.write_all(text.as_bytes())
                .and_then(|()| out.flush())
                .ok();
        }
    }
}

fn describe(snapshot: &ServingSnapshot) -> String {
    let backend = &snapshot.backend;
    match &snapshot.serving {
        Serving::Ready(engine) => format!("{} is connected and mirrored", engine.info().engine),
        Serving::Not(NotServing::Starting) => "looking for the engine".to_owned(),
        Serving::Not(NotServing::Stopped) => "the App is stopped: nothing is mirrored".to_owned(),
        Serving::Not(NotServing::BackendNotInstalled { reason, .. }) => {
            format!("no backend {backend:?}: {reason}")
        }
        Serving::Not(NotServing::EngineUnreachable { reason }) => {
            format!(
                "the engine cannot be reached, trying again: {reason}\n  is it running? name another with --engine-endpoint, or start a private one with 'make engine'"
            )
        }
        Serving::Not(NotServing::BackendRestarting { reason }) => {
            format!("backend {backend:?} crashed and is being restarted: {reason}")
        }
    }
}
