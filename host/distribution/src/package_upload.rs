//! The artifact of a plugin that is published.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use serde_json::json;

use crate::descriptor::{
    ArtifactManifest, Descriptor, DescriptorPlatform, INDEX_MEDIA_TYPE, ImageIndex,
    MANIFEST_MEDIA_TYPE,
};
use crate::digest::ContentDigest;
use crate::package::{
    COMPONENT_ARCHITECTURE, COMPONENT_MEDIA_TYPE, LIBRARY_MEDIA_TYPE, MANIFEST_ANNOTATION,
    PackageError, VENDOR, VERSION,
};
use crate::platform::Platform;

/// The media type of a component's configuration.
const COMPONENT_CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// The media type of an empty configuration, and its content.
const EMPTY_CONFIG: (&str, &[u8]) = ("application/vnd.oci.empty.v1+json", b"{}");
/// The annotations of OCI's specification that only a publisher writes.
const TITLE: &str = "org.opencontainers.image.title";
const DESCRIPTION: &str = "org.opencontainers.image.description";

/// A file to publish.
#[derive(Clone, Debug)]
pub struct UploadedFile {
    /// The name of the file, for people who look at the artifact.
    pub name: String,
    /// The content.
    pub content: Bytes,
}

/// What describes a plugin to other tools.
#[derive(Clone, Debug, Default)]
pub struct PackageLabels {
    /// The name.
    pub name: String,
    /// The version.
    pub version: String,
    /// The publisher.
    pub publisher: Option<String>,
    /// A sentence about the plugin.
    pub description: Option<String>,
}

/// A plugin as it is published: contents first, then what refers to them.
#[derive(Clone, Debug)]
pub struct PackageUpload {
    pub(crate) blobs: Vec<(Descriptor, Bytes)>,
    /// The manifests that the root refers to.
    pub(crate) documents: Vec<(Descriptor, Bytes)>,
    /// What the artifact's name will stand for.
    pub(crate) root: (Descriptor, Bytes),
}

impl PackageUpload {
    /// Returns the artifact of a component with these imports and exports.
    ///
    /// # Errors
    ///
    /// Fails only if a text cannot be represented as JSON.
    pub fn component(
        manifest: &str,
        labels: &PackageLabels,
        file: UploadedFile,
        imports: &[String],
        exports: &[String],
    ) -> Result<Self, PackageError> {
        let layer = layer(COMPONENT_MEDIA_TYPE, &file);
        let config = serde_json::to_vec(&json!({
            "architecture": COMPONENT_ARCHITECTURE,
            "os": "wasip2",
            // Published twice, a plugin has the same digest, so this is no time
            // of publication.
            "created": "1970-01-01T00:00:00Z",
            "author": labels.publisher,
            "layerDigests": [layer.digest],
            "component": {"imports": imports, "exports": exports, "target": null},
        }))?;
        let config = (
            Descriptor::of(COMPONENT_CONFIG, &config),
            Bytes::from(config),
        );
        let root = document(
            MANIFEST_MEDIA_TYPE,
            &ArtifactManifest {
                schema_version: 2,
                media_type: Some(MANIFEST_MEDIA_TYPE.to_owned()),
                artifact_type: None,
                config: config.0.clone(),
                layers: vec![layer.clone()],
                annotations: annotations(manifest, labels),
            },
        )?;
        Ok(Self {
            blobs: vec![(layer, file.content), config],
            documents: Vec::new(),
            root,
        })
    }

    /// Returns the artifact of a dynamic library with a file for each platform.
    ///
    /// # Errors
    ///
    /// Fails only if a text cannot be represented as JSON.
    pub fn library(
        manifest: &str,
        labels: &PackageLabels,
        files: Vec<(Platform, UploadedFile)>,
    ) -> Result<Self, PackageError> {
        let empty = Bytes::from_static(EMPTY_CONFIG.1);
        let config = Descriptor::of(EMPTY_CONFIG.0, &empty);
        let mut blobs = vec![(config.clone(), empty)];
        let mut documents = Vec::new();
        let mut manifests = Vec::new();
        for (platform, file) in files {
            let layer = layer(LIBRARY_MEDIA_TYPE, &file);
            let (mut descriptor, content) = document(
                MANIFEST_MEDIA_TYPE,
                &ArtifactManifest {
                    schema_version: 2,
                    media_type: Some(MANIFEST_MEDIA_TYPE.to_owned()),
                    artifact_type: Some(LIBRARY_MEDIA_TYPE.to_owned()),
                    config: config.clone(),
                    layers: vec![layer.clone()],
                    annotations: BTreeMap::new(),
                },
            )?;
            blobs.push((layer, file.content));
            documents.push((descriptor.clone(), content));
            descriptor.platform = Some(DescriptorPlatform::from(&platform));
            manifests.push(descriptor);
        }
        let root = document(
            INDEX_MEDIA_TYPE,
            &ImageIndex {
                schema_version: 2,
                media_type: Some(INDEX_MEDIA_TYPE.to_owned()),
                artifact_type: Some(LIBRARY_MEDIA_TYPE.to_owned()),
                manifests,
                annotations: annotations(manifest, labels),
            },
        )?;
        Ok(Self {
            blobs,
            documents,
            root,
        })
    }

    /// Returns the digest of the artifact.
    pub fn digest(&self) -> &ContentDigest {
        &self.root.0.digest
    }

    /// Returns the number of bytes of all contents.
    pub fn bytes(&self) -> u64 {
        self.blobs
            .iter()
            .map(|(descriptor, _)| descriptor.size)
            .sum()
    }

