//! Plugin directories, and plugins that are refused.

use std::fs;
use std::path::Path;

use rdd_core::{BackendRegistry, BackendState};
use rdd_plugin::PluginState;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plugins_are_found_loaded_and_reported_in_order() {
    let dir = tempfile::tempdir().unwrap();
    install(dir.path(), "zzzzzzzz");
    install(dir.path(), "aaaaaaaa");
    fs::write(dir.path().join("README.md"), "not a plugin").unwrap();
    fs::create_dir(dir.path().join(".hidden")).unwrap();
    let host = start(options(&[dir.path()])).await;
    assert_eq!(host.names(), ["aaaaaaaa", "zzzzzzzz"]);
    let reports = host.reports();
    let names: Vec<_> = reports.iter().map(|report| report.name.as_str()).collect();
    assert_eq!(names, ["aaaaaaaa", "zzzzzzzz"]);
    for report in reports {
        assert_eq!(report.state, PluginState::Ready, "{report:?}");
        assert_eq!(report.version.as_deref(), Some("0.1.0"));
        assert!(report.reason.is_empty());
        assert!(report.capabilities.unwrap().logs);
        assert_eq!(report.generation, 1);
    }
    in_time(host.shutdown()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_name_is_not_installed() {
    let dir = tempfile::tempdir().unwrap();
    install(dir.path(), "aaaaaaaa");
    let host = start(options(&[dir.path(), Path::new("/nonexistent")])).await;
    let BackendState::NotInstalled { reason } = host.state("containerd") else {
        panic!("the backend exists");
    };
    assert!(reason.contains("installed: aaaaaaaa"), "{reason}");
    assert!(reason.contains("/nonexistent"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_plugin_of_a_name_wins_even_if_it_is_refused() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    install(first.path(), "aaaaaaaa");
    install_as(first.path(), "bbbbbbbb", "nonsense", b"");
    install(second.path(), "aaaaaaaa");
    install(second.path(), "bbbbbbbb");
    let host = start(options(&[first.path(), second.path()])).await;
    assert_eq!(host.names(), ["aaaaaaaa"]);
    let reports = host.reports();
    assert_eq!(reports.len(), 4);
    let report_in = |dir: &Path, name: &str| {
        let path = dir.join(name);
        reports.iter().find(|report| report.path == path).unwrap()
    };
    assert_eq!(
        report_in(first.path(), "aaaaaaaa").state,
        PluginState::Ready
    );
    for shadowed in ["aaaaaaaa", "bbbbbbbb"] {
        let report = report_in(second.path(), shadowed);
        assert_eq!(report.state, PluginState::Refused);
        assert!(report.reason.contains("takes precedence"), "{report:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_plugin_is_refused_and_a_good_one_runs() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    install(root, "healthy1");
    let good = manifest("digest-x", &sha256(b"other bytes"));
    install_as(root, "digest-x", &good, b"these bytes");
    install_as(
        root,
        "no-wasm0",
        &manifest("no-wasm0", &sha256(b"junk")),
        b"junk",
    );
    install_as(root, "unclear0", "name = ", b"");
    install_as(root, "other-na", &manifest("another0", &sha256(b"")), b"");
    let escaping = manifest("escapes0", &sha256(b"")).replace("it.wasm", "../healthy1/it.wasm");
    install_as(root, "escapes0", &escaping, b"");
    let script = manifest("a-script", &sha256(b"")).replace("component", "script");
    install_as(root, "a-script", &script, b"");
    let library = "name = \"library0\"\nversion = \"1.0.0\"\nkind = \"library\"\ninterface = \"rancher-desktop:engine@0.1.0\"\n";
    let platform = rdd_plugin::Platform::current();
    let library = format!(
        "{library}[[libraries]]\nplatform = \"{platform}\"\nfile = \"it.wasm\"\nsha256 = {:?}\n",
        sha256(b"")
    );
    install_as(root, "library0", &library, b"");
    let newer = manifest("newer-00", &sha256(b"")).replace("engine@0.1.0", "engine@9.0.0");
    install_as(root, "newer-00", &newer, b"");
    fs::create_dir(root.join("nothing0")).unwrap();
    let huge = format!(
        "{}# {}",
        manifest("huge-man", &sha256(b"")),
        "x".repeat(70_000)
    );
    install_as(root, "huge-man", &huge, b"");
    // The name in the component differs from the name in the manifest.
    let bytes = fs::read(root.join("healthy1/it.wasm")).unwrap();
    install_as(
        root,
        "imposter",
        &manifest("imposter", &sha256(&bytes)),
        &bytes,
    );
    install_as(root, "Bad_Name", &manifest("Bad_Name", ""), b"");

    let host = start(options(&[root])).await;
    loaded(&host, "healthy1").await;
    wait_for_state(&host, "imposter", |state| {
        matches!(state, BackendState::NotInstalled { .. })
    })
    .await;
    for (name, expected) in [
        ("digest-x", "but plugin.toml has"),
        ("no-wasm0", "not a component"),
        ("unclear0", "plugin.toml is not valid at line 1"),
        ("other-na", "make them equal"),
        ("escapes0", "name a file in the same directory"),
        ("a-script", "use \"component\" or \"library\""),
        ("library0", "rdd plugin enable library0 --allow-native"),
        ("newer-00", "upgrade rdd"),
        ("nothing0", "there is no plugin.toml"),
        ("huge-man", "larger than the maximum of 65536 bytes"),
        ("imposter", "reports the name \"healthy1\""),
    ] {
        assert_refused(&host, name, expected);
    }
    let bad = report(&host, "Bad_Name");
    assert_eq!(bad.state, PluginState::Refused);
    assert!(bad.reason.contains("not a valid plugin name"), "{bad:?}");
    assert_eq!(host.names(), ["healthy1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn symbolic_links_and_files_that_others_can_write_to_are_refused() {
    use std::os::unix::fs::symlink;
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = dir.path();
    let real = install(elsewhere.path(), "linked-d");
    symlink(&real, root.join("linked-d")).unwrap();
    let relink = |name: &str, file: &str| {
        let path = install(root, name);
        let moved = elsewhere.path().join(format!("{name}-{file}"));
        fs::rename(path.join(file), &moved).unwrap();
        symlink(&moved, path.join(file)).unwrap();
    };
    relink("linked-m", "plugin.toml");
    relink("linked-f", "it.wasm");
    for (name, file, mode) in [
        ("open-dir", "", 0o777),
        ("open-fil", "it.wasm", 0o666),
        ("groupdir", "", 0o775),
        ("groupman", "plugin.toml", 0o664),
        ("groupfil", "it.wasm", 0o664),
    ] {
        set_mode(&install(root, name).join(file), mode);
    }

    let host = start(options(&[root])).await;
    for (name, expected) in [
        ("linked-d", "symbolic link"),
        ("linked-m", "symbolic link"),
        ("linked-f", "symbolic link"),
        ("open-dir", "writable by everyone"),
        ("open-fil", "writable by everyone"),
        ("groupdir", "writable by its group"),
        ("groupman", "writable by its group"),
        ("groupfil", "writable by its group"),
    ] {
        assert_refused(&host, name, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_loaded_from_a_directory_to_which_others_can_add_plugins() {
    let dir = tempfile::tempdir().unwrap();
    install(dir.path(), "aaaaaaaa");
    set_mode(dir.path(), 0o775);
    let host = start(options(&[dir.path()])).await;
    assert_eq!(host.names(), Vec::<String>::new());
    let reports = host.reports();
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert_eq!(reports[0].path, dir.path());
    assert!(
        reports[0].reason.contains("writable by its group"),
        "{reports:?}"
    );
}
