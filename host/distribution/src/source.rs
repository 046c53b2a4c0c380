//! Where an artifact is read from.

use std::io::Write;

use async_trait::async_trait;

use crate::descriptor::Descriptor;
use crate::digest::ContentDigest;
use crate::layout_error::LayoutError;
use crate::registry_error::RegistryError;

/// The maximum number of bytes of a manifest or an index: what registries
/// accept.
pub(crate) const MAX_MANIFEST_BYTES: u64 = 4 * 1024 * 1024;

/// The source of one artifact: an image layout or a registry.
#[async_trait]
pub trait ArtifactSource: Send + Sync {
    /// Returns the document that the artifact's name stands for, a manifest or
    /// an index, together with its digest and media type.
    ///
    /// # Errors
    ///
    /// Fails if there is no such artifact, or if it cannot be read.
    async fn root(&self) -> Result<ArtifactDocument, SourceError>;

    /// Returns the manifest that an index refers to.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be read or does not match its descriptor.
    async fn document(&self, descriptor: &Descriptor) -> Result<ArtifactDocument, SourceError>;

    /// Writes content to `output`. If this fails, what was written so far is
    /// not complete or not verified.
    ///
    /// # Errors
    ///
    /// Fails if the content cannot be read or does not match its descriptor, or
    /// if it cannot be written.
    async fn blob(
        &self,
        descriptor: &Descriptor,
        output: &mut (dyn Write + Send),
    ) -> Result<(), SourceError>;
}

/// A manifest or an index as it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactDocument {
    /// The media type.
    pub media_type: String,
    /// The digest, which was compared with the one that was requested, if any.
    pub digest: ContentDigest,
    /// The JSON text.
    pub content: Vec<u8>,
}

/// An artifact that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The image layout cannot be used.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The registry cannot be used.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}
