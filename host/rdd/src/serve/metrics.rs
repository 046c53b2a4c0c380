//! `/metrics`: gauges in the text format of Prometheus. Written by hand: three
//! values do not justify the prometheus-client crate.

use jiff::Timestamp;
use rdd_core::{ServingSnapshot, ServingState};
use rdd_passthrough::Passthrough;
use tokio::sync::watch;

/// The sources of the metrics.
pub(crate) struct MetricsRegistry {
    start_time: Timestamp,
    passthrough: Passthrough,
    serving: watch::Receiver<ServingSnapshot>,
}

impl MetricsRegistry {
    /// Creates the registry. Values are read at each request.
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

    /// Returns all metrics in the text format.
    pub(crate) fn render(&self) -> String {
        let serving = i32::from(matches!(
            self.serving.borrow().serving,
            ServingState::Ready(_)
        ));
        [
            (
                "process_start_time_seconds",
                "Start time of the process in Unix seconds.",
                self.start_time.as_second().to_string(),
            ),
            (
                "rdd_engine_serving",
                "1 while the engine is connected.",
                serving.to_string(),
            ),
            (
                "rdd_log_sessions",
                "Number of open log sessions.",
                self.passthrough.session_count().to_string(),
            ),
        ]
        .iter()
        .map(|(name, help, value)| {
            format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n")
        })
        .collect()
    }
}
