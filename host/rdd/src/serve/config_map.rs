//! ConfigMaps by which the daemon tells of itself. Whoever deletes or edits
//! one gets it back: clients find the daemon through it.
//!
//! Where several daemons share a cluster, it is the one that mirrors whose
//! ConfigMaps are there: its log endpoint is the one for the mirrors that
//! clients see.

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

/// Name under which the daemon's writes are tracked.
const FIELD_MANAGER: &str = "rdd";
/// Names the run of the daemon that wrote the object.
const BOOT_ID_ANNOTATION: &str = "rdd.rancherdesktop.io/boot-id";
/// Names the instance that wrote the object.
const INSTANCE_ANNOTATION: &str = "rdd.rancherdesktop.io/instance";
/// Wait after a write that failed.
const RETRY: Duration = Duration::from_secs(1);

/// One ConfigMap of the system namespace, owned by one run of the daemon.
#[derive(Clone)]
pub(crate) struct OwnConfigMap {
    api: Api<ConfigMap>,
    name: &'static str,
    boot_id: String,
    instance: InstanceId,
}

/// Which objects are this daemon's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writer {
    /// Those that this run wrote.
    ThisRun,
    /// Those that any run of this instance wrote.
    AnyRun,
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
    /// `boot_id` differs with each run of the daemon, `instance` with each
    /// state directory.
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

    /// Writes `content`, whoever wrote the object before.
    pub(crate) async fn write(&self, content: &ConfigMapContent) -> kube::Result<ConfigMap> {
        let ConfigMapContent {
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

    /// Removes `annotation`, if the object was written by `writer`.
    pub(crate) async fn remove_annotation(
        &self,
        annotation: &str,
        writer: Writer,
    ) -> kube::Result<()> {
        match self.api.get_opt(self.name).await? {
            Some(object) if self.is_by(writer, &object) => {
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
    /// `stop`. While another instance mirrors, the object is that one's and
    /// left alone; it is taken over when this instance begins to mirror.
    pub(crate) async fn keep(
        self,
        mut content: watch::Receiver<Option<ConfigMapContent>>,
        mut progress: watch::Receiver<MirrorProgress>,
        stop: CancellationToken,
    ) -> Result<()> {
        let config = watcher::Config::default().fields(&format!("metadata.name={}", self.name));
        let mut events = watcher(self.api.clone(), config).default_backoff().boxed();
        let mut current = None;
        let mut listed = false;
        let mut failed = false;
        // Whoever wrote the object before, it is this instance's turn.
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
                    Some(object) if !self.is_to_be_written(&object, &wanted, take_over) => {
                        Ok(object)
                    }
                    _ => self.write(&wanted).await,
                };
                match result {
                    Ok(object) => {
                        current = Some(object);
                        take_over = false;
                    }
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
                // Its end is told by the mirror's own task.
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
                        tracing::warn!(%error, name = self.name, "the watch of the ConfigMap failed, trying again");
                    }
                },
            }
        }
    }

    fn is_by(&self, writer: Writer, object: &ConfigMap) -> bool {
        let (annotation, ours) = match writer {
            Writer::ThisRun => (BOOT_ID_ANNOTATION, self.boot_id.as_str()),
            Writer::AnyRun => (INSTANCE_ANNOTATION, self.instance.as_str()),
        };
        let found = object.annotations().get(annotation);
        found.is_some_and(|found| found == ours)
    }

    /// Two daemons that both wrote their own would do so for ever: one that
    /// was not written by this run is written once, to `take_over`.
    fn is_to_be_written(
        &self,
        current: &ConfigMap,
        wanted: &ConfigMapContent,
        take_over: bool,
    ) -> bool {
        let have = current.annotations();
        let is_right = current.data.as_ref().and_then(|data| data.get(wanted.key))
            == Some(&wanted.value)
            && wanted
                .annotations
                .iter()
                .all(|(key, value)| have.get(*key).is_some_and(|have| have == value));
        match have.get(BOOT_ID_ANNOTATION) {
            Some(_) if self.is_by(Writer::ThisRun, current) => !is_right,
            // Somebody took it off.
            None => true,
            Some(_) => take_over,
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
        let instance = InstanceId::parse("5f0c8b0e-0000-4000-8000-000000000001").unwrap();
        let own = OwnConfigMap::new(Client::new(service, "default"), "name", "us", &instance);
        let is_written = |current: &ConfigMap| own.is_to_be_written(current, &content(), false);
        assert!(!is_written(&object(Some("us"), "{}", Some("true"))));
        assert!(
            is_written(&object(Some("us"), "[]", Some("true"))),
            "edited"
        );
        assert!(is_written(&object(Some("us"), "{}", None)), "not ready");
        assert!(is_written(&object(None, "{}", Some("true"))), "nobody's");
        for value in ["{}", "[]"] {
            let theirs = object(Some("them"), value, None);
            assert!(!is_written(&theirs), "theirs");
            assert!(
                own.is_to_be_written(&theirs, &content(), true),
                "ours from now on"
            );
        }
    }
}
