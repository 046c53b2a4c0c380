//! One table for every form of a backend. A form is a way to make the
//! scripted fixture an engine; so far there is one.

use futures::StreamExt;
use rdd_core::{
    BackendRegistry, ContainerAction, ContainerEngine, EngineObject, ErrorCode, LogOptions,
    LogSource, RemoveRequest, WatchEvent,
};
use std::sync::Arc;

use crate::support::*;

/// Runs the table over the component.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn component() {
    let dir = tempfile::tempdir().unwrap();
    install(dir.path(), "scripted");
    let host = start(options(&[dir.path()])).await;
    let engine = loaded(&host, "scripted").await.engine;
    conforms(engine).await;
    soon(host.shutdown()).await;
    assert!(host.names().contains(&"scripted".to_owned()));
}

async fn conforms(engine: Arc<dyn ContainerEngine>) {
    describes(&*engine);
    inspects(&*engine).await;
    changes(&*engine).await;
    follows(&*engine).await;
    logs(&*engine).await;
}

fn describes(engine: &dyn ContainerEngine) {
    let info = engine.info();
    assert_eq!(
        (info.name.as_str(), info.engine.as_str()),
        ("scripted", "Script")
    );
    assert_eq!(info.namespaces, ["default"]);
}

async fn inspects(engine: &dyn ContainerEngine) {
    let found = soon(engine.inspect(&container("one"))).await.unwrap();
    let EngineObject::Container(one) = found.object else {
        panic!("no container");
    };
    assert_eq!((one.id.as_str(), one.name.as_str()), ("one", "name-of-one"));
    assert!(one.running && one.created_at.is_some() && one.finished_at.is_none());
    for (id, code) in [
        ("missing", ErrorCode::NotFound),
        ("not/an/id", ErrorCode::InvalidArgument),
        ("other", ErrorCode::PluginFailed),
    ] {
        let error = soon(engine.inspect(&container(id))).await.unwrap_err();
        assert_eq!(error.code, code, "{id}: {error}");
    }
}

async fn changes(engine: &dyn ContainerEngine) {
    for action in [
        ContainerAction::Start,
        ContainerAction::Stop,
        ContainerAction::Pause,
        ContainerAction::Unpause,
        ContainerAction::Restart,
    ] {
        soon(engine.act("one", action)).await.unwrap();
        let error = soon(engine.act("missing", action)).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::NotFound);
    }
    let text = |text: &str| text.to_owned();
    for (id, code) in [("one", None), ("missing", Some(ErrorCode::NotFound))] {
        for target in [
            RemoveRequest::Container { id: text(id) },
            RemoveRequest::Image { id: text(id) },
            RemoveRequest::ImageTag {
                tag: text(id),
                image_id: text("sha256:0"),
            },
            RemoveRequest::Volume {
                name: text(id),
                created_at: None,
            },
        ] {
            let removed = soon(engine.remove(&target)).await;
            assert_eq!(removed.err().map(|error| error.code), code, "{target:?}");
        }
    }
}

async fn follows(engine: &dyn ContainerEngine) {
    soon(engine.act("watch-good", ContainerAction::Start))
        .await
        .unwrap();
    for _ in 0..3 {
        let mut watch = soon(engine.watch()).await.unwrap();
        assert_eq!(
            soon(watch.next()).await.unwrap().unwrap(),
            WatchEvent::InitBegin
        );
        for _ in 0..10 {
            soon(watch.next()).await.unwrap().unwrap();
        }
    }
}

async fn logs(engine: &dyn ContainerEngine) {
    let options = LogOptions::default();
    let mut log = soon(engine.get_logs("lines-2", &options)).await.unwrap();
    let mut chunks = Vec::new();
    while let Some(chunk) = soon(log.next()).await {
        let chunk = chunk.unwrap();
        chunks.push((chunk.source, chunk.bytes));
    }
    assert_eq!(
        chunks,
        [
            (LogSource::Stdout, "line 0\n".into()),
            (LogSource::Stderr, "line 1\n".into())
        ]
    );
    let Err(error) = soon(engine.get_logs("missing", &options)).await else {
        panic!("it is there");
    };
    assert_eq!(error.code, ErrorCode::NotFound);
}
