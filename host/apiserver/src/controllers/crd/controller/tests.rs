//! Tests of the definition controller without a running server.

use rdd_apiserver_storage::{Store, StoreOptions};
use rdd_testkit::{is_ready_without_blocking, with_one_blocking_thread};
use serde_json::json;

use super::*;
use crate::server_options::ApiServerOptions;

const KEY: &str = "apiextensions.k8s.io/customresourcedefinitions/things.example.com";

fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.com", "uid": "1"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "things", "kind": "Thing", "singular": "thing", "listKind": "ThingList"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object"}},
            }],
        },
        "status": {},
    })
}

async fn put(store: &Store, key: &str, object: &Value) -> Result<Arc<StoredRecord>, CommitError> {
    let storable = EncodedObject::new(object);
    let change = RecordChange::put(move |revision| storable.at_revision(revision));
    store.commit(key, WritePrecondition::Absent, change).await
}

#[tokio::test]
async fn a_status_is_written_once_there_is_space() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = StoreOptions::file(dir.path().join("state.db"));
    options.size_limit = Some(1 << 20);
    let store = Store::open(options).unwrap();
    let server = ServerState::new(store.clone(), ApiServerOptions::in_memory(), None);
    let record = put(&store, KEY, &definition()).await.unwrap();
    let mut filler = 0;
    for text in ["x".repeat(10_000), String::new()] {
        let object = json!({"metadata": {"name": "x"}, "data": {"k": text}});
        while put(&store, &format!("core/configmaps/x/{filler}"), &object)
            .await
            .is_ok()
        {
            filler += 1;
        }
    }
    let mut controller = DefinitionController {
        server,
        builtin: crate::builtin_resources::resources(),
        definitions: HashMap::new(),
        failed: BTreeMap::new(),
    };
    controller
        .observe(KEY, record.revision, &record.value)
        .await;
    controller.reconcile(KEY).await;
    let is_established = || {
        let record = store.snapshot().get(KEY).cloned().unwrap();
        conditions::is_true(&crate::records::read(&record).unwrap(), "Established")
    };
    assert!(!is_established() && controller.has_pending_work());

    let change = || RecordChange::delete(|_| Vec::new().into());
    for index in 0..20 {
        let key = format!("core/configmaps/x/{index}");
        store
            .commit(&key, WritePrecondition::Any, change())
            .await
            .unwrap();
    }
    controller.retry_pending().await;
    assert!(is_established() && !controller.has_pending_work());
}

#[test]
fn a_large_definition_is_compiled_on_a_blocking_thread() {
    with_one_blocking_thread(async {
        let server = ServerState::new(
            Store::open(StoreOptions::in_memory()).unwrap(),
            ApiServerOptions::in_memory(),
            None,
        );
        let mut controller = DefinitionController {
            server,
            builtin: Vec::new(),
            definitions: HashMap::new(),
            failed: BTreeMap::new(),
        };
        for (fields, is_small) in [(1, true), (2_000, false)] {
            let properties: serde_json::Map<String, Value> = (0..fields)
                .map(|index| {
                    (
                        format!("field{index}"),
                        json!({"type": "string", "maxLength": 9}),
                    )
                })
                .collect();
            let mut object = definition();
            object["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"] =
                properties.into();
            let stored = object.to_string();
            let observed = controller.observe(KEY, fields, stored.as_bytes());
            assert_eq!(
                is_ready_without_blocking(observed).await,
                (is_small, true),
                "{fields}"
            );
        }
        assert_eq!(controller.definitions[KEY].resources.len(), 1);
    });
}
