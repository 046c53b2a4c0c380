//! `cargo xtask plugins`: builds backends as components, in
//! `<out>/<name>/{plugin.toml,<name>.wasm}`, or as dynamic libraries.
//!
//! The manifest of a package declares it as a backend:
//!
//! ```toml
//! [package.metadata.plugin]
//! name = "moby"      # the name of the backend, the same as in its `describe`
//! fixture = false    # true if it is only for the tests of the host
//! ```

mod guest_build;
mod library;
mod output;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use cargo_metadata::{Metadata, MetadataCommand, Package};

/// Arguments of the task.
#[derive(clap::Args)]
pub(crate) struct PluginsArgs {
    /// Output directory [default: `plugins` in the target directory,
    /// `plugin-fixtures` for fixtures, or `plugin-libraries` for libraries]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Build the test fixtures instead
    #[arg(long)]
    fixtures: bool,

    /// Build dynamic libraries for this machine instead of components
    #[arg(long, conflicts_with = "fixtures")]
    libraries: bool,

    /// Use this toolchain instead of the first one found
    #[arg(long = "way", value_enum, value_name = "TOOLCHAIN")]
    toolchain: Option<guest_build::Toolchain>,
}

/// A package that is a backend.
struct PluginPackage {
    /// The name of the backend.
    name: String,
    /// The name of the package.
    package: String,
    /// The name of the library, and of the compiled module.
    library: String,
    version: String,
    /// Whether the package can also be built as a dynamic library.
    has_library_form: bool,
}

/// Builds all backends, or all fixtures.
pub(crate) fn run(args: &PluginsArgs) -> Result<()> {
    let PluginsArgs {
        out,
        fixtures,
        libraries,
        toolchain: way,
    } = args;
    let metadata = MetadataCommand::new()
        .no_deps()
        .exec()
        .context("cannot read the workspace")?;
    let mut plugins = find_plugins(&metadata, *fixtures)?;
    plugins.retain(|plugin| plugin.has_library_form || !libraries);
    ensure!(!plugins.is_empty(), "the workspace has no plugin packages");
    let target_directory = metadata.target_directory.as_std_path();
    let out = match out {
        Some(out) => out.clone(),
        // A separate directory, so that a developer's daemon does not load the
        // fixtures.
        None if *fixtures => target_directory.join("plugin-fixtures"),
        None if *libraries => target_directory.join("plugin-libraries"),
        None => target_directory.join("plugins"),
    };

    let packages: Vec<&str> = plugins.iter().map(|p| p.package.as_str()).collect();
    let workspace = metadata.workspace_root.as_std_path();
    if *libraries {
        let built = library::build(workspace, target_directory, &packages)?;
        for plugin in &plugins {
            let file = built.join(library::file_name(&plugin.library));
            let library =
                std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            output::write_library(&out, plugin, library)?;
        }
        return Ok(());
    }
    let modules = guest_build::build(workspace, target_directory, &packages, *way)?;
    for plugin in &plugins {
        let module = modules.join(&plugin.library).with_extension("wasm");
        let module =
            std::fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
        output::write_component(&out, plugin, &module)
            .with_context(|| format!("cannot write the plugin {}", plugin.name))?;
    }
    Ok(())
}

fn find_plugins(metadata: &Metadata, fixtures: bool) -> Result<Vec<PluginPackage>> {
    let mut found = Vec::new();
    for package in metadata.workspace_packages() {
        let metadata = &package.metadata["plugin"];
        if metadata.is_null() || metadata["fixture"].as_bool().unwrap_or(false) != fixtures {
            continue;
        }
        found.push(
            parse_plugin(package, metadata)
                .with_context(|| format!("package {} is not a valid plugin", package.name))?,
        );
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn parse_plugin(package: &Package, metadata: &serde_json::Value) -> Result<PluginPackage> {
    let name = metadata["name"]
        .as_str()
        .context("package.metadata.plugin has no name")?;
    let library = package
        .targets
        .iter()
        .find(|target| target.is_cdylib())
        .context("the library is not a cdylib")?;
    Ok(PluginPackage {
        name: name.to_owned(),
        package: package.name.to_string(),
        library: library.name.replace('-', "_"),
        version: package.version.to_string(),
        has_library_form: package.features.contains_key(library::FEATURE),
    })
}
