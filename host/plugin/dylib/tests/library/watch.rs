//! The watch.

use futures::StreamExt as _;
use rdd_core::{
    ContainerAction, ContainerEngine as _, ContainerSpec, ContainerState, EngineObject,
    RemoveRequest, RemoveTarget, WatchEvent, WatchStream,
};

use crate::support::{container, finish, launched, limits};

/// Returns the name of the next event, with the ID and state of its object.
async fn next(watch: &mut WatchStream) -> String {
    match watch.next().await.unwrap().unwrap() {
        WatchEvent::InitBegin => "init-begin".to_owned(),
        WatchEvent::InitDone => "init-done".to_owned(),
        WatchEvent::Removed(reference) => format!("removed {}", reference.id),
        WatchEvent::Applied(object) => match *object {
            EngineObject::Container(it) => format!("applied {} {:?}", it.id, it.state),
            object => format!("applied {}", object.reference().id),
        },
    }
}

#[tokio::test]
async fn a_watch_lists_all_objects_and_reports_changes() {
    let (backend, handle) = launched(limits()).await;
    let mut watch = handle.watch().await.unwrap();
    for expected in [
        "init-begin",
        "applied web Running",
        "applied db Exited",
        "applied data",
        "applied sha256:1",
        "applied default",
        "init-done",
    ] {
        assert_eq!(next(&mut watch).await, expected);
    }
    let action = |id, action| handle.act(id, action);
    action(&container("web"), ContainerAction::Stop)
        .await
        .unwrap();
    assert_eq!(next(&mut watch).await, "applied web Exited");
    let spec = ContainerSpec {
        name: Some("new".to_owned()),
        ..ContainerSpec::new("default", "toy")
    };
    assert_eq!(handle.create_container(&spec).await.unwrap(), "new");
    assert_eq!(next(&mut watch).await, "applied new Exited");
    let request = RemoveRequest {
        namespace: "default".to_owned(),
        target: RemoveTarget::Container {
            id: "db".to_owned(),
        },
    };
    handle.remove(&request).await.unwrap();
    assert_eq!(next(&mut watch).await, "removed db");
    drop(watch);
    // The first one was closed in the library, which allows one at a time.
    let mut watch = handle.watch().await.unwrap();
    assert_eq!(next(&mut watch).await, "init-begin");
    assert_eq!(
        next(&mut watch).await,
        format!("applied web {:?}", ContainerState::Exited)
    );
    drop(watch);
    finish(backend, handle).await;
}
