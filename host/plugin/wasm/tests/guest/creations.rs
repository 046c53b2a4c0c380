//! Creations of containers and volumes.

use rdd_core::{ContainerEngine, ContainerSpec, ErrorCode, VolumeSpec};

use crate::support::*;

fn container_spec(image: &str) -> ContainerSpec {
    ContainerSpec {
        name: Some("web".to_owned()),
        ..ContainerSpec::new("default", image)
    }
}

fn volume_spec(driver: &str) -> VolumeSpec {
    VolumeSpec {
        namespace: "default".to_owned(),
        driver: Some(driver.to_owned()),
        ..VolumeSpec::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn creations_return_ids_and_errors() {
    let backend = backend();
    let handle = launch(&backend).await;
    let id = in_time(handle.create_container(&container_spec("busybox"))).await;
    assert_eq!(id.unwrap(), "web");
    let name = in_time(handle.create_volume(&volume_spec("local"))).await;
    assert_eq!(name.unwrap(), "generated");
    let missing = in_time(handle.create_container(&container_spec("missing"))).await;
    assert_eq!(missing.unwrap_err().code, ErrorCode::NotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_returned_id_that_is_none_is_a_violation() {
    let backend = backend();
    let handle = launch(&backend).await;
    let error = in_time(handle.create_container(&container_spec("odd")))
        .await
        .unwrap_err();
    assert_failed(&error, "violated the contract: the container ID");
    let error = in_time(handle.create_volume(&volume_spec("odd")))
        .await
        .unwrap_err();
    assert_failed(&error, "contains a control character");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalid_specification_never_reaches_the_guest() {
    let backend = backend();
    let handle = launch(&backend).await;
    let valid = container_spec("trap");
    for (spec, expected) in [
        (
            ContainerSpec {
                image: String::new(),
                ..valid.clone()
            },
            "the image is empty",
        ),
        (
            ContainerSpec {
                working_dir: Some("relative".to_owned()),
                ..valid.clone()
            },
            "\"relative\" is not an absolute path",
        ),
        (
            ContainerSpec {
                env: vec![("A=B".to_owned(), String::new())],
                ..valid
            },
            "\"A=B\" is not the name of an environment variable",
        ),
    ] {
        let error = in_time(handle.create_container(&spec)).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidArgument, "{error}");
        assert!(error.message.contains(expected), "{error}");
    }
}
