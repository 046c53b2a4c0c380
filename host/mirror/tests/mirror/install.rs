//! Tests of definitions that a server does not accept.

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, PostParams};
use rdd_mirror::InstallError;
use serde_json::json;

use crate::faults::ApiFaults;
use crate::test_mirror::client;

/// Such a definition used to look like one that is not established yet, which
/// ended in a timeout without a reason.
#[tokio::test]
async fn a_definition_whose_names_are_taken_fails_to_install() {
    let server = rdd_apiserver::ApiServer::open(rdd_apiserver::ApiServerOptions::in_memory())
        .await
        .unwrap();
    let client = client(server, ApiFaults::default());
    let other: CustomResourceDefinition = serde_json::from_value(json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "boxes.containers.rancherdesktop.io"},
        "spec": {
            "group": "containers.rancherdesktop.io", "scope": "Namespaced",
            "names": {"plural": "boxes", "kind": "Container"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                          "schema": {"openAPIV3Schema": {"type": "object"}}}],
        },
    }))
    .unwrap();
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    crds.create(&PostParams::default(), &other).await.unwrap();
    let established = kube::runtime::conditions::is_crd_established();
    kube::runtime::wait::await_condition(crds, "boxes.containers.rancherdesktop.io", established)
        .await
        .unwrap();

    // Reported immediately, not after the timeout for establishing definitions.
    let applied = tokio::time::timeout(Duration::from_secs(30), rdd_mirror::apply_crds(&client));
    let error = applied.await.unwrap().unwrap_err();
    assert!(
        matches!(&error, InstallError::NamesTaken { name, reason }
            if name == "containers.containers.rancherdesktop.io" && reason.contains("\"ContainerList\" is already in use")),
        "{error}"
    );
}
