//! Tests of the creation of containers and volumes.

use bollard::query_parameters::{InspectContainerOptions, RemoveVolumeOptions};
use rdd_sdk::Backend;
use rdd_sdk::types::{ContainerSpec, ErrorCode, Mount, MountKind, Port, RestartPolicy, VolumeSpec};

use crate::fixture::{self, EngineFixture, IMAGE};

fn container_spec(fixture: &EngineFixture, suffix: &str) -> ContainerSpec {
    ContainerSpec {
        namespace: "moby".to_owned(),
        name: Some(fixture.name(suffix)),
        image: IMAGE.to_owned(),
        command: Vec::new(),
        args: Vec::new(),
        env: Vec::new(),
        labels: vec![fixture.label()],
        ports: Vec::new(),
        mounts: Vec::new(),
        working_dir: None,
        user: None,
        tty: false,
        restart_policy: RestartPolicy::No,
    }
}

#[test]
fn a_container_is_created_as_specified() {
    fixture::run("create", |fixture| async move {
        let spec = ContainerSpec {
            command: vec!["sh".to_owned()],
            args: vec!["-c".to_owned(), "true".to_owned()],
            env: vec![("A".to_owned(), "b=c".to_owned())],
            ports: vec![Port {
                name: "80/tcp".to_owned(),
                bindings: Vec::new(),
            }],
            mounts: vec![Mount {
                kind: MountKind::Tmpfs,
                source: String::new(),
                target: "/scratch".to_owned(),
                read_only: false,
            }],
            working_dir: Some("/tmp".to_owned()),
            user: Some("7".to_owned()),
            tty: true,
            restart_policy: RestartPolicy::OnFailure(2),
            ..container_spec(&fixture, "a")
        };
        let id = fixture.moby.create_container(spec.clone()).await.unwrap();
        let container = fixture
            .docker
            .inspect_container(&id, None::<InspectContainerOptions>)
            .await
            .unwrap();
        let config = container.config.unwrap();
        assert_eq!(config.entrypoint.unwrap(), ["sh"]);
        assert_eq!(config.cmd.unwrap(), ["-c", "true"]);
        assert!(config.env.unwrap().contains(&"A=b=c".to_owned()));
        assert_eq!(config.working_dir.unwrap(), "/tmp");
        assert_eq!(
            (config.user.unwrap(), config.tty),
            ("7".to_owned(), Some(true))
        );
        let host = container.host_config.unwrap();
        let policy = host.restart_policy.unwrap();
        assert_eq!(policy.maximum_retry_count, Some(2));
        assert_eq!(host.mounts.unwrap()[0].target.as_deref(), Some("/scratch"));
        // The name is in use now.
        let error = fixture.moby.create_container(spec).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Conflict, "{}", error.message);
        let missing = ContainerSpec {
            image: "no-such-image:1".to_owned(),
            ..container_spec(&fixture, "b")
        };
        let error = fixture.moby.create_container(missing).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::NotFound, "{}", error.message);
        let invalid = ContainerSpec {
            name: Some("../x".to_owned()),
            ..container_spec(&fixture, "b")
        };
        let error = fixture.moby.create_container(invalid).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidArgument, "{}", error.message);
    });
}

#[test]
fn a_volume_is_created_once() {
    fixture::run("createvol", |fixture| async move {
        let spec = VolumeSpec {
            namespace: "moby".to_owned(),
            name: Some(fixture.name("v")),
            driver: None,
            options: Vec::new(),
            labels: vec![fixture.label()],
        };
        let name = fixture.moby.create_volume(spec.clone()).await.unwrap();
        assert_eq!(name, fixture.name("v"));
        let error = fixture.moby.create_volume(spec.clone()).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Conflict, "{}", error.message);
        let anonymous = VolumeSpec {
            name: None,
            ..spec.clone()
        };
        let generated = fixture.moby.create_volume(anonymous).await.unwrap();
        fixture
            .docker
            .remove_volume(&generated, None::<RemoveVolumeOptions>)
            .await
            .unwrap();
        let no_driver = VolumeSpec {
            name: Some(fixture.name("w")),
            driver: Some("no-such-driver".to_owned()),
            ..spec
        };
        let error = fixture.moby.create_volume(no_driver).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::NotFound, "{}", error.message);
    });
}
