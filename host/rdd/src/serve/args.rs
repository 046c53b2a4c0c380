//! The options of `rdd serve`. Each is also an environment variable.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};
use rdd_apiserver::{AuditLevel, AuditOptions};
use rdd_gateway::{AllowedHost, TrustedOrigin};
use rdd_web::WebEndpoint;

use crate::plugin_dirs::PluginDirArgs;
use crate::telemetry::LogFormat;

/// Options of `rdd serve`.
#[derive(Args, Clone)]
pub(crate) struct ServeArgs {
    /// Address of the HTTPS listener; port 0 reuses the port of the last run, or selects a free one
    #[arg(
        long,
        env = "RDD_LISTEN",
        default_value = "127.0.0.1:0",
        value_name = "ADDRESS:PORT"
    )]
    pub(super) listen: SocketAddr,
    /// Address of the web page, which is served over plain HTTP on the loopback interface; port 0 reuses the port of the last run, or selects a free one
    #[arg(
        long,
        env = "RDD_WEB",
        default_value = "127.0.0.1:0",
        value_name = "ADDRESS:PORT"
    )]
    pub(super) web: WebEndpoint,
    /// Serve no web page
    #[arg(long, env = "RDD_NO_WEB", value_parser = BoolishValueParser::new())]
    pub(super) no_web: bool,
    /// URL of the engine: unix:///path, tcp://host:port, or ssh://user@host [default: as configured for the docker CLI]
    #[arg(long, env = "RDD_ENGINE_ENDPOINT", value_name = "URL")]
    pub(super) engine_endpoint: Option<String>,
    /// Name of the installed engine backend to select, in a new App or an existing one
    #[arg(long, env = "RDD_BACKEND", value_name = "NAME")]
    pub(super) backend: Option<String>,
    #[command(flatten)]
    pub(super) plugin_dirs: PluginDirArgs,
    /// Use the cluster of this kubeconfig instead of the embedded API server
    #[arg(long, env = "RDD_KUBECONFIG", value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,
    /// Never change the engine: reject actions, deletions, and processes in containers
    #[arg(long, env = "RDD_READ_ONLY", value_parser = BoolishValueParser::new())]
    pub(super) read_only: bool,
    /// Format of the daemon's log on stderr
    #[arg(long, env = "RDD_LOG_FORMAT", default_value = "text")]
    pub(super) log_format: LogFormat,
    /// Filter of the daemon's log, such as info, debug, or rdd_mirror=trace
    #[arg(
        long,
        env = "RDD_LOG",
        default_value = "warn,rdd=info",
        value_name = "FILTER"
    )]
    pub(super) log: String,
    /// Host name, in addition to the loopback names, under which clients may reach the daemon; can be repeated, or a list separated by ','
    #[arg(
        long = "allowed-host",
        env = "RDD_ALLOWED_HOST",
        value_delimiter = ',',
        value_name = "NAME"
    )]
    pub(super) allowed_hosts: Vec<AllowedHost>,
    /// Origin, in addition to the daemon's own, whose web pages may access the daemon; can be repeated, or a list separated by ','
    #[arg(
        long = "trusted-origin",
        env = "RDD_TRUSTED_ORIGIN",
        value_delimiter = ',',
        value_name = "ORIGIN"
    )]
    pub(super) trusted_origins: Vec<TrustedOrigin>,
    #[command(flatten)]
    pub(super) audit: AuditArgs,
    /// Interval between full listings of the engine, from 1s to 24h, such as 30s or 5m
    #[arg(long, env = "RDD_RESYNC", default_value = "5m", value_name = "DURATION", value_parser = parse_resync_interval)]
    pub(super) resync: Duration,
}

/// Options of the audit log.
#[derive(Args, Clone, Default)]
pub(crate) struct AuditArgs {
    /// File with one line of JSON for each request to the Kubernetes API: who asked for what, and what the response was
    #[arg(long, env = "RDD_AUDIT_LOG", value_name = "FILE")]
    audit_log: Option<PathBuf>,
    /// How much of each request the audit log contains
    #[arg(
        long,
        env = "RDD_AUDIT_LEVEL",
        default_value = "metadata",
        value_name = "LEVEL"
    )]
    audit_level: AuditLogLevel,
}

/// How much of each request the audit log contains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum AuditLogLevel {
    #[default]
    /// User, verb, resource, times, and status code
    Metadata,
    /// The bodies of requests as well, except those with secrets
    Request,
}

impl AuditArgs {
    /// Returns whether there is to be an audit log.
    pub(crate) fn is_wanted(&self) -> bool {
        self.audit_log.is_some()
    }

    /// Returns the options of the audit log, if there is to be one.
    pub(crate) fn into_options(self) -> Option<AuditOptions> {
        let level = match self.audit_level {
            AuditLogLevel::Metadata => AuditLevel::Metadata,
            AuditLogLevel::Request => AuditLevel::Request,
        };
        self.audit_log.map(|file| AuditOptions::new(file, level))
    }
}

/// An interval on the command line that is rejected.
#[derive(Debug, thiserror::Error)]
enum ResyncIntervalError {
    /// Not a duration.
    #[error(transparent)]
    Invalid(#[from] jiff::Error),
    /// An interval outside [`RESYNC_INTERVALS`].
    #[error(
        "engines drop events, so a periodic full listing is required; use a duration from 1s to 24h"
    )]
    OutOfRange,
}

/// The accepted values of `--resync`. It cannot be disabled: engines drop events
/// for slow readers, and only a listing makes up for that. A shorter interval is
/// a busy loop, and a longer one effectively disables it.
const RESYNC_INTERVALS: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60);

/// Parses `--resync`.
fn parse_resync_interval(text: &str) -> Result<Duration, ResyncIntervalError> {
    let interval: jiff::SignedDuration = text.parse()?;
    match Duration::try_from(interval) {
        Ok(interval) if RESYNC_INTERVALS.contains(&interval) => Ok(interval),
        _ => Err(ResyncIntervalError::OutOfRange),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resync_interval_is_from_1s_to_24h() {
        let seconds = |text| parse_resync_interval(text).map(|interval| interval.as_secs());
        assert_eq!(seconds("1s").unwrap(), 1);
        assert_eq!(seconds("5m").unwrap(), 300);
        assert_eq!(seconds("24h").unwrap(), 86_400);
        for text in ["0s", "0", "999ms", "-5m", "25h", "9999999999h", "soon", ""] {
            assert!(parse_resync_interval(text).is_err(), "{text:?}");
        }
        let error = parse_resync_interval("0s").unwrap_err().to_string();
        assert!(error.contains("from 1s to 24h"), "{error}");
    }
}
