//! Writes the files of a plugin, unless they are up to date.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::PluginPackage;

/// The interface that the components implement.
const INTERFACE: &str = "rancher-desktop:engine@0.1.0";

/// `plugin.toml`, as `plugins/sdk/README.md` describes it.
#[derive(serde::Serialize)]
struct PluginManifest<'a> {
    name: &'a str,
    version: &'a str,
    kind: &'a str,
    file: &'a str,
    sha256: &'a str,
    interface: &'a str,
}

/// Writes the component and its manifest to `out/<name>`.
pub(super) fn write(out: &Path, plugin: &PluginPackage, component: &[u8]) -> Result<()> {
    let directory = out.join(&plugin.name);
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    let file = format!("{}.wasm", plugin.name);
    let sha256 = format!("{:x}", Sha256::digest(component));
    let manifest = toml::to_string(&PluginManifest {
        name: &plugin.name,
        version: &plugin.version,
        kind: "component",
        file: &file,
        sha256: &sha256,
        interface: INTERFACE,
    })?;
    let (file, manifest_file) = (directory.join(file), directory.join("plugin.toml"));
    let changed = write_if_changed(&file, component)?
        | write_if_changed(&manifest_file, manifest.as_bytes())?;
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
        component.len() / 1024,
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
