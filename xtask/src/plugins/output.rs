//! The files of a plugin. What is the same already is left untouched.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::Plugin;

/// The contract that the components implement.
const INTERFACE: &str = "rancher-desktop:engine@0.1.0";

/// `plugin.toml`, as `plugins/sdk/README.md` describes it.
#[derive(serde::Serialize)]
struct Manifest<'a> {
    name: &'a str,
    version: &'a str,
    kind: &'a str,
    file: &'a str,
    sha256: &'a str,
    interface: &'a str,
}

/// Puts the component and its manifest under `out/<name>`.
pub(super) fn write(out: &Path, plugin: &Plugin, component: &[u8]) -> Result<()> {
    let directory = out.join(&plugin.name);
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    let file = format!("{}.wasm", plugin.name);
    let sha256: String = Sha256::digest(component)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let manifest = toml::to_string(&Manifest {
        name: &plugin.name,
        version: &plugin.version,
        kind: "component",
        file: &file,
        sha256: &sha256,
        interface: INTERFACE,
    })?;
    let changed = replace(&directory.join(file), component)?
        | replace(&directory.join("plugin.toml"), manifest.as_bytes())?;
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

/// Tells the developer.
#[allow(
    clippy::print_stderr,
    reason = "a developer's task reports to its terminal"
)]
pub(super) fn report(line: &str) {
    eprintln!("xtask: {line}");
}

/// Writes the file, unless it holds this already; true when it wrote.
fn replace(path: &Path, bytes: &[u8]) -> Result<bool> {
    if fs::read(path).is_ok_and(|present| present == bytes) {
        return Ok(false);
    }
    // A reader sees the old file or the new one, never a part.
    let partial = path.with_extension("partial");
    fs::write(&partial, bytes)
        .and_then(|()| fs::rename(&partial, path))
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(true)
}
