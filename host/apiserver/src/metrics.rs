//! What the API server counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

/// The labels of a request. Verbs and status codes are fixed sets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// The verb as Kubernetes writes it; empty if the request is for no resource.
    verb: &'static str,
    /// The HTTP status code.
    code: u32,
}

/// What the API server counts. Clones share the counters.
#[derive(Clone, Debug, Default)]
pub struct ApiMetrics {
    /// The requests by verb and status code, those of the daemon's own controllers
    /// included.
    pub requests: Family<RequestLabels, Counter>,
}

impl ApiMetrics {
    pub(crate) fn record(&self, verb: &'static str, status: http::StatusCode) {
        let labels = RequestLabels {
            verb,
            code: u32::from(status.as_u16()),
        };
        self.requests.get_or_create(&labels).inc();
    }
}
