//! `/metrics`, in the OpenMetrics format, or in the older one of Prometheus for a
//! client that accepts nothing else. `docs/operations.md` has a table of them.
//!
//! Values are read at each request: nothing is computed while nobody asks.

mod daemon_collector;
mod family_encoder;
mod plugin_collector;

use std::convert::Infallible;
use std::sync::Arc;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::registry::Registry;
use rdd_gateway::{GatewayBody, RequestHandler, error_response, text_response};
use rdd_plugin::PluginSample;
use tower::service_fn;

pub(super) use daemon_collector::DaemonCollector;
use plugin_collector::PluginCollector;

/// The sources of the metrics.
pub(super) struct MetricsRegistry(Registry);

/// A format of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MetricsFormat {
    OpenMetrics,
    PrometheusText,
}

impl MetricsFormat {
    /// Returns the format for a request with these headers: OpenMetrics, unless the
    /// client names `text/plain` and not OpenMetrics. Weights do not matter: who
    /// accepts OpenMetrics at all can read it.
    fn negotiate(headers: &HeaderMap) -> Self {
        let accepts = |media_type: &str| {
            headers
                .get_all(ACCEPT)
                .iter()
                .filter_map(|value| value.to_str().ok())
                .flat_map(|value| value.split(','))
                .filter_map(|range| range.split(';').next())
                .any(|range| range.trim().eq_ignore_ascii_case(media_type))
        };
        match accepts("text/plain") && !accepts("application/openmetrics-text") {
            true => Self::PrometheusText,
            false => Self::OpenMetrics,
        }
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::PrometheusText => "text/plain; version=0.0.4; charset=utf-8",
        })
    }
}

impl MetricsRegistry {
    /// Creates a registry of what `daemon` and `plugins` return at each request.
    pub(super) fn new(
        daemon: DaemonCollector,
        plugins: impl Fn() -> Vec<PluginSample> + Send + Sync + 'static,
    ) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(daemon));
        registry.register_collector(Box::new(PluginCollector::new(plugins)));
        Self(registry)
    }

    /// Returns the handler of `/metrics`.
    pub(super) fn into_handler(self) -> RequestHandler {
        let registry = Arc::new(self);
        RequestHandler::new(service_fn(
            move |request: http::Request<rdd_gateway::RequestBody>| {
                let response = registry.respond(request.headers());
                std::future::ready(Ok::<_, Infallible>(response))
            },
        ))
    }

    fn respond(&self, headers: &HeaderMap) -> Response<GatewayBody> {
        let format = MetricsFormat::negotiate(headers);
        match self.render(format) {
            Ok(content) => {
                let mut response = text_response(StatusCode::OK, content);
                response
                    .headers_mut()
                    .insert(CONTENT_TYPE, format.content_type());
                response
            }
            // Writing to a `String` does not fail, but an encoder may.
            Err(error) => error_response(
                headers,
                StatusCode::INTERNAL_SERVER_ERROR,
                &format!("the metrics cannot be encoded: {error}; please report this"),
                None,
            ),
        }
    }

    fn render(&self, format: MetricsFormat) -> Result<String, std::fmt::Error> {
        let mut content = String::new();
        match format {
            MetricsFormat::OpenMetrics => text::encode(&mut content, &self.0)?,
            MetricsFormat::PrometheusText => prometheus_text::encode(&mut content, &self.0)?,
        }
        Ok(content)
    }
}

#[cfg(test)]
mod tests;
