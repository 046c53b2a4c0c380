//! The properties of manifests. The function panics if the input breaks one.
//!
//! The target in `fuzz` searches for such inputs. The test replays those that are
//! saved there, and random mutations of them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a broken property is reported by panicking"
)]

use std::path::{Component, Path};

use rdd_core::text::{is_dns_label, is_identifier, is_lower_hex};
use toml::{Table, Value};

use super::{
    ArtifactFile, DirectoryRequest, MANIFEST_FILE, ManifestLimits, PlaceholderDirs, PluginArtifact,
    PluginManifest,
};

/// - A manifest that is accepted names files of its directory only, grants paths
///   below the directories that it names only, and has no text that a terminal would
///   not show on one line.
/// - It is written as one that is the same.
/// - An error is one line without control characters.
pub(crate) fn plugin_manifest(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let manifest = match PluginManifest::parse(text) {
        Ok(manifest) => manifest,
        Err(error) => {
            let message = error.to_string();
            assert!(!message.contains(char::is_control), "{message:?}");
            assert!(!message.contains('\u{202e}'), "{message:?}");
            return;
        }
    };
    assert!(is_dns_label(&manifest.name));
    for text in [&manifest.publisher, &manifest.description]
        .into_iter()
        .flatten()
    {
        check_line(text);
    }
    match &manifest.artifact {
        PluginArtifact::Component(file) => check_file(file),
        PluginArtifact::Library(files) => {
            assert!(!files.is_empty());
            files.values().for_each(check_file);
        }
    }
    let mut names = Vec::new();
    for request in &manifest.directories {
        assert!(!names.contains(&&request.name), "{} twice", request.name);
        names.push(&request.name);
        check_directory(request);
    }
    for (key, value) in manifest.limits.named() {
        assert!(value > 0, "{key}");
    }
    let written = write(&manifest).to_string();
    assert_eq!(
        PluginManifest::parse(&written).as_ref(),
        Ok(&manifest),
        "{written}"
    );
}

fn check_line(text: &str) {
    assert!(
        !text.trim().is_empty() && !text.contains(char::is_control),
        "{text:?}"
    );
}

fn check_file(file: &ArtifactFile) {
    assert!(is_lower_hex(&file.sha256, 64));
    let mut parts = Path::new(&file.name).components();
    assert!(matches!(parts.next(), Some(Component::Normal(name)) if name == &*file.name));
    assert!(!file.name.starts_with('.') && file.name.len() <= 128);
    assert_ne!(file.name, MANIFEST_FILE);
}

fn check_directory(request: &DirectoryRequest) {
    check_line(&request.reason);
    check_line(&request.path);
    assert!(is_identifier(&request.name, 63));
    let dirs = PlaceholderDirs {
        home: Some("/base/home".into()),
        data: Some("/base/data".into()),
        state: Some("/base/state".into()),
        runtime: Some("/base/runtime".into()),
    };
    let grant = request.grant(&dirs).unwrap();
    assert!(grant.path.is_absolute());
    let is_plain = |part| matches!(part, Component::Normal(_) | Component::RootDir);
    assert!(grant.path.components().all(is_plain), "{}", request.path);
    if request.path.starts_with('$') {
        assert!(grant.path.starts_with("/base"), "{}", request.path);
        assert!(grant.path.components().count() > 3, "{}", request.path);
    } else {
        assert_eq!(grant.path, Path::new(&request.path));
    }
    // Without a value, a placeholder is no grant.
    let granted = request.grant(&PlaceholderDirs::default());
    assert_eq!(granted.is_none(), request.path.starts_with('$'));
}

/// Returns the document of a manifest.
fn write(manifest: &PluginManifest) -> Table {
    let PluginManifest {
        name,
        version,
        publisher,
        description,
        artifact,
        directories,
        limits,
    } = manifest;
    let text = |text: &str| Value::from(text.to_owned());
    let mut table = Table::new();
    table.insert("name".to_owned(), text(name));
    table.insert("version".to_owned(), text(version));
    table.insert("kind".to_owned(), text(artifact.kind()));
    table.insert("interface".to_owned(), text(rdd_plugin_contract::INTERFACE));
    for (key, value) in [("publisher", publisher), ("description", description)] {
        if let Some(value) = value {
            table.insert(key.to_owned(), text(value));
        }
    }
    match artifact {
        PluginArtifact::Component(file) => table.extend(write_file(file)),
        PluginArtifact::Library(files) => {
            let files = files.iter().map(|(platform, file)| {
                let mut table = write_file(file);
                table.insert("platform".to_owned(), text(&platform.to_string()));
                Value::Table(table)
            });
            table.insert("libraries".to_owned(), files.collect::<Vec<_>>().into());
        }
    }
    let directories = directories.iter().map(|request| {
        let DirectoryRequest { name, path, reason } = request;
        let members = [("name", name), ("path", path), ("reason", reason)];
        let members = members.map(|(key, value)| (key.to_owned(), text(value)));
        Value::Table(Table::from_iter(members))
    });
    table.insert(
        "directories".to_owned(),
        directories.collect::<Vec<_>>().into(),
    );
    table.insert("limits".to_owned(), write_limits(*limits).into());
    table
}

fn write_file(file: &ArtifactFile) -> Table {
    let members = [("file", &file.name), ("sha256", &file.sha256)];
    let members = members.map(|(key, value)| (key.to_owned(), Value::from(value.clone())));
    Table::from_iter(members)
}

fn write_limits(limits: ManifestLimits) -> Table {
    let members = limits.named();
    members
        .map(|(key, value)| (key.to_owned(), Value::from(i64::try_from(value).unwrap())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_keep_their_properties() {
        rdd_testkit::replay_corpus("plugin_manifest", plugin_manifest);
    }
}
