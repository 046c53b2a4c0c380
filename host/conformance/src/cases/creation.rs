//! Creations of containers and volumes.

use std::collections::BTreeMap;

use rdd_core::{
    ContainerRef, ContainerSpec, ContainerState, EngineObject, ErrorCode, ExposedPort, MountKind,
    MountSpec, ObjectKind, ObjectRef, RemoveRequest, RemoveTarget, VolumeSpec,
};

use super::inspect::container as inspect;
use crate::case::{CaseContext, CaseFailure, CaseResult, check, check_eq, fault};
use crate::rules;

fn spec(context: &CaseContext) -> ContainerSpec {
    ContainerSpec {
        name: Some(context.environment.unique_name()),
        args: vec!["sleep".to_owned(), "60".to_owned()],
        ..ContainerSpec::new(context.environment.namespace(), context.environment.image())
    }
}

/// Creates a container, which is removed after the case.
async fn create(context: &CaseContext, spec: &ContainerSpec) -> CaseResult<ContainerRef> {
    context.require(&["create-containers"])?;
    let call = context.engine.create_container(spec);
    let id = context.ok(rules::CREATE, "create-container", call).await?;
    let container = ContainerRef::new(&spec.namespace, &id);
    context.environment.created(RemoveRequest {
        namespace: spec.namespace.clone(),
        target: RemoveTarget::Container { id },
    });
    Ok(container)
}

pub(super) async fn makes_the_container(context: CaseContext) -> CaseResult {
    let label = ("rdd.test/a=b".to_owned(), "tab\tand \"quotes\"".to_owned());
    let spec = ContainerSpec {
        command: vec!["sleep".to_owned()],
        args: vec!["60".to_owned(), "two words".to_owned(), String::new()],
        env: vec![("RDD_TEST".to_owned(), "a=b".to_owned())],
        labels: BTreeMap::from([label.clone()]),
        ports: vec![ExposedPort {
            name: "8080/tcp".to_owned(),
            bindings: Vec::new(),
        }],
        mounts: vec![MountSpec {
            kind: MountKind::Tmpfs,
            source: String::new(),
            target: "/scratch".to_owned(),
            read_only: false,
        }],
        working_dir: Some("/tmp".to_owned()),
        tty: true,
        ..spec(&context)
    };
    let container = create(&context, &spec).await?;
    let found = inspect(&context, &container).await?;
    check_eq(
        rules::CREATE,
        "the state",
        &ContainerState::Created,
        &found.state,
    )?;
    let name = spec.name.clone().unwrap_or_default();
    check_eq(rules::CREATE, "the name", &name, &found.name)?;
    let words = [spec.command.as_slice(), spec.args.as_slice()].concat();
    let mut seen = vec![found.path.clone()];
    seen.extend(found.args.clone());
    check_eq(
        rules::CREATE,
        "the program and its arguments",
        &words,
        &seen,
    )?;
    let (key, value) = label;
    check_eq(
        rules::CREATE,
        "the value of the label",
        &Some(&value),
        &found.labels.get(&key),
    )?;
    let ports: Vec<_> = found.ports.iter().map(|port| port.name.as_str()).collect();
    check(
        rules::CREATE,
        ports.contains(&"8080/tcp"),
        "the port 8080/tcp",
        format_args!("{ports:?}"),
    )?;
    check_eq(rules::CREATE, "the terminal", &true, &found.tty)
}

pub(super) async fn generates_a_name(context: CaseContext) -> CaseResult {
    let spec = ContainerSpec {
        name: None,
        ..spec(&context)
    };
    let first = create(&context, &spec).await?;
    let second = create(&context, &spec).await?;
    let (first, second) = (
        inspect(&context, &first).await?,
        inspect(&context, &second).await?,
    );
    check(
        rules::CREATE_NAME,
        first.id != second.id && first.name != second.name && !first.name.is_empty(),
        "two containers with generated names",
        format_args!("{:?} and {:?}", first.name, second.name),
    )
}

pub(super) async fn name_in_use(context: CaseContext) -> CaseResult {
    let spec = spec(&context);
    create(&context, &spec).await?;
    let call = context.engine.create_container(&spec);
    let what = "creating a container with a name that is in use";
    context
        .fails(rules::CREATE_ERRORS, what, ErrorCode::Conflict, call)
        .await
}

pub(super) async fn unknown_image(context: CaseContext) -> CaseResult {
    context.require(&["create-containers"])?;
    let spec = ContainerSpec {
        image: "rdd-conformance/none:latest".to_owned(),
        ..spec(&context)
    };
    let call = context.engine.create_container(&spec);
    let what = "creating a container of an image that the engine does not have";
    context
        .fails(rules::CREATE_ERRORS, what, ErrorCode::NotFound, call)
        .await
}

fn volume_spec(context: &CaseContext) -> VolumeSpec {
    VolumeSpec {
        namespace: context.environment.namespace().to_owned(),
        name: Some(context.environment.unique_name()),
        labels: BTreeMap::from([("rdd.test/key".to_owned(), "value".to_owned())]),
        ..VolumeSpec::default()
    }
}

async fn create_volume(context: &CaseContext, spec: &VolumeSpec) -> CaseResult<String> {
    context.require(&["create-volumes"])?;
    let call = context.engine.create_volume(spec);
    let name = context
        .ok(rules::CREATE_VOLUME, "create-volume", call)
        .await?;
    context.environment.created(RemoveRequest {
        namespace: spec.namespace.clone(),
        target: RemoveTarget::Volume {
            name: name.clone(),
            created_at: None,
        },
    });
    Ok(name)
}

pub(super) async fn makes_the_volume(context: CaseContext) -> CaseResult {
    let spec = volume_spec(&context);
    let name = create_volume(&context, &spec).await?;
    check_eq(
        rules::CREATE_VOLUME,
        "the name",
        &spec.name.clone().unwrap_or_default(),
        &name,
    )?;
    let reference = ObjectRef::new(ObjectKind::Volume, &spec.namespace, &name);
    let call = context.engine.inspect(&reference);
    let found = context.ok(rules::CREATE_VOLUME, "inspecting the volume", call);
    match found.await?.object {
        EngineObject::Volume(volume) => check_eq(
            rules::CREATE_VOLUME,
            "the labels",
            &spec.labels,
            &volume.labels,
        ),
        other => Err(fault(rules::INSPECT, "a volume", format_args!("{other:?}"))),
    }
}

pub(super) async fn volume_exists(context: CaseContext) -> CaseResult {
    let spec = volume_spec(&context);
    let name = create_volume(&context, &spec).await?;
    let again = VolumeSpec {
        name: Some(name),
        ..spec
    };
    if again.name.is_none() {
        return Err(CaseFailure::Broken("the volume has no name".to_owned()));
    }
    let call = context.engine.create_volume(&again);
    let what = "creating a volume that exists";
    context
        .fails(rules::CREATE_VOLUME_ERRORS, what, ErrorCode::Conflict, call)
        .await
}
