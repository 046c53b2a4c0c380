//! The man pages, one for each command.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::CommandFactory as _;

use crate::cli::Cli;
use crate::output;

/// Writes the pages to a directory, which is created if need be.
pub(crate) fn write(directory: &Path) -> Result<ExitCode> {
    let unusable = || format!("cannot write to {}", directory.display());
    std::fs::create_dir_all(directory).with_context(unusable)?;
    clap_mangen::generate_to(Cli::command(), directory).with_context(unusable)?;
    output::print(&format!("{}\n", directory.display()))?;
    Ok(ExitCode::SUCCESS)
}
