//! Tests of manifests.

use std::path::PathBuf;

use rdd_plugin_contract::BackendLimits;

use super::*;

const VALID: &str = r#"
name = "moby"
version = "0.1.0"
kind = "component"
file = "moby.component.wasm"
sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
interface = "rancher-desktop:engine@0.1.0"
"#;

const LIBRARY: &str = r#"
name = "moby"
version = "0.1.0"
kind = "library"
interface = "rancher-desktop:engine@0.1.0"

[[libraries]]
platform = "linux/amd64"
file = "libmoby.so"
sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

[[libraries]]
platform = "darwin/arm64"
file = "libmoby.dylib"
sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"#;

fn reject(text: &str, expected: &str) {
    let error = PluginManifest::parse(text).unwrap_err().to_string();
    assert!(error.contains(expected), "{expected:?} is not in {error:?}");
    assert!(!error.contains('\n'), "not one line: {error}");
}

#[test]
fn a_valid_manifest_is_parsed() {
    let manifest = PluginManifest::parse(VALID).unwrap();
    assert_eq!(manifest.name, "moby");
    assert_eq!(manifest.limits, ManifestLimits::default());
    assert_eq!(manifest.publisher, None);
    assert!(!manifest.artifact.is_native());
    let file = manifest.file_for(&Platform::current()).unwrap();
    assert_eq!(file.name, "moby.component.wasm");
}

#[test]
fn an_invalid_manifest_is_rejected_with_the_reason() {
    for (from, to, expected) in [
        ("name = \"moby\"", "name = \"../moby\"", "lowercase"),
        ("0.1.0\"\nkind", "one\"\nkind", "semantic version"),
        ("\"component\"", "\"script\"", "use \"component\" or"),
        ("\"component\"", "\"library\"", "move them there"),
        (
            "\"moby.component.wasm\"",
            "\"../x.wasm\"",
            "name a file in the same directory",
        ),
        (
            "\"moby.component.wasm\"",
            "\"/x.wasm\"",
            "name a file in the same directory",
        ),
        (
            "\"moby.component.wasm\"",
            "\".hidden\"",
            "name a file in the same directory",
        ),
        (
            "\"moby.component.wasm\"",
            "\"plugin.toml\"",
            "name a file in the same directory",
        ),
        (
            "file = \"moby.component.wasm\"",
            "",
            "requires the keys file and sha256",
        ),
        ("e3b0", "E3B0", "64 lowercase"),
        ("e3b0", "", "64 lowercase"),
        (
            "rancher-desktop:engine@0.1.0",
            "other:engine@0.1.0",
            "use \"rancher-desktop:engine@",
        ),
        ("engine@0.1.0", "engine", "use \"rancher-desktop:engine@"),
        ("kind", "surprise = 1\nkind", "unknown field `surprise`"),
        ("kind = \"component\"", "", "missing field `kind`"),
        ("kind = ", "kind = [", "at line"),
        ("kind", "publisher = \"a\\nb\"\nkind", "invalid publisher"),
        ("kind", "publisher = \"\"\nkind", "invalid publisher"),
        (
            "kind",
            "description = \"\\u202egnp\"\nkind",
            "invalid description",
        ),
    ] {
        let text = VALID.replacen(from, to, 1);
        assert_ne!(text, VALID, "{from}");
        reject(&text, expected);
    }
}

#[test]
fn another_version_of_the_contract_is_named_with_what_to_upgrade() {
    for (version, remedy) in [
        ("0.2.0", "upgrade rdd"),
        ("0.0.9", "install a version of the plugin"),
    ] {
        let text = VALID.replacen("engine@0.1.0", &format!("engine@{version}"), 1);
        reject(&text, remedy);
        reject(&text, &format!("built for version {version}"));
        reject(&text, "supports 0.1.0");
    }
}

#[test]
fn a_manifest_belongs_to_the_directory_of_its_name() {
    let manifest = PluginManifest::parse(VALID).unwrap();
    manifest.check_dir("moby").unwrap();
    let error = manifest.check_dir("docker").unwrap_err().to_string();
    assert!(error.contains("make them equal"), "{error}");
}

#[test]
fn a_library_has_a_file_for_each_platform() {
    let manifest = PluginManifest::parse(LIBRARY).unwrap();
    assert!(manifest.artifact.is_native());
    let file = |platform: &str| manifest.file_for(&platform.parse().unwrap());
    assert_eq!(file("darwin/arm64").unwrap().name, "libmoby.dylib");
    let error = file("linux/riscv64").unwrap_err().to_string();
    assert!(
        error.contains("only for darwin/arm64, linux/amd64"),
        "{error}"
    );
    for (from, to, expected) in [
        (
            "darwin/arm64",
            "linux/amd64",
            "two libraries for linux/amd64",
        ),
        ("darwin/arm64", "macOS", "is not a platform"),
        ("libmoby.dylib", "../x", "name a file in the same directory"),
        (
            "kind = \"library\"",
            "kind = \"component\"",
            "requires the keys",
        ),
        (
            "kind = \"library\"",
            "kind = \"library\"\nfile = \"x\"",
            "move them there",
        ),
    ] {
        let text = LIBRARY.replacen(from, to, 1);
        assert_ne!(text, LIBRARY, "{from}");
        reject(&text, expected);
    }
    reject(
        LIBRARY.split("[[").next().unwrap(),
        "requires a table [[libraries]]",
    );
}

