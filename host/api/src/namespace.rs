//! ContainerNamespace: a namespace of the engine.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A ContainerNamespace has neither spec nor status: its name says it all.
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
    doc = "ContainerNamespace mirrors a namespace of the engine. Deleting it touches nothing in the engine, and it is written again."
)]
pub struct ContainerNamespaceFields {}