    /// Writes the artifact to the empty directory `dir` as an image layout with
    /// this tag.
    ///
    /// # Errors
    ///
    /// Fails if a file cannot be written.
    pub fn write_layout(&self, dir: &Path, tag: &str) -> std::io::Result<()> {
        let blobs = dir.join("blobs").join("sha256");
        std::fs::create_dir_all(&blobs)?;
        let contents = self.blobs.iter().chain(&self.documents).chain([&self.root]);
        for (descriptor, content) in contents {
            std::fs::write(blobs.join(descriptor.digest.hex()), content)?;
        }
        let mut root = self.root.0.clone();
        root.annotations.insert(
            "org.opencontainers.image.ref.name".to_owned(),
            tag.to_owned(),
        );
        let index = json!({"schemaVersion": 2, "mediaType": INDEX_MEDIA_TYPE, "manifests": [root]});
        std::fs::write(dir.join("index.json"), index.to_string())?;
        std::fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)
    }
}

fn layer(media_type: &str, file: &UploadedFile) -> Descriptor {
    let mut layer = Descriptor::of(media_type, &file.content);
    layer
        .annotations
        .insert(TITLE.to_owned(), file.name.clone());
    layer
}

fn document<T: serde::Serialize>(
    media_type: &str,
    value: &T,
) -> Result<(Descriptor, Bytes), PackageError> {
    let content = serde_json::to_vec(value)?;
    Ok((Descriptor::of(media_type, &content), Bytes::from(content)))
}

fn annotations(manifest: &str, labels: &PackageLabels) -> BTreeMap<String, String> {
    let PackageLabels {
        name,
        version,
        publisher,
        description,
    } = labels;
    let mut annotations = BTreeMap::from([
        (MANIFEST_ANNOTATION.to_owned(), manifest.to_owned()),
        (TITLE.to_owned(), name.clone()),
        (VERSION.to_owned(), version.clone()),
    ]);
    let optional = [(VENDOR, publisher), (DESCRIPTION, description)];
    annotations.extend(
        optional
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value.clone()?))),
    );
    annotations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ArtifactSource as _, ImageLayout, PackageForm, PluginPackage};

    fn labels() -> PackageLabels {
        PackageLabels {
            name: "moby".to_owned(),
            version: "1.0.0".to_owned(),
            publisher: Some("Example".to_owned()),
            description: None,
        }
    }

    fn file(content: &'static [u8]) -> UploadedFile {
        UploadedFile {
            name: "it".to_owned(),
            content: Bytes::from_static(content),
        }
    }

    async fn stored(upload: &PackageUpload) -> (tempfile::TempDir, ImageLayout) {
        let dir = tempfile::tempdir().unwrap();
        upload.write_layout(dir.path(), "1.0.0").unwrap();
        let layout = ImageLayout::open(dir.path(), Some("1.0.0")).unwrap();
        (dir, layout)
    }

    #[tokio::test]
    async fn a_component_and_its_manifest_survive_a_round_trip() {
        let upload =
            PackageUpload::component("name = 1", &labels(), file(b"wasm"), &[], &[]).unwrap();
        let (_dir, layout) = stored(&upload).await;
        let package = PluginPackage::read(&layout, &Platform::current())
            .await
            .unwrap();
        assert_eq!(package.manifest.as_deref(), Some("name = 1"));
        assert_eq!(package.form, PackageForm::Component);
        assert_eq!(package.vendor.as_deref(), Some("Example"));
        assert_eq!(&package.digest, upload.digest());
        let mut content = Vec::new();
        layout.blob(&package.file, &mut content).await.unwrap();
        assert_eq!(content, b"wasm");
    }

    #[tokio::test]
    async fn a_library_is_selected_by_its_platform() {
        let platform = |text: &str| text.parse::<Platform>().unwrap();
        let files = vec![
            (platform("linux/amd64"), file(b"elf")),
            (platform("darwin/arm64"), file(b"mach-o")),
        ];
        let upload = PackageUpload::library("name = 1", &labels(), files).unwrap();
        let (_dir, layout) = stored(&upload).await;
        let package = PluginPackage::read(&layout, &platform("darwin/arm64"))
            .await
            .unwrap();
        assert_eq!(package.form, PackageForm::Library);
        assert_eq!(package.manifest.as_deref(), Some("name = 1"));
        assert_eq!(package.file.digest, ContentDigest::of(b"mach-o"));
        let error = PluginPackage::read(&layout, &platform("linux/riscv64"))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("linux/amd64, darwin/arm64"), "{error}");
    }

    #[tokio::test]
    async fn an_artifact_that_is_no_plugin_is_rejected_by_what_it_has() {
        let mut upload = PackageUpload::component("", &labels(), file(b""), &[], &[]).unwrap();
        let mut manifest: ArtifactManifest = serde_json::from_slice(&upload.root.1).unwrap();
        manifest.layers[0].media_type = "application/vnd.oci.image.layer.v1.tar+gzip".to_owned();
        upload.root = document(MANIFEST_MEDIA_TYPE, &manifest).unwrap();
        let (_dir, layout) = stored(&upload).await;
        let read = PluginPackage::read(&layout, &Platform::current()).await;
        let error = read.unwrap_err().to_string();
        assert!(error.contains("tar+gzip"), "{error}");
        manifest.layers.clear();
        upload.root = document(MANIFEST_MEDIA_TYPE, &manifest).unwrap();
        let (_dir, layout) = stored(&upload).await;
        let read = PluginPackage::read(&layout, &Platform::current()).await;
        assert!(read.unwrap_err().to_string().contains("0 layers"));
    }
}
