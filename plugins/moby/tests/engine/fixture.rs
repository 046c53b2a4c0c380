//! The engine, an independent client of it, and the backend.

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
use rdd_backend_moby::Moby;
use rdd_sdk::Backend;
use rdd_sdk::native::{Running, UnixHost};
use rdd_sdk::types::{Event, LogChunk, LogOptions, LogSource, Object, ObjectRef};

/// Made by `make engine` from busybox.
pub(crate) const IMAGE: &str = "rdd-test:latest";

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Fixture {
    pub(crate) docker: Docker,
    pub(crate) moby: Rc<Moby>,
    /// The engine's.
    pub(crate) socket: String,
    prefix: String,
}

/// Runs a test on a thread of its own, as a backend runs, and removes the
/// test's containers whatever comes of it.
pub(crate) fn run<F: Future<Output = ()>>(name: &str, test: impl FnOnce(Rc<Fixture>) -> F) {
    let Some(address) = engine_address() else {
        return;
    };
    let socket = address.strip_prefix("unix://").expect("a unix:// address");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let fixture = Rc::new(Fixture {
            docker: Docker::connect_with_unix(socket, 120, bollard::API_DEFAULT_VERSION)
                .unwrap()
                .negotiate_version()
                .await
                .expect("the engine of RDD_TEST_DOCKER_HOST answers"),
            moby: Rc::new(Moby::new(UnixHost::new(socket, |_, _| {}).handle())),
            socket: socket.to_owned(),
            prefix: format!("rdd-moby-{name}-{}", std::process::id()),
        });
        let outcome = AssertUnwindSafe(test(Rc::clone(&fixture)))
            .catch_unwind()
            .await;
        fixture.sweep().await;
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
}

/// The engine that the environment names. Without one a test is skipped, which
/// is printed once; it fails where nothing may be skipped.
fn engine_address() -> Option<String> {
    static PRINTED: Once = Once::new();
    if let Ok(address) = std::env::var("RDD_TEST_DOCKER_HOST") {
        return Some(address);
    }
    let remedy = "RDD_TEST_DOCKER_HOST names no engine: run `make engine`, which prints its DOCKER_HOST, or `make test`";
    assert!(
        std::env::var("RDD_TEST_REQUIRE_ALL").as_deref() != Ok("1"),
        "{remedy}"
    );
    #[expect(
        clippy::explicit_write,
        reason = "the harness shows what eprintln! prints of failed tests only"
    )]
    PRINTED.call_once(|| {
        writeln!(
            std::io::stderr(),
            "skipped: the tests on a Docker engine: {remedy}"
        )
        .unwrap();
    });
    None
}

impl Fixture {
    /// A name of this test's own.
    pub(crate) fn name(&self, suffix: &str) -> String {
        format!("{}-{suffix}", self.prefix)
    }

    /// Makes a container that runs a shell script, and leaves it stopped.
    pub(crate) async fn create(&self, suffix: &str, script: &str, tty: bool) -> String {
        self.create_of(IMAGE, suffix, script, tty).await
    }

    /// The same, of an image of the test's own.
    pub(crate) async fn create_of(
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
        self.make(suffix, body).await
    }

    /// Makes a container with an anonymous volume.
    pub(crate) async fn create_with_volume(&self, suffix: &str) -> String {
        let body = ContainerCreateBody {
            image: Some(IMAGE.to_owned()),
            volumes: Some(vec!["/data".to_owned()]),
            ..ContainerCreateBody::default()
        };
        self.make(suffix, body).await
    }

    /// Makes a container that carries the test's label.
    async fn make(&self, suffix: &str, body: ContainerCreateBody) -> String {
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

    /// The name of a container's only volume.
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

    /// Makes a container, starts it and waits for its end.
    pub(crate) async fn finished(&self, suffix: &str, script: &str, tty: bool) -> String {
        let id = self.create(suffix, script, tty).await;
        self.start(&id).await;
        // A status other than zero is an error of bollard's; the end is all.
        let _ = self.docker.wait_container(&id, None).next().await;
        id
    }

    /// Makes an image of a container, with this tag or none.
    pub(crate) async fn image_of(&self, container: &str, tag: Option<&str>) -> String {
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

    pub(crate) async fn logs(&self, id: &str, options: LogOptions) -> Running<LogChunk> {
        let (moby, id) = (Rc::clone(&self.moby), id.to_owned());
        Running::start(|responder| async move { moby.get_logs(id, options, responder).await })
            .await
            .unwrap()
    }

    pub(crate) async fn watch(&self) -> Watch {
        let moby = Rc::clone(&self.moby);
        let running = Running::start(|responder| async move { moby.watch(responder).await })
            .await
            .unwrap();
        let mut watch = Watch {
            running,
            waiting: Vec::new(),
        };
        assert_eq!(watch.next().await, Event::InitBegin);
        watch
    }

    async fn sweep(&self) {
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
            // It may be gone by itself.
            let _ = self.docker.remove_container(&id, Some(force)).await;
        }
        for image in self
            .docker
            .list_images(None::<ListImagesOptions>)
            .await
            .unwrap()
        {
            for tag in image.repo_tags {
                if tag.starts_with(&self.prefix) {
                    let _ = self
                        .docker
                        .remove_image(&tag, None::<RemoveImageOptions>, None)
                        .await;
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
                let _ = self
                    .docker
                    .remove_volume(&volume.name, None::<RemoveVolumeOptions>)
                    .await;
            }
        }
    }
}

/// A watch, event by event.
pub(crate) struct Watch {
    running: Running<Event>,
    waiting: Vec<Event>,
}

impl Watch {
    pub(crate) async fn next(&mut self) -> Event {
        while self.waiting.is_empty() {
            self.waiting = tokio::time::timeout(PATIENCE, self.running.next())
                .await
                .expect("an event comes")
                .expect("the watch goes on");
            self.waiting.reverse();
        }
        self.waiting.pop().unwrap()
    }

    /// The objects of the listing.
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

    /// Skips what other tests do until this is true of an event.
    pub(crate) async fn until<T>(&mut self, mut wanted: impl FnMut(&Event) -> Option<T>) -> T {
        loop {
            let event = self.next().await;
            if let Some(found) = wanted(&event) {
                return found;
            }
        }
    }

    pub(crate) async fn until_removed(&mut self, object: ObjectRef) {
        self.until(|event| (*event == Event::Removed(object.clone())).then_some(()))
            .await;
    }
}

/// All of a finished log that is wanted.
pub(crate) fn everything() -> LogOptions {
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

/// Reads to the end: standard output and standard error.
pub(crate) async fn read(mut log: Running<LogChunk>) -> (Vec<u8>, Vec<u8>) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    while let Some(chunks) = log.next().await {
        for chunk in chunks {
            match chunk.source {
                LogSource::Stdout => out.extend(chunk.bytes),
                LogSource::Stderr => err.extend(chunk.bytes),
            }
        }
    }
    log.result().await.unwrap();
    (out, err)
}
