//! The desired state of mirrors: pure functions from an object of the engine to
//! the status in the API.
//!
//! The result is always valid in the API, whatever the engine reports:
//! timestamps out of range and invalid host addresses are omitted.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use rdd_api::{
    ActionName, ActionState, Condition, ContainerPort, ContainerState, ContainerStatus, EngineTime,
    HostBinding, ImageStatus, LastAction, Time, VolumeStatus, condition, reason,
};
use rdd_core::{Container, EngineError, ErrorCode, Image, Volume};
use serde::Serialize;

use crate::conditions::ConditionSet;

/// The object of the engine that a mirror represents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DesiredState {
    Container(Arc<Container>),
    Image {
        image: Arc<Image>,
        /// `None` for a dangling image.
        tag: Option<Arc<str>>,
    },
    Volume(Arc<Volume>),
    Namespace,
}

/// The status of a mirror. A ContainerNamespace has none.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum MirrorStatus {
    Container(ContainerStatus),
    Image(ImageStatus),
    Volume(VolumeStatus),
}

/// Why a removal or an action failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestFailure {
    /// One word in CamelCase, as in the reason of a condition.
    pub(crate) reason: String,
    /// The message, usually from the engine.
    pub(crate) message: String,
}

impl From<EngineError> for RequestFailure {
    fn from(error: EngineError) -> Self {
        let reason = match error.code {
            ErrorCode::NotFound => "NotFound",
            ErrorCode::Replaced => "Replaced",
            ErrorCode::Conflict => "Conflict",
            ErrorCode::InvalidArgument => "InvalidArgument",
            ErrorCode::PermissionDenied => "PermissionDenied",
            ErrorCode::Unavailable | ErrorCode::LimitReached => "Unavailable",
            ErrorCode::Unsupported => "Unsupported",
            ErrorCode::Timeout => "Timeout",
            ErrorCode::Cancelled => "Cancelled",
            ErrorCode::PluginFailed => "PluginFailed",
            ErrorCode::Internal => "Internal",
            _ => "Other",
        };
        Self {
            reason: reason.to_owned(),
            message: error.message,
        }
    }
}

/// The part of a status that comes from the host and not from the engine.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HostStatus<'a> {
    /// The last action, if it is newer than the one in the current status.
    pub(crate) last_action: Option<&'a LastAction>,
    /// Whether a deletion is in progress: then DeleteFailed stays until the
    /// next attempt has finished.
    pub(crate) is_deleting: bool,
    /// The failure of the last attempt to remove the object.
    pub(crate) failure: Option<&'a RequestFailure>,
}

impl DesiredState {
    /// Returns the creation time of a volume, which substitutes for the ID that
    /// volumes do not have. The other kinds have IDs that are never reused.
    pub(crate) fn created_at(&self) -> Option<rdd_core::Timestamp> {
        match self {
            Self::Volume(volume) => volume.created_at,
            Self::Container(_) | Self::Image { .. } | Self::Namespace => None,
        }
    }

    /// Returns the status that the mirror should have. Transition times of
    /// conditions that did not change, and the last action, are taken from its
    /// `current` status.
    pub(crate) fn status(
        &self,
        current: Option<&MirrorStatus>,
        host_status: HostStatus<'_>,
        now: Timestamp,
    ) -> Option<MirrorStatus> {
        match self {
            Self::Container(container) => {
                let current = match current {
                    Some(MirrorStatus::Container(current)) => Some(current),
                    _ => None,
                };
                Some(MirrorStatus::Container(container_status(
                    container,
                    current,
                    host_status,
                    now,
                )))
            }
            Self::Image { image, tag } => {
                let current = match current {
                    Some(MirrorStatus::Image(current)) => current.conditions.as_slice(),
                    _ => &[],
                };
                let conditions =
                    with_delete_failed(ConditionSet::replacing(current, now), host_status)
                        .into_vec();
                Some(MirrorStatus::Image(image_status(
                    image,
                    tag.as_deref(),
                    conditions,
                )))
            }
            Self::Volume(volume) => {
                let current = match current {
                    Some(MirrorStatus::Volume(current)) => current.conditions.as_slice(),
                    _ => &[],
                };
                let conditions =
                    with_delete_failed(ConditionSet::replacing(current, now), host_status)
                        .into_vec();
                Some(MirrorStatus::Volume(volume_status(volume, conditions)))
            }
            Self::Namespace => None,
        }
    }
}

