//! The engine, and its own command as the rival.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptions, ListContainersOptions, LogsOptions, RemoveContainerOptions,
};
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::process::Command;

/// The image that `scripts/engine` makes.
const IMAGE: &str = "rdd-test";
/// So many requests at once when containers are made and removed: enough to keep the engine busy.
const AT_ONCE: usize = 4;

/// An engine, reached by its API and by its command.
pub(crate) struct Docker {
    pub(crate) api: bollard::Docker,
    pub(crate) host: String,
}

impl Docker {
    pub(crate) async fn connect(host: &str) -> Result<Self> {
        let api = bollard::Docker::connect_with_host(host)?
            .negotiate_version()
            .await
            .with_context(|| format!("cannot reach the engine at {host}"))?;
        let docker = Self {
            api,
            host: host.to_owned(),
        };
        ensure!(
            docker.ids().await?.is_empty(),
            "the engine at {host} has containers: benchmarks need one of their own, see 'make bench'"
        );
        Ok(docker)
    }

    pub(crate) async fn version(&self) -> Result<String> {
        let version = self.api.version().await?.version;
        version.context("the engine does not tell its version")
    }

    /// All containers' IDs.
    pub(crate) async fn ids(&self) -> Result<Vec<String>> {
        let options = ListContainersOptions {
            all: true,
            ..Default::default()
        };
        let list = self.api.list_containers(Some(options)).await?;
        Ok(list.into_iter().filter_map(|summary| summary.id).collect())
    }

    /// Creates a container without a network that would run this in a shell.
    pub(crate) async fn create(&self, script: &str) -> Result<String> {
        let body = ContainerCreateBody {
            image: Some(IMAGE.to_owned()),
            cmd: Some(vec!["sh".into(), "-c".into(), script.into()]),
            host_config: Some(HostConfig {
                network_mode: Some("none".to_owned()),
                ..Default::default()
            }),
            ..Default::default()
        };
        let created = self
            .api
            .create_container(None::<CreateContainerOptions>, body)
            .await?;
        Ok(created.id)
    }

    /// Creates and starts a container.
    pub(crate) async fn run(&self, script: &str) -> Result<String> {
        let id = self.create(script).await?;
        self.api.start_container(&id, None).await?;
        Ok(id)
    }

    /// Makes containers until there are so many.
    pub(crate) async fn fill(&self, count: usize, running: bool) -> Result<()> {
        let missing = count.saturating_sub(self.ids().await?.len());
        futures::stream::iter(0..missing)
            .map(|_| async {
                let script = "sleep 100000";
                if running {
                    self.run(script).await
                } else {
                    self.create(script).await
                }
            })
            .buffer_unordered(AT_ONCE)
            .try_for_each(|_| async { Ok(()) })
            .await
    }

    /// Removes every container.
    pub(crate) async fn clear(&self) -> Result<()> {
        let options = RemoveContainerOptions {
            force: true,
            v: true,
            ..Default::default()
        };
        futures::stream::iter(self.ids().await?)
            .map(|id| {
                let options = options.clone();
                async move { self.api.remove_container(&id, Some(options)).await }
            })
            .buffer_unordered(AT_ONCE)
            .try_collect::<Vec<()>>()
            .await?;
        Ok(())
    }

    /// Runs a container to its end and returns its ID.
    pub(crate) async fn finished(&self, script: &str) -> Result<String> {
        let id = self.run(script).await?;
        let mut wait = self
            .api
            .wait_container(&id, None::<bollard::query_parameters::WaitContainerOptions>);
        while wait.try_next().await?.is_some() {}
        Ok(id)
    }

    /// The bytes of a log, both streams together, as the engine's API gives them.
    pub(crate) async fn log_bytes(&self, id: &str) -> Result<u64> {
        let options = LogsOptions {
            stdout: true,
            stderr: true,
            ..Default::default()
        };
        let mut log = self.api.logs(id, Some(options));
        let mut bytes = 0;
        while let Some(chunk) = log.try_next().await? {
            bytes += chunk.into_bytes().len() as u64;
        }
        Ok(bytes)
    }
}

/// What a command took.
pub(crate) struct Took {
    pub(crate) wall: Duration,
    /// CPU seconds of the command and its children.
    pub(crate) cpu: f64,
}

/// A `docker` command on this engine, its output to be thrown away.
pub(crate) fn command(host: &str, args: &[&str]) -> Command {
    let mut command = Command::new("docker");
    command
        .args(["--host", host])
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Times a command as a whole process. Nothing else of ours may end meanwhile:
/// CPU is told for all children together.
pub(crate) async fn time(mut command: Command) -> Result<Took> {
    let before = children_cpu()?;
    let begun = Instant::now();
    let status = command.status().await.context("cannot run the command")?;
    let wall = begun.elapsed();
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(Took {
        wall,
        cpu: children_cpu()? - before,
    })
}

fn children_cpu() -> Result<f64> {
    let stat = procfs::process::Process::myself()?.stat()?;
    #[expect(
        clippy::cast_precision_loss,
        reason = "clock ticks of children that ran for minutes"
    )]
    Ok((stat.cutime + stat.cstime) as f64 / procfs::ticks_per_second() as f64)
}
