//! The fake engine as an environment and as a backend.

use std::sync::Arc;

use async_trait::async_trait;
use rdd_conformance::{
    BackendTarget, EngineDisturbance, ExecScript, SetupError, TargetError, TestContainerSpec,
    TestEnvironment,
};
use rdd_core::{ContainerEngine, ContainerRef, EngineObject, OutputSource, Timestamp};
use rdd_testkit::FakeEngine;

/// The fake engine as a backend.
pub(crate) struct FakeTarget(pub(crate) FakeEngine);

impl Default for FakeTarget {
    fn default() -> Self {
        let engine = FakeEngine::default();
        engine.add_image(&["busybox:latest"]);
        Self(engine)
    }
}

#[async_trait]
impl BackendTarget for FakeTarget {
    async fn launch(&self) -> Result<Arc<dyn ContainerEngine>, TargetError> {
        Ok(Arc::new(self.0.clone()))
    }
}

/// The fake engine as an environment, with one namespace.
pub(crate) struct FakeEnvironment(pub(crate) FakeEngine);

#[async_trait]
impl TestEnvironment for FakeEnvironment {
    fn namespace(&self) -> &str {
        "moby"
    }

    fn image(&self) -> &str {
        "busybox:latest"
    }

    fn unique_name(&self) -> String {
        format!("conformance-{:08x}", fastrand::u32(..))
    }

    async fn run(
        &self,
        _: &dyn ContainerEngine,
        spec: &TestContainerSpec,
    ) -> Result<ContainerRef, SetupError> {
        if spec.in_other_namespace || spec.id.is_some() {
            return Err(SetupError::impossible("the fake engine has one namespace"));
        }
        let name = self.unique_name();
        let image = self
            .0
            .objects()
            .into_iter()
            .find_map(|object| match object {
                EngineObject::Image(image) => Some(image.id),
                _ => None,
            });
        let id = self.0.create_container_with(&name, |container| {
            container.tty = spec.tty;
            container.image_id = image.unwrap();
        });
        self.0.start(&id);
        Ok(self.0.container_ref(&id))
    }

    async fn write(
        &self,
        _: &dyn ContainerEngine,
        container: &ContainerRef,
        source: OutputSource,
        bytes: &[u8],
    ) -> Result<(), SetupError> {
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.0.write_log(&container.id, source, line.to_vec());
        }
        Ok(())
    }

    async fn write_at(
        &self,
        container: &ContainerRef,
        time: i64,
        source: OutputSource,
        bytes: &[u8],
    ) -> Result<(), SetupError> {
        let rest = u32::try_from(time.rem_euclid(1_000_000_000)).unwrap();
        let time = Timestamp::new(time.div_euclid(1_000_000_000), rest).unwrap();
        self.0
            .write_log_at(&container.id, time, source, bytes.to_vec());
        Ok(())
    }

    async fn stop(
        &self,
        _: &dyn ContainerEngine,
        container: &ContainerRef,
    ) -> Result<(), SetupError> {
        self.0.stop(&container.id);
        self.0.end_log(&container.id);
        Ok(())
    }

    async fn remove(
        &self,
        _: &dyn ContainerEngine,
        container: &ContainerRef,
    ) -> Result<(), SetupError> {
        self.0.remove_container(&container.id);
        Ok(())
    }

    async fn disturb(
        &self,
        _: &dyn ContainerEngine,
        disturbance: EngineDisturbance,
    ) -> Result<(), SetupError> {
        match disturbance {
            EngineDisturbance::CutConnections => self.0.cut_streams(),
            EngineDisturbance::Rotate { container, kept } => {
                self.0.rotate_log(&container.id, kept);
            }
            EngineDisturbance::Burst { container, changes } => {
                for number in 0..changes {
                    self.0.edit_container(&container.id, |container| {
                        container.exit_code = i32::try_from(number).unwrap();
                    });
                }
            }
            EngineDisturbance::Rename { container, name } => self.0.rename(&container.id, &name),
            EngineDisturbance::AddImage { id, tag } => self.0.add_image_with_id(&id, &[&tag]),
            EngineDisturbance::CreateNamespace(name) => self.0.create_namespace(&name),
            EngineDisturbance::RemoveNamespace(name) => self.0.remove_namespace(&name),
            EngineDisturbance::StopAnswering | EngineDisturbance::Answer => {
                return Err(SetupError::impossible("the fake engine always answers"));
            }
        }
        Ok(())
    }

    fn command(&self, script: &ExecScript) -> Option<Vec<String>> {
        let words = match script {
            ExecScript::Echo(text) => vec!["echo".to_owned(), text.clone()],
            ExecScript::Err(text) => vec!["err".to_owned(), text.clone()],
            ExecScript::Cat => vec!["cat".to_owned()],
            ExecScript::Exit(code) => vec!["exit".to_owned(), code.to_string()],
            ExecScript::Kill(signal) => vec!["kill".to_owned(), signal.to_string()],
            ExecScript::Missing => vec!["none".to_owned()],
            ExecScript::NotExecutable => vec!["/fake/data".to_owned()],
            ExecScript::Size => vec!["size".to_owned()],
            ExecScript::WorkingDir => vec!["pwd".to_owned()],
            ExecScript::CloseInput => vec!["close-input".to_owned()],
            ExecScript::Sleep => vec!["sleep".to_owned()],
            ExecScript::Env | ExecScript::Yes => return None,
        };
        Some(words)
    }

    fn pullable_image(&self) -> Option<String> {
        Some(format!("{}:1", self.unique_name()))
    }

    fn pushable_image(&self) -> Option<String> {
        Some("busybox:latest".to_owned())
    }

    async fn clean_up(&self, _: &dyn ContainerEngine) -> Vec<String> {
        Vec::new()
    }
}
