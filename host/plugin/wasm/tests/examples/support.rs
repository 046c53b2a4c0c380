//! An example in the real host, with a toy engine, and what every example must do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use rdd_core::{
    ContainerAction, ContainerEngine as _, ContainerRef, ContainerSpec, EngineError, EngineObject,
    EntryBatch, EntryOptions, EntryPosition, EntryStream, ErrorCode, GapReason, ObjectKind,
    ObjectRef, OutputSource, RemoveRequest, RemoveTarget, VolumeSpec, WatchEvent, WatchStream,
};
use rdd_plugin_contract::{
    BackendInstance as _, BackendLimits, BackendServices, EngineConnection, EngineTransport,
};
use rdd_plugin_wasm::{BackendHandle, ComponentBackend, ComponentRuntime, LinkedComponent};
use rdd_testkit::{PATIENCE, eventually};
use rdd_toy_engine::{TOY_IMAGE, ToyEngine, ToyServer};
use tokio::net::UnixStream;

/// An engine, and an example that is connected to it.
pub(crate) struct Example {
    pub(crate) engine: ToyEngine,
    pub(crate) handle: BackendHandle,
    _backend: ComponentBackend,
    _server: ToyServer,
    _socket: tempfile::TempDir,
}

struct SocketTransport(PathBuf);

#[async_trait]
impl EngineTransport for SocketTransport {
    async fn connect(&self) -> Result<EngineConnection, EngineError> {
        let socket = UnixStream::connect(&self.0)
            .await
            .map_err(|error| EngineError::new(ErrorCode::Unavailable, error.to_string()))?;
        let (reader, writer) = socket.into_split();
        Ok(EngineConnection {
            reader: Box::new(reader),
            writer: Box::new(writer),
        })
    }
}

/// Builds the example in `plugins/examples/<folder>`, once in a process.
pub(crate) fn component(folder: &str, name: &str) -> LinkedComponent {
    static COMPONENTS: Mutex<BTreeMap<String, LinkedComponent>> = Mutex::new(BTreeMap::new());
    let mut components = COMPONENTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(component) = components.get(folder) {
        return component.clone();
    }
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.."));
    let output = Command::new(root.join("scripts/example"))
        .arg(folder)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let file = Path::new(&text(&output.stdout)).join(format!("{name}.wasm"));
    let runtime = ComponentRuntime::new(None).unwrap();
    let component = runtime.load(&std::fs::read(file).unwrap(), name).unwrap();
    components.insert(folder.to_owned(), component.clone());
    component
}

impl Example {
    pub(crate) async fn start(folder: &str, name: &str, limits: BackendLimits) -> Self {
        // Shows the traceback of a backend that fails. Another test may have
        // installed it.
        tracing_subscriber::fmt().with_test_writer().try_init().ok();
        let component = component(folder, name);
        let socket = tempfile::tempdir().unwrap();
        let path = socket.path().join("toy.sock");
        let engine = ToyEngine::new();
        let server = engine.listen(&path).unwrap();
        let services = BackendServices::new(Arc::new(SocketTransport(path)));
        let backend = ComponentBackend::new(name, component, limits, services);
        let handle = in_time(backend.launch()).await.unwrap();
        Self {
            engine,
            handle,
            _backend: backend,
            _server: server,
            _socket: socket,
        }
    }

    /// Creates a running container that writes nothing by itself.
    pub(crate) fn container(&self, namespace: &str, id: &str) -> ContainerRef {
        let spec = ContainerSpec {
            args: vec!["sleep".to_owned()],
            ..ContainerSpec::new(namespace, TOY_IMAGE)
        };
        let container = self.engine.create_container_with_id(&spec, id).unwrap();
        self.engine.act(&container, ContainerAction::Start).unwrap();
        container
    }

    /// Waits until the engine has no open connection.
    pub(crate) async fn no_connections(&self) {
        eventually("every connection is closed", async || {
            let open = self.engine.connections();
            match open.values().all(|count| *count == 0) {
                true => Ok(()),
                false => Err(format!("{open:?}")),
            }
        })
        .await;
    }
}

pub(crate) async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("the future did not complete in time")
}

