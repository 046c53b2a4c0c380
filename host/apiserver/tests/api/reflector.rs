//! kube's reflector on the embedded server.

use futures::StreamExt as _;
use http::HeaderValue;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt as _, reflector, watcher};
use rdd_testkit::eventually;
use tower::ServiceBuilder;

use crate::client::{PATIENCE, TestClient, admin};

/// Returns kube's client on the service, without sockets.
fn kube_client(client: &TestClient) -> kube::Client {
    let service = ServiceBuilder::new()
        .map_request(|mut request: http::Request<kube::client::Body>| {
            request
                .headers_mut()
                .insert("user-agent", HeaderValue::from_static("kube/test"));
            request.extensions_mut().insert(admin());
            request
        })
        .service(client.0.clone());
    kube::Client::new(service, "default")
}

fn config_map(name: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.into()),
            ..ObjectMeta::default()
        },
        ..ConfigMap::default()
    }
}

/// Checks that a reflector has the objects of the server after some writes.
async fn assert_reflects(config: watcher::Config) {
    let server = TestClient::new().await;
    let api: Api<ConfigMap> = Api::default_namespaced(kube_client(&server));
    api.create(&PostParams::default(), &config_map("before"))
        .await
        .unwrap();
    let (reader, writer) = reflector::store();
    let stream = watcher(api.clone(), config)
        .reflect(writer)
        .applied_objects();
    let reflector_task = tokio::spawn(stream.for_each(|event| async move {
        event.expect("a watch without errors");
    }));
    tokio::time::timeout(PATIENCE, reader.wait_until_ready())
        .await
        .unwrap()
        .unwrap();
    api.create(&PostParams::default(), &config_map("after"))
        .await
        .unwrap();
    let params = PatchParams::apply("mirror");
    api.patch("before", &params, &Patch::Apply(config_map("before")))
        .await
        .unwrap();
    api.delete("before", &Default::default()).await.unwrap();
    eventually("the reflector has the objects of the server", || async {
        let names: Vec<String> = reader
            .state()
            .iter()
            .filter_map(|object| object.metadata.name.clone())
            .collect();
        if names == ["after"] {
            Ok(())
        } else {
            Err(format!("{names:?}"))
        }
    })
    .await;
    reflector_task.abort();
}

#[tokio::test]
async fn a_reflector_that_lists_and_watches_mirrors_the_server() {
    assert_reflects(watcher::Config::default()).await;
}

#[tokio::test]
async fn a_reflector_that_streams_its_list_mirrors_the_server() {
    assert_reflects(watcher::Config::default().streaming_lists()).await;
}
