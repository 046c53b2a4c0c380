//! `plugin.toml`: what a plugin says before it is run.

use rdd_plugin_wasm::{BackendLimits, INTERFACE, is_backend_name};
use serde::Deserialize;

const MIB: usize = 1024 * 1024;

/// A manifest that was found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) name: String,
    pub(crate) version: String,
    /// The component, beside the manifest.
    pub(crate) file: String,
    /// Its SHA-256, 64 lower-case hexadecimal digits.
    pub(crate) sha256: String,
    pub(crate) limits: Asked,
}

/// Limits that the plugin asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Asked {
    control_memory_mib: Option<usize>,
    log_memory_mib: Option<usize>,
    log_streams: Option<usize>,
    connections: Option<usize>,
}

impl Asked {
    /// The host's limits, with what the plugin asks for in their place.
    pub(crate) fn apply(self, host: &BackendLimits) -> BackendLimits {
        let Self {
            control_memory_mib,
            log_memory_mib,
            log_streams,
            connections,
        } = self;
        BackendLimits {
            control_memory: control_memory_mib.map_or(host.control_memory, |mib| mib * MIB),
            log_memory: log_memory_mib.map_or(host.log_memory, |mib| mib * MIB),
            log_streams: log_streams.unwrap_or(host.log_streams),
            connections: connections.unwrap_or(host.connections),
            ..host.clone()
        }
    }

