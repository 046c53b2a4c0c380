//! A plugin that may be installed: found in its source, with its manifest, but
//! not copied or downloaded yet.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use rdd_distribution::{
    ArtifactReference, ArtifactSource, ContentDigest, DigestWriter, ImageLayout, PackageForm,
    PluginPackage, RegistryClient, RegistryOptions,
};
use rdd_plugin::{
    ArtifactFile, ComponentInterface, INTERFACE, MANIFEST_FILE, MAX_MANIFEST_BYTES, Platform,
    PluginArtifact, PluginManifest, StagedPlugin, check_version,
};
use semver::Version;

use super::args::RegistryArgs;
use super::derived_manifest::DerivedManifest;
use super::local_files::LocalPlugin;
use crate::docker_config::DockerCredentialStore;
use crate::docker_context::DockerEnvironment;
use crate::output::format_error_chain;
use crate::proxy::ProxyEnvironment;

/// The prefix of an image layout's path.
const LAYOUT_PREFIX: &str = "oci:";

/// A plugin in its source.
pub(super) struct PluginCandidate {
    pub(super) manifest_text: String,
    pub(super) manifest: PluginManifest,
    /// The file for this platform.
    pub(super) file: ArtifactFile,
    /// Where the plugin comes from, as the user can repeat it.
    pub(super) source: String,
    /// The digest of the artifact in a registry or a layout.
    pub(super) artifact_digest: Option<ContentDigest>,
    content: CandidateContent,
}

enum CandidateContent {
    Local(LocalPlugin),
    Artifact {
        source: Arc<dyn ArtifactSource>,
        package: PluginPackage,
    },
}

/// The options of connections to a registry.
pub(super) fn registry_options(args: RegistryArgs) -> RegistryOptions {
    let store = DockerCredentialStore::new(DockerEnvironment::read().config_dir());
    let mut options = RegistryOptions::new(Arc::new(store));
    options.plain_http = args.plain_http;
    let environment = ProxyEnvironment::read();
    options.proxy = Arc::new(move |target| {
        environment
            .proxy_for(target, None)
            .map_err(|error| format_error_chain(&error))
    });
    options
}

impl PluginCandidate {
    /// Finds a plugin. Nothing but its manifest is read.
    pub(super) async fn open(source: &str, registry: RegistryArgs) -> Result<Self> {
        if let Some(layout) = source.strip_prefix(LAYOUT_PREFIX) {
            return Self::open_layout(layout).await;
        }
        let path = Path::new(source);
        if path.exists() {
            if path.is_dir() && ImageLayout::is_layout(path) {
                return Self::open_layout(source).await;
            }
            return Self::open_local(path);
        }
        if !ArtifactReference::is_like(source) {
            bail!(
                "there is no file or directory {source:?}, and it is no reference to a registry; check the path, or write the registry out, as in registry.example/team/backend:1.0"
            );
        }
        let reference = ArtifactReference::parse(source)?;
        let client = RegistryClient::new(reference.clone(), registry_options(registry))?;
        let name = reference
            .repository()
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned();
        let tag = reference.tag().map(str::to_owned);
        Self::open_artifact(Arc::new(client), source.to_owned(), &name, tag.as_deref()).await
    }

    fn open_local(path: &Path) -> Result<Self> {
        let plugin = LocalPlugin::open(path)?;
        let absolute =
            std::path::absolute(path).with_context(|| format!("cannot use {}", path.display()))?;
        Ok(Self {
            file: plugin.manifest.file_for(&Platform::current())?.clone(),
            manifest_text: plugin.manifest_text.clone(),
            manifest: plugin.manifest.clone(),
            source: absolute.display().to_string(),
            artifact_digest: None,
            content: CandidateContent::Local(plugin),
        })
    }

    /// Opens `DIR` or `DIR:TAG`.
    async fn open_layout(text: &str) -> Result<Self> {
        let (dir, tag) = match text.rsplit_once(':') {
            Some((dir, tag)) if !Path::new(text).is_dir() => (dir, Some(tag)),
            _ => (text, None),
        };
        let layout = ImageLayout::open(Path::new(dir), tag)?;
        let absolute: PathBuf =
            std::path::absolute(dir).with_context(|| format!("cannot use {dir}"))?;
        let source = match tag {
            Some(tag) => format!("{LAYOUT_PREFIX}{}:{tag}", absolute.display()),
            None => format!("{LAYOUT_PREFIX}{}", absolute.display()),
        };
        let name = absolute
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        Self::open_artifact(Arc::new(layout), source, &name, tag).await
    }

