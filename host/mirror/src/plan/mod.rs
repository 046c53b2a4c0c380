//! Decides the next step for one mirror: [`reconcile`] is a pure function of
//! what is known.
//!
//! # Why a removal cannot hit the wrong object
//!
//! Only one place requests a removal from the engine: [`removal_request`]. It
//! is reached when a mirror is terminating, carries our finalizer, is not
//! stale, and its object is known to exist. The possible races are:
//!
//! * *An object is removed and recreated in the engine* (`docker volume rm x;
//!   docker volume create x`). The event that x is gone increments the
//!   incarnation of the entry. From then on, the old mirror is stale, no
//!   matter who deletes it: it is pruned, and the new x gets its own mirror. If
//!   that event has not arrived yet, the request carries the exact creation
//!   time of the intended volume, and the backend refuses to remove another
//!   one. Creation times may have a resolution of one second, so a volume that
//!   was reported a moment ago is not removed before that second is over and
//!   its events have arrived.
//! * *The same while the engine is disconnected.* The next listing shows
//!   another creation time, which may also mean that the volume was written to
//!   (see `view`). A live mirror follows the time, and its deletion from then
//!   on applies to the volume that it shows. The write is conditional on the
//!   version that was live, so that a mirror that was deleted in the meantime
//!   keeps the time that the client saw. Such a mirror is pruned: if it was the
//!   same volume, the mirror is recreated and must be deleted again. A volume
//!   that was replaced within the second of its creation while the engine was
//!   disconnected cannot be distinguished from the old one by any means.
//! * *The daemon stops between removing the finalizer and deleting the mirror.*
//!   The finalizer is removed first. A mirror without it can be deleted by
//!   anybody without a removal, and a new process finds it and either adopts or
//!   prunes it. A mirror of an object that no longer exists is never left
//!   terminating with the finalizer.
//! * *A client deletes a mirror while it is being pruned.* Removing the
//!   finalizer tests the UID and the index of the finalizer; deleting is
//!   conditional on UID and version. An object that was recreated in between is
//!   not affected.
//! * *Another namespace of the engine becomes the default one*, since the
//!   backend was upgraded. A mirror's name may then be that of an object of
//!   another namespace than the mirror shows. While the daemon runs, that
//!   increments the incarnation; after a restart, the namespace in the status
//!   of the mirror differs, and a deleted mirror is pruned.
//! * *Late events.* After the engine recreated an object, the watch may deliver
//!   an event about a mirror that has been deleted, terminating and with its
//!   finalizer. Its UID is kept as a tombstone until the watch has delivered
//!   its deletion, and versions older than the newest one seen are dropped.
//! * *A tag moved* (`docker tag new name`). The mirror of (old ID, tag) is
//!   another object than that of (new ID, tag). The view takes the tag from the
//!   old image at once, which increments the incarnation of the old mirror. In
//!   addition, a removal by tag carries the ID of the image.
//! * *A second daemon writes to the same API*, possibly for another engine. A
//!   mirror names the instance that created it, and only that instance acts on
//!   it. Pruning cannot be mistaken for a client's deletion, not even by the
//!   same instance after a restart: the finalizer is removed first, and the
//!   deletion is conditional on the version without it, so we never leave a
//!   mirror terminating with the finalizer. An instance that takes over a Lease
//!   prunes the mirrors of its predecessor, deleted or not, without an engine
//!   request. Only a container with the same ID is the same container, and
//!   keeps its mirror while that is live.
//! * *An upgrade.* Mirrors from before the instance label name no instance. A
//!   live one is claimed as it is. One that was deleted is released without an
//!   engine request: daemons without the label mistook each other's pruning for
//!   deletions, and the two cannot be distinguished afterwards.
//! * *The definition or the namespace is deleted*, and the mirrors with it. The
//!   last check before the removal detects this: see `deletion_check`.
//! * *The engine removed the object on our request, and its earlier events
//!   arrive late* (the `die` event of a forced removal). The entry is marked as
//!   removed until the engine reports the removal, so that the mirror is not
//!   recreated. If the engine does not report it in time, events are considered
//!   lost, and a new listing is requested.

mod object_identity;
mod reconcile_plan;

use std::sync::Arc;

use jiff::Timestamp;
use rdd_api::ActionName;
use rdd_core::{Container, ReadOnlyEngine};

use crate::actions::{interrupted_action, invalid_action};
use crate::desired_state::{DesiredState, HostStatus, RequestFailure};
use crate::entry::{ActionStage, MirrorEntry, MirrorObject, MirrorOwner, ObservedMirror};
use crate::key::{MirrorKey, MirrorKind};
use object_identity::{may_be_different_object, removal_request};
pub(crate) use reconcile_plan::{EngineRequest, ReconcilePlan, WriteRequest};

