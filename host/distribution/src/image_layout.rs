//! OCI image layouts: artifacts in a directory, as other tools export them.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use crate::descriptor::{Descriptor, ImageIndex};
use crate::digest::{ContentDigest, DigestWriter};
use crate::layout_error::LayoutError;
use crate::source::{ArtifactDocument, ArtifactSource, MAX_MANIFEST_BYTES, SourceError};

/// The file that marks a directory as an image layout.
const MARKER_FILE: &str = "oci-layout";
/// The file that lists the artifacts.
const INDEX_FILE: &str = "index.json";
/// The annotation with an artifact's tag.
const TAG_ANNOTATION: &str = "org.opencontainers.image.ref.name";

/// One artifact in an image layout.
#[derive(Clone, Debug)]
pub struct ImageLayout {
    dir: PathBuf,
    tag: Option<String>,
}

impl ImageLayout {
    /// Returns whether the directory is an image layout.
    pub fn is_layout(dir: &Path) -> bool {
        dir.join(MARKER_FILE).is_file()
    }

    /// Selects the artifact with this tag, or the only one.
    ///
    /// # Errors
    ///
    /// Fails if the directory is not an image layout.
    pub fn open(dir: &Path, tag: Option<&str>) -> Result<Self, LayoutError> {
        if !Self::is_layout(dir) {
            return Err(LayoutError::Marker(dir.to_owned()));
        }
        Ok(Self {
            dir: dir.to_owned(),
            tag: tag.map(str::to_owned),
        })
    }

    fn select(&self) -> Result<Descriptor, LayoutError> {
        let path = self.dir.join(INDEX_FILE);
        let mut content = Vec::new();
        open(&path, MAX_MANIFEST_BYTES)?
            .read_to_end(&mut content)
            .map_err(|source| LayoutError::Io {
                path: path.clone(),
                source,
            })?;
        let mut index: ImageIndex =
            serde_json::from_slice(&content).map_err(|error| LayoutError::Index { path, error })?;
        let tag_of = |descriptor: &Descriptor| descriptor.annotations.get(TAG_ANNOTATION).cloned();
        let tags = || {
            let tags: Vec<_> = index.manifests.iter().filter_map(tag_of).collect();
            match tags.as_slice() {
                [] => "it has no tags".to_owned(),
                tags => format!("its tags: {}", tags.join(", ")),
            }
        };
        if let Some(tag) = &self.tag {
            let found = index
                .manifests
                .iter()
                .find(|descriptor| tag_of(descriptor).as_ref() == Some(tag));
            return found.cloned().ok_or_else(|| LayoutError::Tag {
                dir: self.dir.clone(),
                tag: tag.clone(),
                tags: tags(),
            });
        }
        match index.manifests.len() {
            1 => Ok(index.manifests.remove(0)),
            count => Err(LayoutError::Ambiguous {
                dir: self.dir.clone(),
                count,
                tags: tags(),
            }),
        }
    }

    fn copy(&self, descriptor: &Descriptor, output: &mut dyn Write) -> Result<(), LayoutError> {
        // The digest is hexadecimal, so the path cannot leave the directory.
        let path = self
            .dir
            .join("blobs")
            .join("sha256")
            .join(descriptor.digest.hex());
        let mut file = open(&path, descriptor.size)?;
        let mut writer = DigestWriter::new(output);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(LayoutError::Io { path, source }),
            };
            writer
                .write_all(buffer.get(..read).unwrap_or_default())
                .map_err(LayoutError::Write)?;
        }
        let bytes = writer.bytes();
        let (_, digest) = writer.finish();
        if bytes != descriptor.size || digest != descriptor.digest {
            return Err(LayoutError::Damaged(path));
        }
        Ok(())
    }
}

/// Opens a regular file of at most `max_bytes`, and reads no more even if it
/// grows.
fn open(path: &Path, max_bytes: u64) -> Result<io::Take<File>, LayoutError> {
    let failed = |source| LayoutError::Io {
        path: path.to_owned(),
        source,
    };
    // Opening a named pipe would block.
    let metadata = fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() || metadata.len() > max_bytes {
        return Err(LayoutError::File {
            path: path.to_owned(),
            max_bytes,
        });
    }
    Ok(File::open(path).map_err(failed)?.take(max_bytes))
}

