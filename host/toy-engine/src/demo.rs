//! The content of the engine that `rdd plugin toy-engine` runs.

use rdd_core::{
    ContainerAction, ContainerRestartPolicy, ContainerSpec, EngineError, ExposedPort, MountKind,
    MountSpec, PortBinding, VolumeSpec,
};

use crate::control::ToyEngine;
use crate::{DEFAULT_NAMESPACE, OTHER_NAMESPACE, TOY_IMAGE};

impl ToyEngine {
    /// Returns an engine with a few containers whose logs grow. Call it within a
    /// tokio runtime.
    ///
    /// # Errors
    ///
    /// Fails only on a bug.
    pub fn with_demo() -> Result<Self, EngineError> {
        let engine = Self::new();
        populate(&engine)?;
        Ok(engine)
    }
}

/// Creates a few containers and starts all but one of them.
fn populate(engine: &ToyEngine) -> Result<(), EngineError> {
    engine.create_volume(&VolumeSpec {
        namespace: DEFAULT_NAMESPACE.to_owned(),
        name: Some("data".to_owned()),
        ..VolumeSpec::default()
    })?;
    let web = ContainerSpec {
        ports: vec![ExposedPort {
            name: "80/tcp".to_owned(),
            bindings: vec![PortBinding {
                host_ip: "127.0.0.1".to_owned(),
                host_port: "8080".to_owned(),
            }],
        }],
        mounts: vec![MountSpec {
            kind: MountKind::Volume,
            source: "data".to_owned(),
            target: "/data".to_owned(),
            read_only: false,
        }],
        ..program(DEFAULT_NAMESPACE, "ticker 1000")
    };
    run(engine, web, "web")?;
    run(engine, program(DEFAULT_NAMESPACE, "mixed"), "mixed")?;
    let terminal = ContainerSpec {
        tty: true,
        ..program(DEFAULT_NAMESPACE, "ticker 2000")
    };
    run(engine, terminal, "terminal")?;
    let flaky = ContainerSpec {
        restart_policy: ContainerRestartPolicy::OnFailure { max_retries: 0 },
        ..program(DEFAULT_NAMESPACE, "exit 1")
    };
    run(engine, flaky, "flaky")?;
    engine.create_container_with_id(&program(DEFAULT_NAMESPACE, "sleep"), "idle")?;
    // The same IDs as in the default namespace.
    run(engine, program(OTHER_NAMESPACE, "ticker 3000"), "web")?;
    run(engine, program(OTHER_NAMESPACE, "sleep"), "idle")
}

fn program(namespace: &str, words: &str) -> ContainerSpec {
    ContainerSpec {
        args: words.split(' ').map(str::to_owned).collect(),
        ..ContainerSpec::new(namespace, TOY_IMAGE)
    }
}

fn run(engine: &ToyEngine, spec: ContainerSpec, id: &str) -> Result<(), EngineError> {
    let container = engine.create_container_with_id(&spec, id)?;
    engine.act(&container, ContainerAction::Start)
}
