//! The Kubernetes types of rdd, the CRDs generated from them, and the admission
//! policies about them.
//!
//! This crate owns the API contract: kinds, field names, labels, annotations,
//! finalizers, condition types, and reasons. Invariant: it does not depend on
//! the engine model, so that clients can use it without the daemon.
//!
//! # Example
//!
//! The App to create for a backend, and the status of a Container as a client
//! reads it:
//!
//! ```
//! use rdd_api::{APP_NAME, App, AppSpec, Container, ContainerEngineSpec, ContainerState};
//! use serde_json::json;
//!
//! let app = App::new(
//!     APP_NAME,
//!     AppSpec {
//!         container_engine: ContainerEngineSpec { name: "moby".to_owned() },
//!         running: true,
//!         namespace: "rancher-desktop".to_owned(),
//!     },
//! );
//! assert_eq!(serde_json::to_value(&app)?["spec"]["containerEngine"]["name"], "moby");
//!
//! let container: Container = serde_json::from_value(json!({
//!     "apiVersion": "containers.rancherdesktop.io/v1alpha1",
//!     "kind": "Container",
//!     "metadata": {"name": "0123abcd", "namespace": "rancher-desktop"},
//!     "status": {"name": "web", "status": "running"},
//! }))?;
//! assert_eq!(container.status.unwrap_or_default().status, ContainerState::Running);
//! # Ok::<(), serde_json::Error>(())
//! ```

#![expect(
    clippy::duplicated_attributes,
    reason = "the lint reports printer columns of the same type as duplicates"
)]

// In layers: each module uses only those after it.

mod admission;
mod crds;

mod app;
mod container;
mod image;
mod meta;
mod namespace;
mod requests;
mod volume;

mod time;

mod schema;

pub use admission::{BoundPolicy, admission_policies};
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
    ImagePullRequest, ImagePullRequestSpec, ImagePushRequest, ImagePushRequestSpec,
    TransferProgress, TransferStatus, VolumeCreateRequest, VolumeCreateRequestSpec,
    VolumeCreateRequestStatus,
};
pub use time::EngineTime;
pub use volume::{Volume, VolumeFields, VolumeStatus};
