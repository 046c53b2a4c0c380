//! `/metrics`: a few figures in Prometheus' text form.

use jiff::Timestamp;
use rdd_core::{ServingSnapshot, ServingState};
use rdd_passthrough::Passthrough;
use tokio::sync::watch;

/// Where the figures come from.
pub(crate) struct Metrics {
    start_time: Timestamp,
    passthrough: Passthrough,
    serving: watch::Receiver<ServingSnapshot>,
}

impl Metrics {
    /// Reads from the rooms themselves at each request.
    pub(crate) fn new(
        start_time: Timestamp,
        passthrough: Passthrough,
        serving: watch::Receiver<ServingSnapshot>,
    ) -> Self {
        Self {
            start_time,
            passthrough,
            serving,
        }
    }

    /// The page.
    pub(crate) fn render(&self) -> String {
        let serving = i32::from(matches!(
            self.serving.borrow().serving,
            ServingState::Ready(_)
        ));
        [
            (
                "process_start_time_seconds",
                "When this run began, Unix seconds.",
                self.start_time.as_second().to_string(),
            ),
            (
                "rdd_engine_serving",
                "1 while the engine can be asked.",
                serving.to_string(),
            ),
            (
                "rdd_log_sessions",
                "Open log streams.",
                self.passthrough.sessions().to_string(),
            ),
        ]
        .iter()
        .map(|(name, help, value)| {
            format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n")
        })
        .collect()
    }
}
