//! Builds backends as components: `<out>/<name>/{plugin.toml,<name>.wasm}`.
//!
//! A package is a backend when its manifest says so:
//!
//! ```toml
//! [package.metadata.plugin]
//! name = "moby"      # the backend's name, equal to that of its `describe`
//! fixture = false    # true: only for the tests of the host
//! ```

mod component;
mod guest;
mod out;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use cargo_metadata::{Metadata, MetadataCommand, Package};

/// Arguments of the task.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where to put them; by default `plugins` in the target directory, or
    /// `plugin-fixtures` for fixtures.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Build the misbehaving backends for the tests of the host instead.
    #[arg(long)]
    fixtures: bool,

    /// Take this way to a compiler instead of the first that works.
    #[arg(long, value_enum)]
    way: Option<guest::Way>,
}

/// A package that is a backend.
struct Plugin {
    /// Its backend's name.
    name: String,
    /// Its package's name.
    package: String,
    /// Its library's name, which names the compiled module.
    library: String,
    version: String,
}

/// Builds all backends, or all fixtures.
pub(crate) fn run(args: &Args) -> Result<()> {
    let Args { out, fixtures, way } = args;
    let metadata = MetadataCommand::new()
        .no_deps()
        .exec()
        .context("cannot read the workspace")?;
    let plugins = find(&metadata, *fixtures)?;
    ensure!(
        !plugins.is_empty(),
        "no package of the workspace is a plugin"
    );
    let target_directory = metadata.target_directory.as_std_path();
    let out = match out {
        Some(out) => out.clone(),
        // Apart, so that no daemon of a developer ever finds the fixtures.
        None if *fixtures => target_directory.join("plugin-fixtures"),
        None => target_directory.join("plugins"),
    };

    let packages: Vec<&str> = plugins.iter().map(|p| p.package.as_str()).collect();
    let modules = guest::build(
        metadata.workspace_root.as_std_path(),
        target_directory,
        &packages,
        *way,
    )?;
    for plugin in &plugins {
        let module = modules.join(&plugin.library).with_extension("wasm");
        let component = component::encode(&module)?;
        out::write(&out, plugin, &component)?;
    }
    Ok(())
}

fn find(metadata: &Metadata, fixtures: bool) -> Result<Vec<Plugin>> {
    let mut found = Vec::new();
    for package in metadata.workspace_packages() {
        let about = &package.metadata["plugin"];
        if about.is_null() || about["fixture"].as_bool().unwrap_or(false) != fixtures {
            continue;
        }
        found.push(
            plugin(package, about)
                .with_context(|| format!("package {} is not fit to be a plugin", package.name))?,
        );
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn plugin(package: &Package, about: &serde_json::Value) -> Result<Plugin> {
    let name = about["name"]
        .as_str()
        .context("package.metadata.plugin has no name")?;
    let library = package
        .targets
        .iter()
        .find(|target| target.is_cdylib())
        .context("its library is no cdylib")?;
    Ok(Plugin {
        name: name.to_owned(),
        package: package.name.to_string(),
        library: library.name.replace('-', "_"),
        version: package.version.to_string(),
    })
}
