//! The engine, and the `docker` command that the daemon is compared with.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptions, ListContainersOptions, LogsOptions, RemoveContainerOptions,
};
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::process::Command;

/// The image that `scripts/engine` builds.
const IMAGE: &str = "rdd-test";
/// The number of concurrent requests that create or remove containers: enough to
/// keep the engine busy.
const MAX_CONCURRENT: usize = 4;

/// A client for an engine, by its API and by the `docker` command.
pub(crate) struct DockerClient {
    pub(crate) api: bollard::Docker,
    pub(crate) host: String,
}

impl DockerClient {
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
            docker.container_ids().await?.is_empty(),
            "the engine at {host} has containers; use one that is only for benchmarks, see 'make bench'"
        );
        Ok(docker)
    }

    pub(crate) async fn version(&self) -> Result<String> {
        let version = self.api.version().await?.version;
        version.context("the engine does not report its version")
    }

    /// Returns the IDs of all containers.
    pub(crate) async fn container_ids(&self) -> Result<Vec<String>> {
        let options = ListContainersOptions {
            all: true,
            ..Default::default()
        };
        let list = self.api.list_containers(Some(options)).await?;
        Ok(list.into_iter().filter_map(|summary| summary.id).collect())
    }

    /// Creates a container without a network that runs a shell script.
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

    /// Creates containers until there are `count`.
    pub(crate) async fn fill(&self, count: usize, running: bool) -> Result<()> {
        let missing = count.saturating_sub(self.container_ids().await?.len());
        futures::stream::iter(0..missing)
            .map(|_| async {
                let script = "sleep 100000";
                if running {
                    self.run(script).await
                } else {
                    self.create(script).await
                }
            })
            .buffer_unordered(MAX_CONCURRENT)
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
        futures::stream::iter(self.container_ids().await?)
            .map(|id| {
                let options = options.clone();
                async move { self.api.remove_container(&id, Some(options)).await }
            })
            .buffer_unordered(MAX_CONCURRENT)
            .try_collect::<Vec<()>>()
            .await?;
        Ok(())
    }

    /// Runs a container to its end and returns its ID.
    pub(crate) async fn run_to_exit(&self, script: &str) -> Result<String> {
        let id = self.run(script).await?;
        let mut wait = self
            .api
            .wait_container(&id, None::<bollard::query_parameters::WaitContainerOptions>);
        while wait.try_next().await?.is_some() {}
        Ok(id)
    }

    /// Returns the number of bytes in both streams of a log, as reported by the
    /// engine's API.
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

/// The times of a command.
pub(crate) struct CommandTimes {
    pub(crate) wall: Duration,
    /// The CPU seconds of the command and its children.
    pub(crate) cpu: f64,
}

/// Returns a `docker` command for this engine, without output.
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

/// Measures a command as a whole process. No other child process may exit in the
/// meantime, since the CPU time is the sum of all children.
pub(crate) async fn time_command(mut command: Command) -> Result<CommandTimes> {
    let before = children_cpu()?;
    let begun = Instant::now();
    let status = command.status().await.context("cannot run the command")?;
    let wall = begun.elapsed();
    ensure!(status.success(), "{command:?} exited with {status}");
    Ok(CommandTimes {
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
