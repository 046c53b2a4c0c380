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
use rdd_sdk::native::{CallHandle, UnixHost};
use rdd_sdk::types::{
    ContainerRef, Event, LogOptions, Object, ObjectRef, OutputChunk, OutputSource, Removal,
    RemovalTarget,
};

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
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
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
        let (moby, id) = (Rc::clone(&self.moby), id.to_owned());
        CallHandle::start(|responder| async move {
            moby.get_logs(container_ref(&id), options, responder).await
        })
        .await
        .unwrap()
    }

    pub(crate) async fn watch(&self) -> WatchReader {
        let moby = Rc::clone(&self.moby);
        let call = CallHandle::start(|responder| async move { moby.watch(responder).await })
            .await
            .unwrap();
        let mut watch = WatchReader {
            call,
            pending: Vec::new(),
        };
        assert_eq!(watch.next().await, Event::InitBegin);
        watch
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

/// A watch that returns single events.
pub(crate) struct WatchReader {
    call: CallHandle<Event>,
    /// The events of the last batch, in reverse order.
    pending: Vec<Event>,
}

impl WatchReader {
    pub(crate) async fn next(&mut self) -> Event {
        while self.pending.is_empty() {
            self.pending = tokio::time::timeout(PATIENCE, self.call.next())
                .await
                .expect("no event in time")
                .expect("the watch ended");
            self.pending.reverse();
        }
        self.pending.pop().unwrap()
    }

    /// Returns the objects of the listing.
    pub(crate) async fn listing(&mut self) -> Vec<Object> {
        let mut objects = Vec::new();
        loop {
            match self.next().await {
                Event::Applied(object) => objects.push(object),
                Event::InitDone => return objects,
                other => panic!("{other:?} within a listing"),
            }
        }
    }

    /// Returns the first result of `select`. Skips the events of other tests.
    pub(crate) async fn until<T>(&mut self, mut select: impl FnMut(&Event) -> Option<T>) -> T {
        loop {
            let event = self.next().await;
            if let Some(found) = select(&event) {
                return found;
            }
        }
    }

    pub(crate) async fn until_removed(&mut self, object: ObjectRef) {
        self.until(|event| (*event == Event::Removed(object.clone())).then_some(()))
            .await;
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
pub(crate) async fn read(mut log: CallHandle<OutputChunk>) -> (Vec<u8>, Vec<u8>) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    while let Some(chunks) = log.next().await {
        for chunk in chunks {
            match chunk.source {
                OutputSource::Stdout => out.extend(chunk.bytes),
                OutputSource::Stderr => err.extend(chunk.bytes),
            }
        }
    }
    log.result().await.unwrap();
    (out, err)
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
