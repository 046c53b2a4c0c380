//! The Kubernetes types of rdd, and the CRDs made of them.
//!
//! This room owns the wire: kinds, field names, labels, annotations,
//! finalizers, condition types and reasons. Invariant: it knows nothing of
//! engines, so that a client may use it without the daemon.

#![expect(
    clippy::duplicated_attributes,
    reason = "the lint takes the equal types of two printer columns for a repetition"
)]

mod app;
mod container;
mod crds;
mod image;
mod meta;
mod namespace;
mod requests;
mod time;
mod volume;

pub use app::{App, AppSpec, AppStatus, ContainerEngineSpec};
pub use container::{
    ActionName, ActionState, Container, ContainerFields, ContainerPort, ContainerState,
    ContainerStatus, HostBinding, LastAction,
};
pub use crds::crds;
pub use image::{Image, ImageFields, ImageStatus};
pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
pub use meta::*;
pub use namespace::{ContainerNamespace, ContainerNamespaceFields};
pub use requests::{
    ContainerCreateRequest, ContainerCreateRequestSpec, ContainerCreateRequestStatus,
    ImagePullRequest, ImagePullRequestSpec, ImagePushRequest, ImagePushRequestSpec, Progress,
    TransferStatus, VolumeCreateRequest, VolumeCreateRequestSpec, VolumeCreateRequestStatus,
};
pub use time::EngineTime;
pub use volume::{Volume, VolumeFields, VolumeStatus};
