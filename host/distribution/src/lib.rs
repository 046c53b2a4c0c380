//! Plugins as OCI artifacts: how they are named, stored in an image layout on
//! disk, and exchanged with a registry.
//!
//! - [`ArtifactReference`] names an artifact in a registry.
//! - [`ArtifactSource`] is where an artifact is read from: an [`ImageLayout`] or
//!   a [`RegistryClient`].
//! - [`PluginPackage`] is what an artifact holds: a manifest, and a component or
//!   one dynamic library for each platform.
//!
//! Invariants: every byte that is read was compared with its digest, nothing is
//! read without a limit of its size, and every wait has a limit. Credentials are
//! sent only to the registry that they are for and to the token service that
//! this registry names, and never without encryption unless the registry itself
//! is used without.
//!
//! Written by hand: the crate `oci-client` adds a second version of three
//! libraries, reads responses without a limit, and does not support the identity
//! tokens of Docker's configuration (docs/adr/026-distribution.md).
//!
//! ```
//! use rdd_distribution::ArtifactReference;
//!
//! let reference = ArtifactReference::parse("registry.example:5000/team/moby:1.2")?;
//! assert_eq!(reference.registry(), "registry.example:5000");
//! assert_eq!(reference.repository(), "team/moby");
//! assert_eq!(reference.tag_or_digest(), "1.2");
//! # Ok::<(), rdd_distribution::ReferenceError>(())
//! ```

// In layers: each module uses only those after it.

mod image_layout;
mod registry;

mod package_upload;

mod package;

mod source;

mod descriptor;
mod layout_error;
mod registry_error;

mod platform;
mod reference;

mod digest;

pub use descriptor::{ArtifactManifest, Descriptor, DescriptorPlatform, ImageIndex};
pub use digest::{ContentDigest, DigestError, DigestWriter};
pub use image_layout::ImageLayout;
pub use layout_error::LayoutError;
pub use package::{
    COMPONENT_MEDIA_TYPE, LIBRARY_MEDIA_TYPE, MANIFEST_ANNOTATION, PackageError, PackageForm,
    PluginPackage,
};
pub use package_upload::{PackageLabels, PackageUpload, UploadedFile};
pub use platform::{Platform, PlatformError};
pub use reference::{ArtifactReference, ReferenceError};
pub use registry::{ProxyIntercept, ProxyPolicy, RegistryClient, RegistryOptions, is_loopback};
pub use registry_error::RegistryError;
pub use source::{ArtifactDocument, ArtifactSource, SourceError};
