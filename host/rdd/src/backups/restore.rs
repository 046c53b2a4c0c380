//! `rdd restore`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use serde::Serialize;

use super::BackupArgs;
use crate::output::CommandReport;
use crate::state_dir::StateDir;

/// The output of `rdd restore`.
#[derive(Serialize)]
struct RestoreReport {
    file: PathBuf,
    objects: usize,
    #[serde(rename = "resourceVersion")]
    revision: u64,
    /// The database that was there before.
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced: Option<PathBuf>,
}

impl CommandReport for RestoreReport {
    fn text(&self) -> String {
        let Self {
            file,
            objects,
            revision,
            replaced,
        } = self;
        let mut text = format!(
            "restored {objects} objects at resource version {revision} from {}\n",
            file.display()
        );
        if let Some(replaced) = replaced {
            text.push_str(&format!(
                "the earlier database is kept as {}\n",
                replaced.display()
            ));
        }
        text
    }

    fn names(&self) -> Vec<String> {
        vec![self.file.display().to_string()]
    }
}

/// Replaces the objects of an instance that is not running with those of a backup.
pub(crate) async fn run(state_dir: &StateDir, args: BackupArgs) -> Result<ExitCode> {
    let BackupArgs { file, output } = args;
    // Before the directory is created: nothing is left behind for a wrong name.
    let path = file.clone();
    tokio::task::spawn_blocking(move || rdd_apiserver::check_backup(&path)).await??;
    let lock = state_dir.lock().await?;
    let (path, database) = (file.clone(), state_dir.database());
    let restored = tokio::task::spawn_blocking(move || rdd_apiserver::restore(&path, &database));
    let outcome = restored.await??;
    drop(lock);
    let report = RestoreReport {
        file,
        objects: outcome.backup.records,
        revision: outcome.backup.revision,
        replaced: outcome.replaced,
    };
    output.print(&report)?;
    Ok(ExitCode::SUCCESS)
}
