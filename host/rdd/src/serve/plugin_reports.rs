//! The state of the installed backends, published as a ConfigMap and a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use kube::Client;
use rdd_core::BackendRegistry as _;
use rdd_mirror::{InstanceId, MirrorProgress};
use rdd_plugin::PluginHost;
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::config_map::{ConfigMapSpec, ConfigMapWriter};
use crate::output;

/// The name of the ConfigMap.
const NAME: &str = "rdd-plugins";
/// The key of its only entry, a JSON list of reports.
const ENTRY: &str = "plugins";
/// The delay before a failed write of the file is retried.
const RETRY: Duration = Duration::from_secs(5);

/// Writes the reports whenever they change, until `shutdown`: to `file` for the
/// commands of the daemon's user, and to the ConfigMap for all clients. The
/// ConfigMap is also restored if it is deleted or edited.
pub(crate) async fn publish(
    writer: ConfigMapWriter,
    file: PathBuf,
    host: Arc<PluginHost>,
    progress: watch::Receiver<MirrorProgress>,
    shutdown: CancellationToken,
) -> Result<()> {
    let content = || ConfigMapSpec {
        key: ENTRY,
        value: json!(host.reports()).to_string(),
        annotations: BTreeMap::new(),
    };
    let (wanted, content_receiver) = watch::channel(None);
    tokio::select! {
        result = writer.keep_written(content_receiver, progress, shutdown) => result,
        result = publish_changes(&file, content, host.changes(), wanted) => result,
    }
}

/// Updates the file and the `wanted` ConfigMap at each change. A failed write of
/// the file, such as on a full disk, is retried rather than fatal.
async fn publish_changes(
    file: &Path,
    content: impl Fn() -> ConfigMapSpec,
    mut changes: watch::Receiver<u64>,
    wanted: watch::Sender<Option<ConfigMapSpec>>,
) -> Result<()> {
    loop {
        changes.mark_unchanged();
        let content = content();
        let written = rdd_core::write_private(file, content.value.as_bytes());
        wanted.send_replace(Some(content));
        let failed = written.is_err();
        if let Err(error) = written {
            let error = output::format_error_chain(&error.into());
            tracing::warn!(
                error,
                "cannot write the state of the backends, retrying; 'rdd plugin list' shows an earlier state"
            );
        }
        tokio::select! {
            changed = changes.changed() => changed.context("the plugin host has ended")?,
            () = tokio::time::sleep(RETRY), if failed => {}
        }
    }
}

/// Returns the writer of the ConfigMap for one run of the daemon.
pub(crate) fn config_map_writer(
    client: Client,
    boot_id: &str,
    instance: &InstanceId,
) -> ConfigMapWriter {
    ConfigMapWriter::new(client, NAME, boot_id, instance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_failed_write_of_the_file_is_retried() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("later/plugins.json");
        let content = || ConfigMapSpec {
            key: ENTRY,
            value: "[]".to_owned(),
            annotations: BTreeMap::new(),
        };
        let (_changes, changed) = watch::channel(0);
        let (wanted, mut kept) = watch::channel(None);
        let becomes_writable = async {
            // The ConfigMap is updated regardless of the file.
            kept.wait_for(Option::is_some).await.unwrap();
            std::fs::create_dir(dir.path().join("later")).unwrap();
            while !file.exists() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::select! {
            ended = publish_changes(&file, content, changed, wanted) => panic!("it ended: {ended:?}"),
            () = becomes_writable => {}
        }
        assert_eq!(std::fs::read(&file).unwrap(), b"[]");
    }
}
