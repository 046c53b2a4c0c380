//! The ConfigMaps of the daemon are restored.

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use serde_json::json;
use tokio::time::{sleep, timeout};

use rdd_testkit::PATIENCE;

use crate::instance::TestInstance;

const NAMES: [(&str, &str); 2] = [
    ("rdd-controller-manager", "rdd"),
    ("rdd-plugins", "plugins"),
];
const READY: &str = "rdd.rancherdesktop.io/ready";

/// Waits until the ConfigMap fulfills `is_expected`.
async fn wait_for_config_map(
    api: &Api<ConfigMap>,
    name: &str,
    is_expected: impl Fn(&ConfigMap) -> bool,
) -> ConfigMap {
    let found = timeout(PATIENCE, async {
        loop {
            match api.get_opt(name).await.unwrap() {
                Some(object) if is_expected(&object) => return object,
                _ => sleep(Duration::from_millis(10)).await,
            }
        }
    });
    match found.await {
        Ok(object) => object,
        Err(_) => panic!("{name} was not restored"),
    }
}

fn entry<'a>(object: &'a ConfigMap, key: &str) -> Option<&'a String> {
    object.data.as_ref()?.get(key)
}

#[tokio::test]
async fn deleted_or_edited_config_maps_are_restored() {
    let mut instance = TestInstance::new();
    instance.start().await;
    let api: Api<ConfigMap> = Api::namespaced(instance.client().await, "rdd-system");
    let mut before = Vec::new();
    for (name, key) in NAMES {
        before.push(wait_for_config_map(&api, name, |object| entry(object, key).is_some()).await);
    }

    // Like `kubectl delete configmap --all`.
    for object in api.list(&ListParams::default()).await.unwrap() {
        let name = object.metadata.name.unwrap();
        api.delete(&name, &DeleteParams::default()).await.unwrap();
    }
    for ((name, key), before) in NAMES.into_iter().zip(&before) {
        let restored = wait_for_config_map(&api, name, |_| true).await;
        assert_ne!(restored.metadata.uid, before.metadata.uid, "{name}");
        assert_eq!(entry(&restored, key), entry(before, key), "{name}");
        assert_eq!(restored.metadata.annotations, before.metadata.annotations);
    }

    for ((name, key), before) in NAMES.into_iter().zip(&before) {
        let patch = json!({
            "metadata": {"annotations": {READY: null, "mine": "1"}},
            "data": {key: "edited", "mine": "1"},
        });
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
        let restored = wait_for_config_map(&api, name, |object| {
            entry(object, key) == entry(before, key)
        })
        .await;
        let ready = |object: &ConfigMap| object.metadata.annotations.as_ref()?.get(READY).cloned();
        assert_eq!(ready(&restored), ready(before), "{name}");
        assert_eq!(
            entry(&restored, "mine").map(String::as_str),
            Some("1"),
            "a foreign entry is kept"
        );
    }

    instance.signal(rustix::process::Signal::TERM);
    assert_eq!(instance.wait_for_exit().await.status.code(), Some(0));
}