/// Returns the objects of a listing, sorted.
async fn listing(watch: &mut WatchStream) -> Vec<EngineObject> {
    let mut objects = Vec::new();
    assert_eq!(next_event(watch).await, WatchEvent::InitBegin);
    loop {
        match next_event(watch).await {
            WatchEvent::Applied(object) => objects.push(*object),
            WatchEvent::InitDone => break,
            event => panic!("{event:?} in a listing"),
        }
    }
    objects.sort_by_key(EngineObject::reference);
    objects
}

async fn next_event(watch: &mut WatchStream) -> WatchEvent {
    in_time(watch.next()).await.unwrap().unwrap()
}

/// The watch has exactly the engine's objects, then its changes, until it is
/// dropped. Its connection is closed then, also by a backend that cannot cancel a
/// read.
pub(crate) async fn watches(example: &Example) {
    let web = example.container("main", "web");
    example.container("other", "web");
    let spec = VolumeSpec {
        namespace: "main".to_owned(),
        name: Some("back\\slash\\t".to_owned()),
        ..VolumeSpec::default()
    };
    example.engine.create_volume(&spec).unwrap();
    example.engine.rename(&web, "a name with ümlaut").unwrap();
    let mut expected = example.engine.objects();
    expected.sort_by_key(EngineObject::reference);
    let mut watch = in_time(example.handle.watch()).await.unwrap();
    assert_eq!(listing(&mut watch).await, expected);

    example.engine.act(&web, ContainerAction::Pause).unwrap();
    let WatchEvent::Applied(changed) = next_event(&mut watch).await else {
        panic!("no change");
    };
    assert!(matches!(&*changed, EngineObject::Container(it) if it.paused && it.id == "web"));
    let request = RemoveRequest {
        namespace: "main".to_owned(),
        target: RemoveTarget::Container { id: web.id.clone() },
    };
    example.engine.remove(&request).unwrap();
    loop {
        // The removal of a running container may be preceded by its exit.
        match next_event(&mut watch).await {
            WatchEvent::Removed(object) => break assert_eq!(object, web.into()),
            WatchEvent::Applied(_) => {}
            event => panic!("{event:?}"),
        }
    }
    drop(watch);
    example.no_connections().await;

    // The next watch works, and ends with the engine's connection.
    let mut watch = in_time(example.handle.watch()).await.unwrap();
    listing(&mut watch).await;
    example.engine.cut_connections();
    let error = in_time(watch.next()).await.unwrap().unwrap_err();
    assert_eq!(error.code, ErrorCode::Unavailable, "{error}");
}

/// An inspection has the object and its document; the engine's error is passed
/// on.
pub(crate) async fn inspects(example: &Example) {
    let web = ObjectRef::from(example.container("main", "web"));
    let found = in_time(example.handle.inspect(&web)).await.unwrap();
    let objects = example.engine.objects();
    assert!(objects.contains(&found.object));
    assert!(found.raw.starts_with('{'), "{}", found.raw);
    let missing = ObjectRef::new(ObjectKind::Container, "other", "web");
    let error = in_time(example.handle.inspect(&missing)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound, "{error}");
    example.no_connections().await;
}

/// Thousands of calls leave nothing behind.
pub(crate) async fn repeats(example: &Example, calls: usize) {
    let web = ObjectRef::from(example.container("main", "web"));
    in_time(example.handle.inspect(&web)).await.unwrap();
    let before = example.handle.usage().memory_bytes;
    for _ in 0..calls {
        in_time(example.handle.inspect(&web)).await.unwrap();
    }
    let grown = example.handle.usage().memory_bytes - before;
    assert!(grown < 4 << 20, "{grown} bytes after {calls} calls");
    example.no_connections().await;
}

/// A call to an engine that does not answer ends when its caller leaves, with its
/// connection.
pub(crate) async fn gives_up(example: &Example) {
    let web = ObjectRef::from(example.container("main", "web"));
    let usage = || example.handle.usage();
    example.engine.set_answering(false);
    for call in 1..=10 {
        let inspect = example.handle.inspect(&web);
        let has_arrived = eventually("the engine has the request", async || {
            let connections = example.engine.connections();
            match connections.get("inspect") {
                Some(count) if *count >= call => Ok(()),
                _ => Err(format!("{connections:?}")),
            }
        });
        tokio::select! {
            result = inspect => panic!("{result:?} without an answer"),
            () = has_arrived => {}
        }
        eventually("the call has ended", async || {
            match (usage().calls, usage().connections) {
                (0, 0) => Ok(()),
                busy => Err(format!("{busy:?}")),
            }
        })
        .await;
    }
    example.engine.set_answering(true);
    example.no_connections().await;
    in_time(example.handle.inspect(&web)).await.unwrap();
}

