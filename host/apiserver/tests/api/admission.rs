//! Policies of whoever embeds the server.

use std::sync::{Arc, Mutex};

use rdd_apiserver::{
    AdmissionError, AdmissionOperation, AdmissionPolicy, AdmissionRequest, ApiServer,
    ApiServerOptions,
};
use serde_json::json;

use crate::client::{APPLY, CMS, Client, JSON, JSON_PATCH, MERGE, STRATEGIC, config_map};

/// Refuses every write to config maps named `kept…`, and notes what it saw.
#[derive(Debug, Default)]
struct Keeper(Mutex<Vec<String>>);

impl AdmissionPolicy for Keeper {
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

async fn guarded() -> (Client, Arc<Keeper>) {
    let keeper = Arc::new(Keeper::default());
    let options = ApiServerOptions {
        admission: vec![keeper.clone()],
        ..ApiServerOptions::in_memory()
    };
    (Client(ApiServer::open(options).await.unwrap()), keeper)
}

#[tokio::test]
async fn a_policy_refuses_every_kind_of_write_dry_runs_too() {
    let (client, _) = guarded().await;
    let kept = format!("{CMS}/kept");
    assert_eq!(client.post(CMS, &config_map("kept")).await.code, 201);
    let change = json!({"data": {"k": "2"}});
    let applied = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}, "data": {"k": "2"}});
    for query in ["", "?dryRun=All"] {
        let at = format!("{kept}{query}");
        let forced = format!(
            "{kept}?fieldManager=m&force=true&{}",
            query.trim_start_matches('?')
        );
        let answers = [
            client
                .post(&format!("{CMS}{query}"), &config_map("kept-new"))
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
        for (index, answer) in answers.iter().enumerate() {
            assert_eq!(
                answer.reason(),
                (403, "Forbidden"),
                "{index} {query}: {}",
                answer.text
            );
            let message = answer.body["message"].as_str().unwrap();
            assert!(message.starts_with("configmaps \"kept"), "{message}");
            assert!(
                message.ends_with("is forbidden: it is kept; take another"),
                "{message}"
            );
            assert!(
                answer.body["details"]["name"]
                    .as_str()
                    .unwrap()
                    .starts_with("kept")
            );
        }
    }
    // What changes nothing is no write.
    assert_eq!(client.patch(&kept, MERGE, &json!({})).await.code, 200);
    assert_eq!(client.get(&kept).await.body["data"]["k"], "1");
}

#[tokio::test]
async fn a_collection_goes_whole_or_not_at_all() {
    let (client, keeper) = guarded().await;
    for name in ["a", "kept", "z"] {
        client.post(CMS, &config_map(name)).await;
    }
    keeper.0.lock().unwrap().clear();
    assert_eq!(client.delete(CMS).await.reason(), (403, "Forbidden"));
    assert_eq!(client.get(CMS).await.names(), ["a", "kept", "z"]);
    let seen = keeper.0.lock().unwrap().clone();
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
            .delete(&format!("{CMS}?fieldSelector=metadata.name%3Da"))
            .await
            .code,
        200
    );
    assert_eq!(client.get(CMS).await.names(), ["kept", "z"]);
}

#[tokio::test]
async fn a_cascade_asks_as_the_collector() {
    let (client, keeper) = guarded().await;
    let owner = client.post(CMS, &config_map("owner")).await;
    let mut kept = config_map("kept");
    kept["metadata"]["ownerReferences"] = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.body["metadata"]["uid"]}]);
    client.post(CMS, &kept).await;
    let options = json!({"propagationPolicy": "Background"});
    client
        .ask(
            "DELETE",
            &format!("{CMS}/owner"),
            &[("content-type", JSON)],
            options.to_string(),
        )
        .await;
    let asked = "system:serviceaccount:kube-system:generic-garbage-collector Delete configmaps/- default/kept false true false";
    let patience = tokio::time::timeout(crate::client::PATIENCE, async {
        while !keeper.0.lock().unwrap().iter().any(|seen| seen == asked) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    });
    patience.await.expect("the policy is asked");
    assert_eq!(client.get(&format!("{CMS}/kept")).await.code, 200);
}
