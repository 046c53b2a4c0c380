//! `rdd plugin test`: runs the conformance kit on a plugin.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use clap::{Args, ValueEnum};
use rdd_conformance::{
    BackendTarget, ConformanceReport, ConformanceSuite, EngineEnvironment, ImageReference,
    NameFilter, ResourceUsage, SuiteOptions, TargetError, TestEnvironment, ToyEnvironment,
    TransferSpec,
};
use rdd_core::{ContainerEngine, NoCredentialStore, RegistryCredentialStore};
use rdd_plugin::{BackendInstance, EngineEndpoint, LoadFileOptions, LoadedPlugin, PluginBackend};
use rdd_plugin_project::ProjectManifest;
use rdd_toy_engine::{ToyEngine, ToyServer};
use tempfile::TempDir;

use crate::docker_config::DockerCredentialStore;
use crate::docker_context::DockerEnvironment;
use crate::output;
use crate::state_dir::StateDir;

/// Options of `rdd plugin test`.
#[derive(Args, Clone)]
pub(crate) struct TestArgs {
    /// Project that was built, plugin directory, or component whose file has the name of its backend, such as toy.wasm
    path: PathBuf,
    /// URL of a real engine to test with, in which only objects named rdd-conformance-… are created and removed [default: a toy engine in this process]
    #[arg(long, value_name = "URL")]
    engine: Option<String>,
    /// Image for the containers in a real engine, which must have it; needs sh, cat, and stty
    #[arg(long, value_name = "REF", default_value = "busybox:latest")]
    image: String,
    /// Also pull this tag into the real engine, which must not have it, and remove it again; with the credentials of 'docker login'
    #[arg(long, value_name = "TAG", requires = "engine")]
    pull: Option<ImageReference>,
    /// Also push this tag, which the real engine must have, to its registry; with the credentials of 'docker login'
    #[arg(long, value_name = "TAG", requires = "engine")]
    push: Option<ImageReference>,
    /// Load a dynamic library, which runs with all your rights
    #[arg(long)]
    allow_native: bool,
    /// Only the cases whose name matches, such as 'logs/*', or does not match, such as '!limits/*'
    #[arg(long, value_name = "GLOB")]
    filter: Option<NameFilter>,
    /// Watch the use of memory for ten minutes instead of seconds
    #[arg(long)]
    long: bool,
    /// Output format
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: ReportFormat,
}

/// Formats of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    /// One line for each case, as soon as it has ended, and a summary
    Text,
    /// One JSON value
    Json,
    /// JUnit XML
    Junit,
}

/// How long the kit lets a stream go on that was stopped: longer than it waits for its
/// end.
const STOP_GRACE: Duration = Duration::from_secs(60);

/// A plugin as the backend of the kit.
struct PluginTarget {
    backend: Arc<dyn PluginBackend>,
    /// The instances that were started, until they have ended.
    instances: Mutex<Vec<std::sync::Weak<dyn BackendInstance>>>,
}

#[async_trait]
impl BackendTarget for PluginTarget {
    async fn launch(&self) -> Result<Arc<dyn ContainerEngine>, TargetError> {
        let launched = self.backend.launch().await;
        let instance = launched.map_err(|error| TargetError(error.to_string()))?;
        let mut instances = self
            .instances
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        instances.retain(|instance| instance.strong_count() > 0);
        instances.push(Arc::downgrade(&instance));
        Ok(instance)
    }

    fn usage(&self) -> ResourceUsage {
        let instances = self
            .instances
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // The streams, connections, and memory are those of all instances.
        let newest = instances.iter().rev().find_map(std::sync::Weak::upgrade);
        match newest.map(|instance| instance.usage()) {
            None => ResourceUsage::default(),
            Some(usage) => ResourceUsage {
                streams: Some(usage.log_streams + usage.execs + usage.transfers + usage.watches),
                connections: Some(usage.connections),
                // A library shares the memory of this program, and has none of its own.
                memory_bytes: (usage.memory_bytes > 0).then_some(usage.memory_bytes as u64),
            },
        }
    }
}

/// The engine of a run.
enum TestEngine {
    /// A toy engine with its socket, in a directory of its own.
    Toy {
        engine: ToyEngine,
        _server: ToyServer,
        _dir: TempDir,
    },
    /// An engine of the user.
    Real,
}

