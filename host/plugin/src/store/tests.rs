//! Tests of the user's plugin directory.

use std::os::unix::fs::PermissionsExt as _;

use sha2::{Digest as _, Sha256};

use super::replacement::REPLACED_PREFIX;
use super::*;
use crate::manifest::ManifestLimits;

fn store() -> (tempfile::TempDir, PluginStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = PluginStore::new(dir.path().join("data/rdd/plugins"));
    (dir, store)
}

fn entry(name: &str, manifest: &str) -> LockEntry {
    LockEntry {
        name: name.to_owned(),
        version: manifest.to_owned(),
        source: "here".to_owned(),
        digest: "0".repeat(64),
        manifest_digest: format!("{:x}", Sha256::digest(manifest)),
        enabled: true,
        allow_native: false,
        directories: Vec::new(),
        limits: ManifestLimits::default(),
    }
}

fn staged(store: &PluginStore, manifest: &str) -> StagedPlugin {
    let staged = store.stage().unwrap();
    staged
        .write_file("plugin.toml", manifest.as_bytes())
        .unwrap();
    staged
}

fn install(store: &PluginStore, name: &str, manifest: &str) -> InstallOutcome {
    let staged = staged(store, manifest);
    store
        .lock()
        .unwrap()
        .install(staged, entry(name, manifest))
        .unwrap()
}

/// Returns the names in the directory.
fn names(store: &PluginStore) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(store.dir())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn content(store: &PluginStore, name: &str) -> String {
    fs::read_to_string(store.dir().join(name).join("plugin.toml")).unwrap()
}

