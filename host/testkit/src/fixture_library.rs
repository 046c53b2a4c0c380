//! Builds the fixtures that are dynamic libraries in C.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// Compiles all C files of the fixture in `plugins/fixtures` with additional `flags`,
/// once per process, and returns the library.
///
/// # Panics
///
/// Panics if there is no C compiler, or if it fails.
pub fn fixture_library(name: &str, flags: &[&str]) -> PathBuf {
    static BUILT: Mutex<Option<HashMap<String, PathBuf>>> = Mutex::new(None);
    let key = format!("{name} {}", flags.join(" "));
    // Another test may have failed to compile its variant.
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let built = built.get_or_insert_default();
    if let Some(file) = built.get(&key) {
        return file.clone();
    }
    let fail = |problem: String| -> ! { cannot_build(name, &problem) };
    let dir = match std::env::current_exe() {
        // TARGET/debug/deps/TEST
        Ok(test) => test
            .ancestors()
            .nth(3)
            .unwrap_or(Path::new("."))
            .join("library-fixtures"),
        Err(error) => fail(error.to_string()),
    };
    if let Err(error) = std::fs::create_dir_all(&dir) {
        fail(error.to_string());
    }
    // Of this process: another one may compile the same at the same time.
    let file = dir.join(format!("{name}-{}-{}.so", std::process::id(), built.len()));
    compile_fixture_library(name, flags, &file);
    built.insert(key, file.clone());
    file
}

/// Compiles all C files of the fixture in `plugins/fixtures` with additional `flags`
/// to the library `file`.
///
/// # Panics
///
/// Panics if there is no C compiler, or if it fails.
pub fn compile_fixture_library(name: &str, flags: &[&str], file: &Path) {
    let fail = |problem: String| -> ! { cannot_build(name, &problem) };
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins");
    let mut sources: Vec<_> = match std::fs::read_dir(plugins.join("fixtures").join(name)) {
        Ok(entries) => entries
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "c"))
            .collect(),
        Err(error) => fail(error.to_string()),
    };
    sources.sort();
    // Additional flags, for a sanitizer.
    let extra = std::env::var("RDD_FIXTURE_CFLAGS").unwrap_or_default();
    let output = Command::new("cc")
        .args(["-std=c17", "-Wall", "-Wextra", "-Werror", "-pedantic"])
        .args(["-g", "-O1", "-fPIC", "-fvisibility=hidden"])
        .args(["-shared", "-pthread", "-I"])
        .arg(plugins.join("sdk/include"))
        .args(flags)
        .args(&sources)
        .args(extra.split_whitespace())
        .arg("-o")
        .arg(file)
        .output();
    match output {
        Ok(output) if output.status.success() => {}
        Ok(output) => fail(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => fail(format!("cannot run cc; install gcc: {error}")),
    }
}

#[expect(clippy::panic, reason = "a test helper fails its test by panicking")]
fn cannot_build(name: &str, problem: &str) -> ! {
    panic!("cannot build the fixture {name}: {problem}")
}
