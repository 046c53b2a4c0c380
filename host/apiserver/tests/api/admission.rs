//! Admission policies of the embedder.

use std::sync::{Arc, Mutex};

use rdd_apiserver::{
    AdmissionError, AdmissionOperation, AdmissionPolicy, AdmissionRequest, ApiServer,
    ApiServerOptions,
};
use rdd_testkit::eventually;
use serde_json::json;

use crate::client::{
    APPLY, CONFIG_MAPS, JSON, JSON_PATCH, MERGE, STRATEGIC, TestClient, config_map,
};

/// Refuses every write to config maps named `kept…`, and records all requests.
#[derive(Debug, Default)]
struct KeepPolicy(Mutex<Vec<String>>);

impl AdmissionPolicy for KeepPolicy {
    fn admit(&self, request: &AdmissionRequest<'_>) -> Result<(), AdmissionError> {
        let AdmissionRequest {
            user,
            operation,
            resource,
            subresource,
            namespace,
            name,
            object,
            old_object,
            dry_run,
            ..
        } = request;
        self.0.lock().unwrap().push(format!(
            "{} {operation:?} {resource}/{} {}/{name} {} {} {dry_run}",
            user.name,
            subresource.unwrap_or("-"),
            namespace.unwrap_or("-"),
            object.is_some(),
            old_object.is_some(),
        ));
        let is_create = *operation == AdmissionOperation::Create && name.starts_with("kept-new");
        let is_change = *operation != AdmissionOperation::Create && name.starts_with("kept");
        if *resource == "configmaps" && (is_create || is_change) {
            return Err(AdmissionError::new("it is kept; take another"));
        }
        Ok(())
    }
}

async fn client_with_policy() -> (TestClient, Arc<KeepPolicy>) {
    let policy = Arc::new(KeepPolicy::default());
    let options = ApiServerOptions {
        admission: vec![policy.clone()],
        ..ApiServerOptions::in_memory()
    };
    (TestClient(ApiServer::open(options).await.unwrap()), policy)
}

#[tokio::test]
async fn a_policy_refuses_every_kind_of_write_including_dry_runs() {
    let (client, _) = client_with_policy().await;
    let kept = format!("{CONFIG_MAPS}/kept");
    assert_eq!(
        client.post(CONFIG_MAPS, &config_map("kept")).await.code,
        201
    );
    let change = json!({"data": {"k": "2"}});
    let applied = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}, "data": {"k": "2"}});
    for query in ["", "?dryRun=All"] {
        let at = format!("{kept}{query}");
        let forced = format!(
            "{kept}?fieldManager=m&force=true&{}",
            query.trim_start_matches('?')
        );
        let responses = [
            client
                .post(&format!("{CONFIG_MAPS}{query}"), &config_map("kept-new"))
                .await,
            client.put(&at, &applied).await,
            client.patch(&at, MERGE, &change).await,
            client.patch(&at, STRATEGIC, &change).await,
            client
                .patch(
                    &at,
                    JSON_PATCH,
                    &json!([{"op": "replace", "path": "/data/k", "value": "2"}]),
                )
                .await,
            client.patch(&forced, APPLY, &applied).await,
            client.delete(&at).await,
        ];
        for (index, response) in responses.iter().enumerate() {
            assert_eq!(
                response.reason(),
                (403, "Forbidden"),
                "{index} {query}: {}",
                response.text
            );
            let message = response.body["message"].as_str().unwrap();
            assert!(message.starts_with("configmaps \"kept"), "{message}");
            assert!(
                message.ends_with("is forbidden: it is kept; take another"),
                "{message}"
            );
            assert!(
                response.body["details"]["name"]
                    .as_str()
                    .unwrap()
                    .starts_with("kept")
            );
        }
    }
    // A patch without a change is not a write.
    assert_eq!(client.patch(&kept, MERGE, &json!({})).await.code, 200);
    assert_eq!(client.get(&kept).await.body["data"]["k"], "1");
}

#[tokio::test]
async fn a_collection_is_deleted_completely_or_not_at_all() {
    let (client, policy) = client_with_policy().await;
    for name in ["a", "kept", "z"] {
        client.post(CONFIG_MAPS, &config_map(name)).await;
    }
    policy.0.lock().unwrap().clear();
    assert_eq!(
        client.delete(CONFIG_MAPS).await.reason(),
        (403, "Forbidden")
    );
    assert_eq!(client.get(CONFIG_MAPS).await.names(), ["a", "kept", "z"]);
    let seen = policy.0.lock().unwrap().clone();
    assert_eq!(
        seen[0],
        "admin Delete configmaps/- default/ false false false"
    );
    assert_eq!(
        seen[1],
        "admin Delete configmaps/- default/a false true false"
    );
    assert_eq!(
        client
            .delete(&format!("{CONFIG_MAPS}?fieldSelector=metadata.name%3Da"))
            .await
            .code,
        200
    );
    assert_eq!(client.get(CONFIG_MAPS).await.names(), ["kept", "z"]);
}

#[tokio::test]
async fn a_cascading_delete_is_admitted_as_the_garbage_collector() {
    let (client, policy) = client_with_policy().await;
    let owner = client.post(CONFIG_MAPS, &config_map("owner")).await;
    let mut kept = config_map("kept");
    kept["metadata"]["ownerReferences"] = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.body["metadata"]["uid"]}]);
    client.post(CONFIG_MAPS, &kept).await;
    let options = json!({"propagationPolicy": "Background"});
    client
        .send(
            "DELETE",
            &format!("{CONFIG_MAPS}/owner"),
            &[("content-type", JSON)],
            options.to_string(),
        )
        .await;
    let expected = "system:serviceaccount:kube-system:generic-garbage-collector Delete configmaps/- default/kept false true false";
    eventually("the policy receives the request", || async {
        let requests = policy.0.lock().unwrap().clone();
        if requests.iter().any(|request| request == expected) {
            Ok(())
        } else {
            Err(format!("{requests:?}"))
        }
    })
    .await;
    assert_eq!(client.get(&format!("{CONFIG_MAPS}/kept")).await.code, 200);
}