    async fn open_artifact(
        source: Arc<dyn ArtifactSource>,
        name: String,
        file_stem: &str,
        tag: Option<&str>,
    ) -> Result<Self> {
        let platform = Platform::current();
        let invalid = || format!("cannot use {name}");
        let package = PluginPackage::read(&*source, &platform)
            .await
            .with_context(invalid)?;
        let sha256 = package.file.digest.hex().to_owned();
        let manifest_text = match (&package.manifest, package.form) {
            (Some(text), _) if text.len() as u64 > MAX_MANIFEST_BYTES => {
                bail!(
                    "{name}: its plugin.toml is larger than the maximum of {MAX_MANIFEST_BYTES} bytes"
                )
            }
            (Some(text), _) => text.clone(),
            (None, PackageForm::Component) => DerivedManifest {
                file_stem,
                version: package.version.as_deref().or(tag),
                publisher: package.vendor.as_deref(),
                sha256: &sha256,
                interface: None,
            }
            .text()
            .with_context(invalid)?,
            (None, PackageForm::Library) => {
                bail!("{name} has no plugin.toml; publish it with 'rdd plugin push'")
            }
        };
        let manifest = PluginManifest::parse(&manifest_text).with_context(invalid)?;
        let file = manifest.file_for(&platform).with_context(invalid)?.clone();
        let is_library = package.form == PackageForm::Library;
        if manifest.artifact.is_native() != is_library {
            bail!(
                "{name} is not the form of plugin that its plugin.toml names; publish it with 'rdd plugin push'"
            );
        }
        if file.sha256 != sha256 {
            bail!(
                "{name} has a file with the SHA-256 {sha256}, but its plugin.toml has {}; publish it again",
                file.sha256
            );
        }
        Ok(Self {
            file,
            manifest_text,
            manifest,
            source: name,
            artifact_digest: Some(package.digest.clone()),
            content: CandidateContent::Artifact { source, package },
        })
    }

    /// Returns the size of the file in bytes, if it is known without reading it.
    pub(super) fn size(&self) -> Option<u64> {
        match &self.content {
            CandidateContent::Local(plugin) => {
                let file = plugin.open_file(&self.file.name).ok()?;
                Some(file.metadata().ok()?.len())
            }
            CandidateContent::Artifact { package, .. } => Some(package.file.size),
        }
    }

    /// Copies or downloads the plugin to a staging directory, and verifies it.
    pub(super) async fn stage(&self, staged: &StagedPlugin) -> Result<()> {
        let ArtifactFile { name, sha256 } = &self.file;
        let max_bytes = self.manifest.artifact.max_bytes();
        if let Some(size) = self.size().filter(|size| *size > max_bytes) {
            bail!("{name} has {size} bytes, which is more than the maximum of {max_bytes}");
        }
        staged.write_file(MANIFEST_FILE, self.manifest_text.as_bytes())?;
        let mut writer = DigestWriter::new(staged.create_file(name)?);
        match &self.content {
            CandidateContent::Local(plugin) => {
                let mut file = plugin.open_file(name)?.take(max_bytes);
                std::io::copy(&mut file, &mut writer)
                    .with_context(|| format!("cannot copy {name}"))?;
            }
            CandidateContent::Artifact { source, package } => {
                source
                    .blob(&package.file, &mut writer)
                    .await
                    .with_context(|| format!("cannot use {}", self.source))?;
            }
        }
        writer
            .flush()
            .with_context(|| format!("cannot save {name}"))?;
        let (_, digest) = writer.finish();
        if digest.hex() != sha256 {
            bail!(
                "the SHA-256 of {name} is {}, but plugin.toml has {sha256}; build the plugin again",
                digest.hex()
            );
        }
        if let PluginArtifact::Component(_) = self.manifest.artifact {
            let bytes = std::fs::read(staged.path().join(name))
                .with_context(|| format!("cannot read {name}"))?;
            check_component(&bytes).with_context(|| format!("cannot use {name}"))?;
        }
        Ok(())
    }
}

/// Rejects a component for another version of the contract than its manifest
/// names, which is this host's.
pub(super) fn check_component(bytes: &[u8]) -> Result<ComponentInterface> {
    let interface = ComponentInterface::read(bytes)?;
    let Some(contract) = interface.contract() else {
        bail!("the component does not export {INTERFACE}; build it with the SDK of that version");
    };
    if contract == INTERFACE {
        return Ok(interface);
    }
    let (_, version) = contract.rsplit_once('@').unwrap_or_default();
    if let Ok(version) = Version::parse(version) {
        check_version(&version)?;
    }
    bail!("the component is built for {contract}, but plugin.toml has {INTERFACE}; build it again")
}
