//! The components of `plugins/fixtures`, built when a test asks for them.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

/// The file of the fixture `name`, in the target directory that the running
/// test was built in.
///
/// `cargo xtask plugins --fixtures` builds it, and is run here where nobody ran
/// it before, so that `cargo test` works in a fresh clone.
///
/// # Panics
///
/// Where it cannot be built: the guest's target is not installed, say.
#[expect(clippy::panic, reason = "a test fails by panicking")]
pub fn fixture_component(name: &str) -> PathBuf {
    // Tests of one process ask at the same time.
    static BUILDING: Mutex<()> = Mutex::new(());
    let test = match std::env::current_exe() {
        Ok(test) => test,
        Err(error) => panic!("the running test cannot be found: {error}"),
    };
    // target/debug/deps/TEST-…
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
            "{} was not built by `cargo xtask plugins --fixtures`: {}",
            file.display(),
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(error) => panic!("`cargo xtask plugins --fixtures` cannot be run: {error}"),
    }
    file
}
