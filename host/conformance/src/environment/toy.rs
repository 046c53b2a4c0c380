//! The toy engine as an environment.

use async_trait::async_trait;
use rdd_core::{
    ContainerAction, ContainerEngine, ContainerRef, ContainerSpec, EngineObject, OutputSource,
};
use rdd_toy_engine::{DEFAULT_NAMESPACE, OTHER_NAMESPACE, TOY_IMAGE, ToyEngine};

use super::{EngineDisturbance, ExecScript, SetupError, TestContainerSpec, TestEnvironment};

/// A toy engine in this process, which can be set up and disturbed in every way.
/// All its containers are removed after each case.
#[derive(Debug)]
pub struct ToyEnvironment {
    engine: ToyEngine,
}

impl ToyEnvironment {
    /// Sets up objects in `engine`.
    pub fn new(engine: ToyEngine) -> Self {
        Self { engine }
    }
}

#[async_trait]
impl TestEnvironment for ToyEnvironment {
    fn namespace(&self) -> &str {
        DEFAULT_NAMESPACE
    }

    fn other_namespace(&self) -> Option<&str> {
        Some(OTHER_NAMESPACE)
    }

    fn image(&self) -> &str {
        TOY_IMAGE
    }

    fn unique_name(&self) -> String {
        format!("conformance-{:08x}", fastrand::u32(..))
    }

    async fn run(
        &self,
        _engine: &dyn ContainerEngine,
        spec: &TestContainerSpec,
    ) -> Result<ContainerRef, SetupError> {
        let namespace = if spec.in_other_namespace {
            OTHER_NAMESPACE
        } else {
            DEFAULT_NAMESPACE
        };
        let container = ContainerSpec {
            args: vec!["sleep".to_owned()],
            env: spec.env.clone(),
            tty: spec.tty,
            ..ContainerSpec::new(namespace, TOY_IMAGE)
        };
        let container = match &spec.id {
            Some(id) => self.engine.create_container_with_id(&container, id)?,
            None => self.engine.create_container(&container)?,
        };
        self.engine.act(&container, ContainerAction::Start)?;
        Ok(container)
    }

    async fn write(
        &self,
        _engine: &dyn ContainerEngine,
        container: &ContainerRef,
        source: OutputSource,
        bytes: &[u8],
    ) -> Result<(), SetupError> {
        Ok(self.engine.write(container, source, bytes.to_vec())?)
    }

    async fn write_at(
        &self,
        container: &ContainerRef,
        time: i64,
        source: OutputSource,
        bytes: &[u8],
    ) -> Result<(), SetupError> {
        Ok(self
            .engine
            .write_at(container, time, source, bytes.to_vec())?)
    }

    async fn stop(
        &self,
        _engine: &dyn ContainerEngine,
        container: &ContainerRef,
    ) -> Result<(), SetupError> {
        Ok(self.engine.act(container, ContainerAction::Stop)?)
    }

    async fn remove(
        &self,
        _engine: &dyn ContainerEngine,
        container: &ContainerRef,
    ) -> Result<(), SetupError> {
        Ok(self.engine.remove(&super::engine::removal(container))?)
    }

    async fn disturb(
        &self,
        _engine: &dyn ContainerEngine,
        disturbance: EngineDisturbance,
    ) -> Result<(), SetupError> {
        let engine = &self.engine;
        match disturbance {
            EngineDisturbance::CutConnections => engine.cut_connections(),
            EngineDisturbance::StopAnswering => engine.set_answering(false),
            EngineDisturbance::Answer => engine.set_answering(true),
            EngineDisturbance::Rotate { container, kept } => engine.rotate(&container, kept)?,
            EngineDisturbance::Burst { container, changes } => engine.burst(&container, changes)?,
            EngineDisturbance::Rename { container, name } => engine.rename(&container, &name)?,
            EngineDisturbance::AddImage { id, tag } => {
                engine.add_image(DEFAULT_NAMESPACE, &id, &[&tag]);
            }
            EngineDisturbance::CreateNamespace(name) => engine.create_namespace(&name),
            EngineDisturbance::RemoveNamespace(name) => engine.remove_namespace(&name)?,
        }
        Ok(())
    }

    fn command(&self, script: &ExecScript) -> Option<Vec<String>> {
        let number;
        let words: &[&str] = match script {
            ExecScript::Echo(text) => &["echo", text],
            ExecScript::Err(text) => &["err", text],
            ExecScript::Cat => &["cat"],
            ExecScript::Exit(code) => {
                number = code.to_string();
                &["exit", &number]
            }
            ExecScript::Kill(signal) => {
                number = signal.to_string();
                &["kill", &number]
            }
            ExecScript::Missing => &["no-such-program"],
            ExecScript::NotExecutable => &["/toy/data"],
            ExecScript::Size => &["size"],
            ExecScript::Env => &["value", "RDD_TEST"],
            ExecScript::WorkingDir => &["pwd"],
            ExecScript::CloseInput => &["close-input"],
            ExecScript::Yes => &["yes"],
            ExecScript::Sleep => &["sleep"],
        };
        Some(words.iter().map(|&word| word.to_owned()).collect())
    }

    fn pullable_image(&self) -> Option<String> {
        Some(format!("{}:1", self.unique_name()))
    }

    fn slow_image(&self) -> Option<String> {
        Some(format!("slow:{}", self.unique_name()))
    }

    fn missing_image(&self) -> Option<String> {
        Some("missing:1".to_owned())
    }

    fn pushable_image(&self) -> Option<String> {
        Some(TOY_IMAGE.to_owned())
    }

    fn connections(&self) -> Option<usize> {
        Some(self.engine.connections().values().sum())
    }

    async fn clean_up(&self, _engine: &dyn ContainerEngine) -> Vec<String> {
        for object in self.engine.objects() {
            if let EngineObject::Container(container) = object {
                let request = super::engine::removal(&container.container_ref());
                // The backend may have removed it meanwhile.
                self.engine.remove(&request).ok();
            }
        }
        Vec::new()
    }
}
