//! The fixture: a real engine, an independent client of it, and the backend.

use std::collections::HashMap;
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Once;
use std::time::Duration;

use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CommitContainerOptionsBuilder, CreateContainerOptionsBuilder, InspectContainerOptions,
    ListContainersOptionsBuilder, ListImagesOptions, ListVolumesOptions,
    RemoveContainerOptionsBuilder, RemoveImageOptions, RemoveVolumeOptions, TagImageOptionsBuilder,
};
use futures::{FutureExt, StreamExt};
use rdd_backend_moby::MobyBackend;
use rdd_sdk::Backend;
use rdd_sdk::testing::{self, CallHandle, UnixHost, WatchReader};
use rdd_sdk::types::{ContainerRef, LogOptions, OutputChunk, Removal, RemovalTarget};

/// The image that `make engine` creates from busybox.
pub(crate) const IMAGE: &str = "rdd-test:latest";

/// The maximum time to wait for an expected event.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct EngineFixture {
    pub(crate) docker: Docker,
    pub(crate) moby: Rc<MobyBackend>,
    /// The path of the engine's socket.
    pub(crate) socket: String,
    prefix: String,
}

/// Runs a test on a current-thread runtime like that of a backend, and removes
/// the test's objects even if it fails.
pub(crate) fn run<F: Future<Output = ()>>(name: &str, test: impl FnOnce(Rc<EngineFixture>) -> F) {
    let Some(address) = engine_address() else {
        return;
    };
    let socket = address
        .strip_prefix("unix://")
        .expect("RDD_TEST_DOCKER_HOST is not a unix:// address");
    testing::run_live(async {
        let fixture = Rc::new(EngineFixture {
            docker: Docker::connect_with_unix(socket, 120, bollard::API_DEFAULT_VERSION)
                .unwrap()
                .negotiate_version()
                .await
                .expect("cannot connect to the engine of RDD_TEST_DOCKER_HOST"),
            moby: Rc::new(MobyBackend::new(UnixHost::new(socket, |_, _| {}).handle())),
            socket: socket.to_owned(),
            prefix: format!("rdd-moby-{name}-{}", std::process::id()),
        });
        let outcome = AssertUnwindSafe(test(Rc::clone(&fixture)))
            .catch_unwind()
            .await;
        fixture.remove_objects().await;
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
}

/// Returns the address of the engine. Without one, the tests are skipped with one
/// printed line, or fail if `RDD_TEST_REQUIRE_ALL` is 1.
fn engine_address() -> Option<String> {
    static PRINTED: Once = Once::new();
    if let Ok(address) = std::env::var("RDD_TEST_DOCKER_HOST") {
        return Some(address);
    }
    let remedy = "RDD_TEST_DOCKER_HOST is not set; run `make engine`, which prints the address, or `make test`";
    assert!(
        std::env::var("RDD_TEST_REQUIRE_ALL").as_deref() != Ok("1"),
        "{remedy}"
    );
    #[expect(
        clippy::explicit_write,
        reason = "the test harness hides the output of eprintln! in passing tests"
    )]
    PRINTED.call_once(|| {
        writeln!(
            std::io::stderr(),
            "skipped the tests on a Docker engine: {remedy}"
        )
        .unwrap();
    });
    None
}

impl EngineFixture {
    /// Returns a name that is unique to this test.
    pub(crate) fn name(&self, suffix: &str) -> String {
        format!("{}-{suffix}", self.prefix)
    }

    /// Returns the label of the test's objects.
    pub(crate) fn label(&self) -> (String, String) {
        ("test".to_owned(), self.prefix.clone())
    }

    /// Creates a container that runs a shell script, without starting it.
    pub(crate) async fn create(&self, suffix: &str, script: &str, tty: bool) -> String {
        self.create_from(IMAGE, suffix, script, tty).await
    }

