//! The limits that a plugin asks for, and what it gets.

use rdd_plugin_contract::BackendLimits;
use serde::{Deserialize, Serialize};

use super::ManifestError;

const MIB: usize = 1024 * 1024;

/// Limits, in the units of their keys. In a manifest, they are what the plugin
/// asks for. In the lock file, they are the highest that the user allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ManifestLimits {
    /// Memory of the control store in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control_memory_mib: Option<usize>,
    /// Memory of the store of one log stream in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_memory_mib: Option<usize>,
    /// Number of concurrent log streams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_streams: Option<usize>,
    /// Number of concurrent connections to the engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<usize>,
    /// Number of concurrent transfers of images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfers: Option<usize>,
    /// Number of concurrent processes that were started in containers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execs: Option<usize>,
}

impl ManifestLimits {
    /// Returns each key with its value and the highest value.
    fn entries(self) -> [(&'static str, Option<usize>, usize); 6] {
        let Self {
            control_memory_mib,
            log_memory_mib,
            log_streams,
            connections,
            transfers,
            execs,
        } = self;
        [
            (
                "control-memory-mib",
                control_memory_mib,
                BackendLimits::MAX_CONTROL_MEMORY_BYTES / MIB,
            ),
            (
                "log-memory-mib",
                log_memory_mib,
                BackendLimits::MAX_LOG_MEMORY_BYTES / MIB,
            ),
            ("log-streams", log_streams, BackendLimits::MAX_LOG_STREAMS),
            ("connections", connections, BackendLimits::MAX_CONNECTIONS),
            ("transfers", transfers, BackendLimits::MAX_TRANSFERS),
            ("execs", execs, BackendLimits::MAX_EXECS),
        ]
    }

    pub(crate) fn validate(self) -> Result<Self, ManifestError> {
        for (key, value, max) in self.entries() {
            if let Some(value) = value.filter(|value| *value == 0 || *value > max) {
                return Err(ManifestError::Limit { key, value, max });
            }
        }
        Ok(self)
    }

    /// Returns the limits that are set, with the keys of the manifest.
    pub fn named(self) -> impl Iterator<Item = (&'static str, usize)> {
        self.entries()
            .into_iter()
            .filter_map(|(key, value, _)| Some((key, value?)))
    }

    /// Returns these limits, and those of `other` where these are not set.
    pub fn or(self, other: Self) -> Self {
        Self {
            control_memory_mib: self.control_memory_mib.or(other.control_memory_mib),
            log_memory_mib: self.log_memory_mib.or(other.log_memory_mib),
            log_streams: self.log_streams.or(other.log_streams),
            connections: self.connections.or(other.connections),
            transfers: self.transfers.or(other.transfers),
            execs: self.execs.or(other.execs),
        }
    }

    /// Returns those that exceed the limits of `host`, which a user has to allow.
    pub fn above(self, host: &BackendLimits) -> Self {
        let above = |value: Option<usize>, limit: usize| value.filter(|value| *value > limit);
        let Self {
            control_memory_mib,
            log_memory_mib,
            log_streams,
            connections,
            transfers,
            execs,
        } = self;
        Self {
            control_memory_mib: above(control_memory_mib, host.control_memory_bytes / MIB),
            log_memory_mib: above(log_memory_mib, host.log_memory_bytes / MIB),
            log_streams: above(log_streams, host.max_log_streams),
            connections: above(connections, host.max_connections),
            transfers: above(transfers, host.max_transfers),
            execs: above(execs, host.max_execs),
        }
    }

    /// Returns the effective limits: what the plugin asks for, or else the
    /// host's default, but at most what the user allows, or else the host's
    /// default.
    pub(crate) fn effective(self, allowed: Self, host: &BackendLimits) -> BackendLimits {
        let smaller = |request: Option<usize>, allowed: Option<usize>, default: usize, unit| {
            let of = |value: Option<usize>| value.map_or(default, |value| value * unit);
            of(request).min(of(allowed))
        };
        BackendLimits {
            control_memory_bytes: smaller(
                self.control_memory_mib,
                allowed.control_memory_mib,
                host.control_memory_bytes,
                MIB,
            ),
            log_memory_bytes: smaller(
                self.log_memory_mib,
                allowed.log_memory_mib,
                host.log_memory_bytes,
                MIB,
            ),
            max_log_streams: smaller(
                self.log_streams,
                allowed.log_streams,
                host.max_log_streams,
                1,
            ),
            max_connections: smaller(
                self.connections,
                allowed.connections,
                host.max_connections,
                1,
            ),
            max_transfers: smaller(self.transfers, allowed.transfers, host.max_transfers, 1),
            max_execs: smaller(self.execs, allowed.execs, host.max_execs, 1),
            ..host.clone()
        }
    }
}
