//! The exports of a component: `engine`, and each other interface that the
//! component has.

use rdd_core::Capabilities;
use wasmtime::component::{Instance, InstancePre};
use wasmtime::{AsContextMut, Store};

use crate::bindings::{engine, images, lifecycle, logs, processes};
use crate::host_state::HostState;

/// Where a component has its exports.
#[derive(Clone)]
pub(crate) struct ExportIndices {
    engine: engine::GuestIndices,
    logs: Option<logs::GuestIndices>,
    lifecycle: Option<lifecycle::GuestIndices>,
    processes: Option<processes::GuestIndices>,
    images: Option<images::GuestIndices>,
}

/// The exports of an instance.
pub(crate) struct InstanceExports {
    pub(crate) engine: engine::Guest,
    pub(crate) logs: Option<logs::Guest>,
    pub(crate) lifecycle: Option<lifecycle::Guest>,
    pub(crate) processes: Option<processes::Guest>,
    pub(crate) images: Option<images::Guest>,
}

/// Looks up the interface if the component has it. A function that is missing
/// from it is an error.
macro_rules! optional {
    ($pre:expr, $interface:ident) => {{
        let name = interface_name(stringify!($interface));
        match $pre.component().get_export_index(None, &name) {
            Some(_) => Some($interface::GuestIndices::new($pre)?),
            None => None,
        }
    }};
}

fn interface_name(interface: &str) -> String {
    use rdd_plugin_contract::{CURRENT_VERSION, PACKAGE};
    format!("{PACKAGE}/{interface}@{CURRENT_VERSION}")
}

impl ExportIndices {
    /// Looks up the exports of a component.
    ///
    /// # Errors
    ///
    /// Fails if `engine` or a function of an exported interface is missing.
    pub(crate) fn new(pre: &InstancePre<HostState>) -> wasmtime::Result<Self> {
        Ok(Self {
            engine: engine::GuestIndices::new(pre)?,
            logs: optional!(pre, logs),
            lifecycle: optional!(pre, lifecycle),
            processes: optional!(pre, processes),
            images: optional!(pre, images),
        })
    }

    /// Loads the exports of an instance.
    ///
    /// # Errors
    ///
    /// Fails if a function has another type than in the contract.
    pub(crate) fn load(
        &self,
        store: &mut Store<HostState>,
        instance: &Instance,
    ) -> wasmtime::Result<InstanceExports> {
        macro_rules! load {
            ($field:ident) => {
                match &self.$field {
                    Some(indices) => Some(indices.load(store.as_context_mut(), instance)?),
                    None => None,
                }
            };
        }
        Ok(InstanceExports {
            engine: self.engine.load(store.as_context_mut(), instance)?,
            logs: load!(logs),
            lifecycle: load!(lifecycle),
            processes: load!(processes),
            images: load!(images),
        })
    }

    /// Returns a capability that the component claims without having the
    /// interface for it, and that interface.
    pub(crate) fn missing_interface(
        &self,
        capabilities: Capabilities,
    ) -> Option<(&'static str, &'static str)> {
        capabilities
            .named()
            .into_iter()
            .filter(|(_, is_set)| *is_set)
            .find_map(|(capability, _)| {
                let (interface, is_exported) = match capability {
                    "logs" | "entries" | "entry-times" => ("logs", self.logs.is_some()),
                    "exec" => ("processes", self.processes.is_some()),
                    "pull" | "push" => ("images", self.images.is_some()),
                    _ => ("lifecycle", self.lifecycle.is_some()),
                };
                (!is_exported).then_some((capability, interface))
            })
    }
}
