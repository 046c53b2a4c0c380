//! Between the records of the contract and the model.

use std::collections::BTreeMap;

use rdd_core::{
    BackendInfo, Capabilities, Container, ContainerAction, ContainerState, EngineError,
    EngineObject, ErrorCode, ExposedPort, IdFormat, Image, InspectResponse, LogOptions, LogSource,
    ObjectKind, ObjectRef, PortBinding, RemoveRequest, Timestamp, Volume,
};

use crate::bindings::{engine, lifecycle, types};
use crate::check::{self, Scale, Violation, violation};

/// Bytes of an error's sentence that are kept.
const MAX_MESSAGE: usize = 4 * 1024;
/// Namespaces that a backend may say always exist.
const MAX_NAMESPACES: usize = 1_000;
/// The largest ID form: a longer ID would not fit into a Kubernetes name.
const MAX_ID: u32 = 253;

type Checked<T> = Result<T, Violation>;

/// What a component said of itself, checked.
pub(crate) fn info(info: engine::BackendInfo) -> Checked<BackendInfo> {
    let engine::BackendInfo {
        name,
        version,
        engine,
        id_form,
        namespaces,
        capabilities,
    } = info;
    if !check::is_backend_name(&name) {
        return Err(violation!(
            "describe gives the name {}, which is not [a-z0-9-]+",
            check::shown(&name)
        ));
    }
    if let Err(error) = semver::Version::parse(&version) {
        return Err(violation!(
            "describe gives the version {}, which is not a semantic version: {error}",
            check::shown(&version)
        ));
    }
    check::name("name of the engine", &engine)?;
    let id_form = match id_form {
        engine::IdForm::LowerHex(len) if (1..=MAX_ID).contains(&len) => IdFormat::LowerHex(len),
        engine::IdForm::Identifier(max) if (1..=MAX_ID).contains(&max) => IdFormat::Identifier(max),
        engine::IdForm::LowerHex(len) | engine::IdForm::Identifier(len) => {
            return Err(violation!(
                "describe gives container IDs of {len} bytes; 1 to {MAX_ID} are allowed"
            ));
        }
    };
    if namespaces.len() > MAX_NAMESPACES {
        return Err(violation!(
            "describe gives {} namespaces; {MAX_NAMESPACES} are allowed",
            namespaces.len()
        ));
    }
    namespaces
        .iter()
        .try_for_each(|name| check::namespace(name))?;
    Ok(BackendInfo {
        name,
        version,
        engine,
        id_format: id_form,
        namespaces,
        capabilities: Capabilities {
            logs: capabilities.contains(engine::Capabilities::LOGS),
            actions: capabilities.contains(engine::Capabilities::ACTIONS),
            removals: capabilities.contains(engine::Capabilities::REMOVALS),
        },
    })
}

/// An error value of a component.
pub(crate) fn error(error: types::Error) -> EngineError {
    let types::Error { code, message } = error;
    let code = match code {
        types::ErrorCode::NotFound => ErrorCode::NotFound,
        types::ErrorCode::InvalidArgument => ErrorCode::InvalidArgument,
        types::ErrorCode::Conflict => ErrorCode::Conflict,
        types::ErrorCode::Replaced => ErrorCode::Replaced,
        types::ErrorCode::PermissionDenied => ErrorCode::PermissionDenied,
        types::ErrorCode::Unavailable => ErrorCode::Unavailable,
        types::ErrorCode::Unsupported => ErrorCode::Unsupported,
        types::ErrorCode::Timeout => ErrorCode::Timeout,
        types::ErrorCode::Cancelled => ErrorCode::Cancelled,
        types::ErrorCode::Internal => ErrorCode::Internal,
        // A code that is no backend name would be an odd thing in a reason.
        types::ErrorCode::Other(name) if check::is_backend_name(&name) => ErrorCode::Other(name),
        types::ErrorCode::Other(_) => ErrorCode::Internal,
    };
    EngineError::new(code, rdd_core::text::truncate(&message, MAX_MESSAGE))
}

/// The answer of `inspect`, checked to be about the object that was asked for.
pub(crate) fn inspection(
    form: IdFormat,
    asked: &ObjectRef,
    inspection: engine::Inspection,
) -> Checked<InspectResponse> {
    let engine::Inspection { object, raw } = inspection;
    let mut scale = Scale::default();
    scale.text("raw", &raw)?;
    let (object, _) = self::object(form, object)?;
    let kind = object.reference().kind;
    if kind != asked.kind {
        return Err(violation!(
            "inspect was asked for a {:?} and answered with a {kind:?}",
            asked.kind
        ));
    }
    if kind == ObjectKind::Container && object.reference().id != asked.id {
        return Err(violation!(
            "inspect was asked for the container {} and answered with {}",
            check::shown(&asked.id),
            check::shown(&object.reference().id)
        ));
    }
    Ok(InspectResponse { object, raw })
}

