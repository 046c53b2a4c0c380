//! What an author does first: a new project is built, and passes the conformance
//! kit. `bats/tests/73-authors.bats` goes on to containers in kubectl.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Runs `rdd` in a directory, without the settings of this machine's user.
fn rdd(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rdd"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RDD_") {
            command.env_remove(name);
        }
    }
    command
        .current_dir(dir)
        .arg("--state-dir")
        .arg(dir.join("state"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    let (out, error) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(error)
    )
}

const NAME: &str = "a-backend";

/// Makes a new project in a directory, and returns its own.
fn new_project(parent: &Path, language: &str, form: &str) -> PathBuf {
    let created = rdd(
        parent,
        &["plugin", "new", "--lang", language, "--form", form, NAME],
    );
    assert!(created.status.success(), "{}", text(&created));
    parent.join(NAME)
}

fn passes_the_kit(language: &str, form: &str) {
    let parent = tempfile::tempdir().unwrap();
    let dir = new_project(parent.path(), language, form);
    let built = rdd(&dir, &["plugin", "build"]);
    assert!(built.status.success(), "{}", text(&built));
    let mut arguments = vec!["plugin", "test", "."];
    if form == "library" {
        let refused = rdd(&dir, &arguments);
        assert!(
            text(&refused).contains("pass --allow-native"),
            "{}",
            text(&refused)
        );
        arguments.push("--allow-native");
    }
    let tested = rdd(&dir, &arguments);
    assert!(tested.status.success(), "{}", text(&tested));
    assert!(text(&tested).contains(" 0 failed"), "{}", text(&tested));
    // The name in the manifest is the one that `describe` returns.
    let inspected = rdd(&dir, &["plugin", "inspect", ".", "-o", "name"]);
    assert_eq!(String::from_utf8_lossy(&inspected.stdout).trim(), NAME);
}

/// The host would end the stream later, and the kit must not take that for the backend.
#[test]
fn a_backend_in_c_that_ignores_a_stop_fails_the_kit() {
    let parent = tempfile::tempdir().unwrap();
    let dir = new_project(parent.path(), "c", "component");
    let source = dir.join("src/backend.c");
    let content = std::fs::read_to_string(&source).unwrap();
    let reaction = "return call->stop.handle && !call->stop.is_pending;";
    let ignorant = content.replace(reaction, "return false;");
    assert_ne!(content, ignorant);
    std::fs::write(&source, ignorant).unwrap();
    let built = rdd(&dir, &["plugin", "build"]);
    assert!(built.status.success(), "{}", text(&built));
    let case = "entries/ends-within-a-second";
    let tested = rdd(&dir, &["plugin", "test", ".", "--filter", case]);
    assert_eq!(tested.status.code(), Some(1), "{}", text(&tested));
    assert!(
        text(&tested).contains(&format!("FAIL  {case}")),
        "{}",
        text(&tested)
    );
}

#[test]
fn a_new_backend_in_python_passes_the_kit() {
    passes_the_kit("python", "component");
}

#[test]
fn a_new_backend_in_c_passes_the_kit() {
    passes_the_kit("c", "component");
}

#[test]
fn a_new_backend_in_c_passes_the_kit_as_a_library() {
    passes_the_kit("c", "library");
}

#[test]
fn a_new_backend_in_rust_passes_the_kit() {
    passes_the_kit("rust", "component");
}

#[test]
fn a_new_backend_in_rust_passes_the_kit_as_a_library() {
    passes_the_kit("rust", "library");
}
