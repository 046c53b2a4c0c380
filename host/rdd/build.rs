//! Asks the linker for packed relative relocations in a release build, where the C
//! library can load them: the program is a tenth smaller.
//!
//! `docs/adr/024-optimized-for-size.md` has the figures.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const ARGUMENT: &str = "-Wl,-z,pack-relative-relocs";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let variable = |name| env::var(name).unwrap_or_default();
    let is_linux =
        variable("CARGO_CFG_TARGET_OS") == "linux" && variable("CARGO_CFG_TARGET_ENV") == "gnu";
    // A program for another machine cannot be tried on this one.
    let is_native = variable("HOST") == variable("TARGET");
    if variable("PROFILE") == "release"
        && is_linux
        && is_native
        && is_loadable(&PathBuf::from(variable("OUT_DIR")))
    {
        println!("cargo::rustc-link-arg-bins={ARGUMENT}");
    }
}

/// Whether a program that was linked in this way starts here. An old linker rejects the
/// argument, and an old C library (glibc before 2.36) refuses the program.
fn is_loadable(directory: &Path) -> bool {
    let source = directory.join("probe.rs");
    let program = directory.join("probe");
    let compiled = fs::write(&source, "fn main() {}").is_ok()
        && env::var_os("RUSTC").is_some_and(|compiler| {
            // The linker may be chosen by these flags.
            let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
            Command::new(compiler)
                .args(flags.split('\x1f').filter(|flag| !flag.is_empty()))
                .arg(format!("-Clink-arg={ARGUMENT}"))
                .arg("-o")
                .arg(&program)
                .arg(&source)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
        });
    compiled
        && Command::new(program)
            .status()
            .is_ok_and(|status| status.success())
}
