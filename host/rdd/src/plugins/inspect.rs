//! `rdd plugin inspect`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use rdd_plugin::is_backend_name;

use super::args::InspectArgs;
use super::candidate::PluginCandidate;
use super::description::PluginDescription;

/// Shows what `install` would show, or an installed plugin. Changes nothing.
pub(super) async fn run(args: InspectArgs) -> Result<ExitCode> {
    let InspectArgs {
        source,
        registry,
        plugin_dirs,
        output,
    } = args;
    let description = if is_backend_name(&source) && !Path::new(&source).exists() {
        installed(&source, &plugin_dirs.into_dirs())?
    } else {
        PluginDescription::of(&PluginCandidate::open(&source, registry).await?)
    };
    output.print(&description)?;
    Ok(ExitCode::SUCCESS)
}

fn installed(name: &str, dirs: &rdd_plugin::PluginDirs) -> Result<PluginDescription> {
    let plugins = rdd_plugin::verify(dirs);
    let Some(plugin) = plugins.into_iter().find(|plugin| plugin.name == name) else {
        bail!(
            "no plugin named {name:?} is installed, and there is no such file; 'rdd plugin list' shows the installed ones"
        );
    };
    match (plugin.manifest, plugin.digest, plugin.problem) {
        (Some(manifest), Some(digest), None) => Ok(PluginDescription::new(
            &manifest,
            plugin.path.display().to_string(),
            digest,
            None,
            None,
        )),
        (.., problem) => bail!(
            "the plugin {name} cannot be used: {}",
            problem.unwrap_or_default()
        ),
    }
}
