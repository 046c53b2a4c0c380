//! The kind ContainerNamespace: the mirror of one namespace of the engine.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Spec of a ContainerNamespace: it has neither spec nor status, only a name.
#[derive(
    CustomResource, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema,
)]
#[kube(
    group = "containers.rancherdesktop.io",
    version = "v1alpha1",
    kind = "ContainerNamespace",
    namespaced,
    no_spec,
    derive = "PartialEq",
    category = "all",
    shortname = "cns",
    doc = "ContainerNamespace mirrors one namespace of the container engine. Deleting it changes nothing in the engine, and the daemon recreates it."
)]
pub struct ContainerNamespaceFields {}