fn container_status(
    container: &Container,
    current: Option<&ContainerStatus>,
    host_status: HostStatus<'_>,
    now: Timestamp,
) -> ContainerStatus {
    let conditions = current.map_or(&[][..], |current| current.conditions.as_slice());
    let mut conditions = ConditionSet::replacing(conditions, now);
    for (type_, holds) in [
        (condition::RUNNING, container.running),
        (condition::PAUSED, container.paused),
        (condition::RESTARTING, container.restarting),
        (condition::OOM_KILLED, container.oom_killed),
        (condition::DEAD, container.dead),
    ] {
        let why = if holds {
            reason::REPORTED
        } else {
            reason::NOT_REPORTED
        };
        conditions.set(type_, holds, why, "", None);
    }
    ContainerStatus {
        name: container.name.clone(),
        namespace: container.namespace.clone(),
        path: container.path.clone(),
        args: container.args.clone(),
        image: container.image_id.clone(),
        image_name: container.image_name.clone(),
        labels: container.labels.clone(),
        status: wire_state(container.state),
        pid: container.pid,
        exit_code: container.exit_code,
        error: container.error.clone(),
        created_at: wire_time(container.created_at),
        started_at: wire_time(container.started_at),
        finished_at: wire_time(container.finished_at),
        ports: wire_ports(&container.ports),
        conditions: with_delete_failed(conditions, host_status).into_vec(),
        last_action: last_action(container, current, host_status, now),
    }
}

/// Returns the last action. If it failed without a response and the container
/// is in the state that the action leads to, the engine carried it out after
/// all, and the outcome is corrected.
fn last_action(
    container: &Container,
    current: Option<&ContainerStatus>,
    host_status: HostStatus<'_>,
    now: Timestamp,
) -> Option<LastAction> {
    /// Reasons after which the engine may still carry out the action.
    const UNKNOWN_OUTCOME: [&str; 5] = [
        "Timeout",
        "PluginFailed",
        "Unavailable",
        "Cancelled",
        "Internal",
    ];
    let current = current.and_then(|current| current.last_action.as_ref());
    let last = match (host_status.last_action, current) {
        // It has already been corrected; the completion time must not change
        // with each sync.
        (Some(new), Some(current))
            if current.state == ActionState::Succeeded
                && current.action == new.action
                && current.observed_at == new.observed_at =>
        {
            current
        }
        (new, current) => new.or(current)?,
    };
    let is_unknown_outcome =
        last.state == ActionState::Failed && UNKNOWN_OUTCOME.contains(&last.reason.as_str());
    if !is_unknown_outcome || !is_in_target_state(container, last) {
        return Some(last.clone());
    }
    Some(LastAction {
        state: ActionState::Succeeded,
        error: String::new(),
        reason: String::new(),
        completed_at: whole_seconds(now),
        ..last.clone()
    })
}

/// Returns whether the container is in the state that the action leads to.
fn is_in_target_state(container: &Container, last: &LastAction) -> bool {
    let is_running = container.running && !container.paused && !container.restarting;
    match ActionName::parse(&last.action) {
        Some(ActionName::Start | ActionName::Unpause) => is_running,
        Some(ActionName::Stop) => !container.running && !container.restarting,
        Some(ActionName::Pause) => container.paused,
        // It current also running before the action.
        Some(ActionName::Restart) => {
            let observed = last.observed_at.0.as_second();
            is_running
                && container
                    .started_at
                    .is_some_and(|at| at.seconds() >= observed)
        }
        None => false,
    }
}