impl TestEngine {
    /// Starts a toy engine unless the user named an engine.
    fn start(url: Option<&str>) -> Result<(Self, EngineEndpoint)> {
        if let Some(url) = url {
            return Ok((Self::Real, EngineEndpoint::parse(url)?));
        }
        let dir = tempfile::Builder::new()
            .prefix("rdd-toy-")
            .tempdir()
            .context("cannot create a directory for the toy engine; set TMPDIR to another one")?;
        let path = dir.path().join("toy.sock");
        let engine = ToyEngine::new();
        let server = engine.listen(&path)?;
        let endpoint = EngineEndpoint::parse(&format!("unix://{}", path.display()))?;
        let engine = Self::Toy {
            engine,
            _server: server,
            _dir: dir,
        };
        Ok((engine, endpoint))
    }
}

/// Returns the user's credentials if images are to be transferred, and otherwise
/// none: a toy engine needs none.
fn credentials(args: &TestArgs) -> Arc<dyn RegistryCredentialStore> {
    if args.pull.is_none() && args.push.is_none() {
        return Arc::new(NoCredentialStore);
    }
    Arc::new(DockerCredentialStore::new(
        DockerEnvironment::read().config_dir(),
    ))
}

/// Runs the table on the plugin and prints the report.
pub(crate) async fn run(state_dir: &StateDir, args: TestArgs) -> Result<ExitCode> {
    let (engine, endpoint) = TestEngine::start(args.engine.as_deref())?;
    let cache_dir = state_dir.root().exists().then(|| state_dir.plugin_cache());
    let options = LoadFileOptions {
        endpoint,
        cache_dir,
        allow_native: args.allow_native,
        credentials: credentials(&args),
        // So that the kit sees whether a stream ends by itself.
        stop_grace: Some(STOP_GRACE),
    };
    let path = ProjectManifest::resolve(&args.path)?;
    let LoadedPlugin { name, backend } = rdd_plugin::load_plugin(&path, options).await?;
    let backend: Arc<dyn PluginBackend> = Arc::from(backend);
    let target = Arc::new(PluginTarget {
        backend: backend.clone(),
        instances: Mutex::default(),
    });
    let environment: Arc<dyn TestEnvironment> = match &engine {
        TestEngine::Toy { engine, .. } => Arc::new(ToyEnvironment::new(engine.clone())),
        TestEngine::Real => {
            let instance = target.launch().await?;
            let transfers = TransferSpec {
                pull: args.pull,
                push: args.push,
            };
            Arc::new(EngineEnvironment::new(instance.info(), &args.image).with_transfers(transfers))
        }
    };
    let options = SuiteOptions {
        filter: args.filter,
        is_long: args.long,
    };
    let suite = ConformanceSuite::new(target, environment, options);
    let mut printed = Ok(());
    let report = suite
        .run(|case| {
            if args.output == ReportFormat::Text && printed.is_ok() {
                printed = output::print(&case.to_text());
            }
        })
        .await;
    backend.shutdown().await;
    printed?;
    match args.output {
        ReportFormat::Text => output::print(&report.summary())?,
        ReportFormat::Json => output::print(&report.to_json()?)?,
        ReportFormat::Junit => output::print(&report.to_junit(&name)?)?,
    }
    Ok(conclude(&report, &engine))
}

/// Returns the exit code, with a note where the cause is probably elsewhere.
fn conclude(report: &ConformanceReport, engine: &TestEngine) -> ExitCode {
    if report.cases.is_empty() {
        output::print_error("no case has a name that matches --filter");
        return ExitCode::FAILURE;
    }
    if report.is_conformant() {
        return ExitCode::SUCCESS;
    }
    let cannot_list = report.failed().contains(&"watch/begins-with-a-listing");
    if cannot_list {
        output::print_note(match engine {
            TestEngine::Toy { .. } => {
                "the backend was connected to the toy engine; pass --engine if it is for another engine"
            }
            TestEngine::Real => {
                "the backend cannot list what the engine has; check that --engine is the engine that it is for"
            }
        });
    }
    ExitCode::FAILURE
}
