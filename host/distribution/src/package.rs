//! How a plugin is stored as an OCI artifact.
//!
//! A component has the layout of the CNCF's TAG Runtime, so that other tools for
//! components can read it: one layer `application/wasm`, and a configuration
//! that lists its imports and exports. A dynamic library has one manifest for
//! each platform in an index. `plugin.toml` is an annotation of what the name
//! stands for, so that reading it takes one request and no download.

use std::collections::BTreeMap;

use crate::descriptor::{
    ArtifactManifest, Descriptor, INDEX_MEDIA_TYPE, ImageIndex, MANIFEST_MEDIA_TYPE,
};
use crate::digest::ContentDigest;
use crate::platform::Platform;
use crate::source::{ArtifactDocument, ArtifactSource, SourceError};

/// The media type of a component.
pub const COMPONENT_MEDIA_TYPE: &str = "application/wasm";
/// The media type of a dynamic library.
pub const LIBRARY_MEDIA_TYPE: &str = "application/vnd.rancherdesktop.plugin.library";
/// The annotation with the text of `plugin.toml`.
pub const MANIFEST_ANNOTATION: &str = "io.rancherdesktop.plugin.manifest";

/// The platform of components in an index.
pub(crate) const COMPONENT_ARCHITECTURE: &str = "wasm";
/// The annotations of OCI's specification that describe an artifact.
pub(crate) const VERSION: &str = "org.opencontainers.image.version";
pub(crate) const VENDOR: &str = "org.opencontainers.image.vendor";

/// The form of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackageForm {
    /// A WebAssembly component, for every platform.
    Component,
    /// A dynamic library for one platform.
    Library,
}

/// A plugin that was found in a source, and not downloaded yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginPackage {
    /// The digest that the artifact's name stands for.
    pub digest: ContentDigest,
    /// The text of `plugin.toml`. `None` if another tool than `rdd` published
    /// the component.
    pub manifest: Option<String>,
    /// The form.
    pub form: PackageForm,
    /// The component, or the dynamic library for the requested platform.
    pub file: Descriptor,
    /// The version in the artifact's annotations.
    pub version: Option<String>,
    /// The publisher in the artifact's annotations.
    pub vendor: Option<String>,
}

/// An artifact that is not a usable plugin.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The source cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A document is not valid JSON, or lacks a field.
    #[error("the artifact's manifest is not valid: {0}; publish the plugin again")]
    Json(#[from] serde_json::Error),
    /// The artifact is something else, such as a container image.
    #[error(
        "the artifact is not a plugin: it has {0}; use the reference of a plugin that was published with 'rdd plugin push', or of a component"
    )]
    NotPlugin(String),
    /// The artifact has no library for this platform.
    #[error("the plugin has no library for {platform} ({available}); ask its publisher for one")]
    Platform {
        /// The requested platform.
        platform: Platform,
        /// The platforms that there are, for the message.
        available: String,
    },
}

impl PluginPackage {
    /// Reads the documents of an artifact, and selects the file for `platform`.
    ///
    /// # Errors
    ///
    /// Fails if the source cannot be read, or if the artifact is not a plugin
    /// for the platform.
    pub async fn read(
        source: &dyn ArtifactSource,
        platform: &Platform,
    ) -> Result<Self, PackageError> {
        let root = source.root().await?;
        let digest = root.digest.clone();
        let (manifest, mut annotations) = if is_index(&root) {
            let index: ImageIndex = serde_json::from_slice(&root.content)?;
            let entry = select_platform(&index, platform)?;
            let document = source.document(entry).await?;
            (
                serde_json::from_slice(&document.content)?,
                index.annotations,
            )
        } else {
            let manifest: ArtifactManifest = serde_json::from_slice(&root.content)?;
            (manifest, BTreeMap::new())
        };
        let ArtifactManifest {
            layers,
            annotations: own,
            ..
        } = manifest;
        // Those of the index describe the plugin as a whole.
        for (key, value) in own {
            annotations.entry(key).or_insert(value);
        }
        let [file] = <[Descriptor; 1]>::try_from(layers)
            .map_err(|layers| PackageError::NotPlugin(format!("{} layers", layers.len())))?;
        let form = match file.media_type.as_str() {
            COMPONENT_MEDIA_TYPE => PackageForm::Component,
            LIBRARY_MEDIA_TYPE => PackageForm::Library,
            other => {
                let other = rdd_core::text::quote(other, 100);
                return Err(PackageError::NotPlugin(format!("a layer of type {other}")));
            }
        };
        Ok(Self {
            digest,
            manifest: annotations.remove(MANIFEST_ANNOTATION),
            form,
            file,
            version: annotations.remove(VERSION),
            vendor: annotations.remove(VENDOR),
        })
    }
}

/// Whether the document is an index. Some registries return no specific type.
fn is_index(document: &ArtifactDocument) -> bool {
    #[derive(serde::Deserialize)]
    struct Probe {
        manifests: Option<serde::de::IgnoredAny>,
    }
    document.media_type == INDEX_MEDIA_TYPE
        || (document.media_type != MANIFEST_MEDIA_TYPE
            && serde_json::from_slice::<Probe>(&document.content)
                .is_ok_and(|probe| probe.manifests.is_some()))
}

fn select_platform<'a>(
    index: &'a ImageIndex,
    platform: &Platform,
) -> Result<&'a Descriptor, PackageError> {
    let is_component = |descriptor: &&Descriptor| {
        let own = descriptor.platform.as_ref();
        own.is_some_and(|own| own.architecture == COMPONENT_ARCHITECTURE)
    };
    let found = index
        .manifests
        .iter()
        .find(|descriptor| descriptor.is_for(platform))
        .or_else(|| index.manifests.iter().find(is_component));
    found.ok_or_else(|| {
        let names: Vec<_> = index
            .manifests
            .iter()
            .filter_map(|descriptor| descriptor.platform.as_ref())
            .map(|own| format!("{}/{}", own.os, own.architecture))
            .collect();
        let available = match names.as_slice() {
            [] => "it lists no platforms".to_owned(),
            names => format!("it has: {}", names.join(", ")),
        };
        PackageError::Platform {
            platform: platform.clone(),
            available: rdd_core::text::truncate(&available, 300).to_owned(),
        }
    })
}
