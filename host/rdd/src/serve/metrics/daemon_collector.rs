//! The metrics of the daemon itself.

use std::fmt::{Debug, Error, Formatter};

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use rdd_apiserver::ApiServer;
use rdd_core::{ServingSnapshot, ServingState};
use rdd_mirror::{MirrorMetrics, MirrorProgress};
use rdd_passthrough::Passthrough;
use tokio::sync::watch;

use super::family_encoder::{FamilyEncoder, family, seconds};

/// Where the metrics of the daemon come from. They are read at each request.
pub(crate) struct DaemonCollector {
    pub(crate) start_time: Timestamp,
    pub(crate) passthrough: Passthrough,
    pub(crate) serving: watch::Receiver<ServingSnapshot>,
    pub(crate) progress: watch::Receiver<MirrorProgress>,
    pub(crate) mirror: MirrorMetrics,
    /// `None` if an external cluster serves the API.
    pub(crate) api_server: Option<ApiServer>,
}

impl Debug for DaemonCollector {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DaemonCollector").finish_non_exhaustive()
    }
}

impl Collector for DaemonCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let encoder = &mut FamilyEncoder(encoder);
        self.encode_process(encoder)?;
        self.encode_mirror(encoder)?;
        self.encode_api(encoder)?;
        self.encode_storage(encoder)
    }
}

impl DaemonCollector {
    fn encode_process(&self, encoder: &mut FamilyEncoder<'_>) -> Result<(), Error> {
        encoder.gauge(
            seconds(
                "process_start_time",
                "Start time of the process in Unix time",
            ),
            Some(self.start_time.as_duration().as_secs_f64()),
        )?;
        encoder.gauges(
            family("rdd_build_info", "1, with the version of the program"),
            [([("version", env!("CARGO_PKG_VERSION"))], 1_i64)],
        )?;
        let is_serving = matches!(self.serving.borrow().serving, ServingState::Ready(_));
        encoder.gauge(
            family("rdd_engine_serving", "1 while the engine is connected"),
            Some(i64::from(is_serving)),
        )?;
        encoder.gauge(
            family("rdd_log_sessions", "Open log and exec sessions"),
            Some(to_i64(self.passthrough.session_count())),
        )
    }

    fn encode_mirror(&self, encoder: &mut FamilyEncoder<'_>) -> Result<(), Error> {
        let (total, waiting) = {
            let progress = self.progress.borrow();
            (progress.total, progress.total.saturating_sub(progress.done))
        };
        encoder.gauge(
            family("rdd_mirror_objects", "Objects that should have a mirror"),
            Some(to_i64(total)),
        )?;
        encoder.gauge(
            family(
                "rdd_mirror_pending_writes",
                "Mirrors that wait to be compared or written",
            ),
            Some(to_i64(waiting)),
        )?;
        encoder.gauge(
            family(
                "rdd_mirror_queued_events",
                "Events of the engine that wait for the mirror controller",
            ),
            Some(to_i64(self.mirror.queued_events())),
        )
    }

    fn encode_api(&self, encoder: &mut FamilyEncoder<'_>) -> Result<(), Error> {
        let server = self.api_server.as_ref();
        encoder.gauge(
            family(
                "rdd_api_watches",
                "Open watches, those of the daemon included",
            ),
            server.map(|server| to_i64(server.watch_count())),
        )?;
        encoder.gauge(
            family(
                "rdd_api_events_behind",
                "Events that the slowest watch has not read, of those since it began",
            ),
            server.map(|server| to_i64(server.events_behind())),
        )?;
        encoder.metric(
            family(
                "rdd_api_requests",
                "Requests by verb and status code, those of the daemon included",
            ),
            MetricType::Counter,
            server.map(|server| &server.metrics().requests),
        )
    }

    fn encode_storage(&self, encoder: &mut FamilyEncoder<'_>) -> Result<(), Error> {
        let server = self.api_server.as_ref();
        let metrics = server.map(ApiServer::store_metrics);
        encoder.metric(
            family("rdd_storage_writes", "Writes that were committed"),
            MetricType::Counter,
            metrics.map(|metrics| &metrics.writes),
        )?;
        encoder.metric(
            family("rdd_storage_failed_commits", "Transactions that failed"),
            MetricType::Counter,
            metrics.map(|metrics| &metrics.failures),
        )?;
        encoder.metric(
            seconds(
                "rdd_storage_commit_duration",
                "Duration of transactions, each of which has one or several writes",
            ),
            MetricType::Histogram,
            metrics.map(|metrics| &metrics.commit_duration),
        )?;
        encoder.gauge(
            family(
                "rdd_storage_queued_writes",
                "Writes that wait for a transaction",
            ),
            server.map(|server| to_i64(server.queued_writes())),
        )
    }
}

fn to_i64(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
