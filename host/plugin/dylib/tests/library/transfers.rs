//! Pulls and pushes.

use futures::{StreamExt as _, TryStreamExt as _};
use rdd_core::{ContainerEngine as _, ErrorCode, PullSpec, PushSpec, TransferPhase};

use crate::support::{finish, launched, limits};

fn pull(image: &str) -> PullSpec {
    PullSpec {
        namespace: "default".to_owned(),
        image: image.to_owned(),
        platform: None,
    }
}

fn push(image: &str) -> PushSpec {
    PushSpec {
        namespace: "default".to_owned(),
        image: image.to_owned(),
    }
}

#[tokio::test]
async fn a_pull_reports_each_layer() {
    let (backend, handle) = launched(limits()).await;
    let progress = handle.pull(&pull("layers-2")).await.unwrap();
    let progress: Vec<_> = progress.try_collect().await.unwrap();
    let seen: Vec<_> = progress
        .iter()
        .map(|it| (it.layer.as_str(), it.phase, it.bytes_total))
        .collect();
    assert_eq!(
        seen,
        [
            ("layer-0", TransferPhase::Waiting, None),
            ("layer-0", TransferPhase::Complete, Some(100)),
            ("layer-1", TransferPhase::Waiting, None),
            ("layer-1", TransferPhase::Complete, Some(100)),
        ]
    );
    finish(backend, handle).await;
}

#[tokio::test]
async fn a_push_gets_the_credentials_of_its_registry_only() {
    let (backend, handle) = launched(limits()).await;
    for (image, user) in [
        ("registry.example/app", "jane"),
        ("other.example/app", "nobody"),
    ] {
        let progress = handle.push(&push(image)).await.unwrap();
        let progress: Vec<_> = progress.try_collect().await.unwrap();
        assert_eq!(progress[0].layer, user);
    }
    // The fixture asks for what stands before the first slash.
    let error = handle.push(&push("app/it")).await.err().unwrap();
    assert_eq!(error.code, ErrorCode::PermissionDenied);
    let error = handle
        .push(&push("broken.example/app"))
        .await
        .err()
        .unwrap();
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert_eq!(error.message, "no helper");
    finish(backend, handle).await;
}

#[tokio::test]
async fn failures_are_distinct() {
    let (backend, handle) = launched(limits()).await;
    let error = handle.pull(&pull("missing")).await.err().unwrap();
    assert_eq!(error.code, ErrorCode::NotFound);
    let mut progress = handle.pull(&pull("bad-phase")).await.unwrap();
    let error = progress.next().await.unwrap().unwrap_err();
    assert_eq!(error.code, ErrorCode::StreamFailed);
    assert!(
        error.message.contains("unknown variant `teleporting`"),
        "{error}"
    );
    finish(backend, handle).await;
}
