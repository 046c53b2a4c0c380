//! Plugins that were installed, and what the lock file says about them.

use std::fs;
use std::path::Path;

use rdd_core::BackendRegistry as _;
use rdd_plugin::{LOCK_FILE, PluginDirs, PluginHostOptions, PluginState, PluginStore, verify};

use crate::support::*;

fn installed_options(store: &PluginStore, others: &[&Path]) -> PluginHostOptions {
    let mut options = options(others);
    options.dirs.search.insert(0, store.dir().to_owned());
    options.dirs.user = Some(store.dir().to_owned());
    options
}

fn store() -> (tempfile::TempDir, PluginStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = PluginStore::new(dir.path().join("plugins"));
    (dir, store)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_installed_files_are_loaded_from_the_users_directory() {
    let (_dir, store) = store();
    let names = [
        "healthy1", "othermod", "otherman", "bothdiff", "disabled", "vanished",
    ];
    for name in names {
        install_in_store(&store, name, "1.0.0");
    }
    install(store.dir(), "byhand00");
    let path = |name: &str, file: &str| store.dir().join(name).join(file);
    // The component is exchanged.
    let (other_manifest, other) = plugin_files("othermod", "2.0.0");
    let mut changed = other.clone();
    *changed.last_mut().unwrap() ^= 1;
    fs::write(path("othermod", "it.wasm"), &changed).unwrap();
    // The manifest is exchanged.
    let text = fs::read_to_string(path("otherman", "plugin.toml")).unwrap();
    fs::write(
        path("otherman", "plugin.toml"),
        text + "[limits]\nexecs = 1\n",
    )
    .unwrap();
    // Both are exchanged, consistently.
    let manifest = other_manifest.replace("othermod", "bothdiff");
    fs::write(path("bothdiff", "plugin.toml"), manifest).unwrap();
    fs::write(path("bothdiff", "it.wasm"), other).unwrap();
    store
        .lock()
        .unwrap()
        .set_enabled("disabled", false)
        .unwrap();
    fs::remove_dir_all(store.dir().join("vanished")).unwrap();

    let host = start(installed_options(&store, &[])).await;
    loaded(&host, "healthy1").await;
    for (name, expected) in [
        ("othermod", "but plugin.toml has"),
        ("otherman", "rdd plugin install r.example/otherman:1.0.0"),
        (
            "bothdiff",
            "plugin.toml was changed since the plugin was installed",
        ),
        ("byhand00", "was not installed with"),
        ("vanished", "rdd plugin remove vanished"),
    ] {
        assert_refused(&host, name, expected);
    }
    let disabled = report(&host, "disabled");
    assert_eq!(disabled.state, PluginState::Disabled);
    assert!(
        disabled.reason.contains("rdd plugin enable disabled"),
        "{disabled:?}"
    );
    assert_eq!(host.names(), ["healthy1"]);

    // Without a daemon, the result is the same.
    let verified = verify(&PluginDirs {
        search: vec![store.dir().to_owned()],
        user: Some(store.dir().to_owned()),
    });
    for plugin in verified {
        let report = report(&host, &plugin.name);
        assert_eq!(
            plugin.problem.is_none(),
            report.state == PluginState::Ready,
            "{plugin:?}"
        );
        assert_eq!(plugin.problem.unwrap_or_default(), report.reason);
    }
    in_time(host.shutdown()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_user_installed_takes_precedence_over_other_directories() {
    let (_dir, store) = store();
    let shipped = tempfile::tempdir().unwrap();
    install(shipped.path(), "aaaaaaaa");
    install(shipped.path(), "bbbbbbbb");
    install_in_store(&store, "aaaaaaaa", "2.0.0");
    store
        .lock()
        .unwrap()
        .set_enabled("bbbbbbbb", false)
        .unwrap();
    let host = start(installed_options(&store, &[shipped.path()])).await;
    let reports = host.reports();
    // Reports of the same name are sorted by their path, which is random.
    let mut versions: Vec<_> = reports
        .iter()
        .map(|report| {
            (
                report.name.as_str(),
                report.state,
                report.version.as_deref(),
            )
        })
        .collect();
    versions.sort_by_key(|(name, _, version)| (*name, std::cmp::Reverse(*version)));
    assert_eq!(
        versions,
        [
            ("aaaaaaaa", PluginState::Ready, Some("2.0.0")),
            ("aaaaaaaa", PluginState::Refused, Some("0.1.0")),
            ("bbbbbbbb", PluginState::Disabled, Some("0.1.0")),
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_loaded_while_it_is_unknown_what_was_disabled() {
    let (_dir, store) = store();
    let shipped = tempfile::tempdir().unwrap();
    install(shipped.path(), "bbbbbbbb");
    install_in_store(&store, "aaaaaaaa", "1.0.0");
    fs::write(store.dir().join(LOCK_FILE), "version = [").unwrap();
    let host = start(installed_options(&store, &[shipped.path()])).await;
    for name in ["aaaaaaaa", "bbbbbbbb"] {
        assert_refused(&host, name, "plugins.lock is not valid");
    }
}
