//! Compiles packages for the guest's target, by one of two ways.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::out::report;

/// The guest's target: no system interface at all, so the component imports
/// nothing but the contract.
const TARGET: &str = "wasm32-unknown-unknown";

/// The profile in the workspace's manifest.
const PROFILE: &str = "guest";

/// How long `rustup` may try to fetch the target before the other way is taken.
const FETCH_LIMIT: Duration = Duration::from_secs(120);

/// Where Debian puts its compiler.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";

/// A way to a compiler that knows the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Way {
    /// The toolchain in use has the target, or rustup fetches it.
    Rustup,
    /// Debian's `rustc-web`, which compiles the standard library itself.
    Debian,
}

/// Compiles the packages; returns the directory of their modules.
pub(super) fn build(
    workspace: &Path,
    target_directory: &Path,
    packages: &[&str],
    way: Option<Way>,
) -> Result<PathBuf> {
    let way = match way {
        Some(Way::Rustup) => {
            ensure!(
                rustup_has_target(),
                "the toolchain has no target {TARGET} and rustup cannot fetch it"
            );
            Way::Rustup
        }
        Some(Way::Debian) => {
            debian_is_fit()?;
            Way::Debian
        }
        None => choose()?,
    };
    let (mut cargo, directory) = match way {
        Way::Rustup => {
            report(&format!("building with the toolchain's own {TARGET}"));
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            (Command::new(cargo), target_directory.to_owned())
        }
        Way::Debian => {
            report(&format!(
                "building with Debian's rustc-web, std for {TARGET} included"
            ));
            // Artefacts of two compilers in one directory would displace each other.
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
    if way == Way::Debian {
        cargo.arg("-Zbuild-std=std,panic_abort");
    }
    for package in packages {
        cargo.args(["--package", package]);
    }
    cargo.env("CARGO_TARGET_DIR", &directory);
    // Flags meant for this machine's own target (a linker, a CPU) break the guest's.
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

fn choose() -> Result<Way> {
    if rustup_has_target() {
        return Ok(Way::Rustup);
    }
    match debian_is_fit() {
        Ok(()) => Ok(Way::Debian),
        Err(why) => bail!(
            "no compiler for {TARGET}: the toolchain has no such target, rustup cannot fetch it, and {why:#}; \
             run `rustup target add {TARGET}`, or on Debian 12 `apt-get install rustc-web cargo-web rust-web-src`"
        ),
    }
}

/// Whether the toolchain has the target, if need be after fetching it.
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
    // Without rustup there is nothing to fetch with.
    let Ok(mut child) = child else { return false };
    report(&format!("rustup target add {TARGET}"));
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if start.elapsed() < FETCH_LIMIT => {
                std::thread::sleep(Duration::from_millis(50));
            }
            Ok(None) | Err(_) => {
                if child.kill().is_ok() {
                    // Only reaps it: how it ended is known.
                    child.wait().ok();
                }
                return false;
            }
        }
    }
}

fn debian_is_fit() -> Result<()> {
    for program in [DEBIAN_RUSTC, DEBIAN_CARGO] {
        ensure!(Path::new(program).exists(), "there is no {program}");
    }
    let library = sysroot(DEBIAN_RUSTC)?.join("lib/rustlib/src/rust/library");
    ensure!(
        library.is_dir(),
        "{DEBIAN_RUSTC} comes without the source of its standard library"
    );
    Ok(())
}

fn debian_cargo() -> Result<Command> {
    let mut cargo = Command::new(DEBIAN_CARGO);
    cargo
        .env("RUSTC", DEBIAN_RUSTC)
        // Compiling the standard library is a feature that stable hides.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("PATH", path_with_linker()?)
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("RUSTDOC")
        // Set by the cargo that runs this task: the libraries of another compiler.
        .env_remove("LD_LIBRARY_PATH");
    Ok(cargo)
}

/// `PATH` with the directory of `rust-lld`, which Debian's compiler comes
/// without and the ordinary toolchain keeps to itself.
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
    let beside = libraries
        .parent()
        .context("rustc has no target directory")?
        .join("bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain([beside]);
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
