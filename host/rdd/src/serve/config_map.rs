//! ConfigMaps by which the daemon tells of itself. Whoever deletes or edits
//! one gets it back: clients find the daemon through it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, ResourceExt as _};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Name under which the daemon's writes are tracked.
const FIELD_MANAGER: &str = "rdd";
/// Names the run of the daemon that wrote the object.
const BOOT_ID_ANNOTATION: &str = "rdd.rancherdesktop.io/boot-id";
/// Wait after a write that failed.
const RETRY: Duration = Duration::from_secs(1);

/// One ConfigMap of the system namespace, owned by one run of the daemon.
#[derive(Clone)]
pub(crate) struct OwnConfigMap {
    api: Api<ConfigMap>,
    name: &'static str,
    boot_id: String,
}

/// What is to be in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigMapContent {
    /// The one entry that is ours.
    pub(crate) key: &'static str,
    /// Its value.
    pub(crate) value: String,
    /// Annotations that are ours, beside the boot ID.
    pub(crate) annotations: BTreeMap<&'static str, &'static str>,
}

impl OwnConfigMap {
    /// `boot_id` differs with each run of the daemon.
    pub(crate) fn new(client: Client, name: &'static str, boot_id: &str) -> Self {
        Self {
            api: Api::namespaced(client, rdd_api::SYSTEM_NAMESPACE),
            name,
            boot_id: boot_id.to_owned(),
        }
    }

    /// Writes `content`, whoever wrote the object before.
    pub(crate) async fn write(&self, content: &ConfigMapContent) -> kube::Result<ConfigMap> {
        let ConfigMapContent {
            key,
            value,
            annotations,
        } = content;
        let mut annotations = annotations.clone();
        annotations.insert(BOOT_ID_ANNOTATION, &self.boot_id);
        let object = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": self.name,
                "namespace": rdd_api::SYSTEM_NAMESPACE,
                "annotations": annotations,
            },
            "data": {*key: value},
        });
        let params = PatchParams::apply(FIELD_MANAGER).force();
        self.api
            .patch(self.name, &params, &Patch::Apply(object))
            .await
    }

    /// Removes `annotation`, if the object is this run's own.
    pub(crate) async fn remove_annotation(&self, annotation: &str) -> kube::Result<()> {
        match self.api.get_opt(self.name).await? {
            Some(object) if self.is_own(&object) => {
                let patch = json!({"metadata": {"annotations": {annotation: null}}});
                let params = PatchParams::default();
                self.api
                    .patch(self.name, &params, &Patch::Merge(patch))
                    .await
                    .map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Writes the object again whenever it differs from `content`, until
    /// `stop`. One that another daemon has taken over is left alone.
    pub(crate) async fn keep(
        self,
        mut content: watch::Receiver<Option<ConfigMapContent>>,
        stop: CancellationToken,
    ) -> Result<()> {
        let config = watcher::Config::default().fields(&format!("metadata.name={}", self.name));
        let mut events = watcher(self.api.clone(), config).default_backoff().boxed();
        let mut current = None;
        let mut listed = false;
        let mut failed = false;
        loop {
            let wanted = content.borrow_and_update().clone();
            if let Some(wanted) = wanted.filter(|_| listed && !failed)
                && self.is_to_be_written(current.as_ref(), &wanted)
            {
                match self.write(&wanted).await {
                    Ok(object) => current = Some(object),
                    Err(error) => {
                        tracing::warn!(%error, name = self.name, "the ConfigMap could not be written, trying again");
                        failed = true;
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(RETRY), if failed => failed = false,
                changed = content.changed() => changed.context("nobody says any more what is to be published")?,
                event = events.try_next() => match event {
                    Ok(Some(watcher::Event::Init)) => (listed, current) = (false, None),
                    Ok(Some(watcher::Event::InitDone)) => listed = true,
                    Ok(Some(watcher::Event::InitApply(object) | watcher::Event::Apply(object))) => {
                        current = Some(object);
                    }
                    Ok(Some(watcher::Event::Delete(_))) => current = None,
                    Ok(None) => anyhow::bail!("the watch of ConfigMap {} ended", self.name),
                    Err(error) => {
                        tracing::warn!(%error, name = self.name, "the watch of the ConfigMap failed, trying again");
                    }
                },
            }
        }
    }

    fn is_own(&self, object: &ConfigMap) -> bool {
        object.annotations().get(BOOT_ID_ANNOTATION) == Some(&self.boot_id)
    }

    /// Two daemons that both wrote their own would do so for ever.
    fn is_to_be_written(&self, current: Option<&ConfigMap>, wanted: &ConfigMapContent) -> bool {
        let Some(current) = current else {
            return true;
        };
        let have = current.annotations();
        let is_right = current.data.as_ref().and_then(|data| data.get(wanted.key))
            == Some(&wanted.value)
            && wanted
                .annotations
                .iter()
                .all(|(key, value)| have.get(*key).is_some_and(|have| have == value));
        match have.get(BOOT_ID_ANNOTATION) {
            Some(_) if self.is_own(current) => !is_right,
            // Somebody took it off.
            None => true,
            Some(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content() -> ConfigMapContent {
        ConfigMapContent {
            key: "rdd",
            value: "{}".to_owned(),
            annotations: BTreeMap::from([("ready", "true")]),
        }
    }

    fn object(boot_id: Option<&str>, value: &str, ready: Option<&str>) -> ConfigMap {
        let annotations = [(BOOT_ID_ANNOTATION, boot_id), ("ready", ready)]
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned())))
            .collect();
        ConfigMap {
            metadata: kube::api::ObjectMeta {
                annotations: Some(annotations),
                ..Default::default()
            },
            data: Some(BTreeMap::from([("rdd".to_owned(), value.to_owned())])),
            ..ConfigMap::default()
        }
    }

    #[tokio::test]
    async fn what_is_gone_or_edited_is_written_again_and_another_daemons_is_left_alone() {
        let service = tower::service_fn(|_: http::Request<kube::client::Body>| async {
            Ok::<_, std::convert::Infallible>(http::Response::new(kube::client::Body::empty()))
        });
        let own = OwnConfigMap::new(Client::new(service, "default"), "name", "us");
        let is_written =
            |current: Option<ConfigMap>| own.is_to_be_written(current.as_ref(), &content());
        assert!(is_written(None), "deleted");
        assert!(!is_written(Some(object(Some("us"), "{}", Some("true")))));
        assert!(
            is_written(Some(object(Some("us"), "[]", Some("true")))),
            "edited"
        );
        assert!(
            is_written(Some(object(Some("us"), "{}", None))),
            "not ready"
        );
        assert!(
            is_written(Some(object(None, "{}", Some("true")))),
            "nobody's"
        );
        for value in ["{}", "[]"] {
            assert!(
                !is_written(Some(object(Some("them"), value, None))),
                "theirs"
            );
        }
    }
}
