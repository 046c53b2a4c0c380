//! Writes the files of a plugin, unless they are up to date.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::{PluginPackage, library};

/// The interface that the components implement.
const INTERFACE: &str = "rancher-desktop:engine@0.1.0";

/// `plugin.toml`, as `plugins/sdk/README.md` describes it.
#[derive(serde::Serialize)]
struct PluginManifest<'a> {
    name: &'a str,
    version: &'a str,
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<&'a str>,
    interface: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    libraries: Vec<LibraryTable<'a>>,
}

/// The library for one platform.
#[derive(serde::Serialize)]
struct LibraryTable<'a> {
    platform: &'a str,
    file: &'a str,
    sha256: &'a str,
}

/// Writes the component and its manifest to `out/<name>`.
pub(super) fn write_component(out: &Path, plugin: &PluginPackage, component: &[u8]) -> Result<()> {
    let file = format!("{}.wasm", plugin.name);
    let sha256 = format!("{:x}", Sha256::digest(component));
    let manifest = toml::to_string(&PluginManifest {
        name: &plugin.name,
        version: &plugin.version,
        kind: "component",
        file: Some(&file),
        sha256: Some(&sha256),
        interface: INTERFACE,
        libraries: Vec::new(),
    })?;
    write(out, plugin, &file, component, &manifest)
}

/// Writes the library and its manifest to `out/<name>`.
pub(super) fn write_library(out: &Path, plugin: &PluginPackage, library: &[u8]) -> Result<()> {
    let file = format!("{}{}", plugin.name, std::env::consts::DLL_SUFFIX);
    let sha256 = format!("{:x}", Sha256::digest(library));
    let platform = library::platform();
    let manifest = toml::to_string(&PluginManifest {
        name: &plugin.name,
        version: &plugin.version,
        kind: "library",
        file: None,
        sha256: None,
        interface: INTERFACE,
        libraries: vec![LibraryTable {
            platform: &platform,
            file: &file,
            sha256: &sha256,
        }],
    })?;
    write(out, plugin, &file, library, &manifest)
}

fn write(
    out: &Path,
    plugin: &PluginPackage,
    file: &str,
    content: &[u8],
    manifest: &str,
) -> Result<()> {
    let directory = out.join(&plugin.name);
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    let (file, manifest_file) = (directory.join(file), directory.join("plugin.toml"));
    let changed =
        write_if_changed(&file, content)? | write_if_changed(&manifest_file, manifest.as_bytes())?;
    // Where the umask lets the group write, the host would refuse the plugin.
    for (path, mode) in [
        (out, 0o755),
        (&directory, 0o755),
        (&file, 0o644),
        (&manifest_file, 0o644),
    ] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .with_context(|| format!("cannot change the mode of {}", path.display()))?;
    }
    let state = if changed { "built" } else { "up to date" };
    report(&format!(
        "{} {}: {state}, {} KiB in {}",
        plugin.name,
        plugin.version,
        content.len() / 1024,
        directory.display()
    ));
    Ok(())
}

/// Prints a line to the terminal.
#[allow(clippy::print_stderr, reason = "a developer's task has no log")]
pub(super) fn report(line: &str) {
    eprintln!("xtask: {line}");
}

/// Writes a file unless its content is the same. Returns whether it was written.
fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<bool> {
    if fs::read(path).is_ok_and(|present| present == bytes) {
        return Ok(false);
    }
    // A reader sees either the old file or the new one.
    let partial = path.with_extension("partial");
    fs::write(&partial, bytes)
        .and_then(|()| fs::rename(&partial, path))
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(true)
}