    /// Creates a container like [`create`](Self::create) from another image.
    pub(crate) async fn create_from(
        &self,
        image: &str,
        suffix: &str,
        script: &str,
        tty: bool,
    ) -> String {
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            cmd: Some(["sh", "-c", script].map(str::to_owned).to_vec()),
            env: Some(vec!["SECRET=hunter2".to_owned()]),
            tty: Some(tty),
            stop_timeout: Some(0),
            host_config: Some(HostConfig {
                network_mode: Some("none".to_owned()),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        self.create_labeled(suffix, body).await
    }

    /// Creates a container with an anonymous volume.
    pub(crate) async fn create_with_volume(&self, suffix: &str) -> String {
        let body = ContainerCreateBody {
            image: Some(IMAGE.to_owned()),
            volumes: Some(vec!["/data".to_owned()]),
            ..ContainerCreateBody::default()
        };
        self.create_labeled(suffix, body).await
    }

    /// Creates a container with the test's label.
    async fn create_labeled(&self, suffix: &str, body: ContainerCreateBody) -> String {
        let body = ContainerCreateBody {
            labels: Some(HashMap::from([("test".to_owned(), self.prefix.clone())])),
            ..body
        };
        let options = CreateContainerOptionsBuilder::new()
            .name(&self.name(suffix))
            .build();
        self.docker
            .create_container(Some(options), body)
            .await
            .unwrap()
            .id
    }

    /// Returns the name of a container's only volume.
    pub(crate) async fn volume_of(&self, id: &str) -> String {
        let container = self
            .docker
            .inspect_container(id, None::<InspectContainerOptions>)
            .await
            .unwrap();
        container.mounts.unwrap().remove(0).name.unwrap()
    }

    pub(crate) async fn start(&self, id: &str) {
        self.docker.start_container(id, None).await.unwrap();
    }

    /// Creates a container, starts it, and waits until it exits.
    pub(crate) async fn run_to_exit(&self, suffix: &str, script: &str, tty: bool) -> String {
        let id = self.create(suffix, script, tty).await;
        self.start(&id).await;
        // bollard returns an exit code other than zero as an error.
        self.docker.wait_container(&id, None).next().await;
        id
    }

    /// Commits a container to an image, with this tag or none.
    pub(crate) async fn commit(&self, container: &str, tag: Option<&str>) -> String {
        let options = CommitContainerOptionsBuilder::new()
            .container(container)
            .build();
        let config = bollard::models::ContainerConfig::default();
        let id = self
            .docker
            .commit_container(options, config)
            .await
            .unwrap()
            .id;
        if let Some(tag) = tag {
            self.tag(&id, tag).await;
        }
        id
    }

    pub(crate) async fn tag(&self, image: &str, tag: &str) {
        let options = TagImageOptionsBuilder::new().repo(tag).tag("1").build();
        self.docker.tag_image(image, Some(options)).await.unwrap();
    }

    pub(crate) async fn logs(&self, id: &str, options: LogOptions) -> CallHandle<OutputChunk> {
        testing::get_logs(&self.moby, container_ref(id), options)
            .await
            .unwrap()
    }

    pub(crate) async fn watch(&self) -> WatchReader {
        let watch = testing::watch(&self.moby).await.unwrap();
        watch.with_patience(PATIENCE)
    }

    /// Removes the test's objects. Errors are ignored, since the test may have
    /// removed them itself.
    async fn remove_objects(&self) {
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&HashMap::from([(
                "label",
                vec![format!("test={}", self.prefix)],
            )]))
            .build();
        for container in self.docker.list_containers(Some(options)).await.unwrap() {
            let force = RemoveContainerOptionsBuilder::new()
                .force(true)
                .v(true)
                .build();
            let id = container.id.unwrap();
            self.docker.remove_container(&id, Some(force)).await.ok();
        }
        for image in self
            .docker
            .list_images(None::<ListImagesOptions>)
            .await
            .unwrap()
        {
            for tag in image.repo_tags {
                if tag.starts_with(&self.prefix) {
                    self.docker
                        .remove_image(&tag, None::<RemoveImageOptions>, None)
                        .await
                        .ok();
                }
            }
        }
        for volume in self
            .docker
            .list_volumes(None::<ListVolumesOptions>)
            .await
            .unwrap()
            .volumes
            .unwrap_or_default()
        {
            if volume.name.starts_with(&self.prefix) {
                self.docker
                    .remove_volume(&volume.name, None::<RemoveVolumeOptions>)
                    .await
                    .ok();
            }
        }
    }
}

/// Options for the whole log, without following.
pub(crate) fn whole_log() -> LogOptions {
    LogOptions {
        follow: false,
        tail: None,
        since: None,
        until: None,
        timestamps: false,
        stdout: true,
        stderr: true,
    }
}

/// Reads a log to its end and returns standard output and standard error.
pub(crate) async fn read(log: CallHandle<OutputChunk>) -> (Vec<u8>, Vec<u8>) {
    let outcome = testing::collect_output(log).await;
    outcome.result.unwrap();
    (outcome.stdout, outcome.stderr)
}

/// Returns the reference to a container.
pub(crate) fn container_ref(id: &str) -> ContainerRef {
    ContainerRef {
        namespace: "moby".to_owned(),
        id: id.to_owned(),
    }
}

/// Returns the removal of an object.
pub(crate) fn removal(target: RemovalTarget) -> Removal {
    Removal {
        namespace: "moby".to_owned(),
        target,
    }
}
