//! The contract's records, made of what the engine answers.

mod container;
mod fit;
mod image;
mod raw;
mod volume;

pub(crate) use container::{container, container_of_summary};
pub(crate) use fit::fit;
pub(crate) use image::{image, image_of_summary, tags};
pub(crate) use raw::raw;
pub(crate) use volume::volume;

/// The namespace of all that moby has.
pub(crate) const NAMESPACE: &str = "moby";

/// What engines write in place of a missing tag or digest.
const NONE: &str = "<none>";
