//! What a mirror should look like: pure functions from the engine's object to
//! the status on the wire.
//!
//! Whatever an engine may say, the result is something that the API takes:
//! times out of range and host addresses that are none are left out.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use rdd_api::{
    ActionName, ActionState, Condition, ContainerPort, ContainerState, ContainerStatus, EngineTime,
    HostBinding, ImageStatus, LastAction, VolumeStatus, condition, reason,
};
use rdd_core::{Container, EngineError, ErrorCode, Image, Volume};
use serde::Serialize;

use crate::conditions::Conditions;
use crate::operations::whole;

/// The engine's side of a mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Desired {
    Container(Arc<Container>),
    Image {
        image: Arc<Image>,
        /// `None` for a dangling image.
        tag: Option<Arc<str>>,
    },
    Volume(Arc<Volume>),
    Namespace,
}

/// A mirror's status; a ContainerNamespace has none.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Status {
    Container(ContainerStatus),
    Image(ImageStatus),
    Volume(VolumeStatus),
}

/// Why the engine does not do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// One word, as a condition's reason has to be.
    pub(crate) reason: String,
    /// In the engine's words.
    pub(crate) message: String,
}

impl From<EngineError> for Refusal {
    fn from(error: EngineError) -> Self {
        let reason = match error.code {
            ErrorCode::NotFound => "NotFound",
            ErrorCode::Replaced => "Replaced",
            ErrorCode::Conflict => "Conflict",
            ErrorCode::InvalidArgument => "InvalidArgument",
            ErrorCode::PermissionDenied => "PermissionDenied",
            ErrorCode::Unavailable => "Unavailable",
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

/// What the host itself has to say in a status.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Own<'a> {
    /// The last action, newer than the one in the old status.
    pub(crate) last_action: Option<&'a LastAction>,
    /// Whether a deletion is under way: then an old DeleteFailed stays until a
    /// newer attempt speaks.
    pub(crate) deleting: bool,
    /// The newest failed attempt.
    pub(crate) refusal: Option<&'a Refusal>,
}

impl Desired {
    /// When a volume was made, which stands in for the ID that it has not. The
    /// other kinds are named by IDs that are never used again.
    pub(crate) fn created_at(&self) -> Option<rdd_core::Timestamp> {
        match self {
            Self::Volume(volume) => volume.created_at,
            Self::Container(_) | Self::Image { .. } | Self::Namespace => None,
        }
    }

    /// The status that the mirror should have. `was` is the one that it has:
    /// it lends the times of conditions whose status did not change, and the
    /// last action.
    pub(crate) fn status(
        &self,
        was: Option<&Status>,
        own: Own<'_>,
        now: Timestamp,
    ) -> Option<Status> {
        match self {
            Self::Container(container) => {
                let was = match was {
                    Some(Status::Container(was)) => Some(was),
                    _ => None,
                };
                Some(Status::Container(container_status(
                    container, was, own, now,
                )))
            }
            Self::Image { image, tag } => {
                let was = match was {
                    Some(Status::Image(was)) => was.conditions.as_slice(),
                    _ => &[],
                };
                let conditions = deletion(Conditions::over(was, now), own).into_vec();
                Some(Status::Image(image_status(
                    image,
                    tag.as_deref(),
                    conditions,
                )))
            }
            Self::Volume(volume) => {
                let was = match was {
                    Some(Status::Volume(was)) => was.conditions.as_slice(),
                    _ => &[],
                };
                let conditions = deletion(Conditions::over(was, now), own).into_vec();
                Some(Status::Volume(volume_status(volume, conditions)))
            }
            Self::Namespace => None,
        }
    }
}

fn container_status(
    container: &Container,
    was: Option<&ContainerStatus>,
    own: Own<'_>,
    now: Timestamp,
) -> ContainerStatus {
    let old = was.map_or(&[][..], |was| was.conditions.as_slice());
    let mut conditions = Conditions::over(old, now);
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
        status: state(container.state),
        pid: container.pid,
        exit_code: container.exit_code,
        error: container.error.clone(),
        created_at: time(container.created_at),
        started_at: time(container.started_at),
        finished_at: time(container.finished_at),
        ports: ports(&container.ports),
        conditions: deletion(conditions, own).into_vec(),
        last_action: last_action(container, was, own, now),
    }
}

/// The last action, corrected when it failed for want of an answer and the
/// container is what the action makes of one: the engine did it after all.
fn last_action(
    container: &Container,
    was: Option<&ContainerStatus>,
    own: Own<'_>,
    now: Timestamp,
) -> Option<LastAction> {
    /// Reasons that leave open whether the engine acts.
    const UNANSWERED: [&str; 5] = [
        "Timeout",
        "PluginFailed",
        "Unavailable",
        "Cancelled",
        "Internal",
    ];
    let was = was.and_then(|was| was.last_action.as_ref());
    let last = match (own.last_action, was) {
        // It was corrected already, which is no reason to do so at each sync.
        (Some(own), Some(was))
            if was.state == ActionState::Succeeded
                && was.action == own.action
                && was.observed_at == own.observed_at =>
        {
            was
        }
        (own, was) => own.or(was)?,
    };
    let unanswered =
        last.state == ActionState::Failed && UNANSWERED.contains(&last.reason.as_str());
    if !unanswered || !is_done(container, last) {
        return Some(last.clone());
    }
    Some(LastAction {
        state: ActionState::Succeeded,
        error: String::new(),
        reason: String::new(),
        completed_at: whole(now),
        ..last.clone()
    })
}

/// Whether the container is what the action makes of one.
fn is_done(container: &Container, last: &LastAction) -> bool {
    let runs = container.running && !container.paused && !container.restarting;
    match ActionName::parse(&last.action) {
        Some(ActionName::Start | ActionName::Unpause) => runs,
        Some(ActionName::Stop) => !container.running && !container.restarting,
        Some(ActionName::Pause) => container.paused,
        // It ran before, too.
        Some(ActionName::Restart) => {
            let observed = last.observed_at.0.as_second();
            runs && container
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
        created_at: time(image.created_at),
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
        created_at: time(volume.created_at),
        driver: volume.driver.clone(),
        mountpoint: volume.mountpoint.clone(),
        labels: volume.labels.clone(),
        scope: volume.scope.clone(),
        options: volume.options.clone(),
        conditions,
    }
}

fn deletion<'a>(mut conditions: Conditions<'a>, own: Own<'_>) -> Conditions<'a> {
    match own.refusal {
        Some(refusal) => conditions.set(
            condition::DELETE_FAILED,
            true,
            &refusal.reason,
            &refusal.message,
            None,
        ),
        None if own.deleting => conditions.keep(condition::DELETE_FAILED),
        None => {}
    }
    conditions
}

fn state(state: rdd_core::ContainerState) -> ContainerState {
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

/// Duplicates of a port's name would be refused as duplicate keys of the list,
/// so their bindings are merged.
fn ports(ports: &[rdd_core::ExposedPort]) -> Vec<ContainerPort> {
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

/// An address that is none is left out, not printed.
fn host_ip(text: &str) -> String {
    match text.parse::<IpAddr>() {
        Ok(_) => text.to_owned(),
        Err(_) => String::new(),
    }
}

/// A time as the wire carries it: whole seconds, years that RFC 3339 can name.
pub(crate) fn time(at: Option<rdd_core::Timestamp>) -> Option<EngineTime> {
    let at = at.filter(|at| *at > rdd_core::Timestamp::GO_ZERO)?;
    EngineTime::new(at.to_civil()?)
}

#[cfg(test)]
mod tests;
