//! The ConfigMaps in which the daemon publishes its state. They are restored if
//! they are deleted or edited, since clients find the daemon through them.
//!
//! If several daemons share a cluster, the one that mirrors owns the ConfigMaps:
//! its log endpoint serves the logs of the mirrors that clients see.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, ResourceExt as _};
use rdd_mirror::{InstanceId, MirrorProgress};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The field manager of the daemon's writes.
const FIELD_MANAGER: &str = "rdd";
/// The annotation with the run of the daemon that wrote the object.
const BOOT_ID_ANNOTATION: &str = "rdd.rancherdesktop.io/boot-id";
/// The annotation with the instance that wrote the object.
const INSTANCE_ANNOTATION: &str = "rdd.rancherdesktop.io/instance";
/// The delay before a failed write is retried.
const RETRY: Duration = Duration::from_secs(1);

/// Writes one ConfigMap in the system namespace for one run of the daemon.
#[derive(Clone)]
pub(crate) struct ConfigMapWriter {
    api: Api<ConfigMap>,
    name: &'static str,
    boot_id: String,
    instance: InstanceId,
}

/// Which objects count as this daemon's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConfigMapOwner {
    /// Those that this run of the daemon wrote.
    ThisRun,
    /// Those that any run of this instance wrote.
    ThisInstance,
}

/// The desired content of a ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigMapSpec {
    /// The key of the daemon's entry.
    pub(crate) key: &'static str,
    /// The value of the entry.
    pub(crate) value: String,
    /// The daemon's annotations, in addition to the boot ID and the instance.
    pub(crate) annotations: BTreeMap<&'static str, &'static str>,
}

impl ConfigMapWriter {
    /// Creates a writer. `boot_id` is unique to the run of the daemon, `instance`
    /// to the state directory.
    pub(crate) fn new(
        client: Client,
        name: &'static str,
        boot_id: &str,
        instance: &InstanceId,
    ) -> Self {
        Self {
            api: Api::namespaced(client, rdd_api::SYSTEM_NAMESPACE),
            name,
            boot_id: boot_id.to_owned(),
            instance: instance.clone(),
        }
    }

