//! The state of the installed backends, published in the API for whoever asks.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::api::Api;
use rdd_core::Backends as _;
use rdd_plugin::{PluginHost, PluginReport};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::config_map::{ConfigMapContent, OwnConfigMap};

/// Name of the ConfigMap, beside the discovery one.
const NAME: &str = "rdd-plugins";
/// Its only entry: a JSON list of reports.
const ENTRY: &str = "plugins";

fn config_maps(client: Client) -> Api<ConfigMap> {
    Api::namespaced(client, rdd_api::SYSTEM_NAMESPACE)
}

/// Writes the reports now, whenever one changes, and whenever somebody removes
/// or edits them, until `stop`.
pub(crate) async fn publish(
    client: Client,
    boot_id: String,
    host: Arc<PluginHost>,
    stop: CancellationToken,
) -> Result<()> {
    let own = OwnConfigMap::new(client, NAME, &boot_id);
    let content = || ConfigMapContent {
        key: ENTRY,
        value: json!(host.reports()).to_string(),
        annotations: BTreeMap::new(),
    };
    let mut changes = host.changes();
    changes.mark_unchanged();
    let (wanted, kept) = watch::channel(Some(content()));
    // Whoever published before has ended, or does not keep it.
    if let Err(error) = own.write(&content()).await {
        tracing::warn!(%error, "the state of the backends could not be published, trying again");
    }
    let follow = async {
        loop {
            changes.changed().await.context("the plugin host is gone")?;
            wanted.send_replace(Some(content()));
        }
    };
    tokio::select! {
        result = own.keep(kept, stop) => result,
        result = follow => result,
    }
}

/// Reads what a running daemon published.
pub(crate) async fn read(client: Client) -> Result<Vec<PluginReport>> {
    let object = config_maps(client)
        .get(NAME)
        .await
        .context("cannot read the state of the backends")?;
    let entry = object
        .data
        .as_ref()
        .and_then(|data| data.get(ENTRY))
        .with_context(|| format!("ConfigMap {NAME} has no entry {ENTRY:?}"))?;
    serde_json::from_str(entry)
        .with_context(|| format!("entry {ENTRY:?} of ConfigMap {NAME} is damaged"))
}