/// The ping keeps a silent watch alive, and finds an engine that hangs.
pub(crate) async fn pings(example: &Example) {
    let mut watch = in_time(example.handle.watch()).await.unwrap();
    listing(&mut watch).await;
    // Longer than an engine that does not answer pings may be silent with these limits.
    let silent = tokio::time::timeout(Duration::from_secs(10), watch.next()).await;
    assert!(silent.is_err(), "{silent:?}");
    example.engine.set_answering(false);
    let error = in_time(watch.next()).await.unwrap().unwrap_err();
    assert_eq!(error.code, ErrorCode::Unavailable, "{error}");
}

/// Limits with which [`pings`] does not take long.
pub(crate) fn impatient() -> BackendLimits {
    BackendLimits {
        idle_before_ping: Duration::from_millis(200),
        ping_timeout: Duration::from_secs(4),
        ..BackendLimits::default()
    }
}

pub(crate) async fn entries(
    example: &Example,
    container: &ContainerRef,
    options: &EntryOptions,
) -> EntryStream {
    in_time(example.handle.get_entries(container, options))
        .await
        .unwrap()
}

/// One entry, and the gap before it.
type Entry = (Option<GapReason>, i64, OutputSource, bool, Vec<u8>);

/// Returns all entries of a log that ends.
async fn drain(mut entries: EntryStream) -> Vec<Entry> {
    let mut all = Vec::new();
    let mut gap = None;
    while let Some(batch) = in_time(entries.next()).await {
        append(&mut all, &mut gap, &batch.unwrap());
    }
    all
}

/// Appends the entries of a batch. A gap may come in an empty batch before them.
fn append(all: &mut Vec<Entry>, gap: &mut Option<GapReason>, batch: &EntryBatch) {
    *gap = gap.or(batch.gap());
    for entry in batch.entries() {
        let header = entry.header;
        all.push((
            gap.take(),
            header.time,
            header.source,
            header.is_partial,
            entry.bytes.to_vec(),
        ));
    }
}

/// All entries arrive as the engine has them, in each selection.
pub(crate) async fn reads_entries(example: &Example) {
    let web = example.container("main", "web");
    let write = |time, source, bytes: &[u8]| {
        let bytes = bytes.to_vec();
        example.engine.write_at(&web, time, source, bytes).unwrap();
    };
    let long = vec![b'x'; 150_000];
    write(1_000, OutputSource::Stdout, b"one\n\n");
    write(1_000, OutputSource::Stderr, b"tab\tcr\r\\\xff\n");
    write(500, OutputSource::Stdout, &long);
    write(-7, OutputSource::Stdout, b"\n");
    for number in 0..10_000 {
        let line = format!("line {number}\n");
        write(2_000, OutputSource::Stdout, line.as_bytes());
    }
    let whole = EntryOptions {
        follow: false,
        ..EntryOptions::default()
    };
    let all = drain(entries(example, &web, &whole).await).await;
    assert_eq!(all.len(), 7 + 10_000);
    let expected = [
        (None, 1_000, OutputSource::Stdout, false, b"one".to_vec()),
        (None, 1_000, OutputSource::Stdout, false, Vec::new()),
        (
            None,
            1_000,
            OutputSource::Stderr,
            false,
            b"tab\tcr\r\\\xff".to_vec(),
        ),
        (None, 500, OutputSource::Stdout, true, vec![b'x'; 65_536]),
        (None, 500, OutputSource::Stdout, true, vec![b'x'; 65_536]),
        (
            None,
            500,
            OutputSource::Stdout,
            true,
            vec![b'x'; 150_000 - 2 * 65_536],
        ),
        (None, -7, OutputSource::Stdout, false, Vec::new()),
    ];
    assert_eq!(all[..7], expected);
    assert_eq!(all[10_006].4, b"line 9999");

    let tail = EntryOptions {
        tail: Some(3),
        ..whole.clone()
    };
    assert_eq!(
        drain(entries(example, &web, &tail).await).await,
        all[10_004..]
    );
    let errors = EntryOptions {
        stdout: false,
        ..whole.clone()
    };
    assert_eq!(
        drain(entries(example, &web, &errors).await).await,
        all[2..3]
    );
    let after = |time, index| EntryOptions {
        after: Some(EntryPosition { time, index }),
        ..whole.clone()
    };
    let resumed = drain(entries(example, &web, &after(2_000, 4_999)).await).await;
    assert_eq!(resumed, all[5_007..]);

    example.engine.rotate(&web, 2).unwrap();
    let resumed = drain(entries(example, &web, &after(2_000, 4_999)).await).await;
    assert_eq!(resumed.len(), 2);
    assert_eq!(resumed[0].0, Some(GapReason::Rotated));
}

