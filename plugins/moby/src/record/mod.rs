//! Conversion of the engine's documents to the contract's records.

mod container;
mod image;
mod volume;

mod limits;
mod redact;

pub(crate) use container::{container_from_inspect, container_from_summary};
pub(crate) use image::{image_from_inspect, image_from_summary, normalize_tags};
pub(crate) use limits::fit_to_limits;
pub(crate) use redact::redacted_json;
pub(crate) use volume::volume_from_model;

/// The namespace of all objects: Docker has no others.
pub(crate) const NAMESPACE: &str = "moby";

/// The placeholder of engines for a missing tag or digest.
const NONE_PLACEHOLDER: &str = "<none>";