fn image_status(image: &Image, tag: Option<&str>, conditions: Vec<Condition>) -> ImageStatus {
    let mut repo_digests = image.repo_digests.clone();
    repo_digests.sort();
    ImageStatus {
        namespace: image.namespace.clone(),
        id: image.id.clone(),
        repo_tag: tag.map(str::to_owned),
        repo_digests,
        created_at: wire_time(image.created_at),
        architecture: image.architecture.clone(),
        os: image.os.clone(),
        size: image.size,
        labels: image.labels.clone(),
        conditions,
    }
}

fn volume_status(volume: &Volume, conditions: Vec<Condition>) -> VolumeStatus {
    VolumeStatus {
        name: volume.name.clone(),
        namespace: volume.namespace.clone(),
        created_at: wire_time(volume.created_at),
        driver: volume.driver.clone(),
        mountpoint: volume.mountpoint.clone(),
        labels: volume.labels.clone(),
        scope: volume.scope.clone(),
        options: volume.options.clone(),
        conditions,
    }
}

fn with_delete_failed<'a>(
    mut conditions: ConditionSet<'a>,
    host_status: HostStatus<'_>,
) -> ConditionSet<'a> {
    match host_status.failure {
        Some(refusal) => conditions.set(
            condition::DELETE_FAILED,
            true,
            &refusal.reason,
            &refusal.message,
            None,
        ),
        None if host_status.is_deleting => conditions.keep(condition::DELETE_FAILED),
        None => {}
    }
    conditions
}

fn wire_state(state: rdd_core::ContainerState) -> ContainerState {
    use rdd_core::ContainerState as Engine;
    match state {
        Engine::Created => ContainerState::Created,
        Engine::Running => ContainerState::Running,
        Engine::Pausing => ContainerState::Pausing,
        Engine::Paused => ContainerState::Paused,
        Engine::Restarting => ContainerState::Restarting,
        Engine::Removing => ContainerState::Removing,
        Engine::Exited => ContainerState::Exited,
        Engine::Dead => ContainerState::Dead,
        Engine::Unknown => ContainerState::Unknown,
    }
}

/// Returns the ports with the bindings of duplicates merged: port names are the
/// keys of the list, and the API rejects duplicate keys.
fn wire_ports(ports: &[rdd_core::ExposedPort]) -> Vec<ContainerPort> {
    let mut result: Vec<ContainerPort> = Vec::with_capacity(ports.len());
    let mut sorted: Vec<_> = ports.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    for port in sorted {
        let bindings = port.bindings.iter().map(|binding| HostBinding {
            host_ip: host_ip(&binding.host_ip),
            host_port: binding.host_port.clone(),
        });
        match result.last_mut() {
            Some(last) if last.name == port.name => last.bindings.extend(bindings),
            _ => result.push(ContainerPort {
                name: port.name.clone(),
                bindings: bindings.collect(),
            }),
        }
    }
    for port in &mut result {
        port.bindings.sort();
        port.bindings.dedup();
    }
    result
}

/// Returns the text if it is an IP address, and an empty one otherwise.
fn host_ip(text: &str) -> String {
    match text.parse::<IpAddr>() {
        Ok(_) => text.to_owned(),
        Err(_) => String::new(),
    }
}

/// Converts a timestamp to the resolution and range of the API: whole seconds,
/// and years that RFC 3339 can represent.
pub(crate) fn wire_time(at: Option<rdd_core::Timestamp>) -> Option<EngineTime> {
    let at = at.filter(|at| *at > rdd_core::Timestamp::GO_ZERO)?;
    EngineTime::new(at.to_civil()?)
}

/// Truncates a timestamp to whole seconds, the resolution of the Kubernetes
/// API.
pub(crate) fn whole_seconds(at: Timestamp) -> Time {
    // Cannot fail: truncating a valid timestamp gives a valid one.
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}

#[cfg(test)]
mod tests;