fn directories(tables: &str) -> Result<Vec<DirectoryRequest>, ManifestError> {
    Ok(PluginManifest::parse(&format!("{VALID}{tables}"))?.directories)
}

fn directory(name: &str, path: &str) -> String {
    format!("[[directories]]\nname = {name:?}\npath = {path:?}\nreason = \"logs\"\n")
}

#[test]
fn a_directory_is_granted_at_its_path_or_below_a_placeholder() {
    let dirs = PlaceholderDirs {
        home: Some("/home/me".into()),
        runtime: None,
        ..PlaceholderDirs::default()
    };
    let granted = |path: &str| {
        let requests = directories(&directory("logs", path)).unwrap();
        requests[0].grant(&dirs).map(|grant| grant.path)
    };
    assert_eq!(
        granted("/var/log/pods"),
        Some(PathBuf::from("/var/log/pods"))
    );
    assert_eq!(
        granted("$HOME/.rd/logs"),
        Some(PathBuf::from("/home/me/.rd/logs"))
    );
    assert_eq!(granted("$XDG_RUNTIME_DIR/x"), None);
}

#[test]
fn a_directory_outside_of_what_may_be_asked_for_is_rejected() {
    for path in [
        "",
        "/",
        "logs",
        "./logs",
        "../logs",
        "/var/../etc",
        "$HOME",
        "$HOME/",
        "$HOME/../x",
        "$HOME//etc/..",
        "$PATH/x",
        "$HOME/$HOME/..",
        "~/logs",
        "/a\nb",
    ] {
        let result = directories(&directory("logs", path));
        assert!(result.is_err(), "{path:?}: {result:?}");
    }
    // A second slash does not make the rest absolute.
    let dirs = PlaceholderDirs {
        home: Some("/home/me".into()),
        ..PlaceholderDirs::default()
    };
    if let Ok(requests) = directories(&directory("logs", "$HOME//etc")) {
        let grant = requests[0].grant(&dirs).unwrap();
        assert!(grant.path.starts_with("/home/me"), "{grant:?}");
    }
    for name in ["", "a/b", "..", ".x"] {
        assert!(directories(&directory(name, "/x")).is_err(), "{name:?}");
    }
    let twice = format!("{}{}", directory("a", "/x"), directory("a", "/y"));
    assert!(
        directories(&twice)
            .unwrap_err()
            .to_string()
            .contains("listed twice")
    );
    let many: String = (0..17).map(|i| directory(&format!("d{i}"), "/x")).collect();
    assert!(
        directories(&many)
            .unwrap_err()
            .to_string()
            .contains("at most 16")
    );
}

#[test]
fn a_limit_is_the_smaller_one_of_what_is_asked_for_and_what_is_allowed() {
    let host = BackendLimits::default();
    let limits = |request: Option<usize>, allowed: Option<usize>| {
        let of = |log_streams| ManifestLimits {
            log_streams,
            ..ManifestLimits::default()
        };
        of(request).effective(of(allowed), &host).max_log_streams
    };
    assert_eq!(limits(None, None), host.max_log_streams);
    assert_eq!(limits(Some(10), None), 10);
    assert_eq!(limits(Some(2_000), None), host.max_log_streams);
    assert_eq!(limits(Some(2_000), Some(1_500)), 1_500);
    assert_eq!(limits(Some(2_000), Some(3_000)), 2_000);
    assert_eq!(limits(None, Some(5)), 5);
    assert_eq!(limits(None, Some(3_000)), host.max_log_streams);
    let default = ManifestLimits::default().effective(ManifestLimits::default(), &host);
    assert_eq!(default, host);
}

#[test]
fn only_limits_above_the_defaults_need_to_be_allowed() {
    let host = BackendLimits::default();
    let request = ManifestLimits {
        control_memory_mib: Some(300),
        log_streams: Some(10),
        ..ManifestLimits::default()
    };
    let above: Vec<_> = request.above(&host).named().collect();
    assert_eq!(above, [("control-memory-mib", 300)]);
}

#[test]
fn a_limit_is_at_least_one_and_has_a_maximum() {
    for (limits, expected) in [
        ("control-memory-mib = 513", "from 1 to 512"),
        ("log-memory-mib = 0", "from 1 to 128"),
        ("log-streams = 1000000", "from 1 to"),
        ("connections = 1000000", "from 1 to"),
        ("transfers = 0", "from 1 to"),
        ("execs = 1000000", "from 1 to"),
        ("cpu = 1", "unknown field"),
    ] {
        reject(&format!("{VALID}[limits]\n{limits}"), expected);
    }
}

#[test]
fn an_error_has_no_escape_sequence_of_a_manifest() {
    for (key, expected) in [("\\u001b[31m", r"\u{1b}[31m"), ("\\u202e", r"\u{202e}")] {
        let text = format!("{VALID}\"{key}\" = 1");
        reject(&text, expected);
        let error = PluginManifest::parse(&text).unwrap_err().to_string();
        assert!(!error.contains(['\u{1b}', '\u{202e}']), "{error:?}");
    }
}
