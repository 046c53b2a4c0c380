//! Compiles packages for the target of guests, with one of two toolchains.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rdd_plugin_project::GUEST_TARGET as TARGET;

use super::output::report;

/// The profile in the manifest of the workspace.
const PROFILE: &str = "guest";

/// How long `rustup` may take to install the target before the other toolchain is
/// tried.
const FETCH_TIMEOUT: Duration = Duration::from_secs(120);

/// The paths of Debian's compiler.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";

/// A toolchain that supports the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Toolchain {
    /// The current toolchain, if it has the target or rustup can install it
    Rustup,
    /// Debian's `rustc-web`, which builds the standard library from source
    Debian,
}

/// Compiles the packages and returns the directory of their modules.
pub(super) fn build(
    workspace: &Path,
    target_directory: &Path,
    packages: &[&str],
    way: Option<Toolchain>,
) -> Result<PathBuf> {
    let way = match way {
        Some(Toolchain::Rustup) => {
            ensure!(
                rustup_has_target(),
                "the toolchain does not have the target {TARGET}, and rustup cannot install it"
            );
            Toolchain::Rustup
        }
        Some(Toolchain::Debian) => {
            check_debian()?;
            Toolchain::Debian
        }
        None => choose_toolchain()?,
    };
    let (mut cargo, directory) = match way {
        Toolchain::Rustup => {
            report(&format!(
                "building with the {TARGET} target of the toolchain"
            ));
            (crate::cargo(), target_directory.to_owned())
        }
        Toolchain::Debian => {
            report(&format!(
                "building with Debian's rustc-web, including std for {TARGET}"
            ));
            // A separate directory, so that the compilers do not overwrite each
            // other's artifacts.
            (debian_cargo()?, target_directory.join("guest-debian"))
        }
    };
    cargo.current_dir(workspace).arg("build").args([
        "--quiet",
        "--profile",
        PROFILE,
        "--target",
        TARGET,
    ]);
    if way == Toolchain::Debian {
        cargo.arg("-Zbuild-std=std,panic_abort");
    }
    for package in packages {
        cargo.args(["--package", package]);
    }
    cargo.env("CARGO_TARGET_DIR", &directory);
    // Flags for the target of this machine, such as a linker, break the guest.
    cargo
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET");
    let status = cargo
        .status()
        .with_context(|| format!("cannot run {:?}", cargo.get_program()))?;
    ensure!(status.success(), "the plugins do not compile");
    Ok(directory.join(TARGET).join(PROFILE))
}

fn choose_toolchain() -> Result<Toolchain> {
    if rustup_has_target() {
        return Ok(Toolchain::Rustup);
    }
    match check_debian() {
        Ok(()) => Ok(Toolchain::Debian),
        Err(error) => bail!(
            "no compiler for {TARGET}: the toolchain does not have the target, rustup cannot install it, and {error:#}; \
             run `rustup target add {TARGET}`, or on Debian 12 `apt-get install rustc-web cargo-web rust-web-src`"
        ),
    }
}

/// Returns whether the toolchain has the target. Tries to install it otherwise.
fn rustup_has_target() -> bool {
    has_target() || (fetch_target() && has_target())
}

fn has_target() -> bool {
    Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .stderr(Stdio::null())
        .output()
        .is_ok_and(|output| {
            output.status.success()
                && std::str::from_utf8(&output.stdout)
                    .is_ok_and(|path| Path::new(path.trim()).is_dir())
        })
}

fn fetch_target() -> bool {
    let child = Command::new("rustup")
        .args(["target", "add", TARGET])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    // Without rustup, the target cannot be installed.
    let Ok(mut child) = child else { return false };
    report(&format!("rustup target add {TARGET}"));
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if start.elapsed() < FETCH_TIMEOUT => {
                std::thread::sleep(Duration::from_millis(50));
            }
            Ok(None) | Err(_) => {
                if child.kill().is_ok() {
                    // Reaps the process; its status is known.
                    child.wait().ok();
                }
                return false;
            }
        }
    }
}

fn check_debian() -> Result<()> {
    for program in [DEBIAN_RUSTC, DEBIAN_CARGO] {
        ensure!(Path::new(program).exists(), "{program} does not exist");
    }
    let library = sysroot(DEBIAN_RUSTC)?.join("lib/rustlib/src/rust/library");
    ensure!(
        library.is_dir(),
        "{DEBIAN_RUSTC} does not include the source of its standard library"
    );
    Ok(())
}

fn debian_cargo() -> Result<Command> {
    let mut cargo = Command::new(DEBIAN_CARGO);
    cargo
        .env("RUSTC", DEBIAN_RUSTC)
        // Allows stable to build the standard library.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("PATH", path_with_linker()?)
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("RUSTDOC")
        // Set by the cargo that runs this task, for the libraries of its compiler.
        .env_remove("LD_LIBRARY_PATH");
    Ok(cargo)
}

/// Returns `PATH` with the directory of the current toolchain's `rust-lld`, which
/// Debian's compiler does not include.
fn path_with_linker() -> Result<OsString> {
    let output = Command::new("rustc")
        .args(["--print", "target-libdir"])
        .output()
        .context("cannot run rustc")?;
    ensure!(
        output.status.success(),
        "rustc --print target-libdir failed"
    );
    let libraries = PathBuf::from(String::from_utf8(output.stdout)?.trim());
    let linker_dir = libraries
        .parent()
        .context("rustc has no target directory")?
        .join("bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain([linker_dir]);
    Ok(std::env::join_paths(directories)?)
}

fn sysroot(rustc: &str) -> Result<PathBuf> {
    let output = Command::new(rustc)
        .args(["--print", "sysroot"])
        .env_remove("LD_LIBRARY_PATH")
        .output()
        .with_context(|| format!("cannot run {rustc}"))?;
    ensure!(output.status.success(), "{rustc} --print sysroot failed");
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}
