//! Plugins on disk: a directory with `plugin.toml`, or a component alone.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use rdd_plugin::{
    ComponentInterface, MANIFEST_FILE, MAX_MANIFEST_BYTES, PluginManifest, open_regular_file,
};
use rdd_plugin_project::ProjectManifest;
use sha2::{Digest as _, Sha256};

use super::derived_manifest::DerivedManifest;

/// The maximum size of a component without a manifest, as with one.
const MAX_COMPONENT_BYTES: u64 = 64 * 1024 * 1024;

/// A plugin on disk.
pub(super) struct LocalPlugin {
    pub(super) manifest_text: String,
    pub(super) manifest: PluginManifest,
    /// The directory with the files that the manifest names.
    dir: PathBuf,
    /// The component, where its name is not the one in the manifest.
    component: Option<PathBuf>,
}

impl LocalPlugin {
    /// Reads a plugin's directory, its `plugin.toml`, or a component. A project stands
    /// for the plugin that was built of it.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let path = &*ProjectManifest::resolve(path)?;
        if path.is_dir() {
            return Self::open_dir(path);
        }
        let parent = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        if path.file_name().is_some_and(|name| name == MANIFEST_FILE) {
            return Self::open_dir(parent);
        }
        // A manifest beside the component has more to say than its name.
        if parent.join(MANIFEST_FILE).is_file() {
            let plugin = Self::open_dir(parent)?;
            let is_named = |plugin: &Self| {
                let file = plugin.manifest.file_for(&rdd_plugin::Platform::current());
                file.is_ok_and(|file| path.file_name().is_some_and(|name| name == &*file.name))
            };
            if is_named(&plugin) {
                return Ok(plugin);
            }
        }
        Self::open_component(path, parent)
    }

    fn open_dir(dir: &Path) -> Result<Self> {
        let path = dir.join(MANIFEST_FILE);
        let invalid = || format!("cannot use {}", path.display());
        let bytes = read_limited(&path, MAX_MANIFEST_BYTES).with_context(invalid)?;
        let manifest_text = String::from_utf8(bytes)
            .context("it is not UTF-8; save it as UTF-8")
            .with_context(invalid)?;
        Ok(Self {
            manifest: PluginManifest::parse(&manifest_text).with_context(invalid)?,
            manifest_text,
            dir: dir.to_owned(),
            component: None,
        })
    }

    fn open_component(path: &Path, dir: &Path) -> Result<Self> {
        let invalid = || format!("cannot use {}", path.display());
        let bytes = read_limited(path, MAX_COMPONENT_BYTES).with_context(invalid)?;
        let interface = ComponentInterface::read(&bytes).with_context(invalid)?;
        let contract = interface.contract();
        let sha256 = format!("{:x}", Sha256::digest(&bytes));
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let manifest_text = DerivedManifest {
            file_stem: &stem,
            sha256: &sha256,
            interface: contract.as_deref(),
            ..DerivedManifest::default()
        }
        .text()
        .with_context(invalid)?;
        Ok(Self {
            manifest: PluginManifest::parse(&manifest_text).with_context(invalid)?,
            manifest_text,
            dir: dir.to_owned(),
            component: Some(path.to_owned()),
        })
    }

    /// Opens a file that the manifest names.
    pub(super) fn open_file(&self, name: &str) -> Result<File> {
        let path = match &self.component {
            Some(component) => component.clone(),
            None => self.dir.join(name),
        };
        open_regular_file(&path, name).with_context(|| format!("cannot use {}", path.display()))
    }
}

/// Reads a regular file of at most `max_bytes`.
fn read_limited(path: &Path, max_bytes: u64) -> Result<Vec<u8>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let file = open_regular_file(path, &name)?;
    let mut bytes = Vec::new();
    file.take(max_bytes + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {name}"))?;
    if bytes.len() as u64 > max_bytes {
        bail!("it is larger than the maximum of {max_bytes} bytes");
    }
    Ok(bytes)
}