/// An object, checked, and how many bytes it weighs.
pub(crate) fn object(form: IdFormat, object: types::Object) -> Checked<(EngineObject, usize)> {
    let mut scale = Scale::default();
    let object = match object {
        types::Object::Container(it) => EngineObject::Container(container(form, it, &mut scale)?),
        types::Object::Image(it) => EngineObject::Image(image(it, &mut scale)?),
        types::Object::Volume(it) => EngineObject::Volume(volume(it, &mut scale)?),
        types::Object::Namespace(name) => {
            check::namespace(&name)?;
            scale.text("name", &name)?;
            EngineObject::Namespace(name)
        }
    };
    Ok((object, scale.total()))
}

fn container(form: IdFormat, it: types::Container, scale: &mut Scale) -> Checked<Container> {
    let types::Container {
        id,
        name,
        namespace,
        path,
        args,
        image_id,
        image_name,
        labels,
        state,
        pid,
        exit_code,
        error,
        created_at,
        started_at,
        finished_at,
        ports,
        running,
        paused,
        restarting,
        oom_killed,
        dead,
        tty,
    } = it;
    check::container_id(form, &id)?;
    check::namespace(&namespace)?;
    for (what, text) in [
        ("name", &name),
        ("path", &path),
        ("image-id", &image_id),
        ("image-name", &image_name),
        ("error", &error),
    ] {
        scale.text(what, text)?;
    }
    scale.texts("args", &args)?;
    Ok(Container {
        labels: map("labels", labels, scale)?,
        ports: self::ports(ports, scale)?,
        created_at: time("created-at", created_at)?,
        started_at: time("started-at", started_at)?,
        finished_at: time("finished-at", finished_at)?,
        state: container_state(state),
        id,
        name,
        namespace,
        path,
        args,
        image_id,
        image_name,
        pid,
        exit_code,
        error,
        running,
        paused,
        restarting,
        oom_killed,
        dead,
        tty,
    })
}

fn container_state(state: types::ContainerState) -> ContainerState {
    match state {
        types::ContainerState::Created => ContainerState::Created,
        types::ContainerState::Running => ContainerState::Running,
        types::ContainerState::Pausing => ContainerState::Pausing,
        types::ContainerState::Paused => ContainerState::Paused,
        types::ContainerState::Restarting => ContainerState::Restarting,
        types::ContainerState::Removing => ContainerState::Removing,
        types::ContainerState::Exited => ContainerState::Exited,
        types::ContainerState::Dead => ContainerState::Dead,
        types::ContainerState::Unknown => ContainerState::Unknown,
    }
}

fn ports(ports: Vec<types::Port>, scale: &mut Scale) -> Checked<Vec<ExposedPort>> {
    let mut ports = ports
        .into_iter()
        .map(|types::Port { name, bindings }| {
            scale.text("ports", &name)?;
            let bindings = bindings
                .into_iter()
                .map(|types::PortBinding { host_ip, host_port }| {
                    scale.text("host-ip", &host_ip)?;
                    scale.text("host-port", &host_port)?;
                    Ok(PortBinding { host_ip, host_port })
                })
                .collect::<Checked<_>>()?;
            Ok(ExposedPort { name, bindings })
        })
        .collect::<Checked<Vec<_>>>()?;
    // The contract asks for the order; a sort that finds it costs nothing,
    // and readers compare whole lists.
    ports.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(ports)
}

fn image(it: types::Image, scale: &mut Scale) -> Checked<Image> {
    let types::Image {
        id,
        namespace,
        mut repo_tags,
        mut repo_digests,
        created_at,
        architecture,
        os,
        size,
        labels,
    } = it;
    check::name("image's ID", &id)?;
    check::namespace(&namespace)?;
    for tag in &repo_tags {
        check::name("image's tag", tag)?;
    }
    scale.texts("repo-tags", &repo_tags)?;
    scale.texts("repo-digests", &repo_digests)?;
    scale.text("architecture", &architecture)?;
    scale.text("os", &os)?;
    repo_tags.sort_unstable();
    repo_digests.sort_unstable();
    Ok(Image {
        created_at: time("created-at", created_at)?,
        labels: map("labels", labels, scale)?,
        id,
        namespace,
        repo_tags,
        repo_digests,
        architecture,
        os,
        size,
    })
}

