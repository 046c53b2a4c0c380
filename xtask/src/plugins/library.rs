//! Compiles packages as dynamic libraries for this machine.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::output::report;

/// The feature with which a package exports its backend as a library.
pub(super) const FEATURE: &str = "library";

/// The profile in the manifest of the workspace.
const PROFILE: &str = "plugin-library";

/// Compiles the packages and returns the directory of their libraries.
pub(super) fn build(
    workspace: &Path,
    target_directory: &Path,
    packages: &[&str],
) -> Result<PathBuf> {
    report("building dynamic libraries for this machine");
    let mut cargo = crate::cargo();
    cargo
        .current_dir(workspace)
        .arg("build")
        .args(["--quiet", "--lib", "--profile", PROFILE]);
    for package in packages {
        let feature = format!("{package}/{FEATURE}");
        cargo.args(["--package", package, "--features", &feature]);
    }
    // Set by `cargo xtask`, or by the user.
    cargo.env("CARGO_TARGET_DIR", target_directory);
    let status = cargo
        .status()
        .with_context(|| format!("cannot run {:?}", cargo.get_program()))?;
    ensure!(status.success(), "the libraries do not compile");
    Ok(target_directory.join(PROFILE))
}

/// Returns the file name of a library on this machine.
pub(super) fn file_name(library: &str) -> String {
    format!(
        "{}{library}{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_SUFFIX
    )
}

/// Returns this machine's platform, as manifests name it.
pub(super) fn platform() -> String {
    let os = match std::env::consts::OS {
        "macos" => "darwin",
        os => os,
    };
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        architecture => architecture,
    };
    format!("{os}/{architecture}")
}
