//! `rdd plugin enable`, `disable`, and `remove`.

use std::process::ExitCode;

use anyhow::{Result, bail};
use rdd_plugin::{PluginDirs, PluginStore, VerifiedPlugin};
use serde::Serialize;

use super::args::{EnableArgs, NameArgs};
use crate::output::{self, CommandReport};
use crate::plugin_dirs;

/// The output of a command that changes one plugin.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChangeReport {
    name: String,
    change: &'static str,
}

impl CommandReport for ChangeReport {
    fn text(&self) -> String {
        format!("{} {}\n", self.change, self.name)
    }

    fn names(&self) -> Vec<String> {
        vec![self.name.clone()]
    }
}

pub(super) fn enable(args: EnableArgs) -> Result<ExitCode> {
    let EnableArgs {
        name,
        allow_native,
        plugin_dirs,
        output,
    } = args;
    let dirs = plugin_dirs.into_dirs();
    find(&dirs, &name)?;
    let store = PluginStore::new(plugin_dirs::required_user_dir()?);
    let mut guard = store.lock()?;
    if allow_native {
        let digest = rdd_plugin::native_digest(&dirs, &name)?;
        guard.allow_native(&name, &digest)?;
    }
    let is_changed = guard.set_enabled(&name, true)?;
    drop(guard);
    output.print(&ChangeReport {
        name: name.clone(),
        change: "enabled",
    })?;
    if !is_changed && !allow_native {
        output::print_note(&format!("{name} was enabled already"));
    }
    // Enabled does not mean usable.
    if let Some(problem) = find(&dirs, &name)?.problem {
        output::print_note(&format!("it is not loaded yet: {problem}"));
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn disable(args: NameArgs) -> Result<ExitCode> {
    let NameArgs {
        name,
        plugin_dirs,
        output,
    } = args;
    find(&plugin_dirs.into_dirs(), &name)?;
    let store = PluginStore::new(plugin_dirs::required_user_dir()?);
    let is_changed = store.lock()?.set_enabled(&name, false)?;
    output.print(&ChangeReport {
        name: name.clone(),
        change: "disabled",
    })?;
    if !is_changed {
        output::print_note(&format!("{name} was disabled already"));
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn remove(args: NameArgs) -> Result<ExitCode> {
    let NameArgs {
        name,
        plugin_dirs,
        output,
    } = args;
    let user_dir = plugin_dirs::required_user_dir()?;
    let store = PluginStore::new(user_dir.clone());
    let is_installed = store.lock_file()?.entries(&name).next().is_some();
    let dirs = plugin_dirs.into_dirs();
    if !is_installed
        && let Some(found) = rdd_plugin::verify(&dirs)
            .into_iter()
            .find(|plugin| plugin.name == name)
    {
        bail!(
            "{name} is not in {}: it is in {}, where 'rdd plugin install' did not put it; run 'rdd plugin disable {name}' instead",
            user_dir.display(),
            found.path.display()
        );
    }
    store.lock()?.remove(&name)?;
    output.print(&ChangeReport {
        name,
        change: "removed",
    })?;
    Ok(ExitCode::SUCCESS)
}

fn find(dirs: &PluginDirs, name: &str) -> Result<VerifiedPlugin> {
    let plugins = rdd_plugin::verify(dirs);
    let names: Vec<_> = plugins.iter().map(|plugin| plugin.name.clone()).collect();
    match plugins.into_iter().find(|plugin| plugin.name == name) {
        Some(plugin) => Ok(plugin),
        None if names.is_empty() => bail!("no plugin named {name:?} is installed; none is"),
        None => bail!(
            "no plugin named {name:?} is installed; installed: {}",
            names.join(", ")
        ),
    }
}
