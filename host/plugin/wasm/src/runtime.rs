//! The compiler and the linker, made once for all components.

use std::sync::Arc;

use wasmtime::component::{Component, HasSelf, InstancePre, Linker};
use wasmtime::{Config, Engine, OptLevel};

use crate::bindings::{Backend as Bindings, BackendPre};
use crate::cache::ComponentCache;
use crate::clock::EpochClock;
use crate::state::HostState;

/// The version of the contract that this host speaks.
pub const INTERFACE: &str = "rancher-desktop:engine@0.1.0";

/// All that a component may import: nothing of it reaches a file, the
/// network, the environment or randomness.
const IMPORTS: [&str; 3] = [
    "rancher-desktop:engine/types@0.1.0",
    "rancher-desktop:engine/transport@0.1.0",
    "rancher-desktop:engine/host@0.1.0",
];

/// The stack of a guest. The default of two MiB is for hosts that run
/// compilers; only what is touched costs memory.
const WASM_STACK: usize = 512 * 1024;
/// The stack that a fiber adds for the host's own functions, with room for a
/// logging subscriber.
const FIBER_STACK: usize = WASM_STACK + 512 * 1024;

/// Compiles components and runs them.
pub struct Runtime {
    pub(crate) engine: Engine,
    pub(crate) clock: EpochClock,
    linker: Linker<HostState>,
    cache: Option<ComponentCache>,
    compiler: Option<Arc<dyn ComponentCompiler>>,
}

/// Compiles components elsewhere, so that the memory that it takes goes with
/// whoever did: about as much as all the rest of the daemon needs.
pub trait ComponentCompiler: std::fmt::Debug + Send + Sync + 'static {
    /// Has [`compile`] run on `bytes`, whose SHA-256 in lower-case hex is
    /// `digest`, with the cache of the runtime. The error says what went wrong;
    /// the runtime then compiles by itself.
    fn compile(&self, bytes: &[u8], digest: &str) -> Result<(), String>;
}

/// Compiles the component in `bytes`, whose SHA-256 in lower-case hex is
/// `digest`, and keeps it in `cache`.
///
/// # Errors
/// When the component is none, or this machine cannot compile it.
pub fn compile(cache: &ComponentCache, bytes: &[u8], digest: &str) -> Result<(), LoadError> {
    let failed = |error: wasmtime::Error| LoadError::Compile(format!("{error:#}"));
    let engine = engine().map_err(failed)?;
    let component = Component::from_binary(&engine, bytes).map_err(failed)?;
    cache.store(&engine, digest, &component);
    Ok(())
}

/// What is compiled by one engine can be run by another one with the same settings.
fn engine() -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .wasm_component_model_async(true)
        .epoch_interruption(true)
        .cranelift_opt_level(OptLevel::Speed)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(FIBER_STACK);
    Engine::new(&config)
}

/// The runtime cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// This machine is none that components can be compiled for.
    #[error("cannot run components on this machine: {0}")]
    Engine(String),
    /// The watchdog's thread cannot be started.
    #[error("cannot start the thread of the backends' watchdog: {0}")]
    Clock(#[source] std::io::Error),
}

/// A component cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The file is no valid component.
    #[error(
        "the file is not a component that this host can compile: {0}; build it again with the SDK of {INTERFACE}"
    )]
    Compile(String),
    /// It wants more than a backend is given.
    #[error(
        "the component imports {0}, which no backend is given; build it for wasm32-unknown-unknown with the SDK of {INTERFACE}, and without WASI"
    )]
    Import(String),
    /// It lacks an export, or one has another type.
    #[error(
        "the component does not implement {INTERFACE}: {0}; build it again with the SDK of that version"
    )]
    Interface(String),
}

impl Runtime {
    /// Makes the runtime. Without a `cache` components are compiled at each
    /// load.
    pub fn new(cache: Option<ComponentCache>) -> Result<Arc<Self>, RuntimeError> {
        Self::with_compiler(cache, None)
    }

    /// Makes a runtime that has a `compiler` fill its `cache`.
    pub fn with_compiler(
        cache: Option<ComponentCache>,
        compiler: Option<Arc<dyn ComponentCompiler>>,
    ) -> Result<Arc<Self>, RuntimeError> {
        let failed = |error: wasmtime::Error| RuntimeError::Engine(format!("{error:#}"));
        let engine = engine().map_err(failed)?;
        let mut linker = Linker::new(&engine);
        Bindings::add_to_linker::<_, HasSelf<HostState>>(&mut linker, |state| state)
            .map_err(failed)?;
        Ok(Arc::new(Self {
            clock: EpochClock::start(engine.clone()).map_err(RuntimeError::Clock)?,
            engine,
            linker,
            cache,
            compiler,
        }))
    }

    /// Makes the component in `bytes`, whose SHA-256 in lower-case hex is
    /// `digest`, ready to run. Compiling takes seconds of all cores: call it
    /// from a thread that may block.
    pub fn load(self: &Arc<Self>, bytes: &[u8], digest: &str) -> Result<Program, LoadError> {
        let cached = || {
            let cache = self.cache.as_ref()?;
            cache.load(&self.engine, digest)
        };
        let compiled = || {
            let (compiler, _) = self.compiler.as_ref().zip(self.cache.as_ref())?;
            if let Err(problem) = compiler.compile(bytes, digest) {
                tracing::warn!(
                    problem,
                    "the component could not be compiled by a process of its own"
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
        self.refuse_imports(&component)?;
        let interface = |error: wasmtime::Error| LoadError::Interface(format!("{error:#}"));
        let instance: InstancePre<HostState> =
            self.linker.instantiate_pre(&component).map_err(interface)?;
        Ok(Program {
            pre: BackendPre::new(instance).map_err(interface)?,
            runtime: self.clone(),
        })
    }

    fn refuse_imports(&self, component: &Component) -> Result<(), LoadError> {
        let component_type = component.component_type();
        let mut foreign: Vec<&str> = component_type
            .imports(&self.engine)
            .map(|(name, _)| name)
            .filter(|name| !IMPORTS.contains(name))
            .collect();
        foreign.sort_unstable();
        if foreign.is_empty() {
            Ok(())
        } else {
            Err(LoadError::Import(foreign.join(", ")))
        }
    }
}

/// A component that is compiled and fits the contract.
#[derive(Clone)]
pub struct Program {
    pub(crate) pre: BackendPre<HostState>,
    pub(crate) runtime: Arc<Runtime>,
}
