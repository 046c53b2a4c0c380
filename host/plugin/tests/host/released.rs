//! Components that were built for released versions of the contract, in this host.

use std::fs;
use std::path::{Path, PathBuf};

use futures::StreamExt as _;
use rdd_core::{
    ContainerAction, ContainerEngine, ContainerRef, ContainerSpec, EngineObject, EntryOptions,
    ErrorCode, LogOptions, ObjectKind, ObjectRef, OutputSource, WatchEvent,
};
use rdd_plugin::{EngineEndpoint, PluginHost};
use rdd_plugin_contract::{CONTRACT_VERSIONS, CURRENT_VERSION, PACKAGE};
use rdd_testkit::write_plugin;
use rdd_toy_engine::{TOY_IMAGE, ToyEngine};

use crate::support::*;

/// The name in the components.
const NAME: &str = "released";

/// The directory with one component for each version.
fn components() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/released")
}

/// Returns the names of the directories in a directory, sorted.
fn directories(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn each_released_version_is_supported_and_has_a_component() {
    let contract = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let mut supported: Vec<_> = CONTRACT_VERSIONS.iter().map(ToString::to_string).collect();
    supported.sort();
    assert_eq!(directories(&contract), supported);
    assert_eq!(directories(&components()), supported);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_of_each_released_version_runs() {
    for version in directories(&components()) {
        let component = fs::read(components().join(&version).join("released.wasm")).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let manifest = manifest(NAME, &sha256(&component)).replace(
            &format!("{PACKAGE}@{CURRENT_VERSION}"),
            &format!("{PACKAGE}@{version}"),
        );
        let engine = ToyEngine::new();
        let socket = dir.path().join("toy.sock");
        let _server = engine.listen(&socket).unwrap();
        let plugins = dir.path().join("plugins");
        write_plugin(&plugins, NAME, &manifest, &component).unwrap();
        let mut options = options(&[&plugins]);
        options.endpoint = EngineEndpoint::Unix(socket);
        let host = start(options).await;
        let backend = loaded(&host, NAME).await.engine;
        describes(&*backend);
        watches(&*backend, &engine).await;
        inspects(&*backend).await;
        reads_logs(&*backend, &engine).await;
        assert_eq!(report(&host, NAME).generation, 1, "{version}");
        in_time(host.shutdown()).await;
    }
}

fn describes(backend: &dyn ContainerEngine) {
    let info = backend.info();
    assert_eq!(
        (info.name.as_str(), info.engine.as_str()),
        (NAME, "Toy Engine")
    );
    assert_eq!(info.default_namespace(), "main");
}

/// The listing has the engine's containers, and a change follows it.
async fn watches(backend: &dyn ContainerEngine, engine: &ToyEngine) {
    let spec = ContainerSpec {
        args: vec!["sleep".to_owned()],
        ..ContainerSpec::new("main", TOY_IMAGE)
    };
    let web = engine.create_container_with_id(&spec, "web").unwrap();
    engine.act(&web, ContainerAction::Start).unwrap();
    let mut watch = in_time(backend.watch()).await.unwrap();
    let mut is_listed = false;
    loop {
        match in_time(watch.next()).await.unwrap().unwrap() {
            WatchEvent::InitDone => break,
            WatchEvent::Applied(object) => {
                is_listed |=
                    matches!(&*object, EngineObject::Container(it) if it.id == "web" && it.running);
            }
            _ => {}
        }
    }
    assert!(is_listed);
    engine.act(&web, ContainerAction::Pause).unwrap();
    let event = in_time(watch.next()).await.unwrap().unwrap();
    let WatchEvent::Applied(object) = event else {
        panic!("{event:?}");
    };
    assert!(
        matches!(&*object, EngineObject::Container(it) if it.paused),
        "{object:?}"
    );
    engine.act(&web, ContainerAction::Unpause).unwrap();
}

async fn inspects(backend: &dyn ContainerEngine) {
    let web = ObjectRef::new(ObjectKind::Container, "main", "web");
    let found = in_time(backend.inspect(&web)).await.unwrap();
    assert!(matches!(found.object, EngineObject::Container(it) if it.id == "web"));
    let missing = ObjectRef::new(ObjectKind::Container, "main", "missing");
    let error = in_time(backend.inspect(&missing)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound, "{error}");
}

/// The same log as bytes and as entries.
async fn reads_logs(backend: &dyn ContainerEngine, engine: &ToyEngine) {
    let web = ContainerRef::new("main", "web");
    for (time, source, line) in [
        (1_000, OutputSource::Stdout, "one\n"),
        (1_000, OutputSource::Stderr, "two\n"),
        (2_000, OutputSource::Stdout, "\u{fc}\n"),
    ] {
        engine
            .write_at(&web, time, source, line.as_bytes().to_vec())
            .unwrap();
    }
    let options = LogOptions {
        follow: false,
        ..LogOptions::default()
    };
    let mut log = in_time(backend.get_logs(&web, &options)).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(chunk) = in_time(log.next()).await {
        bytes.extend_from_slice(&chunk.unwrap().bytes);
    }
    assert_eq!(String::from_utf8(bytes).unwrap(), "one\ntwo\n\u{fc}\n");

    let options = EntryOptions {
        follow: false,
        ..EntryOptions::default()
    };
    let mut log = in_time(backend.get_entries(&web, &options)).await.unwrap();
    let mut entries = Vec::new();
    while let Some(batch) = in_time(log.next()).await {
        entries.extend(batch.unwrap().entries().map(|entry| {
            let text = String::from_utf8(entry.bytes.to_vec()).unwrap();
            (entry.header.time, entry.header.source, text)
        }));
    }
    let entry = |time, source, text: &str| (time, source, text.to_owned());
    assert_eq!(
        entries,
        [
            entry(1_000, OutputSource::Stdout, "one"),
            entry(1_000, OutputSource::Stderr, "two"),
            entry(2_000, OutputSource::Stdout, "\u{fc}"),
        ]
    );
}

/// Installs the scripted fixture as if it were built for another version, and
/// returns why it is refused.
async fn refusal(version: &str, manifest_version: &str) -> String {
    assert_eq!(version.len(), "0.1.0".len());
    let dir = tempfile::tempdir().unwrap();
    let text = fixture_bytes();
    let component = rdd_testkit::replaced(&text, b"@0.1.0", format!("@{version}").as_bytes());
    let manifest = manifest("scripted", &sha256(&component))
        .replace("@0.1.0", &format!("@{manifest_version}"));
    write_plugin(dir.path(), "scripted", &manifest, &component).unwrap();
    let host: PluginHost = start(options(&[dir.path()])).await;
    let reason = report(&host, "scripted").reason;
    assert_refused(&host, "scripted", &reason);
    in_time(host.shutdown()).await;
    reason
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_for_another_version_is_refused_with_both_versions_and_the_remedy() {
    // The manifest and the component are checked by themselves: either may be wrong.
    for manifest_version in ["0.9.0", "0.1.0"] {
        let newer = refusal("0.9.0", manifest_version).await;
        assert!(newer.contains("version 0.9.0"), "{newer}");
        assert!(newer.contains("this rdd supports 0.1.0"), "{newer}");
        assert!(newer.contains("upgrade rdd, or install"), "{newer}");
    }
    for manifest_version in ["0.0.9", "0.1.0"] {
        let older = refusal("0.0.9", manifest_version).await;
        assert!(older.contains("version 0.0.9"), "{older}");
        assert!(older.contains("this rdd supports 0.1.0"), "{older}");
        assert!(older.contains("install a version of the plugin"), "{older}");
        assert!(!older.contains("upgrade rdd"), "{older}");
    }
}
