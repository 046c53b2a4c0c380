//! The man pages, one for each command.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Command;

use crate::output;

/// Writes the pages of a program to a directory, which is created if need be.
pub(crate) fn write(program: Command, directory: &Path) -> Result<ExitCode> {
    let unusable = || format!("cannot write to {}", directory.display());
    std::fs::create_dir_all(directory).with_context(unusable)?;
    clap_mangen::generate_to(program, directory).with_context(unusable)?;
    output::print(&format!("{}\n", directory.display()))?;
    Ok(ExitCode::SUCCESS)
}
