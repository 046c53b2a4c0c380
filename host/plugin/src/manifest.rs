//! `plugin.toml`: the manifest of a plugin, read before the plugin runs.

use rdd_core::text::is_lower_hex;
use rdd_plugin_contract::{BackendLimits, INTERFACE, is_backend_name};
use serde::Deserialize;

const MIB: usize = 1024 * 1024;

/// A validated manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PluginManifest {
    pub(crate) name: String,
    pub(crate) version: String,
    /// The component's file name, in the manifest's directory.
    pub(crate) file: String,
    /// The SHA-256 of the component: 64 lowercase hexadecimal digits.
    pub(crate) sha256: String,
    pub(crate) limits: ManifestLimits,
}

/// A manifest that is not valid. The message is one sentence with the cause and
/// the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ManifestError {
    #[error("plugin.toml is not valid{}: {message}", Location(*.line))]
    Syntax {
        line: Option<usize>,
        message: String,
    },
    #[error(
        "plugin.toml has the name {0:?}; use lowercase letters, digits, and '-' between them, at most 63 characters"
    )]
    Name(String),
    #[error("plugin.toml has the name {name:?}, but its directory is {dir:?}; make them equal")]
    NameMismatch { name: String, dir: String },
    #[error(
        "plugin.toml has the version {version:?}, which is not a semantic version such as 1.2.3: {problem}"
    )]
    Version { version: String, problem: String },
    #[error(
        "plugin.toml has kind = \"dylib\", which this version cannot load; install the plugin as a component"
    )]
    Dylib,
    #[error("plugin.toml has kind = {0:?}; the only supported kind is \"component\"")]
    Kind(String),
    #[error(
        "plugin.toml has the file {0:?}; name a file in the same directory, with letters, digits, '.', '_', and '-'"
    )]
    File(String),
    #[error(
        "plugin.toml has a sha256 that is not 64 lowercase hexadecimal digits; use the output of sha256sum for the file"
    )]
    Digest,
    #[error(
        "plugin.toml has interface = {0:?}, but this daemon supports {INTERFACE:?}; install the version of the plugin that is built for it"
    )]
    Interface(String),
    #[error("plugin.toml has limits.{key} = {value}; use a number from 1 to {max}")]
    Limit {
        key: &'static str,
        value: usize,
        max: usize,
    },
}

/// The line of a syntax error, for [`ManifestError::Syntax`].
struct Location(Option<usize>);

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(line) => write!(f, " at line {line}"),
            None => Ok(()),
        }
    }
}

/// The limits that a manifest requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ManifestLimits {
    control_memory_mib: Option<usize>,
    log_memory_mib: Option<usize>,
    log_streams: Option<usize>,
    connections: Option<usize>,
}

impl ManifestLimits {
    /// Returns the host's limits, overridden by the requested ones.
    pub(crate) fn apply(self, host: &BackendLimits) -> BackendLimits {
        let Self {
            control_memory_mib,
            log_memory_mib,
            log_streams,
            connections,
        } = self;
        BackendLimits {
            control_memory_bytes: control_memory_mib
                .map_or(host.control_memory_bytes, |mib| mib * MIB),
            log_memory_bytes: log_memory_mib.map_or(host.log_memory_bytes, |mib| mib * MIB),
            max_log_streams: log_streams.unwrap_or(host.max_log_streams),
            max_connections: connections.unwrap_or(host.max_connections),
            ..host.clone()
        }
    }

    fn validate(self) -> Result<Self, ManifestError> {
        let check = |key, value: Option<usize>, max: usize| match value {
            Some(value) if value == 0 || value > max => {
                Err(ManifestError::Limit { key, value, max })
            }
            _ => Ok(()),
        };
        let Self {
            control_memory_mib,
            log_memory_mib,
            log_streams,
            connections,
        } = self;
        check(
            "control-memory-mib",
            control_memory_mib,
            BackendLimits::MAX_CONTROL_MEMORY_BYTES / MIB,
        )?;
        check(
            "log-memory-mib",
            log_memory_mib,
            BackendLimits::MAX_LOG_MEMORY_BYTES / MIB,
        )?;
        check("log-streams", log_streams, BackendLimits::MAX_LOG_STREAMS)?;
        check("connections", connections, BackendLimits::MAX_CONNECTIONS)?;
        Ok(self)
    }
}

/// The content of `plugin.toml` before validation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ManifestFile {
    name: String,
    version: String,
    kind: String,
    file: String,
    sha256: String,
    interface: String,
    #[serde(default)]
    limits: ManifestLimits,
}