/// A followed log continues, and ends with its container or with its reader.
pub(crate) async fn follows_entries(example: &Example) {
    let web = example.container("main", "web");
    let mut log = entries(example, &web, &EntryOptions::default()).await;
    for number in 0..100 {
        let line = format!("line {number}\n");
        example
            .engine
            .write(&web, OutputSource::Stdout, line.clone())
            .unwrap();
        let mut all = Vec::new();
        append(
            &mut all,
            &mut None,
            &in_time(log.next()).await.unwrap().unwrap(),
        );
        assert_eq!(all[0].4, line.trim_end().as_bytes());
    }
    drop(log);
    example.no_connections().await;

    let mut log = entries(example, &web, &EntryOptions::default()).await;
    in_time(log.next()).await.unwrap().unwrap();
    example.engine.act(&web, ContainerAction::Stop).unwrap();
    while let Some(batch) = in_time(log.next()).await {
        batch.unwrap();
    }
    example.no_connections().await;
    assert_eq!(example.handle.usage().log_streams, 0);
}

/// A log for which there is always something to read does not count as a guest that
/// never yields, with [`restless`].
pub(crate) async fn reads_without_a_pause(example: &Example) {
    let flood = flood(example, 100_000).await;
    let whole = EntryOptions {
        follow: false,
        ..EntryOptions::default()
    };
    let all = drain(entries(example, &flood, &whole).await).await;
    assert!(all.len() > 50_000, "{} entries", all.len());
}

/// Limits with which [`reads_without_a_pause`] takes long for a slow language, and a step
/// of it does not, also on a busy machine.
pub(crate) fn restless() -> BackendLimits {
    BackendLimits {
        yield_timeout: Duration::from_secs(1),
        ..BackendLimits::default()
    }
}

/// A reader that leaves a flood ends it, also while the backend waits to write.
pub(crate) async fn leaves_a_flood(example: &Example) {
    let flood = flood(example, 200_000).await;
    for _ in 0..3 {
        let mut log = entries(example, &flood, &EntryOptions::default()).await;
        in_time(log.next()).await.unwrap().unwrap();
        drop(log);
        example.no_connections().await;
        eventually("the log stream is closed", async || {
            match example.handle.usage().log_streams {
                0 => Ok(()),
                count => Err(format!("{count} streams")),
            }
        })
        .await;
    }
    assert!(in_time(example.handle.watch()).await.is_ok());
}

/// Returns a container that has written this number of lines of 100 bytes.
pub(crate) async fn flood(example: &Example, lines: usize) -> ContainerRef {
    let container = example.container("main", "flood");
    let line = format!("{}\n", "x".repeat(99));
    let chunk = line.repeat(100);
    for _ in 0..lines / 100 {
        example
            .engine
            .write(&container, OutputSource::Stdout, chunk.clone())
            .unwrap();
    }
    container
}

/// Actions and removals have their effects, and the errors of the engine.
pub(crate) async fn acts_and_removes(example: &Example) {
    let web = example.container("main", "web");
    in_time(example.handle.act(&web, ContainerAction::Stop))
        .await
        .unwrap();
    let error = in_time(example.handle.act(&web, ContainerAction::Pause))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict, "{error}");
    let request = RemoveRequest {
        namespace: "main".to_owned(),
        target: RemoveTarget::Container { id: web.id.clone() },
    };
    in_time(example.handle.remove(&request)).await.unwrap();
    let error = in_time(example.handle.remove(&request)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound, "{error}");
    example.no_connections().await;
}
