//! The state of the installed backends, published in the API for whoever asks.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use rdd_core::Backends as _;
use rdd_plugin::{PluginHost, PluginReport};
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// Name of the ConfigMap, beside the discovery one.
const NAME: &str = "rdd-plugins";
/// Its only entry: a JSON list of reports.
const ENTRY: &str = "plugins";
/// Name under which the daemon's writes are tracked.
const FIELD_MANAGER: &str = "rdd";

fn config_maps(client: Client) -> Api<ConfigMap> {
    Api::namespaced(client, rdd_api::SYSTEM_NAMESPACE)
}

/// Writes the reports now and whenever one changes, until `stop`.
pub(crate) async fn publish(client: Client, host: Arc<PluginHost>, stop: CancellationToken) {
    let api = config_maps(client);
    let mut changes = host.changes();
    loop {
        changes.mark_unchanged();
        let object = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": NAME, "namespace": rdd_api::SYSTEM_NAMESPACE},
            "data": {ENTRY: json!(host.reports()).to_string()},
        });
        let params = PatchParams::apply(FIELD_MANAGER).force();
        if let Err(error) = api.patch(NAME, &params, &Patch::Apply(object)).await {
            tracing::warn!(%error, "the state of the backends could not be published; it will be with its next change");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = changes.changed() => if changed.is_err() { return },
        }
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