/// The state that is common to all mirrors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlanContext<'a> {
    /// This instance of the daemon.
    pub(crate) instance: &'a str,
    /// Whether it holds the Lease. Without it, it only prunes its own orphans.
    pub(crate) lease_held: bool,
    /// The selected backend.
    pub(crate) backend: &'a str,
    /// Whether the App is running.
    pub(crate) running: bool,
    /// The Kubernetes namespace of the mirrors.
    pub(crate) namespace: &'a str,
    /// Whether the engine has been listed completely: objects that it has not
    /// reported do not exist.
    pub(crate) engine_listed: bool,
    /// Whether the engine can be called.
    pub(crate) engine_callable: bool,
    /// Whether the definition or the namespace of the mirror is terminating or
    /// missing: then nothing can be written, and a terminating mirror was not
    /// deleted by a client.
    pub(crate) blocked: bool,
    /// Whether every change of the engine is refused. Requests made in this
    /// mode are dropped, so that they are not carried out after it ends.
    pub(crate) read_only: bool,
}

impl PlanContext<'_> {
    /// Returns whether the mirror belongs to the backend and the namespace of
    /// the Lease.
    fn is_in_scope(&self, object: &MirrorObject) -> bool {
        *object.key.namespace == *self.namespace
            && object
                .backend
                .as_deref()
                .is_none_or(|label| *label == *self.backend)
    }
}

/// Returns whether a mirror must be pruned although its object may exist: it
/// belongs to a backend or a namespace that is not selected, and this instance
/// is responsible for it.
pub(crate) fn is_orphan(observed: &ObservedMirror, context: PlanContext<'_>) -> bool {
    let in_scope = context.is_in_scope(&observed.object);
    match observed.owner {
        MirrorOwner::ThisInstance => !context.running || !in_scope,
        MirrorOwner::Unclaimed => context.lease_held && (!context.running || !in_scope),
        MirrorOwner::OtherInstance => context.lease_held && !context.running && in_scope,
        MirrorOwner::Unmanaged => false,
    }
}

/// Compares what the engine has with the mirror in the API and returns the next
/// step.
pub(crate) fn reconcile(
    key: &MirrorKey,
    entry: &MirrorEntry,
    context: PlanContext<'_>,
    now: Timestamp,
) -> ReconcilePlan {
    let may_write = context.lease_held && context.running;
    let Some(observed) = &entry.observed else {
        return match entry.effective_desired() {
            Some(desired) if may_write && !context.blocked => {
                ReconcilePlan::write(WriteRequest::Apply {
                    backend: context.backend.into(),
                    metadata: true,
                    status: desired
                        .status(None, HostStatus::default(), now)
                        .map(Box::new),
                    expected_version: None,
                })
            }
            _ => ReconcilePlan::default(),
        };
    };
    let object = &observed.object;
    if is_orphan(observed, context) {
        return prune(object);
    }
    let owner = observed.owner;
    if !may_write || (owner == MirrorOwner::OtherInstance && !context.is_in_scope(object)) {
        return ReconcilePlan::default();
    }
    let is_gone = entry.effective_desired().is_none()
        && (context.engine_listed || entry.removed_in_listing.is_some());
    let is_stale = observed.incarnation != entry.incarnation;
    if object.terminating {
        if object.finalizer.is_none() {
            // Another finalizer holds it. After its removal, the watch reports
            // the deletion, and the object is mirrored again.
            return ReconcilePlan::default();
        }
        let is_client_deletion = owner == MirrorOwner::ThisInstance
            && key.kind != MirrorKind::Namespace
            && !context.read_only
            && !context.blocked;
        if !is_client_deletion || is_stale || is_gone || entry.removal.is_finished(&object.uid) {
            return prune(object);
        }
        return match entry.effective_desired() {
            Some(desired) if may_be_different_object(desired, object) => prune(object),
            Some(desired) => plan_deletion(entry, object, desired, context, now),
            // Decided after the first listing.
            None => ReconcilePlan::default(),
        };
    }
    match entry.effective_desired() {
        _ if owner != MirrorOwner::Unmanaged && is_stale => prune(object),
        // Unlike container IDs, names of the other kinds may exist in two
        // engines.
        Some(_) if owner == MirrorOwner::OtherInstance && key.kind != MirrorKind::Container => {
            prune(object)
        }
        Some(_) if context.blocked => ReconcilePlan::default(),
        Some(desired) => plan_live(entry, object, desired, context, now),
        None if owner != MirrorOwner::Unmanaged && is_gone => prune(object),
        None => ReconcilePlan::default(),
    }
}

