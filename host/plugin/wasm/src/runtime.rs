//! The wasmtime engine and the linker, shared by all components.

use std::sync::Arc;

use rdd_plugin_contract::{CURRENT_VERSION, PACKAGE, VersionError, check_version};
use semver::Version;
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};
use wasmtime::{Config, Engine, OptLevel};

use crate::bindings::Backend as Bindings;
use crate::cache::ComponentCache;
use crate::epoch::EpochTicker;
use crate::exports::ExportIndices;
use crate::host_state::HostState;
use crate::wasi;

/// The interfaces of the contract that a component may import. It may also import
/// the ones of WASI that are linked.
const CONTRACT_IMPORTS: [&str; 4] = ["types", "transport", "host", "registry"];

/// The stack size of a guest in bytes. Far below wasmtime's default of 2 MiB,
/// since a backend recurses little; only touched pages cost memory.
const WASM_STACK_BYTES: usize = 512 * 1024;
/// The stack size of a fiber in bytes: the guest's, and the same again for the
/// host's functions, including a tracing subscriber.
const FIBER_STACK_BYTES: usize = WASM_STACK_BYTES + 512 * 1024;

/// Compiles and links components.
pub struct ComponentRuntime {
    pub(crate) engine: Engine,
    pub(crate) ticker: EpochTicker,
    linker: Linker<HostState>,
    cache: Option<ComponentCache>,
    compiler: Option<Arc<dyn ComponentCompiler>>,
}

/// A compiler in another process. The memory that a compilation needs, about as
/// much as the rest of the daemon, is freed when that process exits.
pub trait ComponentCompiler: std::fmt::Debug + Send + Sync + 'static {
    /// Runs [`compile`] on `bytes`, whose SHA-256 in lowercase hexadecimal is
    /// `digest`, with the runtime's cache.
    ///
    /// # Errors
    ///
    /// Fails if the other process does. The runtime then compiles the component
    /// itself.
    fn compile(&self, bytes: &[u8], digest: &str) -> Result<(), CompilerError>;
}

/// An error of a [`ComponentCompiler`], as its implementation describes it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CompilerError(String);

impl From<String> for CompilerError {
    fn from(message: String) -> Self {
        Self(message)
    }
}

/// Compiles the component in `bytes`, whose SHA-256 in lowercase hexadecimal is
/// `digest`, and stores it in `cache`.
///
/// # Errors
///
/// Fails if `bytes` is not a component, or if this machine cannot compile it.
pub fn compile(cache: &ComponentCache, bytes: &[u8], digest: &str) -> Result<(), LoadError> {
    let failed = |error: wasmtime::Error| LoadError::Compile(format!("{error:#}"));
    let engine = new_engine().map_err(failed)?;
    let component = Component::from_binary(&engine, bytes).map_err(failed)?;
    cache.store(&engine, digest, &component);
    Ok(())
}

/// Creates an engine. Code that one engine compiled runs in another one with the
/// same settings.
fn new_engine() -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .wasm_component_model_async(true)
        .epoch_interruption(true)
        .cranelift_opt_level(OptLevel::Speed)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(FIBER_STACK_BYTES);
    Engine::new(&config)
}

/// The runtime cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// Components cannot be compiled for this machine.
    #[error("cannot run components on this machine: {0}")]
    Engine(String),
    /// The epoch thread cannot be started.
    #[error("cannot start the epoch thread of the component runtime")]
    Ticker(#[source] std::io::Error),
}

/// A component that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The file is not a valid component.
    #[error(
        "the file is not a component that this host can compile: {0}; build it again with the SDK of {PACKAGE}@{CURRENT_VERSION}"
    )]
    Compile(String),
    /// The component is no backend.
    #[error(
        "the component does not export an interface of {PACKAGE}, so it is not an engine backend; build it with the SDK of {PACKAGE}@{CURRENT_VERSION}"
    )]
    NoBackend,
    /// The component is built for an unsupported version of the contract.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// The component mixes versions of the contract.
    #[error(
        "the component uses two versions of {PACKAGE}, {first} and {second}; build it again with one version of the SDK"
    )]
    MixedVersions {
        /// The version of one interface.
        first: Version,
        /// The version of another one.
        second: Version,
    },
    /// The component imports something that backends do not get.
    #[error(
        "the component imports {0}, which this host does not have; a backend may import the interfaces of {PACKAGE}@{CURRENT_VERSION}, and of WASI 0.2 cli, clocks, filesystem, io, random, and sockets"
    )]
    Import(String),
    /// The component lacks an export, or an export has another type.
    #[error(
        "the component does not implement {PACKAGE}@{CURRENT_VERSION}: {0}; build it again with the SDK of that version"
    )]
    Interface(String),
}

impl ComponentRuntime {
    /// Creates a runtime. Without a `cache`, components are compiled at each load.
    ///
    /// # Errors
    ///
    /// Fails if components cannot run on this machine.
    pub fn new(cache: Option<ComponentCache>) -> Result<Arc<Self>, RuntimeError> {
        Self::with_compiler(cache, None)
    }

    /// Creates a runtime whose `cache` is filled by `compiler`.
    ///
    /// # Errors
    ///
    /// Fails if components cannot run on this machine.
    pub fn with_compiler(
        cache: Option<ComponentCache>,
        compiler: Option<Arc<dyn ComponentCompiler>>,
    ) -> Result<Arc<Self>, RuntimeError> {
        let failed = |error: wasmtime::Error| RuntimeError::Engine(format!("{error:#}"));
        let engine = new_engine().map_err(failed)?;
        let mut linker = Linker::new(&engine);
        wasi::add_to_linker(&mut linker).map_err(failed)?;
        Bindings::add_to_linker::<_, HasSelf<HostState>>(&mut linker, |state| state)
            .map_err(failed)?;
        Ok(Arc::new(Self {
            ticker: EpochTicker::start(engine.clone()).map_err(RuntimeError::Ticker)?,
            engine,
            linker,
            cache,
            compiler,
        }))
    }

