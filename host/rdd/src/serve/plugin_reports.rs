//! The state of the installed backends, published in the API for whoever asks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use kube::Client;
use rdd_core::BackendRegistry as _;
use rdd_mirror::{InstanceId, MirrorProgress};
use rdd_plugin::{PluginHost, PluginReport};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::config_map::{ConfigMapContent, OwnConfigMap};
use crate::output;
use crate::state_dir::{StateDir, read_published};

/// Name of the ConfigMap, beside the discovery one.
const NAME: &str = "rdd-plugins";
/// Its only entry: a JSON list of reports.
const ENTRY: &str = "plugins";
/// How soon a file that could not be written is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Writes the reports now, whenever one changes, and whenever somebody removes
/// or edits them, until `stop`: into `file` for the commands of the daemon's
/// user, and into the API for everybody.
pub(crate) async fn publish(
    own: OwnConfigMap,
    file: PathBuf,
    host: Arc<PluginHost>,
    progress: watch::Receiver<MirrorProgress>,
    stop: CancellationToken,
) -> Result<()> {
    let content = || ConfigMapContent {
        key: ENTRY,
        value: json!(host.reports()).to_string(),
        annotations: BTreeMap::new(),
    };
    let (wanted, kept) = watch::channel(None);
    tokio::select! {
        result = own.keep(kept, progress, stop) => result,
        result = follow(&file, content, host.changes(), wanted) => result,
    }
}

/// Keeps the file and what is `wanted` of the ConfigMap as they are now. A file
/// that cannot be written, such as on a full disk, is no reason for the daemon
/// to end: it is tried again.
async fn follow(
    file: &Path,
    content: impl Fn() -> ConfigMapContent,
    mut changes: watch::Receiver<u64>,
    wanted: watch::Sender<Option<ConfigMapContent>>,
) -> Result<()> {
    loop {
        changes.mark_unchanged();
        let content = content();
        let written = rdd_core::write_private(file, content.value.as_bytes());
        wanted.send_replace(Some(content));
        let failed = written.is_err();
        if let Err(error) = written {
            let error = output::describe(&error.into());
            tracing::warn!(
                error,
                "'rdd plugin list' shows an earlier state of the backends; trying again"
            );
        }
        tokio::select! {
            changed = changes.changed() => changed.context("the plugin host is gone")?,
            () = tokio::time::sleep(RETRY), if failed => {}
        }
    }
}

/// The ConfigMap of one run of the daemon.
pub(crate) fn own(client: Client, boot_id: &str, instance: &InstanceId) -> OwnConfigMap {
    OwnConfigMap::new(client, NAME, boot_id, instance)
}

/// Reads what the running daemon of a state directory published.
pub(crate) fn read(state_dir: &StateDir) -> Result<Vec<PluginReport>> {
    read_published(&state_dir.plugin_reports()).context("cannot read the state of the backends")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_file_that_cannot_be_written_is_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("later/plugins.json");
        let content = || ConfigMapContent {
            key: ENTRY,
            value: "[]".to_owned(),
            annotations: BTreeMap::new(),
        };
        let (_changes, changed) = watch::channel(0);
        let (wanted, mut kept) = watch::channel(None);
        let there = async {
            // In the API they are right all the same.
            kept.wait_for(Option::is_some).await.unwrap();
            std::fs::create_dir(dir.path().join("later")).unwrap();
            while !file.exists() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::select! {
            ended = follow(&file, content, changed, wanted) => panic!("it ended: {ended:?}"),
            () = there => {}
        }
        assert_eq!(std::fs::read(&file).unwrap(), b"[]");
    }
}