    fn check(self) -> Result<Self, String> {
        let bounded = |what, asked: Option<usize>, max: usize| match asked {
            Some(asked) if asked == 0 || asked > max => Err(format!(
                "limits.{what} is {asked}: give a number from 1 to {max}"
            )),
            _ => Ok(()),
        };
        let Self {
            control_memory_mib,
            log_memory_mib,
            log_streams,
            connections,
        } = self;
        bounded(
            "control-memory-mib",
            control_memory_mib,
            BackendLimits::MAX_CONTROL_MEMORY / MIB,
        )?;
        bounded(
            "log-memory-mib",
            log_memory_mib,
            BackendLimits::MAX_LOG_MEMORY / MIB,
        )?;
        bounded("log-streams", log_streams, BackendLimits::MAX_LOG_STREAMS)?;
        bounded("connections", connections, BackendLimits::MAX_CONNECTIONS)?;
        Ok(self)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Raw {
    name: String,
    version: String,
    kind: String,
    file: String,
    sha256: String,
    interface: String,
    #[serde(default)]
    limits: Asked,
}

impl Manifest {
    /// Reads the text of the manifest in the directory `dir`. An error is one
    /// sentence: the cause and the remedy.
    pub(crate) fn parse(text: &str, dir: &str) -> Result<Self, String> {
        let Raw {
            name,
            version,
            kind,
            file,
            sha256,
            interface,
            limits,
        } = toml::from_str(text).map_err(|error| {
            // The library's own text draws the line and an arrow under it.
            let place = error
                .span()
                .map(|span| text.get(..span.start).unwrap_or(text))
                .map(|before| format!(" at line {}", before.matches('\n').count() + 1))
                .unwrap_or_default();
            format!(
                "plugin.toml cannot be read{place}: {}",
                error.message().replace('\n', ", ")
            )
        })?;
        if !is_backend_name(&name) {
            return Err(format!(
                "plugin.toml names the plugin {name:?}: use lower-case letters, digits and '-' between them, at most 63"
            ));
        }
        if name != dir {
            return Err(format!(
                "plugin.toml names the plugin {name:?} and its directory is {dir:?}: make them equal"
            ));
        }
        if let Err(error) = semver::Version::parse(&version) {
            return Err(format!(
                "plugin.toml gives the version {version:?}, which is not a semantic version such as 1.2.3: {error}"
            ));
        }
        match kind.as_str() {
            "component" => {}
            "dylib" => {
                return Err(
                    "plugin.toml says kind = \"dylib\", which this version cannot load yet: install the plugin as a component".to_owned(),
                );
            }
            _ => {
                return Err(format!(
                    "plugin.toml says kind = {kind:?}: this version loads kind = \"component\""
                ));
            }
        }
        if !is_file_name(&file) {
            return Err(format!(
                "plugin.toml names the file {file:?}: name a file beside it, of letters, digits, '.', '_' and '-'"
            ));
        }
        if !rdd_core::text::is_lower_hex(&sha256, 64) {
            return Err(
                "plugin.toml gives a sha256 that is not 64 lower-case hexadecimal digits: write what sha256sum prints for the file".to_owned(),
            );
        }
        if interface != INTERFACE {
            return Err(format!(
                "plugin.toml says interface = {interface:?} and this daemon speaks {INTERFACE:?}: install the version of the plugin that is made for it"
            ));
        }
        Ok(Self {
            name,
            version,
            file,
            sha256,
            limits: limits
                .check()
                .map_err(|problem| format!("plugin.toml: {problem}"))?,
        })
    }
}

/// Whether this names a file in the same directory and nothing else.
fn is_file_name(name: &str) -> bool {
    /// What every file system takes.
    const MAX: usize = 128;
    !name.is_empty()
        && name.len() <= MAX
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
name = "moby"
version = "0.1.0"
kind = "component"
file = "moby.component.wasm"
sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
interface = "rancher-desktop:engine@0.1.0"
"#;

    #[test]
    fn reads_a_good_one() {
        let manifest = Manifest::parse(GOOD, "moby").unwrap();
        assert_eq!(manifest.name, "moby");
        assert_eq!(manifest.limits, Asked::default());
        assert_eq!(
            manifest.limits.apply(&BackendLimits::default()),
            BackendLimits::default()
        );
    }

    #[test]
    fn refuses_a_bad_one_and_says_why() {
        for (from, to, why) in [
            ("name = \"moby\"", "name = \"../moby\"", "lower-case"),
            ("name = \"moby\"", "name = \"docker\"", "make them equal"),
            ("0.1.0\"\nkind", "one\"\nkind", "semantic version"),
            ("\"component\"", "\"dylib\"", "cannot load yet"),
            ("\"component\"", "\"script\"", "this version loads"),
            (
                "\"moby.component.wasm\"",
                "\"../x.wasm\"",
                "name a file beside it",
            ),
            (
                "\"moby.component.wasm\"",
                "\"/x.wasm\"",
                "name a file beside it",
            ),
            (
                "\"moby.component.wasm\"",
                "\".hidden\"",
                "name a file beside it",
            ),
            ("e3b0", "E3B0", "64 lower-case"),
            ("e3b0", "", "64 lower-case"),
            ("engine@0.1.0", "engine@0.2.0", "this daemon speaks"),
            ("kind", "surprise = 1\nkind", "unknown field `surprise`"),
            ("kind = \"component\"", "", "missing field `kind`"),
            ("kind = ", "kind = [", "at line"),
        ] {
            let text = GOOD.replacen(from, to, 1);
            assert_ne!(text, GOOD, "{from}");
            let refused = Manifest::parse(&text, "moby").unwrap_err();
            assert!(refused.contains(why), "{to}: {refused}");
            assert!(!refused.contains('\n'), "one sentence: {refused}");
        }
    }

    #[test]
    fn limits_are_bounded_by_the_host() {
        let with = |limits: &str| Manifest::parse(&format!("{GOOD}[limits]\n{limits}"), "moby");
        let limits = with("control-memory-mib = 128\nlog-streams = 10")
            .unwrap()
            .limits
            .apply(&BackendLimits::default());
        assert_eq!(limits.control_memory, 128 * MIB);
        assert_eq!(limits.log_streams, 10);
        assert_eq!(limits.log_memory, BackendLimits::default().log_memory);
        for (bad, why) in [
            ("control-memory-mib = 513", "from 1 to 512"),
            ("log-memory-mib = 0", "from 1 to 128"),
            ("log-streams = 1000000", "from 1 to"),
            ("connections = 1000000", "from 1 to"),
            ("cpu = 1", "unknown field"),
        ] {
            let refused = with(bad).unwrap_err();
            assert!(refused.contains(why), "{bad}: {refused}");
        }
    }
}
