//! Projects in Rust: cargo, and for a component the target without a system.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use super::{BuildContext, BuildError, tool};
use crate::component::{GUEST_TARGET, encode_component};

/// The variables with flags for the target of this machine, such as a linker, which
/// break a component.
const HOST_FLAGS: [&str; 3] = ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET"];

/// A message of cargo about a compiled package.
#[derive(Deserialize)]
struct CargoMessage {
    reason: String,
    manifest_path: Option<PathBuf>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

pub(super) fn component(context: &BuildContext) -> Result<Vec<u8>, BuildError> {
    check_cargo()?;
    let mut rustc = tool::named("RUSTC", "rustc");
    rustc
        .current_dir(&context.dir)
        .args(["--print", "target-libdir", "--target", GUEST_TARGET]);
    let libraries = tool::ask(&mut rustc)?.filter(|output| output.status.success());
    let has_target = libraries.is_some_and(|output| {
        let path = String::from_utf8_lossy(&output.stdout);
        Path::new(path.trim()).is_dir()
    });
    if !has_target {
        return Err(BuildError::Tool {
            what: format!("the Rust compiler does not have the target {GUEST_TARGET}"),
            remedy: format!(
                "run 'rustup target add {GUEST_TARGET}' (Debian's own Rust has it in the package libstd-rust-dev-wasm32)"
            ),
        });
    }
    let mut cargo = cargo(context);
    for variable in HOST_FLAGS {
        cargo.env_remove(variable);
    }
    cargo.args(["--target", GUEST_TARGET]);
    let module = compile(context, &mut cargo, ".wasm")?;
    Ok(encode_component(&super::read(&module)?)?)
}

pub(super) fn library(context: &BuildContext) -> Result<Vec<u8>, BuildError> {
    check_cargo()?;
    let mut cargo = cargo(context);
    cargo.args(["--features", "library"]);
    let library = compile(context, &mut cargo, std::env::consts::DLL_SUFFIX)?;
    super::read(&library)
}

fn check_cargo() -> Result<(), BuildError> {
    match tool::ask(Command::new("cargo").arg("--version"))? {
        Some(output) if output.status.success() => Ok(()),
        _ => Err(BuildError::Tool {
            what: "cargo is not installed".to_owned(),
            remedy: "install Rust 1.95 or newer from https://rustup.rs".to_owned(),
        }),
    }
}

fn cargo(context: &BuildContext) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(&context.dir).args([
        "build",
        "--release",
        "--message-format=json-render-diagnostics",
    ]);
    cargo
}

/// Compiles the project and returns the path of its library.
fn compile(
    context: &BuildContext,
    cargo: &mut Command,
    suffix: &str,
) -> Result<PathBuf, BuildError> {
    let messages = context.work.join("cargo.json");
    context.log.run_to(cargo, &messages)?;
    let failed = |source| super::file(&messages, source);
    let own = context.dir.join("Cargo.toml");
    let own = own
        .canonicalize()
        .map_err(|source| super::file(&own, source))?;
    let mut found = None;
    for line in BufReader::new(File::open(&messages).map_err(failed)?).lines() {
        // Other lines are output of build scripts.
        let Ok(message) = serde_json::from_str::<CargoMessage>(&line.map_err(failed)?) else {
            continue;
        };
        let is_own = message
            .manifest_path
            .is_some_and(|path| path.canonicalize().is_ok_and(|path| path == own));
        if message.reason == "compiler-artifact" && is_own {
            let named = |path: &PathBuf| path.to_string_lossy().ends_with(suffix);
            found = message.filenames.into_iter().find(named).or(found);
        }
    }
    found.ok_or(BuildError::Project(
        "the package of the project has no dynamic library; add crate-type = [\"cdylib\"] to [lib] in Cargo.toml",
    ))
}
