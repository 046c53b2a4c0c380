//! The manifest of a component that was published without one.

use anyhow::{Context as _, Result};
use rdd_plugin::{INTERFACE, PluginManifest, is_backend_name};
use serde::Serialize;

/// What is known about a component without a manifest.
#[derive(Default)]
pub(super) struct DerivedManifest<'a> {
    /// The name of its file or repository, which begins with its name.
    pub(super) file_stem: &'a str,
    /// Its version, if it is a semantic version.
    pub(super) version: Option<&'a str>,
    pub(super) publisher: Option<&'a str>,
    /// The SHA-256 in hexadecimal.
    pub(super) sha256: &'a str,
    /// The contract that it was built for; this host's if that is unknown yet.
    pub(super) interface: Option<&'a str>,
}

/// The keys of a component's `plugin.toml`.
#[derive(Serialize)]
struct ManifestFile<'a> {
    name: &'a str,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    publisher: Option<&'a str>,
    kind: &'static str,
    file: String,
    sha256: &'a str,
    interface: &'a str,
}

impl DerivedManifest<'_> {
    /// Returns the text of the manifest. Without a version, it is 0.0.0 with the
    /// beginning of the digest, which tells two builds apart.
    pub(super) fn text(&self) -> Result<String> {
        let Self {
            file_stem,
            version,
            publisher,
            sha256,
            interface,
        } = self;
        let name = file_stem.split('.').next().unwrap_or_default();
        if !is_backend_name(name) {
            anyhow::bail!(
                "the component has no plugin.toml, and {name:?} is not a plugin name; rename the file to the backend's name, or add a plugin.toml"
            );
        }
        let version = version
            .map(|version| version.strip_prefix('v').unwrap_or(version))
            .filter(|version| is_version(version))
            .map_or_else(
                || format!("0.0.0+sha256.{}", sha256.get(..12).unwrap_or(sha256)),
                str::to_owned,
            );
        let file = ManifestFile {
            name,
            version,
            publisher: *publisher,
            kind: "component",
            file: format!("{name}.wasm"),
            sha256,
            interface: interface.unwrap_or(INTERFACE),
        };
        let text = toml::to_string(&file).context("cannot write plugin.toml")?;
        PluginManifest::parse(&text)?;
        Ok(text)
    }
}

/// Whether the host accepts the version. Three numbers, as a tag often has.
fn is_version(version: &str) -> bool {
    semver::Version::parse(version).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(file_stem: &str, version: Option<&str>) -> Result<PluginManifest> {
        let sha256 = "ab".repeat(32);
        let derived = DerivedManifest {
            file_stem,
            version,
            sha256: &sha256,
            ..DerivedManifest::default()
        };
        Ok(PluginManifest::parse(&derived.text()?)?)
    }

    #[test]
    fn the_name_is_that_of_the_file_and_the_version_that_of_the_tag() {
        let with_tag = manifest("toy.component", Some("v1.2.3")).unwrap();
        assert_eq!(
            (with_tag.name.as_str(), with_tag.version.as_str()),
            ("toy", "1.2.3")
        );
        for tag in [None, Some("latest"), Some("1.2")] {
            let version = manifest("toy", tag).unwrap().version;
            assert_eq!(version, "0.0.0+sha256.abababababab");
        }
        let error = manifest("My Toy", None).unwrap_err().to_string();
        assert!(error.contains("rename the file"), "{error}");
    }
}
