//! Plugin directories with copies of the scripted fixture.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rdd_core::{
    BackendRegistry, BackendState, ContainerAction, ContainerEngine, ContainerRef, LoadedBackend,
    ObjectRef,
};
use rdd_plugin::{
    BackendLimits, EngineEndpoint, LockEntry, ManifestLimits, PluginDirs, PluginHost,
    PluginHostOptions, PluginReport, PluginState, PluginStore, RestartPolicy,
};
use rdd_testkit::PATIENCE;
pub(crate) use rdd_testkit::{component_manifest as manifest, sha256_hex as sha256};

/// Returns the fixture under another name of eight bytes.
fn fixture_named(name: &str) -> Vec<u8> {
    rdd_testkit::renamed_component(&fixture_bytes(), name)
}

pub(crate) fn fixture_bytes() -> Vec<u8> {
    fs::read(rdd_testkit::fixture_component("scripted")).unwrap()
}

/// Installs the fixture under another name.
pub(crate) fn install(dir: &Path, name: &str) -> PathBuf {
    let bytes = fixture_named(name);
    install_as(dir, name, &manifest(name, &sha256(&bytes)), &bytes)
}

pub(crate) fn install_as(dir: &Path, name: &str, manifest: &str, bytes: &[u8]) -> PathBuf {
    rdd_testkit::write_plugin(dir, name, manifest, bytes).unwrap()
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Returns the manifest and the component of a plugin with this version.
pub(crate) fn plugin_files(name: &str, version: &str) -> (String, Vec<u8>) {
    let bytes = fixture_named(name);
    let manifest =
        manifest(name, &sha256(&bytes)).replace("\"0.1.0\"\nkind", &format!("{version:?}\nkind"));
    (manifest, bytes)
}

/// Installs a plugin as the command does.
pub(crate) fn install_in_store(store: &PluginStore, name: &str, version: &str) {
    let (manifest, bytes) = plugin_files(name, version);
    install_files(store, name, version, &manifest, &bytes);
}

pub(crate) fn install_files(
    store: &PluginStore,
    name: &str,
    version: &str,
    manifest: &str,
    bytes: &[u8],
) {
    let staged = store.stage().unwrap();
    staged
        .write_file("plugin.toml", manifest.as_bytes())
        .unwrap();
    staged.write_file("it.wasm", bytes).unwrap();
    let entry = LockEntry {
        name: name.to_owned(),
        version: version.to_owned(),
        source: format!("r.example/{name}:{version}"),
        digest: sha256(bytes),
        manifest_digest: sha256(manifest.as_bytes()),
        enabled: true,
        allow_native: false,
        directories: Vec::new(),
        limits: ManifestLimits::default(),
    };
    store.lock().unwrap().install(staged, entry).unwrap();
}

/// Waits until the report of a plugin satisfies `is_expected`.
pub(crate) async fn wait_for_report(
    host: &PluginHost,
    name: &str,
    is_expected: impl Fn(&PluginReport) -> bool,
) -> PluginReport {
    rdd_testkit::eventually("the plugin's report changes", || async {
        let reports = host.reports();
        match reports.iter().find(|report| report.name == name) {
            Some(report) if is_expected(report) => Ok(report.clone()),
            other => Err(format!("{other:?}")),
        }
    })
    .await
}

/// Returns the cache directory of all tests, since most load the same component.
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
            yield_timeout: Duration::from_millis(300),
            // Longer than `PATIENCE`: what ends in time has reacted to the stop signal.
            stop_grace: 2 * PATIENCE,
            ..BackendLimits::default()
        },
        restarts: RestartPolicy {
            min_delay: Duration::from_millis(20),
            max_delay: Duration::from_millis(40),
            max_failures: 3,
            reset_after: Duration::from_secs(3600),
        },
        poll_interval: Some(Duration::from_millis(50)),
        ..PluginHostOptions::new(
            PluginDirs {
                search: dirs.iter().map(|dir| (*dir).to_owned()).collect(),
                user: None,
            },
            cache_dir(),
            EngineEndpoint::Unix("/nonexistent/engine.sock".into()),
        )
    }
}

pub(crate) async fn start(options: PluginHostOptions) -> PluginHost {
    let host = PluginHost::start(options).await.unwrap();
    wait_until_loaded(&host).await;
    host
}

/// Waits until every plugin is loaded. Several are compiled at once, which may take
/// longer on a busy machine than anything else that is waited for.
pub(crate) async fn wait_until_loaded(host: &PluginHost) {
    tokio::time::timeout(10 * PATIENCE, host.wait_until_loaded())
        .await
        .expect("the plugins were not loaded in time");
}

/// Returns the output of `future`, which must complete within [`PATIENCE`].
pub(crate) async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("the future did not complete in time")
}

/// Waits until the state of a backend satisfies `is_expected`.
pub(crate) async fn wait_for_state(
    host: &PluginHost,
    name: &str,
    is_expected: impl Fn(&BackendState) -> bool,
) -> BackendState {
    let mut changes = host.changes();
    in_time(async {
        loop {
            changes.mark_unchanged();
            let state = host.state(name);
            if is_expected(&state) {
                return state;
            }
            changes.changed().await.unwrap();
        }
    })
    .await
}

pub(crate) async fn loaded(host: &PluginHost, name: &str) -> LoadedBackend {
    match wait_for_state(host, name, |state| matches!(state, BackendState::Loaded(_))).await {
        BackendState::Loaded(loaded) => loaded,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn trap(engine: &Arc<dyn ContainerEngine>) {
    in_time(engine.act(&container_ref("trap"), ContainerAction::Stop))
        .await
        .unwrap_err();
}

pub(crate) fn report(host: &PluginHost, name: &str) -> PluginReport {
    let mut reports = host.reports();
    reports.retain(|report| report.name == name);
    assert_eq!(reports.len(), 1, "{name}: {reports:?}");
    reports.remove(0)
}

/// Asserts that the plugin is refused, with `expected` in the reason of its report
/// and of its backend state.
pub(crate) fn assert_refused(host: &PluginHost, name: &str, expected: &str) {
    let report = report(host, name);
    assert_eq!(report.state, PluginState::Refused, "{report:?}");
    assert!(
        report.reason.contains(expected),
        "{:?} lacks {expected:?}",
        report.reason
    );
    assert!(!host.names().contains(&name.to_owned()));
    let state = host.state(name);
    let BackendState::NotInstalled { reason } = &state else {
        panic!("{state:?}");
    };
    assert!(reason.contains(expected), "{reason:?} lacks {expected:?}");
}

pub(crate) fn container(id: &str) -> ObjectRef {
    container_ref(id).into()
}

/// Returns the reference to a container of the fixture's namespace.
pub(crate) fn container_ref(id: &str) -> ContainerRef {
    ContainerRef::new("default", id)
}
