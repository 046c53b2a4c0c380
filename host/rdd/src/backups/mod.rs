//! `rdd backup` and `rdd restore`: the objects of the embedded API server in one
//! file.

mod back_up;
mod restore;

use std::path::PathBuf;

use clap::Args;

pub(crate) use back_up::run as back_up;
pub(crate) use restore::run as restore;

use crate::output::OutputArgs;

/// Options of both commands.
#[derive(Args)]
pub(crate) struct BackupArgs {
    /// File of the backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
}