fn prune(object: &MirrorObject) -> ReconcilePlan {
    if object.terminating && object.finalizer.is_none() {
        return ReconcilePlan::default();
    }
    ReconcilePlan::write(WriteRequest::Prune {
        uid: Arc::clone(&object.uid),
        version: object.version.clone(),
        finalizer: object.finalizer,
        delete: !object.terminating,
    })
}

/// Plans for a mirror that a client deleted: the engine's object is removed
/// first.
fn plan_deletion(
    entry: &MirrorEntry,
    object: &MirrorObject,
    desired: &DesiredState,
    context: PlanContext<'_>,
    now: Timestamp,
) -> ReconcilePlan {
    let host_status = HostStatus {
        last_action: entry.last_action.as_ref(),
        is_deleting: true,
        failure: entry.removal.failure(&object.uid),
    };
    let status = desired
        .status(object.status.as_ref(), host_status, now)
        .filter(|status| object.status.as_ref() != Some(status));
    let can_start =
        context.engine_callable && !entry.is_settling() && entry.removal.can_start(&object.uid);
    let request = if can_start {
        removal_request(desired)
    } else {
        None
    };
    ReconcilePlan {
        write: status.map(|status| WriteRequest::Apply {
            backend: context.backend.into(),
            metadata: false,
            status: Some(Box::new(status)),
            expected_version: None,
        }),
        engine_request: request.map(|request| EngineRequest::Remove {
            uid: Arc::clone(&object.uid),
            request,
        }),
    }
}

/// Plans for a live mirror of an existing object.
fn plan_live(
    entry: &MirrorEntry,
    object: &MirrorObject,
    desired: &DesiredState,
    context: PlanContext<'_>,
    now: Timestamp,
) -> ReconcilePlan {
    let metadata = object.backend.as_deref() != Some(context.backend)
        || object.instance.as_deref() != Some(context.instance)
        || (object.finalizer.is_none() && object.key.kind != MirrorKind::Namespace);
    let host_status = HostStatus {
        last_action: entry.last_action.as_ref(),
        ..HostStatus::default()
    };
    let expected_version = may_be_different_object(desired, object).then(|| object.version.clone());
    let status = desired
        .status(object.status.as_ref(), host_status, now)
        .filter(|status| object.status.as_ref() != Some(status))
        // Writing metadata changes the version, so a conditional status write
        // follows separately.
        .filter(|_| !metadata || expected_version.is_none());
    let mut plan = ReconcilePlan::default();
    if metadata || status.is_some() {
        plan.write = Some(WriteRequest::Apply {
            backend: context.backend.into(),
            metadata,
            status: status.map(Box::new),
            expected_version,
        });
    }
    if metadata {
        // Actions wait until the labels of the mirror name this instance.
        return plan;
    }
    let (write, engine_request) = match (desired, &object.action) {
        (DesiredState::Container(container), Some(value)) => {
            plan_action(entry, object, value, container, context)
        }
        (_, None) if object.claim.is_some() && entry.acting_uid.is_none() => {
            (Some(clear_action(object, None)), None)
        }
        _ => (None, None),
    };
    // The status is written first: clients that wait until the annotation is
    // removed then find the outcome.
    plan.write = plan.write.or(write);
    plan.engine_request = engine_request;
    plan
}

/// Plans for the annotation that requests an action.
fn plan_action(
    entry: &MirrorEntry,
    object: &MirrorObject,
    value: &str,
    container: &Arc<Container>,
    context: PlanContext<'_>,
) -> (Option<WriteRequest>, Option<EngineRequest>) {
    let is_claimed_by_other = object
        .claim
        .as_deref()
        .is_some_and(|claim| *claim != *context.instance);
    match (&entry.action, ActionName::parse(value)) {
        _ if entry.acting_uid.is_some() => (None, None),
        (ActionStage::Done(done), _) if **done == *value => {
            (Some(clear_action(object, Some(value))), None)
        }
        (_, None) => (None, Some(reject(value, invalid_action(value)))),
        (_, Some(_)) if context.read_only => {
            (None, Some(reject(value, ReadOnlyEngine::error().into())))
        }
        (_, Some(_)) if is_claimed_by_other => (None, Some(reject(value, interrupted_action()))),
        (_, Some(action)) if context.engine_callable => {
            let request = EngineRequest::Act {
                value: value.into(),
                action,
                container: Arc::clone(container),
            };
            (None, Some(request))
        }
        _ => (None, None),
    }
}

fn reject(value: &str, failure: RequestFailure) -> EngineRequest {
    EngineRequest::Reject {
        value: value.into(),
        failure,
    }
}

fn clear_action(object: &MirrorObject, value: Option<&str>) -> WriteRequest {
    WriteRequest::ClearAction {
        uid: Arc::clone(&object.uid),
        value: value.map(Into::into),
    }
}

#[cfg(test)]
mod tests;
