//! What the daemon tells of itself stays told.

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::instance::{Instance, PATIENCE};

const NAMES: [(&str, &str); 2] = [
    ("rdd-controller-manager", "rdd"),
    ("rdd-plugins", "plugins"),
];
const READY: &str = "rdd.rancherdesktop.io/ready";

/// Waits until the ConfigMap is as `is_right` wants it.
async fn becomes(
    api: &Api<ConfigMap>,
    name: &str,
    is_right: impl Fn(&ConfigMap) -> bool,
) -> ConfigMap {
    let found = timeout(PATIENCE, async {
        loop {
            match api.get_opt(name).await.unwrap() {
                Some(object) if is_right(&object) => return object,
                _ => sleep(Duration::from_millis(10)).await,
            }
        }
    });
    match found.await {
        Ok(object) => object,
        Err(_) => panic!("{name} was not written again"),
    }
}

fn entry<'a>(object: &'a ConfigMap, key: &str) -> Option<&'a String> {
    object.data.as_ref()?.get(key)
}

#[tokio::test]
async fn config_maps_that_somebody_deletes_or_edits_are_written_again() {
    let mut instance = Instance::new();
    instance.start().await;
    let api: Api<ConfigMap> = Api::namespaced(instance.client().await, "rdd-system");
    let mut before = Vec::new();
    for (name, key) in NAMES {
        before.push(becomes(&api, name, |object| entry(object, key).is_some()).await);
    }

    // As `kubectl delete configmap --all` does.
    for object in api.list(&ListParams::default()).await.unwrap() {
        let name = object.metadata.name.unwrap();
        api.delete(&name, &DeleteParams::default()).await.unwrap();
    }
    for ((name, key), before) in NAMES.into_iter().zip(&before) {
        let again = becomes(&api, name, |_| true).await;
        assert_ne!(again.metadata.uid, before.metadata.uid, "{name}");
        assert_eq!(entry(&again, key), entry(before, key), "{name}");
        assert_eq!(again.metadata.annotations, before.metadata.annotations);
    }

    for ((name, key), before) in NAMES.into_iter().zip(&before) {
        let patch = json!({
            "metadata": {"annotations": {READY: null, "mine": "1"}},
            "data": {key: "edited", "mine": "1"},
        });
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
        let again = becomes(&api, name, |object| {
            entry(object, key) == entry(before, key)
        })
        .await;
        let ready = |object: &ConfigMap| object.metadata.annotations.as_ref()?.get(READY).cloned();
        assert_eq!(ready(&again), ready(before), "{name}");
        assert_eq!(
            entry(&again, "mine").map(String::as_str),
            Some("1"),
            "not ours"
        );
    }

    instance.signal(rustix::process::Signal::TERM);
    assert_eq!(instance.ended().await.status.code(), Some(0));
}
