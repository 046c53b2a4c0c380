//! Packs what `rdd plugin new` writes into one compressed file of the program: the
//! examples in `plugins/examples`, and the SDK with everything that they need of it.
//!
//! | path in the archive | content |
//! |---|---|
//! | `examples/EXAMPLE/…` | the files of a new project |
//! | `sdk/wit/…` | the contract |
//! | `sdk/crates/rdd-sdk/…` | the SDK for Rust, without the workspace |
//! | `sdk/include/rdd_backend.h` | the C ABI |
//! | `sdk/bindings/…` | the contract in C, generated here |
#![allow(
    clippy::print_stdout,
    reason = "cargo reads the output of a build script"
)]

mod archive;
mod bindings;
mod cargo_lock;
mod cargo_manifest;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use archive::ArchiveBuilder;
use cargo_manifest::WorkspaceManifest;

/// The directories of a crate that only its own repository needs.
const UNUSED_DIRS: [&str; 6] = ["tests", "benches", "examples", "include", "c", "target"];

fn main() -> Result<()> {
    // Read when it runs: the checkout may have been moved since this was compiled.
    let manifest_dir =
        std::env::var_os("CARGO_MANIFEST_DIR").context("CARGO_MANIFEST_DIR is not set")?;
    let root = Path::new(&manifest_dir).join("../../..");
    let root = root
        .canonicalize()
        .context("cannot find the root of the repository")?;
    let input = |path: &str| {
        println!("cargo::rerun-if-changed={}", root.join(path).display());
        root.join(path)
    };
    let mut archive = ArchiveBuilder::default();

    archive.add_dir(&input("wit"), "sdk/wit", &|name| name.ends_with(".wit"))?;
    archive.add_dir(&input("plugins/sdk/include"), "sdk/include", &|_| true)?;
    archive.add_dir(&input("plugins/sdk/c"), "sdk/bindings", &|_| true)?;
    bindings::add(&mut archive, &root.join("wit"))?;

    let workspace = WorkspaceManifest::read(&input("Cargo.toml"))?;
    let mut crates = Vec::new();
    find_crates(&input("plugins/sdk"), &mut crates)?;
    crates.sort();
    let mut dependencies = Vec::new();
    for directory in crates {
        let path = directory.strip_prefix(&root)?;
        let manifest = workspace.standalone(path, &mut dependencies)?;
        let target = cargo_manifest::location(path)?;
        archive.add(&format!("{target}/Cargo.toml"), manifest.into_bytes());
        add_sources(&mut archive, &directory, &target)?;
    }

    for language in ["rust", "python", "c", "c-library"] {
        let directory = input(&format!("plugins/examples/{language}"));
        archive.add_dir(&directory, &format!("examples/{language}"), &|name| {
            !["Cargo.toml", "out", "target", "__pycache__"].contains(&name)
        })?;
    }
    let example = Path::new("plugins/examples/rust");
    let manifest = workspace.project(example, &mut dependencies)?;
    archive.add("examples/rust/Cargo.toml", manifest.into_bytes());
    let lock = cargo_lock::subset(&input("Cargo.lock"), &dependencies)?;
    archive.add("examples/rust/Cargo.lock", lock.into_bytes());

    let output = PathBuf::from(std::env::var_os("OUT_DIR").context("OUT_DIR is not set")?);
    fs::write(output.join("archive.bin"), archive.finish()?).context("cannot write the archive")
}

/// Finds the packages in a directory and below it.
fn find_crates(directory: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    if directory.join("Cargo.toml").exists() {
        found.push(directory.to_owned());
    }
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_used = name != "src" && !UNUSED_DIRS.iter().any(|unused| name == *unused);
        if entry.file_type()?.is_dir() && is_used {
            find_crates(&entry.path(), found)?;
        }
    }
    Ok(())
}

/// Adds the files of a package, without those of packages below it.
fn add_sources(archive: &mut ArchiveBuilder, directory: &Path, target: &str) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        let is_other = path.join("Cargo.toml").exists() || UNUSED_DIRS.contains(&&*name);
        if entry.file_type()?.is_dir() {
            if !is_other {
                archive.add_dir(&path, &format!("{target}/{name}"), &|_| true)?;
            }
        } else if name != "Cargo.toml" {
            archive.add(&format!("{target}/{name}"), fs::read(path)?);
        }
    }
    Ok(())
}
