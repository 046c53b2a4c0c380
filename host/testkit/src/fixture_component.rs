//! The components of `plugins/fixtures`, built on demand.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

/// Returns the file of the fixture `name` in the target directory of the running
/// test.
///
/// Runs `cargo xtask plugins --fixtures` if the file is missing, so that
/// `cargo test` works in a new clone.
///
/// # Panics
///
/// Panics if the fixture cannot be built, for example because the guest's target
/// is not installed.
#[expect(clippy::panic, reason = "a test fails by panicking")]
pub fn fixture_component(name: &str) -> PathBuf {
    // Tests of one process call this concurrently.
    static BUILDING: Mutex<()> = Mutex::new(());
    let test = match std::env::current_exe() {
        Ok(test) => test,
        Err(error) => panic!("cannot find the executable of the running test: {error}"),
    };
    // TARGET/debug/deps/TEST
    let Some(target) = test.ancestors().nth(3) else {
        panic!("{} is not in a target directory", test.display());
    };
    let file = target
        .join("plugin-fixtures")
        .join(name)
        .join(format!("{name}.wasm"));
    let _building = BUILDING.lock();
    if file.is_file() {
        return file;
    }
    let output = Command::new(env!("CARGO"))
        .args(["xtask", "plugins", "--fixtures"])
        .env("CARGO_TARGET_DIR", target)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .output();
    match output {
        Ok(output) if file.is_file() => drop(output),
        Ok(output) => panic!(
            "`cargo xtask plugins --fixtures` did not build {}: {}",
            file.display(),
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(error) => panic!("cannot run `cargo xtask plugins --fixtures`: {error}"),
    }
    file
}
