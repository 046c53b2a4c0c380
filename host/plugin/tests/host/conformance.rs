//! The same checks for each kind of plugin. So far, components are the only kind.

use futures::StreamExt;
use rdd_core::{
    BackendRegistry, ContainerAction, ContainerEngine, EngineObject, ErrorCode, LogOptions,
    OutputSource, RemoveRequest, RemoveTarget, WatchEvent,
};
use std::sync::Arc;

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_conforms() {
    let dir = tempfile::tempdir().unwrap();
    install(dir.path(), "scripted");
    let host = start(options(&[dir.path()])).await;
    let engine = loaded(&host, "scripted").await.engine;
    assert_conforms(engine).await;
    in_time(host.shutdown()).await;
    assert!(host.names().contains(&"scripted".to_owned()));
}

async fn assert_conforms(engine: Arc<dyn ContainerEngine>) {
    check_info(&*engine);
    check_inspect(&*engine).await;
    check_changes(&*engine).await;
    check_watch(&*engine).await;
    check_logs(&*engine).await;
}

fn check_info(engine: &dyn ContainerEngine) {
    let info = engine.info();
    assert_eq!(
        (info.name.as_str(), info.engine.as_str()),
        ("scripted", "Script")
    );
    assert_eq!(info.namespaces, ["default"]);
}

async fn check_inspect(engine: &dyn ContainerEngine) {
    let found = in_time(engine.inspect(&container("one"))).await.unwrap();
    let EngineObject::Container(one) = found.object else {
        panic!("not a container");
    };
    assert_eq!((one.id.as_str(), one.name.as_str()), ("one", "name-of-one"));
    assert!(one.running && one.created_at.is_some() && one.finished_at.is_none());
    for (id, code) in [
        ("missing", ErrorCode::NotFound),
        ("not/an/id", ErrorCode::InvalidArgument),
        ("other", ErrorCode::PluginFailed),
    ] {
        let error = in_time(engine.inspect(&container(id))).await.unwrap_err();
        assert_eq!(error.code, code, "{id}: {error}");
    }
}

async fn check_changes(engine: &dyn ContainerEngine) {
    for action in [
        ContainerAction::Start,
        ContainerAction::Stop,
        ContainerAction::Pause,
        ContainerAction::Unpause,
        ContainerAction::Restart,
    ] {
        in_time(engine.act(&container_ref("one"), action))
            .await
            .unwrap();
        let error = in_time(engine.act(&container_ref("missing"), action))
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::NotFound);
    }
    let text = |text: &str| text.to_owned();
    for (id, code) in [("one", None), ("missing", Some(ErrorCode::NotFound))] {
        for target in [
            RemoveTarget::Container { id: text(id) },
            RemoveTarget::Image { id: text(id) },
            RemoveTarget::ImageTag {
                tag: text(id),
                image_id: text("sha256:0"),
            },
            RemoveTarget::Volume {
                name: text(id),
                created_at: None,
            },
        ] {
            let request = RemoveRequest {
                namespace: text("default"),
                target,
            };
            let removed = in_time(engine.remove(&request)).await;
            assert_eq!(removed.err().map(|error| error.code), code, "{request:?}");
        }
    }
}

async fn check_watch(engine: &dyn ContainerEngine) {
    in_time(engine.act(&container_ref("watch-good"), ContainerAction::Start))
        .await
        .unwrap();
    for _ in 0..3 {
        let mut watch = in_time(engine.watch()).await.unwrap();
        assert_eq!(
            in_time(watch.next()).await.unwrap().unwrap(),
            WatchEvent::InitBegin
        );
        for _ in 0..10 {
            in_time(watch.next()).await.unwrap().unwrap();
        }
    }
}

async fn check_logs(engine: &dyn ContainerEngine) {
    let options = LogOptions::default();
    let mut log = in_time(engine.get_logs(&container_ref("lines-2"), &options))
        .await
        .unwrap();
    let mut chunks = Vec::new();
    while let Some(chunk) = in_time(log.next()).await {
        let chunk = chunk.unwrap();
        chunks.push((chunk.source, chunk.bytes));
    }
    assert_eq!(
        chunks,
        [
            (OutputSource::Stdout, "line 0\n".into()),
            (OutputSource::Stderr, "line 1\n".into())
        ]
    );
    let Err(error) = in_time(engine.get_logs(&container_ref("missing"), &options)).await else {
        panic!("the log was opened");
    };
    assert_eq!(error.code, ErrorCode::NotFound);
}