impl PluginManifest {
    /// Parses and validates the manifest `text` of the plugin in the directory
    /// named `dir`.
    pub(crate) fn parse(text: &str, dir: &str) -> Result<Self, ManifestError> {
        let ManifestFile {
            name,
            version,
            kind,
            file,
            sha256,
            interface,
            limits,
        } = toml::from_str(text).map_err(|error| {
            // The error's own Display is a multi-line excerpt with an arrow.
            let before = error
                .span()
                .map(|span| text.get(..span.start).unwrap_or(text));
            ManifestError::Syntax {
                line: before.map(|before| before.matches('\n').count() + 1),
                message: error.message().replace('\n', ", "),
            }
        })?;
        if !is_backend_name(&name) {
            return Err(ManifestError::Name(name));
        }
        if name != dir {
            let dir = dir.to_owned();
            return Err(ManifestError::NameMismatch { name, dir });
        }
        if let Err(error) = semver::Version::parse(&version) {
            let problem = error.to_string();
            return Err(ManifestError::Version { version, problem });
        }
        match kind.as_str() {
            "component" => {}
            "dylib" => return Err(ManifestError::Dylib),
            _ => return Err(ManifestError::Kind(kind)),
        }
        if !is_file_name(&file) {
            return Err(ManifestError::File(file));
        }
        if !is_lower_hex(&sha256, 64) {
            return Err(ManifestError::Digest);
        }
        if interface != INTERFACE {
            return Err(ManifestError::Interface(interface));
        }
        Ok(Self {
            name,
            version,
            file,
            sha256,
            limits: limits.validate()?,
        })
    }
}

/// Whether `name` is a plain file name that cannot leave its directory.
fn is_file_name(name: &str) -> bool {
    /// Every file system supports names of this many bytes.
    const MAX_BYTES: usize = 128;
    !name.is_empty()
        && name.len() <= MAX_BYTES
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = r#"
name = "moby"
version = "0.1.0"
kind = "component"
file = "moby.component.wasm"
sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
interface = "rancher-desktop:engine@0.1.0"
"#;

    #[test]
    fn a_valid_manifest_is_parsed() {
        let manifest = PluginManifest::parse(VALID, "moby").unwrap();
        assert_eq!(manifest.name, "moby");
        assert_eq!(manifest.limits, ManifestLimits::default());
        assert_eq!(
            manifest.limits.apply(&BackendLimits::default()),
            BackendLimits::default()
        );
    }

    #[test]
    fn an_invalid_manifest_is_rejected_with_the_reason() {
        for (from, to, expected) in [
            ("name = \"moby\"", "name = \"../moby\"", "lowercase"),
            ("name = \"moby\"", "name = \"docker\"", "make them equal"),
            ("0.1.0\"\nkind", "one\"\nkind", "semantic version"),
            ("\"component\"", "\"dylib\"", "cannot load"),
            ("\"component\"", "\"script\"", "the only supported kind"),
            (
                "\"moby.component.wasm\"",
                "\"../x.wasm\"",
                "name a file in the same directory",
            ),
            (
                "\"moby.component.wasm\"",
                "\"/x.wasm\"",
                "name a file in the same directory",
            ),
            (
                "\"moby.component.wasm\"",
                "\".hidden\"",
                "name a file in the same directory",
            ),
            ("e3b0", "E3B0", "64 lowercase"),
            ("e3b0", "", "64 lowercase"),
            ("engine@0.1.0", "engine@0.2.0", "this daemon supports"),
            ("kind", "surprise = 1\nkind", "unknown field `surprise`"),
            ("kind = \"component\"", "", "missing field `kind`"),
            ("kind = ", "kind = [", "at line"),
        ] {
            let text = VALID.replacen(from, to, 1);
            assert_ne!(text, VALID, "{from}");
            let error = PluginManifest::parse(&text, "moby")
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{to}: {error}");
            assert!(!error.contains('\n'), "not one line: {error}");
        }
    }

    #[test]
    fn limits_are_bounded_by_the_host() {
        let with =
            |limits: &str| PluginManifest::parse(&format!("{VALID}[limits]\n{limits}"), "moby");
        let limits = with("control-memory-mib = 128\nlog-streams = 10")
            .unwrap()
            .limits
            .apply(&BackendLimits::default());
        assert_eq!(limits.control_memory_bytes, 128 * MIB);
        assert_eq!(limits.max_log_streams, 10);
        assert_eq!(
            limits.log_memory_bytes,
            BackendLimits::default().log_memory_bytes
        );
        for (limits, expected) in [
            ("control-memory-mib = 513", "from 1 to 512"),
            ("log-memory-mib = 0", "from 1 to 128"),
            ("log-streams = 1000000", "from 1 to"),
            ("connections = 1000000", "from 1 to"),
            ("cpu = 1", "unknown field"),
        ] {
            let error = with(limits).unwrap_err().to_string();
            assert!(error.contains(expected), "{limits}: {error}");
        }
    }
}
