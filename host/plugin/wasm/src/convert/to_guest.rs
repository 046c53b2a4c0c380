//! Arguments for a component.

use std::collections::BTreeMap;

use rdd_core::{
    ContainerAction, ContainerRef, ContainerRestartPolicy, ContainerSpec, EntryOptions,
    EntryPosition, ExecOptions, ExposedPort, LogOptions, MountKind, MountSpec, ObjectKind,
    ObjectRef, PortBinding, PullSpec, PushSpec, RemoveRequest, RemoveTarget, Timestamp, VolumeSpec,
};

use crate::bindings::{images, lifecycle, logs, processes, types};

/// Converts a reference to an object.
pub(crate) fn to_object_ref(reference: &ObjectRef) -> types::ObjectRef {
    types::ObjectRef {
        kind: match reference.kind {
            ObjectKind::Container => types::ObjectKind::Container,
            ObjectKind::Image => types::ObjectKind::Image,
            ObjectKind::Volume => types::ObjectKind::Volume,
            ObjectKind::Namespace => types::ObjectKind::Namespace,
        },
        namespace: reference.namespace.clone(),
        id: reference.id.clone(),
    }
}

/// Converts a reference to a container.
pub(crate) fn to_container_ref(container: &ContainerRef) -> types::ContainerRef {
    types::ContainerRef {
        namespace: container.namespace.clone(),
        id: container.id.clone(),
    }
}

/// Converts the options of a log as bytes.
pub(crate) fn to_log_options(options: &LogOptions) -> logs::LogOptions {
    let LogOptions {
        follow,
        tail,
        since,
        until,
        timestamps,
        stdout,
        stderr,
    } = options;
    logs::LogOptions {
        follow: *follow,
        tail: *tail,
        since: since.map(to_time),
        until: until.map(to_time),
        timestamps: *timestamps,
        stdout: *stdout,
        stderr: *stderr,
    }
}

/// Converts the options of a log as entries.
pub(crate) fn to_entry_options(options: &EntryOptions) -> logs::EntryOptions {
    let EntryOptions {
        follow,
        tail,
        since,
        until,
        after,
        stdout,
        stderr,
    } = options;
    logs::EntryOptions {
        follow: *follow,
        tail: *tail,
        since: since.map(to_time),
        until: until.map(to_time),
        after: after.map(|EntryPosition { time, index }| logs::EntryPosition { time, index }),
        stdout: *stdout,
        stderr: *stderr,
    }
}

/// Converts an action.
pub(crate) fn to_action(action: ContainerAction) -> lifecycle::Action {
    match action {
        ContainerAction::Start => lifecycle::Action::Start,
        ContainerAction::Stop => lifecycle::Action::Stop,
        ContainerAction::Pause => lifecycle::Action::Pause,
        ContainerAction::Unpause => lifecycle::Action::Unpause,
        ContainerAction::Restart => lifecycle::Action::Restart,
    }
}

/// Converts a request to remove an object.
pub(crate) fn to_removal(request: &RemoveRequest) -> lifecycle::Removal {
    lifecycle::Removal {
        namespace: request.namespace.clone(),
        target: match &request.target {
            RemoveTarget::Container { id } => lifecycle::RemovalTarget::Container(id.clone()),
            RemoveTarget::ImageTag { tag, image_id } => {
                lifecycle::RemovalTarget::ImageTag((tag.clone(), image_id.clone()))
            }
            RemoveTarget::Image { id } => lifecycle::RemovalTarget::Image(id.clone()),
            RemoveTarget::Volume { name, created_at } => {
                lifecycle::RemovalTarget::Volume((name.clone(), created_at.map(to_time)))
            }
        },
    }
}

/// Converts a container to create.
pub(crate) fn to_container_spec(spec: &ContainerSpec) -> lifecycle::ContainerSpec {
    let ContainerSpec {
        namespace,
        name,
        image,
        command,
        args,
        env,
        labels,
        ports,
        mounts,
        working_dir,
        user,
        tty,
        restart_policy,
    } = spec.clone();
    lifecycle::ContainerSpec {
        namespace,
        name,
        image,
        command,
        args,
        env,
        labels: pairs(labels),
        ports: ports.into_iter().map(to_port).collect(),
        mounts: mounts.into_iter().map(to_mount).collect(),
        working_dir,
        user,
        tty,
        restart_policy: match restart_policy {
            ContainerRestartPolicy::No => lifecycle::RestartPolicy::No,
            ContainerRestartPolicy::Always => lifecycle::RestartPolicy::Always,
            ContainerRestartPolicy::UnlessStopped => lifecycle::RestartPolicy::UnlessStopped,
            ContainerRestartPolicy::OnFailure { max_retries } => {
                lifecycle::RestartPolicy::OnFailure(max_retries)
            }
        },
    }
}

fn to_port(ExposedPort { name, bindings }: ExposedPort) -> types::Port {
    let bindings = bindings
        .into_iter()
        .map(|PortBinding { host_ip, host_port }| types::PortBinding { host_ip, host_port })
        .collect();
    types::Port { name, bindings }
}

fn to_mount(mount: MountSpec) -> lifecycle::Mount {
    let MountSpec {
        kind,
        source,
        target,
        read_only,
    } = mount;
    lifecycle::Mount {
        kind: match kind {
            MountKind::Bind => lifecycle::MountKind::Bind,
            MountKind::Volume => lifecycle::MountKind::Volume,
            MountKind::Tmpfs => lifecycle::MountKind::Tmpfs,
        },
        source,
        target,
        read_only,
    }
}

/// Converts a volume to create.
pub(crate) fn to_volume_spec(spec: &VolumeSpec) -> lifecycle::VolumeSpec {
    let VolumeSpec {
        namespace,
        name,
        driver,
        options,
        labels,
    } = spec.clone();
    lifecycle::VolumeSpec {
        namespace,
        name,
        driver,
        options: pairs(options),
        labels: pairs(labels),
    }
}

/// Converts a process to run.
pub(crate) fn to_exec_options(options: &ExecOptions) -> processes::ExecOptions {
    let ExecOptions {
        command,
        env,
        working_dir,
        user,
        tty,
        stdin,
        stdout,
        stderr,
    } = options.clone();
    processes::ExecOptions {
        command,
        env,
        working_dir,
        user,
        tty,
        stdin,
        stdout,
        stderr,
    }
}

/// Converts an image to pull.
pub(crate) fn to_pull_spec(spec: &PullSpec) -> images::PullSpec {
    let PullSpec {
        namespace,
        image,
        platform,
    } = spec.clone();
    images::PullSpec {
        namespace,
        image,
        platform,
    }
}

/// Converts an image to push.
pub(crate) fn to_push_spec(spec: &PushSpec) -> images::PushSpec {
    let PushSpec { namespace, image } = spec.clone();
    images::PushSpec { namespace, image }
}

/// Converts a time.
pub(crate) fn to_time(time: Timestamp) -> types::Timestamp {
    types::Timestamp {
        seconds: time.seconds(),
        nanoseconds: time.nanoseconds(),
    }
}

fn pairs(map: BTreeMap<String, String>) -> Vec<(String, String)> {
    map.into_iter().collect()
}
