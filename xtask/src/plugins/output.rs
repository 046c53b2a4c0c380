//! Writes the files of a plugin.

use std::path::Path;

use anyhow::Result;
use rdd_plugin_project::{BuiltArtifact, PluginForm, encode_component, write_output};
use toml::Table;

use super::{PluginPackage, library};

/// Makes a component of the module, and writes it with its manifest to
/// `out/<name>`.
pub(super) fn write_component(out: &Path, plugin: &PluginPackage, module: &[u8]) -> Result<()> {
    let artifact = BuiltArtifact {
        file: format!("{}.wasm", plugin.name),
        form: PluginForm::Component,
        platform: String::new(),
        content: encode_component(module)?,
    };
    write(out, plugin, &artifact)
}

/// Writes the library for this machine and its manifest to `out/<name>`.
pub(super) fn write_library(out: &Path, plugin: &PluginPackage, library: Vec<u8>) -> Result<()> {
    let artifact = BuiltArtifact {
        file: format!("{}{}", plugin.name, std::env::consts::DLL_SUFFIX),
        form: PluginForm::Library,
        platform: library::platform(),
        content: library,
    };
    write(out, plugin, &artifact)
}

fn write(out: &Path, plugin: &PluginPackage, artifact: &BuiltArtifact) -> Result<()> {
    let keys = Table::from_iter([
        ("name".to_owned(), plugin.name.clone().into()),
        ("version".to_owned(), plugin.version.clone().into()),
    ]);
    let directory = write_output(out, &plugin.name, &keys, artifact)?;
    report(&format!(
        "{} {}: {} KiB in {}",
        plugin.name,
        plugin.version,
        artifact.content.len() / 1024,
        directory.display()
    ));
    Ok(())
}

/// Prints a line to the terminal.
#[allow(clippy::print_stderr, reason = "a developer's task has no log")]
pub(super) fn report(line: &str) {
    eprintln!("xtask: {line}");
}
