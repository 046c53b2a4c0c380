//! The state of the installed backends, published in the API for whoever asks.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use kube::Client;
use rdd_core::Backends as _;
use rdd_mirror::{InstanceId, Progress};
use rdd_plugin::{PluginHost, PluginReport};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::config_map::{ConfigMapContent, OwnConfigMap};
use crate::state_dir::StateDir;

/// Name of the ConfigMap, beside the discovery one.
const NAME: &str = "rdd-plugins";
/// Its only entry: a JSON list of reports.
const ENTRY: &str = "plugins";

/// Writes the reports now, whenever one changes, and whenever somebody removes
/// or edits them, until `stop`: into `file` for the commands of the daemon's
/// user, and into the API for everybody.
pub(crate) async fn publish(
    own: OwnConfigMap,
    file: PathBuf,
    host: Arc<PluginHost>,
    progress: watch::Receiver<Progress>,
    stop: CancellationToken,
) -> Result<()> {
    let content = || ConfigMapContent {
        key: ENTRY,
        value: json!(host.reports()).to_string(),
        annotations: BTreeMap::new(),
    };
    let mut changes = host.changes();
    changes.mark_unchanged();
    let first = content();
    rdd_core::write_private(&file, first.value.as_bytes())?;
    let (wanted, kept) = watch::channel(Some(first));
    let follow = async {
        loop {
            changes.changed().await.context("the plugin host is gone")?;
            let content = content();
            rdd_core::write_private(&file, content.value.as_bytes())?;
            wanted.send_replace(Some(content));
        }
    };
    tokio::select! {
        result = own.keep(kept, progress, stop) => result,
        result = follow => result,
    }
}

/// The ConfigMap of one run of the daemon.
pub(crate) fn own(client: Client, boot_id: &str, instance: &InstanceId) -> OwnConfigMap {
    OwnConfigMap::new(client, NAME, boot_id, instance)
}

/// Reads what the running daemon of a state directory published.
pub(crate) fn read(state_dir: &StateDir) -> Result<Vec<PluginReport>> {
    let path = state_dir.plugin_reports();
    let text = std::fs::read(&path).with_context(|| {
        format!(
            "cannot read the state of the backends in {}",
            path.display()
        )
    })?;
    serde_json::from_slice(&text).with_context(|| {
        format!(
            "{} is damaged; restart the daemon, which writes it again",
            path.display()
        )
    })
}
