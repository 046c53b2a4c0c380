//! Changes of the plugin directories while the host runs.

use std::fs;

use futures::StreamExt as _;
use rdd_core::{BackendRegistry as _, BackendState, ErrorCode, LogOptions};
use rdd_plugin::{PluginHost, PluginState, PluginStore};

use crate::support::*;

/// A host whose plugins are installed, changed, and removed.
async fn host() -> (tempfile::TempDir, PluginStore, PluginHost) {
    let dir = tempfile::tempdir().unwrap();
    let store = PluginStore::new(dir.path().join("plugins"));
    let mut options = options(&[store.dir()]);
    options.dirs.user = Some(store.dir().to_owned());
    let host = start(options).await;
    (dir, store, host)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_change_of_an_installed_plugin_is_noticed() {
    let (_dir, store, host) = host().await;
    assert_eq!(host.reports(), []);
    install_in_store(&store, "aaaaaaaa", "1.0.0");
    let first = loaded(&host, "aaaaaaaa").await;
    assert_eq!(report(&host, "aaaaaaaa").version.as_deref(), Some("1.0.0"));

    install_in_store(&store, "aaaaaaaa", "2.0.0");
    let is_new = |report: &rdd_plugin::PluginReport| {
        report.state == PluginState::Ready && report.version.as_deref() == Some("2.0.0")
    };
    wait_for_report(&host, "aaaaaaaa", is_new).await;
    let second = loaded(&host, "aaaaaaaa").await;
    assert!(second.generation > first.generation);

    store
        .lock()
        .unwrap()
        .set_enabled("aaaaaaaa", false)
        .unwrap();
    let disabled = |report: &rdd_plugin::PluginReport| report.state == PluginState::Disabled;
    wait_for_report(&host, "aaaaaaaa", disabled).await;
    let BackendState::NotInstalled { reason } = host.state("aaaaaaaa") else {
        panic!("a disabled plugin is usable");
    };
    assert!(reason.contains("rdd plugin enable"), "{reason}");

    store.lock().unwrap().set_enabled("aaaaaaaa", true).unwrap();
    let third = loaded(&host, "aaaaaaaa").await;
    assert!(third.generation > second.generation);

    store.lock().unwrap().remove("aaaaaaaa").unwrap();
    wait_for_state(&host, "aaaaaaaa", |state| {
        matches!(state, BackendState::NotInstalled { .. })
    })
    .await;
    assert_eq!(host.reports(), []);

    install_in_store(&store, "aaaaaaaa", "1.0.0");
    let fourth = loaded(&host, "aaaaaaaa").await;
    assert!(fourth.generation > third.generation);
    in_time(host.shutdown()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_file_is_refused_and_the_other_plugins_are_left_alone() {
    let (_dir, store, host) = host().await;
    install_in_store(&store, "aaaaaaaa", "1.0.0");
    install_in_store(&store, "bbbbbbbb", "1.0.0");
    loaded(&host, "aaaaaaaa").await;
    let other = loaded(&host, "bbbbbbbb").await;
    let file = store.dir().join("aaaaaaaa/it.wasm");
    let mut bytes = fs::read(&file).unwrap();
    bytes.push(0);
    fs::write(&file, bytes).unwrap();
    let refused = |report: &rdd_plugin::PluginReport| report.state == PluginState::Refused;
    let report = wait_for_report(&host, "aaaaaaaa", refused).await;
    assert!(report.reason.contains("but plugin.toml has"), "{report:?}");
    assert_eq!(loaded(&host, "bbbbbbbb").await.generation, other.generation);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_a_plugin_that_ends_asks_to_try_again() {
    let (_dir, store, host) = host().await;
    let mut last_generation = 0;
    for change in ["upgrade", "disable", "remove"] {
        install_in_store(&store, "aaaaaaaa", "1.0.0");
        store.lock().unwrap().set_enabled("aaaaaaaa", true).unwrap();
        // Not the one of the previous round, which may not have ended yet.
        let is_new = |report: &rdd_plugin::PluginReport| {
            report.state == PluginState::Ready
                && report.version.as_deref() == Some("1.0.0")
                && report.generation > last_generation
        };
        wait_for_report(&host, "aaaaaaaa", is_new).await;
        let backend = loaded(&host, "aaaaaaaa").await;
        last_generation = backend.generation;
        let options = LogOptions {
            follow: true,
            ..LogOptions::default()
        };
        let mut log = backend
            .engine
            .get_logs(&container_ref("idle"), &options)
            .await
            .unwrap();
        match change {
            "upgrade" => install_in_store(&store, "aaaaaaaa", "2.0.0"),
            "disable" => drop(
                store
                    .lock()
                    .unwrap()
                    .set_enabled("aaaaaaaa", false)
                    .unwrap(),
            ),
            _ => drop(store.lock().unwrap().remove("aaaaaaaa").unwrap()),
        }
        let error = in_time(async {
            loop {
                match log.next().await {
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return error,
                    None => panic!("the stream ended without an error"),
                }
            }
        })
        .await;
        assert_eq!(error.code, ErrorCode::Unavailable, "{change}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_in_progress_is_not_read_half_way() {
    let (_dir, store, host) = host().await;
    install_in_store(&store, "aaaaaaaa", "1.0.0");
    let before = loaded(&host, "aaaaaaaa").await;
    // A host that does not wait for commands, with the same interval: when it has
    // noticed a change, the other one has had the time to.
    let observer = start(options(&[store.dir()])).await;
    loaded(&observer, "aaaaaaaa").await;
    let guard = store.lock().unwrap();
    let aside = store.dir().join(".aside");
    for _ in 0..3 {
        fs::rename(store.dir().join("aaaaaaaa"), &aside).unwrap();
        wait_for_state(&observer, "aaaaaaaa", |state| {
            matches!(state, BackendState::NotInstalled { .. })
        })
        .await;
        assert_eq!(report(&host, "aaaaaaaa").state, PluginState::Ready);
        fs::rename(&aside, store.dir().join("aaaaaaaa")).unwrap();
        loaded(&observer, "aaaaaaaa").await;
    }
    drop(guard);
    // Now the directories are read again, and the plugin is as it was.
    install_in_store(&store, "bbbbbbbb", "1.0.0");
    loaded(&host, "bbbbbbbb").await;
    assert_eq!(
        loaded(&host, "aaaaaaaa").await.generation,
        before.generation
    );
}
