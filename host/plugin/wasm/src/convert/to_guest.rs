//! Arguments for a component.

use rdd_core::{ContainerAction, LogOptions, ObjectKind, ObjectRef, RemoveTarget, Timestamp};

use crate::bindings::{engine, lifecycle, types};

/// Converts a reference to an object. Its namespace is left out: the caller has
/// checked that it is the one that the guest assumes.
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

/// Converts the options of a log.
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

/// Converts the target of a removal.
pub(crate) fn to_removal(target: &RemoveTarget) -> lifecycle::Removal {
    match target {
        RemoveTarget::Container { id } => lifecycle::Removal::Container(id.clone()),
        RemoveTarget::ImageTag { tag, image_id } => {
            lifecycle::Removal::ImageTag((tag.clone(), image_id.clone()))
        }
        RemoveTarget::Image { id } => lifecycle::Removal::Image(id.clone()),
        RemoveTarget::Volume { name, created_at } => {
            lifecycle::Removal::Volume((name.clone(), created_at.map(to_time)))
        }
    }
}

/// Converts a time.
pub(crate) fn to_time(time: Timestamp) -> types::Timestamp {
    types::Timestamp {
        seconds: time.seconds(),
        nanoseconds: time.nanoseconds(),
    }
}
