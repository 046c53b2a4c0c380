//! Pulls and pushes.

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use rdd_core::{
    ContainerEngine, EngineError, ErrorCode, PullSpec, PushSpec, RegistryCredentialStore,
    RegistryCredentials, TransferPhase, TransferProgress, TransferStream,
};
use rdd_plugin_contract::BackendServices;
use rdd_plugin_wasm::BackendHandle;

use crate::support::*;

async fn pull(handle: &BackendHandle, image: &str) -> Result<TransferStream, EngineError> {
    let spec = PullSpec {
        namespace: "default".to_owned(),
        image: image.to_owned(),
        platform: None,
    };
    in_time(handle.pull(&spec)).await
}

async fn drain(mut transfer: TransferStream) -> (Vec<TransferProgress>, Option<EngineError>) {
    let mut all = Vec::new();
    while let Some(progress) = in_time(transfer.next()).await {
        match progress {
            Ok(progress) => all.push(progress),
            Err(error) => return (all, Some(error)),
        }
    }
    (all, None)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_and_errors_are_delivered() {
    let backend = backend();
    let handle = launch(&backend).await;
    let (progress, error) = drain(pull(&handle, "layers-3").await.unwrap()).await;
    assert_eq!(error, None);
    assert_eq!(progress.len(), 6);
    assert_eq!(progress[5].layer, "layer-2");
    assert_eq!(progress[5].phase, TransferPhase::Complete);
    let spec = PushSpec {
        namespace: "default".to_owned(),
        image: "fails".to_owned(),
    };
    let (progress, error) = drain(in_time(handle.push(&spec)).await.unwrap()).await;
    assert_eq!(progress.len(), 1);
    assert_eq!(error.unwrap().code, ErrorCode::PermissionDenied);
    let missing = pull(&handle, "unheard-of").await.err().unwrap();
    assert_eq!(missing.code, ErrorCode::NotFound);
    let (_, error) = drain(pull(&handle, "too-many").await.unwrap()).await;
    let error = error.unwrap();
    assert_eq!(error.code, ErrorCode::StreamFailed);
    assert!(error.message.contains("more than 1000 layers"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_transfer_stops() {
    let backend = backend();
    let handle = launch(&backend).await;
    let mut transfer = pull(&handle, "forever").await.unwrap();
    in_time(transfer.next()).await.unwrap().unwrap();
    assert_eq!(handle.usage().transfers, 1);
    drop(transfer);
    rdd_testkit::eventually("the transfer is closed", || async {
        match handle.usage().transfers {
            0 => Ok(()),
            open => Err(format!("{open} open")),
        }
    })
    .await;
}

/// A store with a user for one registry.
struct OneRegistry;

#[async_trait]
impl RegistryCredentialStore for OneRegistry {
    async fn credentials(
        &self,
        registry: &str,
    ) -> Result<Option<RegistryCredentials>, EngineError> {
        Ok(
            (registry == "registry.example:5000").then(|| RegistryCredentials::Password {
                username: "alice".to_owned(),
                password: "secret".to_owned(),
            }),
        )
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_gets_only_the_credentials_of_the_registry_in_progress() {
    let services = BackendServices {
        credentials: Arc::new(OneRegistry),
        ..BackendServices::new(Arc::new(UnreachableTransport))
    };
    let backend = backend_of(limits(), services);
    let handle = launch(&backend).await;
    for (image, user) in [
        ("registry.example:5000/credentials", "alice"),
        ("credentials", "nobody"),
    ] {
        let (progress, error) = drain(pull(&handle, image).await.unwrap()).await;
        assert_eq!(error, None);
        assert_eq!(progress[0].layer, user);
    }
    let image = "registry.example:5000/credentials-of-other";
    let (_, error) = drain(pull(&handle, image).await.unwrap()).await;
    let error = error.unwrap();
    assert_eq!(error.code, ErrorCode::PermissionDenied, "{error}");
    assert!(
        error
            .message
            .contains("the transfer in progress is with registry.example:5000"),
        "{error}"
    );
}