    /// Writes `content`, even if another daemon wrote the object before.
    pub(crate) async fn write(&self, content: &ConfigMapSpec) -> kube::Result<ConfigMap> {
        let ConfigMapSpec {
            key,
            value,
            annotations,
        } = content;
        let mut annotations = annotations.clone();
        annotations.insert(BOOT_ID_ANNOTATION, &self.boot_id);
        annotations.insert(INSTANCE_ANNOTATION, self.instance.as_str());
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

    /// Removes `annotation` if the object is owned by `owner`.
    pub(crate) async fn remove_annotation(
        &self,
        annotation: &str,
        owner: ConfigMapOwner,
    ) -> kube::Result<()> {
        match self.api.get_opt(self.name).await? {
            Some(object) if self.is_owned_by(owner, &object) => {
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

    /// Writes the object whenever it differs from `content`, until `shutdown`.
    /// While another instance mirrors, the object belongs to that one and is not
    /// written. It is taken over when this instance begins to mirror.
    pub(crate) async fn keep_written(
        self,
        mut content: watch::Receiver<Option<ConfigMapSpec>>,
        mut progress: watch::Receiver<MirrorProgress>,
        shutdown: CancellationToken,
    ) -> Result<()> {
        let config = watcher::Config::default().fields(&format!("metadata.name={}", self.name));
        let mut events = watcher(self.api.clone(), config).default_backoff().boxed();
        let mut current = None;
        let mut listed = false;
        let mut failed = false;
        // Write once even if another daemon wrote the object before.
        let mut take_over = true;
        loop {
            let wanted = content.borrow_and_update().clone();
            let mirrors = {
                let progress = progress.borrow_and_update();
                progress.ready && progress.standby.is_none()
            };
            take_over |= !mirrors;
            if let Some(wanted) = wanted.filter(|_| mirrors && listed && !failed) {
                let result = match current.take() {
                    Some(object) if !self.needs_write(&object, &wanted, take_over) => Ok(object),
                    _ => self.write(&wanted).await,
                };
                match result {
                    Ok(object) => {
                        current = Some(object);
                        take_over = false;
                    }
                    Err(error) => {
                        tracing::warn!(%error, name = self.name, "cannot write the ConfigMap, retrying");
                        failed = true;
                    }
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(RETRY), if failed => failed = false,
                changed = content.changed() => changed.context("the publisher of the ConfigMap has ended")?,
                // The mirror's own task reports the end of the mirror.
                Ok(()) = progress.changed() => {}
                event = events.try_next() => match event {
                    Ok(Some(watcher::Event::Init)) => (listed, current) = (false, None),
                    Ok(Some(watcher::Event::InitDone)) => listed = true,
                    Ok(Some(watcher::Event::InitApply(object) | watcher::Event::Apply(object))) => {
                        current = Some(object);
                    }
                    Ok(Some(watcher::Event::Delete(_))) => current = None,
                    Ok(None) => anyhow::bail!("the watch of ConfigMap {} ended", self.name),
                    Err(error) => {
                        tracing::warn!(%error, name = self.name, "the watch of the ConfigMap failed, retrying");
                    }
                },
            }
        }
    }

    fn is_owned_by(&self, owner: ConfigMapOwner, object: &ConfigMap) -> bool {
        let (annotation, ours) = match owner {
            ConfigMapOwner::ThisRun => (BOOT_ID_ANNOTATION, self.boot_id.as_str()),
            ConfigMapOwner::ThisInstance => (INSTANCE_ANNOTATION, self.instance.as_str()),
        };
        let found = object.annotations().get(annotation);
        found.is_some_and(|found| found == ours)
    }

    /// Returns whether the object has to be written. One that another run wrote
    /// is written only once, to `take_over`; otherwise two daemons would
    /// overwrite each other forever.
    fn needs_write(&self, current: &ConfigMap, wanted: &ConfigMapSpec, take_over: bool) -> bool {
        let annotations = current.annotations();
        let is_current = current.data.as_ref().and_then(|data| data.get(wanted.key))
            == Some(&wanted.value)
            && wanted
                .annotations
                .iter()
                .all(|(key, value)| annotations.get(*key).is_some_and(|found| found == value));
        match annotations.get(BOOT_ID_ANNOTATION) {
            Some(_) if self.is_owned_by(ConfigMapOwner::ThisRun, current) => !is_current,
            // The annotation was removed.
            None => true,
            Some(_) => take_over,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content() -> ConfigMapSpec {
        ConfigMapSpec {
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
    async fn an_edited_object_is_restored_and_one_of_another_daemon_is_not() {
        let service = tower::service_fn(|_: http::Request<kube::client::Body>| async {
            Ok::<_, std::convert::Infallible>(http::Response::new(kube::client::Body::empty()))
        });
        let instance = InstanceId::parse("5f0c8b0e-0000-4000-8000-000000000001").unwrap();
        let writer = ConfigMapWriter::new(Client::new(service, "default"), "name", "us", &instance);
        let is_written = |current: &ConfigMap| writer.needs_write(current, &content(), false);
        assert!(!is_written(&object(Some("us"), "{}", Some("true"))));
        assert!(
            is_written(&object(Some("us"), "[]", Some("true"))),
            "edited"
        );
        assert!(is_written(&object(Some("us"), "{}", None)), "not ready");
        assert!(is_written(&object(None, "{}", Some("true"))), "no owner");
        for value in ["{}", "[]"] {
            let foreign = object(Some("them"), value, None);
            assert!(!is_written(&foreign), "another daemon's");
            assert!(writer.needs_write(&foreign, &content(), true), "taken over");
        }
    }
}