#[async_trait]
impl ArtifactSource for ImageLayout {
    async fn root(&self) -> Result<ArtifactDocument, SourceError> {
        self.document(&self.select()?).await
    }

    async fn document(&self, descriptor: &Descriptor) -> Result<ArtifactDocument, SourceError> {
        if descriptor.size > MAX_MANIFEST_BYTES {
            return Err(LayoutError::File {
                path: self.dir.join(descriptor.digest.to_string()),
                max_bytes: MAX_MANIFEST_BYTES,
            }
            .into());
        }
        let mut content = Vec::new();
        self.copy(descriptor, &mut content)?;
        Ok(ArtifactDocument {
            media_type: descriptor.media_type.clone(),
            digest: descriptor.digest.clone(),
            content,
        })
    }

    async fn blob(
        &self,
        descriptor: &Descriptor,
        output: &mut (dyn Write + Send),
    ) -> Result<(), SourceError> {
        Ok(self.copy(descriptor, output)?)
    }
}

impl ContentDigest {
    /// Returns the path of the content within an image layout.
    #[cfg(test)]
    fn layout_path(&self) -> PathBuf {
        Path::new("blobs/sha256").join(self.hex())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::descriptor::MANIFEST_MEDIA_TYPE;

    fn layout(tags: &[&str]) -> (tempfile::TempDir, Vec<ContentDigest>) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("blobs/sha256")).unwrap();
        fs::write(
            dir.path().join(MARKER_FILE),
            r#"{"imageLayoutVersion":"1.0.0"}"#,
        )
        .unwrap();
        let mut digests = Vec::new();
        let manifests: Vec<_> = tags
            .iter()
            .map(|tag| {
                let content = format!("manifest of {tag}");
                let mut descriptor = Descriptor::of(MANIFEST_MEDIA_TYPE, content.as_bytes());
                descriptor
                    .annotations
                    .insert(TAG_ANNOTATION.to_owned(), (*tag).to_owned());
                fs::write(dir.path().join(descriptor.digest.layout_path()), content).unwrap();
                digests.push(descriptor.digest.clone());
                descriptor
            })
            .collect();
        let index = json!({"schemaVersion": 2, "manifests": manifests});
        fs::write(dir.path().join(INDEX_FILE), index.to_string()).unwrap();
        (dir, digests)
    }

    #[tokio::test]
    async fn an_artifact_is_selected_by_its_tag_or_is_the_only_one() {
        let (dir, digests) = layout(&["one", "two"]);
        let root = |tag: Option<&'static str>| {
            let layout = ImageLayout::open(dir.path(), tag).unwrap();
            async move { layout.root().await }
        };
        let two = root(Some("two")).await.unwrap();
        assert_eq!(two.content, b"manifest of two");
        assert_eq!(two.digest, digests[1]);
        let error = root(None).await.unwrap_err().to_string();
        assert!(
            error.contains("one, two") && error.contains("oci:DIR:TAG"),
            "{error}"
        );
        let error = root(Some("three")).await.unwrap_err().to_string();
        assert!(
            error.contains("\"three\"") && error.contains("one, two"),
            "{error}"
        );
        let (dir, _) = layout(&["only"]);
        let only = ImageLayout::open(dir.path(), None).unwrap();
        assert_eq!(only.root().await.unwrap().content, b"manifest of only");
    }

    #[tokio::test]
    async fn damaged_content_is_rejected() {
        let (dir, digests) = layout(&["one"]);
        let path = dir.path().join(digests[0].layout_path());
        let layout = ImageLayout::open(dir.path(), None).unwrap();
        for (damage, expected) in [
            (&b"manifest of 0ne"[..], "is damaged"),
            (b"manifest", "is damaged"),
            (b"manifest of one and more", "at most 15 bytes"),
        ] {
            fs::write(&path, damage).unwrap();
            let error = layout.root().await.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn another_directory_is_not_a_layout() {
        let dir = tempfile::tempdir().unwrap();
        let error = ImageLayout::open(dir.path(), None).unwrap_err().to_string();
        assert!(error.contains("oci-layout"), "{error}");
    }
}