fn volume(it: types::Volume, scale: &mut Scale) -> Checked<Volume> {
    let types::Volume {
        name,
        namespace,
        created_at,
        driver,
        mountpoint,
        labels,
        scope,
        options,
    } = it;
    check::name("volume's name", &name)?;
    check::namespace(&namespace)?;
    scale.text("driver", &driver)?;
    scale.text("mountpoint", &mountpoint)?;
    scale.text("scope", &scope)?;
    Ok(Volume {
        created_at: time("created-at", created_at)?,
        labels: map("labels", labels, scale)?,
        options: map("options", options, scale)?,
        name,
        namespace,
        driver,
        mountpoint,
        scope,
    })
}

fn map(
    what: &str,
    pairs: Vec<(String, String)>,
    scale: &mut Scale,
) -> Checked<BTreeMap<String, String>> {
    let mut map = BTreeMap::new();
    for (key, value) in pairs {
        scale.text(what, &key)?;
        scale.text(what, &value)?;
        if let Some(value) = map.insert(key, value) {
            return Err(violation!(
                "{what} hold a key twice, once with the value {}",
                check::shown(&value)
            ));
        }
    }
    Ok(map)
}

fn time(what: &str, time: Option<types::Timestamp>) -> Checked<Option<Timestamp>> {
    time.map(
        |types::Timestamp {
             seconds,
             nanoseconds,
         }| {
            Timestamp::new(seconds, nanoseconds)
                .ok_or_else(|| violation!("{what} has {nanoseconds} nanoseconds, a second or more"))
        },
    )
    .transpose()
}

/// The name of an object, checked.
pub(crate) fn object_ref(form: IdFormat, it: types::ObjectRef) -> Checked<ObjectRef> {
    let types::ObjectRef { kind, id } = it;
    let kind = match kind {
        types::ObjectKind::Container => ObjectKind::Container,
        types::ObjectKind::Image => ObjectKind::Image,
        types::ObjectKind::Volume => ObjectKind::Volume,
        types::ObjectKind::Namespace => ObjectKind::Namespace,
    };
    match kind {
        ObjectKind::Container => check::container_id(form, &id)?,
        ObjectKind::Image => check::name("image's ID", &id)?,
        ObjectKind::Volume => check::name("volume's name", &id)?,
        ObjectKind::Namespace => check::namespace(&id)?,
    }
    Ok(ObjectRef { kind, id })
}

/// The name of an object, for a component.
pub(crate) fn to_object_ref(it: &ObjectRef) -> types::ObjectRef {
    types::ObjectRef {
        kind: match it.kind {
            ObjectKind::Container => types::ObjectKind::Container,
            ObjectKind::Image => types::ObjectKind::Image,
            ObjectKind::Volume => types::ObjectKind::Volume,
            ObjectKind::Namespace => types::ObjectKind::Namespace,
        },
        id: it.id.clone(),
    }
}

/// Which part of a log is wanted, for a component.
pub(crate) fn to_log_options(options: &LogOptions) -> engine::LogOptions {
    let LogOptions {
        follow,
        tail,
        since,
        until,
        timestamps,
        stdout,
        stderr,
    } = options;
    engine::LogOptions {
        follow: *follow,
        tail: *tail,
        since: since.map(to_time),
        until: until.map(to_time),
        timestamps: *timestamps,
        stdout: *stdout,
        stderr: *stderr,
    }
}

/// What to do, for a component.
pub(crate) fn to_action(action: ContainerAction) -> lifecycle::Action {
    match action {
        ContainerAction::Start => lifecycle::Action::Start,
        ContainerAction::Stop => lifecycle::Action::Stop,
        ContainerAction::Pause => lifecycle::Action::Pause,
        ContainerAction::Unpause => lifecycle::Action::Unpause,
        ContainerAction::Restart => lifecycle::Action::Restart,
    }
}

/// What to remove, for a component.
pub(crate) fn to_removal(target: &RemoveRequest) -> lifecycle::Removal {
    match target {
        RemoveRequest::Container { id } => lifecycle::Removal::Container(id.clone()),
        RemoveRequest::ImageTag { tag, image_id } => {
            lifecycle::Removal::ImageTag((tag.clone(), image_id.clone()))
        }
        RemoveRequest::Image { id } => lifecycle::Removal::Image(id.clone()),
        RemoveRequest::Volume { name, created_at } => {
            lifecycle::Removal::Volume((name.clone(), created_at.map(to_time)))
        }
    }
}

/// A time, for a component.
pub(crate) fn to_time(time: Timestamp) -> types::Timestamp {
    types::Timestamp {
        seconds: time.seconds(),
        nanoseconds: time.nanoseconds(),
    }
}

/// Which stream a chunk is of.
pub(crate) fn log_source(source: engine::LogSource) -> LogSource {
    match source {
        engine::LogSource::Stdout => LogSource::Stdout,
        engine::LogSource::Stderr => LogSource::Stderr,
    }
}