    /// Compiles and links the component in `bytes`, whose SHA-256 in lowercase
    /// hexadecimal is `digest`. Compiling takes all cores for seconds, so this
    /// must run on a thread that may block.
    ///
    /// # Errors
    ///
    /// Fails if `bytes` is not a component or does not match the contract.
    pub fn load(
        self: &Arc<Self>,
        bytes: &[u8],
        digest: &str,
    ) -> Result<LinkedComponent, LoadError> {
        let cached = || {
            let cache = self.cache.as_ref()?;
            cache.load(&self.engine, digest)
        };
        let compiled = || {
            let (compiler, _) = self.compiler.as_ref().zip(self.cache.as_ref())?;
            if let Err(error) = compiler.compile(bytes, digest) {
                tracing::warn!(
                    %error,
                    "cannot compile the component in a separate process; compiling it in the daemon"
                );
            }
            cached()
        };
        let component = match cached().or_else(compiled) {
            Some(component) => component,
            None => {
                let component = Component::from_binary(&self.engine, bytes)
                    .map_err(|error| LoadError::Compile(format!("{error:#}")))?;
                if let Some(cache) = &self.cache {
                    cache.store(&self.engine, digest, &component);
                }
                component
            }
        };
        // A component of another version may import what this host does not have.
        let version = self.contract_version(&component)?;
        if let Some(version) = &version {
            check_version(version)?;
        }
        let imports_wasi = self.check_imports(&component)?;
        if version.is_none() {
            return Err(LoadError::NoBackend);
        }
        let interface = |error: wasmtime::Error| LoadError::Interface(format!("{error:#}"));
        let pre: InstancePre<HostState> =
            self.linker.instantiate_pre(&component).map_err(interface)?;
        Ok(LinkedComponent {
            exports: ExportIndices::new(&pre).map_err(interface)?,
            pre,
            runtime: self.clone(),
            imports_wasi,
        })
    }

    /// Returns the version of the contract that the component exports, which all
    /// its interfaces must have. Without a check of it, wasmtime would link a
    /// component to a compatible version by semver, whatever it was built for.
    fn contract_version(&self, component: &Component) -> Result<Option<Version>, LoadError> {
        let component_type = component.component_type();
        let exports = component_type.exports(&self.engine).map(|(name, _)| name);
        let imports = component_type.imports(&self.engine).map(|(name, _)| name);
        let exported: Vec<Version> = exports.filter_map(contract_version).collect();
        let Some(first) = exported.first() else {
            return Ok(None);
        };
        let imported: Vec<Version> = imports.filter_map(contract_version).collect();
        if let Some(second) = exported.iter().chain(&imported).find(|it| *it != first) {
            return Err(LoadError::MixedVersions {
                first: first.clone(),
                second: second.clone(),
            });
        }
        Ok(Some(first.clone()))
    }

    /// Returns whether the component imports WASI.
    fn check_imports(&self, component: &Component) -> Result<bool, LoadError> {
        let component_type = component.component_type();
        let (linked, other): (Vec<&str>, Vec<&str>) = component_type
            .imports(&self.engine)
            .map(|(name, _)| name)
            .partition(|name| wasi::is_linked(name));
        let mut forbidden = other;
        forbidden.retain(|name| {
            !contract_interface(name).is_some_and(|interface| CONTRACT_IMPORTS.contains(&interface))
        });
        forbidden.sort_unstable();
        if forbidden.is_empty() {
            Ok(!linked.is_empty())
        } else {
            Err(LoadError::Import(forbidden.join(", ")))
        }
    }
}

/// Returns the interface of the contract that `name` names, such as `engine` for
/// `rancher-desktop:engine/engine@0.1.0`.
fn contract_interface(name: &str) -> Option<&str> {
    let (interface, _) = name
        .strip_prefix(PACKAGE)?
        .strip_prefix('/')?
        .split_once('@')?;
    Some(interface)
}

/// Returns the version of the contract that `name` names.
fn contract_version(name: &str) -> Option<Version> {
    let (_, version) = name
        .strip_prefix(PACKAGE)?
        .strip_prefix('/')?
        .split_once('@')?;
    Version::parse(version).ok()
}

/// A component that is compiled, linked, and ready to be instantiated.
#[derive(Clone)]
pub struct LinkedComponent {
    pub(crate) pre: InstancePre<HostState>,
    pub(crate) exports: ExportIndices,
    pub(crate) runtime: Arc<ComponentRuntime>,
    /// Whether its stores need the state of WASI.
    pub(crate) imports_wasi: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_interfaces_have_a_version() {
        let name = "rancher-desktop:engine/host@0.1.0";
        assert_eq!(contract_interface(name), Some("host"));
        assert_eq!(contract_version(name), Some(Version::new(0, 1, 0)));
        for other in [
            "wasi:cli/stdout@0.2.6",
            "rancher-desktop:engine2/host@0.1.0",
            "rancher-desktop:engine/host",
            "host",
        ] {
            assert_eq!(contract_interface(other), None, "{other}");
            assert_eq!(contract_version(other), None, "{other}");
        }
    }
}