#[test]
fn a_plugin_is_installed_replaced_and_removed() {
    let (_dir, store) = store();
    assert_eq!(install(&store, "a", "1"), InstallOutcome::Installed);
    assert_eq!(content(&store, "a"), "1");
    let mode = fs::metadata(store.dir().join("a"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    let replaced = install(&store, "a", "2");
    assert_eq!(replaced, InstallOutcome::Replaced("1".to_owned()));
    assert_eq!(content(&store, "a"), "2");
    assert_eq!(store.lock_file().unwrap().plugins, [entry("a", "2")]);
    assert_eq!(names(&store), [GUARD_FILE, "a", LOCK_FILE]);
    let mut guard = store.lock().unwrap();
    assert_eq!(guard.remove("a").unwrap(), "2");
    let error = guard.remove("a").unwrap_err().to_string();
    assert!(error.contains("no plugin named \"a\""), "{error}");
    assert_eq!(names(&store), [GUARD_FILE, LOCK_FILE]);
}

#[test]
fn a_directory_that_was_not_installed_is_never_replaced_or_removed() {
    let (_dir, store) = store();
    fs::create_dir_all(store.dir().join("a")).unwrap();
    fs::write(store.dir().join("a/plugin.toml"), "mine").unwrap();
    let staged = staged(&store, "1");
    let mut guard = store.lock().unwrap();
    let error = guard
        .install(staged, entry("a", "1"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("move it to another place"), "{error}");
    guard.remove("a").unwrap_err();
    assert_eq!(content(&store, "a"), "mine");
    assert_eq!(names(&store), [GUARD_FILE, "a"]);
}

#[test]
fn a_dropped_installation_leaves_nothing_behind() {
    let (_dir, store) = store();
    drop(staged(&store, "1"));
    assert_eq!(names(&store), Vec::<String>::new());
}

#[test]
fn only_the_leftovers_of_killed_commands_are_removed() {
    let (_dir, store) = store();
    let running = staged(&store, "1");
    let leftover = store.dir().join(".rdd-staging-killed");
    fs::create_dir(&leftover).unwrap();
    fs::write(leftover.join("half"), "half").unwrap();
    for kept in [".hidden", "readme"] {
        fs::create_dir(store.dir().join(kept)).unwrap();
    }
    fs::write(store.dir().join(".rdd-staging-file"), "not a directory").unwrap();
    drop(store.lock().unwrap());
    assert!(!leftover.exists());
    assert!(running.path().join("plugin.toml").exists());
    for kept in [".hidden", "readme", ".rdd-staging-file"] {
        assert!(store.dir().join(kept).exists(), "{kept}");
    }
}

#[test]
fn after_an_interrupted_upgrade_the_entry_that_matches_the_disk_applies() {
    for (on_disk, other) in [("1", "2"), ("2", "1")] {
        let (_dir, store) = store();
        install(&store, "a", on_disk);
        // As between the first write of the lock file and the last.
        let mut guard = store.lock().unwrap();
        guard.lock.plugins.push(entry("a", other));
        guard.save().unwrap();
        drop(guard);
        assert_eq!(
            store.lock().unwrap().lock_file().plugins,
            [entry("a", on_disk)]
        );
        assert_eq!(store.lock_file().unwrap().plugins, [entry("a", on_disk)]);
    }
}

#[test]
fn a_plugin_is_replaced_where_directories_cannot_be_exchanged() {
    let (_dir, store) = store();
    install(&store, "a", "1");
    let staged = staged(&store, "2");
    let guard = store.lock().unwrap();
    let target = store.dir().join("a");
    guard.replace_in_steps(staged.path(), &target).unwrap();
    assert_eq!(content(&store, "a"), "2");
    drop((staged, guard));
    assert_eq!(names(&store), [GUARD_FILE, "a", LOCK_FILE]);

    // Killed after the first step.
    let aside = store.dir().join(format!("{REPLACED_PREFIX}a"));
    fs::rename(&target, &aside).unwrap();
    drop(store.lock().unwrap());
    assert_eq!(content(&store, "a"), "2");
    // Killed after the second step.
    fs::create_dir(&aside).unwrap();
    drop(store.lock().unwrap());
    assert_eq!(names(&store), [GUARD_FILE, "a", LOCK_FILE]);
}

#[test]
fn a_staging_directory_that_is_gone_changes_nothing() {
    let (_dir, store) = store();
    install(&store, "a", "1");
    let staged = staged(&store, "2");
    let mut guard = store.lock().unwrap();
    fs::remove_dir_all(staged.path()).unwrap();
    guard.install(staged, entry("a", "2")).unwrap_err();
    assert_eq!(guard.lock_file().plugins, [entry("a", "1")]);
    assert_eq!(store.lock_file().unwrap().plugins, [entry("a", "1")]);
    assert_eq!(content(&store, "a"), "1");
}

#[test]
fn decisions_are_recorded_with_the_plugin_or_by_name() {
    let (_dir, store) = store();
    install(&store, "a", "1");
    let mut guard = store.lock().unwrap();
    assert!(guard.set_enabled("a", false).unwrap());
    assert!(!guard.set_enabled("a", false).unwrap());
    assert!(guard.set_enabled("moby", false).unwrap());
    let digest = "0".repeat(64);
    assert!(guard.allow_native("a", &digest).unwrap());
    assert!(!guard.allow_native("a", &"1".repeat(64)).unwrap());
    assert!(guard.allow_native("lib", &digest).unwrap());
    let lock = store.lock_file().unwrap();
    assert!(!lock.plugins[0].enabled && lock.plugins[0].allow_native);
    assert!(!lock.other("moby").unwrap().enabled);
    assert_eq!(
        lock.other("lib").unwrap().allow_native.as_ref(),
        Some(&digest)
    );
    assert!(guard.set_enabled("moby", true).unwrap());
    assert_eq!(store.lock_file().unwrap().other("moby"), None);
}

#[tokio::test]
async fn the_daemon_does_not_read_while_a_command_changes_the_directory() {
    let (_dir, store) = store();
    assert!(
        try_lock_shared(store.dir()).unwrap().is_none(),
        "no guard file yet"
    );
    let guard = store.lock().unwrap();
    assert!(try_lock_shared(store.dir()).is_none());
    drop(guard);
    // A process that another test starts holds the lock until it runs its program.
    let reader = async || try_lock_shared(store.dir()).ok_or("it is held".to_owned());
    let reader = rdd_testkit::eventually("the lock is free", reader).await;
    assert!(reader.is_some());
}
