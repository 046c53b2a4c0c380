//! `rdd backup`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use futures::AsyncReadExt as _;
use http::Request;
use rdd_apiserver::BackupSummary;
use serde::Serialize;
use tempfile::{NamedTempFile, TempPath};

use super::BackupArgs;
use crate::client;
use crate::output::CommandReport;
use crate::state_dir::StateDir;

/// The size of the buffer for a backup that is received, in bytes.
const BUFFER_BYTES: usize = 256 << 10;

/// The output of `rdd backup`.
#[derive(Serialize)]
struct BackupReport {
    file: PathBuf,
    objects: usize,
    #[serde(rename = "resourceVersion")]
    revision: u64,
    bytes: u64,
}

impl CommandReport for BackupReport {
    fn text(&self) -> String {
        let Self {
            file,
            objects,
            revision,
            bytes,
        } = self;
        format!(
            "{}: {objects} objects at resource version {revision}, {bytes} bytes\n",
            file.display()
        )
    }

    fn names(&self) -> Vec<String> {
        vec![self.file.display().to_string()]
    }
}

/// Writes a backup to a new file: from the daemon that runs, or else from its
/// database. The file has its name only once it is complete and was checked.
pub(crate) async fn run(state_dir: &StateDir, args: BackupArgs) -> Result<ExitCode> {
    let BackupArgs { file, output } = args;
    let exists = || {
        format!(
            "{} exists; choose another name, or delete it first",
            file.display()
        )
    };
    if file.symlink_metadata().is_ok() {
        bail!("{}", exists());
    }
    let temporary = temporary_file(&file)?;
    let temporary = match state_dir.is_locked() {
        true => receive(state_dir, temporary).await?,
        false => copy(state_dir, temporary).await?,
    };
    let (temporary, summary, bytes) = tokio::task::spawn_blocking(move || {
        let summary = rdd_apiserver::check_backup(&temporary)?;
        let bytes = temporary.metadata()?.len();
        anyhow::Ok((temporary, summary, bytes))
    })
    .await?
    .context("the backup is incomplete; try again")?;
    if let Err(error) = temporary.persist_noclobber(&file) {
        match error.error.kind() {
            std::io::ErrorKind::AlreadyExists => bail!("{}", exists()),
            _ => return Err(error).with_context(|| format!("cannot write {}", file.display())),
        }
    }
    let BackupSummary {
        records, revision, ..
    } = summary;
    let report = BackupReport {
        file,
        objects: records,
        revision,
        bytes,
    };
    output.print(&report)?;
    Ok(ExitCode::SUCCESS)
}

/// Creates an empty file of mode 0600 beside `file`.
fn temporary_file(file: &Path) -> Result<NamedTempFile> {
    let parent = match file.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    tempfile::Builder::new()
        .prefix(".rdd-backup-")
        .tempfile_in(parent)
        .with_context(|| format!("cannot write to {}", parent.display()))
}

/// Receives a backup from the daemon.
async fn receive(state_dir: &StateDir, mut file: NamedTempFile) -> Result<TempPath> {
    let client = client::connect_to_daemon(state_dir).await?;
    let request = Request::get("/backup").body(Vec::new())?;
    let stream = client.request_stream(request).await;
    let mut stream = std::pin::pin!(stream.context("the daemon cannot make a backup")?);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let length = stream
            .read(&mut buffer)
            .await
            .context("the connection to the daemon was lost; try again")?;
        let Some(piece @ [_, ..]) = buffer.get(..length) else {
            break;
        };
        file.write_all(piece)
            .with_context(|| format!("cannot write {}", file.path().display()))?;
    }
    file.as_file()
        .sync_all()
        .with_context(|| format!("cannot write {}", file.path().display()))?;
    Ok(file.into_temp_path())
}

/// Writes a backup of a database that no daemon has opened.
async fn copy(state_dir: &StateDir, file: NamedTempFile) -> Result<TempPath> {
    let database = state_dir.database();
    let copied = tokio::task::spawn_blocking(move || {
        let path = file.into_temp_path();
        // A backup is written to a file that does not exist.
        std::fs::remove_file(&path)?;
        rdd_apiserver::back_up(&database, &path)?;
        anyhow::Ok(path)
    });
    copied.await?
}
