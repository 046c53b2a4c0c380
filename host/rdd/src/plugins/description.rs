//! What a plugin is and what it asks for, as `inspect` and `install` show it.

use std::fmt::Write as _;

use rdd_plugin::{
    BackendLimits, DirectoryGrant, DirectoryRequest, ManifestLimits, PlaceholderDirs,
    PluginManifest,
};
use serde::Serialize;

use super::candidate::PluginCandidate;
use crate::output::{self, CommandReport};

/// The description of a plugin.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PluginDescription {
    pub(super) name: String,
    pub(super) version: String,
    /// What the manifest claims; nothing verifies it.
    pub(super) publisher: Option<String>,
    pub(super) description: Option<String>,
    pub(super) kind: &'static str,
    pub(super) source: String,
    /// The digest of the artifact in a registry or a layout.
    pub(super) artifact_digest: Option<String>,
    /// The SHA-256 of the file that is loaded.
    pub(super) sha256: String,
    pub(super) size_bytes: Option<u64>,
    pub(super) directories: Vec<DirectoryRow>,
    /// All limits that the plugin asks for.
    pub(super) limits: Vec<LimitRow>,
    /// The optional calls that it supports; known only of a loaded plugin.
    pub(super) capabilities: Option<Vec<&'static str>>,
}

/// A directory that a plugin asks to read.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DirectoryRow {
    name: String,
    requested: String,
    /// The path on this machine; `None` if a variable is not set.
    path: Option<String>,
    reason: String,
}

/// A limit that a plugin asks for.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LimitRow {
    name: &'static str,
    value: usize,
    is_above_default: bool,
}

impl PluginDescription {
    pub(super) fn of(candidate: &PluginCandidate) -> Self {
        let size = candidate.size();
        let artifact_digest = candidate.artifact_digest.as_ref().map(ToString::to_string);
        Self::new(
            &candidate.manifest,
            candidate.source.clone(),
            candidate.file.sha256.clone(),
            size,
            artifact_digest,
        )
    }

    pub(super) fn new(
        manifest: &PluginManifest,
        source: String,
        sha256: String,
        size_bytes: Option<u64>,
        artifact_digest: Option<String>,
    ) -> Self {
        let dirs = PlaceholderDirs::read();
        let row = |request: &DirectoryRequest| DirectoryRow {
            name: request.name.clone(),
            requested: request.path.clone(),
            path: request
                .grant(&dirs)
                .map(|grant: DirectoryGrant| grant.path.display().to_string()),
            reason: request.reason.clone(),
        };
        let above = limits_above_defaults(manifest);
        let is_above = |name| above.named().any(|(other, _)| other == name);
        Self {
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            publisher: manifest.publisher.clone(),
            description: manifest.description.clone(),
            kind: manifest.artifact.kind(),
            source,
            artifact_digest,
            sha256,
            size_bytes,
            directories: manifest.directories.iter().map(row).collect(),
            limits: manifest
                .limits
                .named()
                .map(|(name, value)| LimitRow {
                    name,
                    value,
                    is_above_default: is_above(name),
                })
                .collect(),
            capabilities: None,
        }
    }
}

/// Returns the limits that a user has to allow.
pub(super) fn limits_above_defaults(manifest: &PluginManifest) -> ManifestLimits {
    manifest.limits.above(&BackendLimits::default())
}

impl CommandReport for PluginDescription {
    fn text(&self) -> String {
        let Self {
            name,
            version,
            publisher,
            description,
            kind,
            source,
            artifact_digest,
            sha256,
            size_bytes,
            directories,
            limits,
            capabilities,
        } = self;
        let form = match *kind {
            "library" => "dynamic library: native code with all rights of the daemon",
            _ => "component: runs in a sandbox",
        };
        let size = size_bytes.map_or_else(String::new, |bytes| {
            format!(" ({} KiB)", bytes.div_ceil(1024))
        });
        let mut rows = vec![
            ["name".to_owned(), name.clone()],
            ["version".to_owned(), version.clone()],
            [
                "publisher".to_owned(),
                publisher.as_ref().map_or("none named".to_owned(), |name| {
                    format!("{name} (not verified)")
                }),
            ],
            ["form".to_owned(), form.to_owned()],
            ["source".to_owned(), source.clone()],
            ["sha256".to_owned(), format!("{sha256}{size}")],
        ];
        if let Some(text) = description {
            rows.insert(3, ["description".to_owned(), text.clone()]);
        }
        if let Some(digest) = artifact_digest {
            rows.push(["artifact".to_owned(), digest.clone()]);
        }
        if let Some(names) = capabilities {
            rows.push(["capabilities".to_owned(), names.join(", ")]);
        }
        let mut text = output::format_table(&rows);
        text.push_str("It gets the connection to its engine");
        if directories.is_empty() {
            text.push_str(", and no directory of this machine.\n");
        } else {
            text.push_str(", and asks to read these directories:\n");
            for DirectoryRow {
                requested,
                path,
                reason,
                ..
            } in directories
            {
                let path = path.as_ref().unwrap_or(requested);
                // Writing to a string cannot fail.
                writeln!(text, "  {path}: {reason}").ok();
            }
        }
        let raised: Vec<_> = limits
            .iter()
            .filter(|limit| limit.is_above_default)
            .map(|limit| format!("{} = {}", limit.name, limit.value))
            .collect();
        if !raised.is_empty() {
            writeln!(
                text,
                "It asks for more than the default limits: {}",
                raised.join(", ")
            )
            .ok();
        }
        text
    }

    fn names(&self) -> Vec<String> {
        vec![self.name.clone()]
    }
}
