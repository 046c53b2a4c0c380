//! The keys of `plugin.toml`, and their validation.

use rdd_plugin_contract::{PACKAGE, check_version, is_backend_name};
use serde::Deserialize;

use super::artifact::{LibraryTable, PluginArtifact};
use super::directory::{DirectoryRequest, DirectoryTable};
use super::{ManifestError, ManifestLimits, PluginManifest};

/// The maximum length of a publisher's name in bytes.
const MAX_PUBLISHER_BYTES: usize = 100;
/// The maximum length of a description in bytes.
const MAX_DESCRIPTION_BYTES: usize = 300;

/// The content of `plugin.toml` before validation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ManifestFile {
    name: String,
    version: String,
    publisher: Option<String>,
    description: Option<String>,
    kind: String,
    file: Option<String>,
    sha256: Option<String>,
    interface: String,
    #[serde(default)]
    libraries: Vec<LibraryTable>,
    #[serde(default)]
    directories: Vec<DirectoryTable>,
    #[serde(default)]
    limits: ManifestLimits,
}

pub(super) fn parse(text: &str) -> Result<PluginManifest, ManifestError> {
    let ManifestFile {
        name,
        version,
        publisher,
        description,
        kind,
        file,
        sha256,
        interface,
        libraries,
        directories,
        limits,
    } = toml::from_str(text).map_err(|error| {
        // The error's own Display is a multi-line excerpt with an arrow.
        let before = error
            .span()
            .map(|span| text.get(..span.start).unwrap_or(text));
        ManifestError::Syntax {
            line: before.map(|before| before.matches('\n').count() + 1),
            // It repeats keys, which may have any character.
            message: escape_unprintable(&error.message().replace('\n', ", ")),
        }
    })?;
    if !is_backend_name(&name) {
        return Err(ManifestError::Name(name));
    }
    if let Err(error) = semver::Version::parse(&version) {
        let problem = error.to_string();
        return Err(ManifestError::Version { version, problem });
    }
    check_interface(&interface)?;
    let publisher = publisher
        .map(|text| one_line("publisher", text, MAX_PUBLISHER_BYTES))
        .transpose()?;
    let description = description
        .map(|text| one_line("description", text, MAX_DESCRIPTION_BYTES))
        .transpose()?;
    Ok(PluginManifest {
        artifact: PluginArtifact::validate(&kind, file, sha256, libraries)?,
        directories: DirectoryRequest::validate_all(directories)?,
        limits: limits.validate()?,
        name,
        version,
        publisher,
        description,
    })
}

fn check_interface(interface: &str) -> Result<(), ManifestError> {
    let version = interface
        .strip_prefix(PACKAGE)
        .and_then(|rest| rest.strip_prefix('@'))
        .and_then(|version| semver::Version::parse(version).ok())
        .ok_or_else(|| ManifestError::Interface(interface.to_owned()))?;
    Ok(check_version(&version)?)
}

/// Whether a character may change what a terminal shows of a text around it.
fn is_unprintable(character: char) -> bool {
    character.is_control()
        // Marks that change the direction of text, to disguise a name.
        || matches!(character, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escape_unprintable(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if is_unprintable(character) {
            escaped.extend(character.escape_default());
        } else {
            escaped.push(character);
        }
    }
    escaped
}

/// Rejects a text that could not be shown on one line of a terminal.
pub(super) fn one_line(
    key: &'static str,
    text: String,
    max_bytes: usize,
) -> Result<String, ManifestError> {
    let is_valid =
        !text.trim().is_empty() && text.len() <= max_bytes && !text.chars().any(is_unprintable);
    match is_valid {
        true => Ok(text),
        false => Err(ManifestError::Text { key, max_bytes }),
    }
}
