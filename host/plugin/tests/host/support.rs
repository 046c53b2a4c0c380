//! Plugin directories made of the scripted fixture.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rdd_core::{
    BackendRegistry, BackendState, ContainerAction, ContainerEngine, LoadedBackend, ObjectKind,
    ObjectRef,
};
use rdd_plugin::{
    BackendLimits, EngineEndpoint, PluginHost, PluginHostOptions, PluginReport, PluginState,
    RestartPolicy,
};

/// How long anything may take that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The name in the fixture. A copy of another name has one as long.
const NAME: &[u8; 8] = b"scripted";

fn fixture_bytes() -> Vec<u8> {
    fs::read(rdd_testkit::fixture_component("scripted")).unwrap()
}

/// The fixture under another name of eight bytes.
fn named(name: &str) -> Vec<u8> {
    assert_eq!(name.len(), NAME.len(), "{name}");
    let mut bytes = fixture_bytes();
    let places: Vec<_> = bytes
        .windows(NAME.len())
        .enumerate()
        .filter(|(_, window)| window == NAME)
        .map(|(place, _)| place)
        .collect();
    assert!(!places.is_empty());
    for place in places {
        bytes[place..place + NAME.len()].copy_from_slice(name.as_bytes());
    }
    bytes
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    ring::digest::digest(&ring::digest::SHA256, bytes)
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

pub(crate) fn manifest(name: &str, sha256: &str) -> String {
    format!(
        "name = {name:?}\nversion = \"0.1.0\"\nkind = \"component\"\nfile = \"it.wasm\"\nsha256 = {sha256:?}\ninterface = \"rancher-desktop:engine@0.1.0\"\n"
    )
}

/// Installs the fixture under this name.
pub(crate) fn install(dir: &Path, name: &str) -> PathBuf {
    let bytes = named(name);
    install_as(dir, name, &manifest(name, &sha256(&bytes)), &bytes)
}

pub(crate) fn install_as(dir: &Path, name: &str, manifest: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    fs::create_dir_all(&path).unwrap();
    fs::write(path.join("plugin.toml"), manifest).unwrap();
    fs::write(path.join("it.wasm"), bytes).unwrap();
    path
}

/// One cache for all tests of the process: most load the same component.
pub(crate) fn cache_dir() -> PathBuf {
    std::env::current_exe()
        .unwrap()
        .ancestors()
        .nth(2)
        .unwrap()
        .join("plugin-host-test-cache")
}

pub(crate) fn options(dirs: &[&Path]) -> PluginHostOptions {
    PluginHostOptions {
        limits: BackendLimits {
            spin: Duration::from_millis(300),
            stop_grace: Duration::from_millis(500),
            ..BackendLimits::default()
        },
        restarts: RestartPolicy {
            first: Duration::from_millis(20),
            longest: Duration::from_millis(40),
            failures: 3,
            stable: Duration::from_secs(3600),
        },
        ..PluginHostOptions::new(
            dirs.iter().map(|dir| (*dir).to_owned()).collect(),
            cache_dir(),
            EngineEndpoint::Unix("/nonexistent/engine.sock".into()),
        )
    }
}

pub(crate) async fn start(options: PluginHostOptions) -> PluginHost {
    let host = PluginHost::start(options).await.unwrap();
    soon(host.loaded()).await;
    host
}

/// What `future` gives, which must come.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("it did not come in time")
}

/// Waits until the state of a backend is as wanted.
pub(crate) async fn state_is(
    host: &PluginHost,
    name: &str,
    wanted: impl Fn(&BackendState) -> bool,
) -> BackendState {
    let mut changes = host.changes();
    soon(async {
        loop {
            changes.mark_unchanged();
            let state = host.state(name);
            if wanted(&state) {
                return state;
            }
            changes.changed().await.unwrap();
        }
    })
    .await
}

pub(crate) async fn loaded(host: &PluginHost, name: &str) -> LoadedBackend {
    match state_is(host, name, |state| matches!(state, BackendState::Loaded(_))).await {
        BackendState::Loaded(loaded) => loaded,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn trap(engine: &Arc<dyn ContainerEngine>) {
    soon(engine.act("trap", ContainerAction::Stop))
        .await
        .unwrap_err();
}

pub(crate) fn report(host: &PluginHost, name: &str) -> PluginReport {
    let mut reports = host.reports();
    reports.retain(|report| report.name == name);
    assert_eq!(reports.len(), 1, "{name}: {reports:?}");
    reports.remove(0)
}

/// Asserts that the plugin is refused with this in the sentence, everywhere
/// that people look.
pub(crate) fn assert_refused(host: &PluginHost, name: &str, why: &str) {
    let report = report(host, name);
    assert_eq!(report.state, PluginState::Refused, "{report:?}");
    assert!(
        report.reason.contains(why),
        "{:?} does not say {why:?}",
        report.reason
    );
    assert!(!host.names().contains(&name.to_owned()));
    let state = host.state(name);
    let BackendState::NotInstalled { reason } = &state else {
        panic!("{state:?}");
    };
    assert!(reason.contains(why), "{reason:?} does not say {why:?}");
}

pub(crate) fn container(id: &str) -> ObjectRef {
    ObjectRef {
        kind: ObjectKind::Container,
        id: id.to_owned(),
    }
}
