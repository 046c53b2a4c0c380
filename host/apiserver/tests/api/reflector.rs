use futures::StreamExt as _;
use http::HeaderValue;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt as _, reflector, watcher};
use tower::ServiceBuilder;

use crate::client::{Client, PATIENCE, admin};

/// kube's own client on the service itself, no socket in between.
fn kube_client(client: &Client) -> kube::Client {
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

fn object(name: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.into()),
            ..ObjectMeta::default()
        },
        ..ConfigMap::default()
    }
}

async fn mirrors(config: watcher::Config) {
    let server = Client::new().await;
    let api: Api<ConfigMap> = Api::default_namespaced(kube_client(&server));
    api.create(&PostParams::default(), &object("before"))
        .await
        .unwrap();
    let (reader, writer) = reflector::store();
    let stream = watcher(api.clone(), config)
        .reflect(writer)
        .applied_objects();
    let follow = tokio::spawn(stream.for_each(|event| async move {
        event.expect("a watch without errors");
    }));
    tokio::time::timeout(PATIENCE, reader.wait_until_ready())
        .await
        .unwrap()
        .unwrap();
    api.create(&PostParams::default(), &object("after"))
        .await
        .unwrap();
    let params = PatchParams::apply("mirror");
    api.patch("before", &params, &Patch::Apply(object("before")))
        .await
        .unwrap();
    api.delete("before", &Default::default()).await.unwrap();
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let names: Vec<String> = reader
            .state()
            .iter()
            .filter_map(|o| o.metadata.name.clone())
            .collect();
        if names == ["after"] {
            break;
        }
        assert!(tokio::time::Instant::now() < end, "{names:?}");
        tokio::task::yield_now().await;
    }
    follow.abort();
}

#[tokio::test]
async fn a_reflector_that_lists_and_watches_mirrors_the_server() {
    mirrors(watcher::Config::default()).await;
}

#[tokio::test]
async fn a_reflector_that_streams_its_list_mirrors_the_server() {
    mirrors(watcher::Config::default().streaming_lists()).await;
}
