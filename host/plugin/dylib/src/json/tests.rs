use rdd_core::{
    ContainerRef, ContainerRestartPolicy, ContainerSpec, EngineObject, EntryOptions, EntryPosition,
    ExposedPort, MountKind, MountSpec, ObjectKind, ObjectRef, PortBinding, RemoveRequest,
    RemoveTarget, TransferPhase, WatchEvent,
};

use super::*;

#[test]
fn parameters_have_the_names_of_the_contract() {
    let reference = ObjectRef::new(ObjectKind::Volume, "moby", "a\"b");
    assert_eq!(
        encode(&InspectParameters::new(&reference)).unwrap(),
        r#"{"ref":{"kind":"volume","namespace":"moby","id":"a\"b"}}"#
    );
    let container = ContainerRef::new("moby", "c1");
    let options = EntryOptions {
        follow: false,
        tail: None,
        after: Some(EntryPosition { time: -5, index: 2 }),
        until: Timestamp::new(7, 8),
        ..EntryOptions::default()
    };
    assert_eq!(
        encode(&ContainerParameters::new(&container, &options)).unwrap(),
        concat!(
            r#"{"container":{"namespace":"moby","id":"c1"},"options":{"follow":false,"#,
            r#""tail":null,"since":null,"until":{"seconds":7,"nanoseconds":8},"#,
            r#""after":{"time":-5,"index":2},"stdout":true,"stderr":true}}"#
        )
    );
    let request = |target| RemoveRequest {
        namespace: "moby".to_owned(),
        target,
    };
    for (target, expected) in [
        (
            RemoveTarget::Container {
                id: "c1".to_owned(),
            },
            r#"{"container":"c1"}"#,
        ),
        (
            RemoveTarget::ImageTag {
                tag: "t".to_owned(),
                image_id: "i".to_owned(),
            },
            r#"{"image-tag":["t","i"]}"#,
        ),
        (
            RemoveTarget::Volume {
                name: "v".to_owned(),
                created_at: None,
            },
            r#"{"volume":["v",null]}"#,
        ),
    ] {
        assert_eq!(
            encode(&RemoveParameters::new(&request(target))).unwrap(),
            format!(r#"{{"removal":{{"namespace":"moby","target":{expected}}}}}"#)
        );
    }
    let spec = ContainerSpec {
        labels: [("k".to_owned(), "v".to_owned())].into(),
        ports: vec![ExposedPort {
            name: "80/tcp".to_owned(),
            bindings: vec![PortBinding {
                host_ip: String::new(),
                host_port: "8080".to_owned(),
            }],
        }],
        mounts: vec![MountSpec {
            kind: MountKind::Tmpfs,
            source: String::new(),
            target: "/t".to_owned(),
            read_only: true,
        }],
        restart_policy: ContainerRestartPolicy::OnFailure { max_retries: 3 },
        ..ContainerSpec::new("moby", "busybox")
    };
    assert_eq!(
        encode(&SpecParameters::new(&spec)).unwrap(),
        concat!(
            r#"{"spec":{"namespace":"moby","name":null,"image":"busybox","command":[],"#,
            r#""args":[],"env":[],"labels":[["k","v"]],"ports":[{"name":"80/tcp","#,
            r#""bindings":[{"host-ip":"","host-port":"8080"}]}],"mounts":[{"kind":"tmpfs","#,
            r#""source":"","target":"/t","read-only":true}],"working-dir":null,"user":null,"#,
            r#""tty":false,"restart-policy":{"on-failure":3}}}"#
        )
    );
}

#[test]
fn events_are_decoded() {
    assert_eq!(event(r#""init-begin""#).unwrap(), WatchEvent::InitBegin);
    assert_eq!(
        event(r#"{"applied":{"namespace":"n"}}"#).unwrap(),
        WatchEvent::Applied(Box::new(EngineObject::Namespace("n".to_owned())))
    );
    assert_eq!(
        event(r#"{"removed":{"kind":"image","namespace":"n","id":"i"}}"#).unwrap(),
        WatchEvent::Removed(ObjectRef::new(ObjectKind::Image, "n", "i"))
    );
    let progress =
        progress(r#"{"layer":"l","phase":"exists","bytes-done":18446744073709551615}"#).unwrap();
    assert_eq!(progress.phase, TransferPhase::Exists);
    assert_eq!(progress.bytes_done, u64::MAX);
    assert_eq!(progress.bytes_total, None);
}

#[test]
fn what_the_contract_does_not_have_is_named() {
    for (text, expected) in [
        (r#"{"applied":{"namespace":"n"}"#, "not a valid event: EOF"),
        (r#"{"applied":{"pod":"n"}}"#, "unknown variant `pod`"),
        (
            r#"{"removed":{"kind":"image","id":"i"}}"#,
            "missing field `namespace`",
        ),
        (
            r#"{"removed":{"kind":"image","namespace":"n","id":"i","x":1}}"#,
            "unknown field `x`",
        ),
        (
            r#"{"applied":{"volume":{"name":"v","namespace":"n","created-at":{"seconds":0,"nanoseconds":1000000000},"driver":"","mountpoint":"","labels":[],"scope":"","options":[]}}}"#,
            "1000000000 nanoseconds",
        ),
        (
            r#"{"applied":{"volume":{"name":"v","namespace":"n","driver":"","mountpoint":"","labels":[["a","1"],["a","2"]],"scope":"","options":[]}}}"#,
            "the key \"a\" twice",
        ),
        (&"[".repeat(100_000), "not a valid event"),
    ] {
        let error = event(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text:.80}: {error}");
    }
    let info = r#"{"name":"n","version":"1.0.0","engine":"E","id-form":{"lower-hex":4},"namespaces":["n"],"capabilities":["logs","teleport"]}"#;
    let error = backend_info(info).unwrap_err().to_string();
    assert!(error.contains("the capability \"teleport\""), "{error}");
}

#[test]
fn credentials_are_an_option_of_a_variant() {
    let credentials = |credentials| super::credentials(credentials).unwrap();
    assert_eq!(credentials(None), "null");
    assert_eq!(
        credentials(Some(RegistryCredentials::Password {
            username: "u".to_owned(),
            password: "p".to_owned()
        })),
        r#"{"password":{"username":"u","password":"p"}}"#
    );
    assert_eq!(
        credentials(Some(RegistryCredentials::IdentityToken("t".to_owned()))),
        r#"{"identity-token":"t"}"#
    );
}
