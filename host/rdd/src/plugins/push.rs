//! `rdd plugin push`.

use std::io::Read as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use rdd_distribution::{
    ArtifactReference, PackageLabels, PackageUpload, RegistryClient, UploadedFile,
};
use rdd_plugin::{ArtifactFile, PluginArtifact, PluginManifest};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::args::PushArgs;
use super::candidate::{check_component, registry_options};
use super::local_files::LocalPlugin;
use crate::output::CommandReport;

/// The output of the command.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PushReport {
    name: String,
    version: String,
    reference: String,
    digest: String,
    bytes: u64,
}

impl CommandReport for PushReport {
    fn text(&self) -> String {
        let Self {
            name,
            version,
            reference,
            digest,
            bytes,
        } = self;
        format!(
            "published {name} {version} as {reference} ({} KiB)\n{digest}\n",
            bytes.div_ceil(1024)
        )
    }

    fn names(&self) -> Vec<String> {
        vec![format!("{}@{}", self.reference, self.digest)]
    }
}

/// Publishes a plugin on disk.
pub(super) async fn run(args: PushArgs) -> Result<ExitCode> {
    let PushArgs {
        path,
        reference,
        registry,
        output,
    } = args;
    let reference = ArtifactReference::parse(&reference)?;
    if reference.digest().is_some() {
        bail!("{reference} names a digest, which is computed; name a tag instead");
    }
    if !path.exists() {
        bail!(
            "there is no file or directory {}; check the path",
            path.display()
        );
    }
    let plugin = LocalPlugin::open(&path)?;
    let upload = upload(&plugin)?;
    let client = RegistryClient::new(reference.clone(), registry_options(registry))?;
    client.push(&upload).await?;
    output.print(&PushReport {
        name: plugin.manifest.name,
        version: plugin.manifest.version,
        reference: reference.to_string(),
        digest: upload.digest().to_string(),
        bytes: upload.bytes(),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Reads and verifies all files of a plugin.
fn upload(plugin: &LocalPlugin) -> Result<PackageUpload> {
    let manifest = &plugin.manifest;
    let labels = PackageLabels {
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        publisher: manifest.publisher.clone(),
        description: manifest.description.clone(),
    };
    let text = &plugin.manifest_text;
    Ok(match &manifest.artifact {
        PluginArtifact::Component(file) => {
            let content = read(plugin, manifest, file)?;
            let interface = check_component(&content.content)
                .with_context(|| format!("cannot publish {}", file.name))?;
            PackageUpload::component(
                text,
                &labels,
                content,
                &interface.imports,
                &interface.exports,
            )?
        }
        PluginArtifact::Library(files) => {
            let files = files
                .iter()
                .map(|(platform, file)| Ok((platform.clone(), read(plugin, manifest, file)?)))
                .collect::<Result<_>>()?;
            PackageUpload::library(text, &labels, files)?
        }
    })
}

fn read(
    plugin: &LocalPlugin,
    manifest: &PluginManifest,
    file: &ArtifactFile,
) -> Result<UploadedFile> {
    let ArtifactFile { name, sha256 } = file;
    let max_bytes = manifest.artifact.max_bytes();
    let mut content = Vec::new();
    plugin
        .open_file(name)?
        .take(max_bytes + 1)
        .read_to_end(&mut content)
        .with_context(|| format!("cannot read {name}"))?;
    if content.len() as u64 > max_bytes {
        bail!("{name} is larger than the maximum of {max_bytes} bytes");
    }
    let actual = format!("{:x}", Sha256::digest(&content));
    if actual != *sha256 {
        bail!(
            "the SHA-256 of {name} is {actual}, but plugin.toml has {sha256}; correct plugin.toml, or build the plugin again"
        );
    }
    Ok(UploadedFile {
        name: name.clone(),
        content: content.into(),
    })
}
