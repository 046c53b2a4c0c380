//! What to do next about one mirror: a pure function of what is known.
//!
//! # Why no removal can hit the wrong object
//!
//! The engine is asked to remove something in one place only: [`removal`],
//! reached when a mirror is terminating, carries our finalizer, is not stale
//! and its object is known to exist. The races, one by one:
//!
//! * *Removed and re-created in the engine* (`docker volume rm x; docker
//!   volume create x`). The engine's word that x is gone moves the entry's
//!   incarnation, so the old mirror is stale from then on, whoever deletes it:
//!   it is discarded, and the new x gets a mirror of its own. When that was
//!   not heard yet, the call carries the exact creation time of the volume
//!   that is meant, and the backend refuses to remove another one. The time
//!   may be told to the second, so a volume that was heard of a moment ago is
//!   not removed before that second and its events are over.
//! * *The same while the engine was not heard.* The next listing shows another
//!   creation time, which may also mean that the volume was written to (see
//!   `view`). A live mirror follows the time, and its deletion from then on is
//!   about what it shows. The write is bound to the version that was live, so
//!   that a mirror which somebody deleted meanwhile keeps the time that they
//!   saw. Such a mirror is discarded: if it was the same volume, its mirror
//!   comes back and has to be deleted again. A volume that was replaced within
//!   the second of its making, while nobody listened, cannot be told from the
//!   old one by anybody.
//! * *The daemon ends between stripping and deleting.* The finalizer goes
//!   first. A mirror without it can be deleted by anybody without a call, and
//!   a new process finds it and either takes it over or prunes it. Never is a
//!   mirror of a vanished object left terminating with the finalizer on.
//! * *The user deletes a mirror while we discard it.* Stripping tests the uid
//!   and the finalizer's place; deleting is bound to uid and version. What was
//!   re-created in between is not touched.
//! * *Late news.* The watch may tell of a mirror that has ended, terminating
//!   and with its finalizer, after the engine re-created the object. Its uid is
//!   remembered until the watch has told its end, and older versions than the
//!   newest that was seen are dropped.
//! * *A tag moved* (`docker tag new name`). The mirror of (old id, tag) is
//!   another object than that of (new id, tag); the view takes the tag from the
//!   old image at once, which moves the old mirror's incarnation. A removal by
//!   tag carries the image's id besides.
//! * *A second daemon writes to the same API*, perhaps for another engine. A
//!   mirror names the instance that made it, and only that instance acts on
//!   it. Our own sweeping, pruning and discarding cannot be taken for a user's
//!   deletion, not even by ourselves after a restart: the finalizer goes
//!   first, and the deletion is bound to the version without it, so nothing of
//!   ours ever leaves a mirror terminating with the finalizer on. Who takes a
//!   Lease over discards the mirrors of the instance before, deleted or not,
//!   without a call; only a container with the same ID is the same container,
//!   and keeps its mirror while it is live.
//! * *An upgrade.* Mirrors from before the instance label name nobody. A live
//!   one is claimed as it is; one that somebody has deleted is let go without a
//!   call, since two daemons without labels took each other's pruning for
//!   deletions, and nobody can tell afterwards.
//! * *The definition or the namespace is deleted*, and the mirrors with it. The
//!   last look before the call tells: see `deletion_check`.
//! * *We removed the object and the engine's earlier words arrive late* (the
//!   `die` of a forced removal). The entry is marked removed until the engine
//!   says so itself, so that the mirror is not written again. If it does not
//!   say so in time, its events are not to be trusted, and a new listing tells.

use std::sync::Arc;

use jiff::Timestamp;
use rdd_api::ActionName;
use rdd_core::{Container, ReadOnlyEngine, RemoveRequest};

use crate::desired::{Desired, Own, Refusal, Status, time};
use crate::entry::{ActionStage, Entry, Object, Observed, Owner, Version};
use crate::key::{Key, Kind};
use crate::operations::{interrupted_action, invalid_action};

/// What holds for all mirrors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    /// This instance of the daemon.
    pub(crate) instance: &'a str,
    /// Whether it holds the Lease. Without it, it writes nothing but the end of
    /// its own mirrors that belong nowhere.
    pub(crate) held: bool,
    /// The backend whose mirrors belong here.
    pub(crate) backend: &'a str,
    /// Whether they do belong here, or the App is stopped.
    pub(crate) running: bool,
    /// The Kubernetes namespace that they belong in.
    pub(crate) namespace: &'a str,
    /// Whether what the engine did not name does not exist.
    pub(crate) complete: bool,
    /// Whether the engine can be called.
    pub(crate) callable: bool,
    /// Whether the definition or the namespace of the mirror is being deleted
    /// or gone: then nothing can be written, and what is being deleted was not
    /// deleted for its own sake.
    pub(crate) blocked: bool,
    /// Whether nothing that changes the engine may reach it. What is asked for
    /// meanwhile is refused and forgotten: it must not outlive the mode.
    pub(crate) read_only: bool,
}

impl Context<'_> {
    /// Whether the mirror is of the backend and the namespace of the Lease.
    fn is_in_scope(&self, object: &Object) -> bool {
        *object.key.namespace == *self.namespace
            && object
                .backend
                .as_deref()
                .is_none_or(|label| *label == *self.backend)
    }
}

/// A change of one object in the API.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Job {
    /// Apply metadata, status or both.
    Write {
        backend: Box<str>,
        metadata: bool,
        status: Option<Box<Status>>,
        /// The version that the status may be written over; any when `None`.
        over: Option<Version>,
    },
    /// Strip our finalizer, then delete. The engine is not asked. Bound to the
    /// version that was seen, so that nobody can take a deletion of ours for a
    /// user's: see the head of this file.
    Discard {
        uid: Arc<str>,
        version: Version,
        finalizer: Option<usize>,
        /// False when somebody has deleted it already.
        delete: bool,
    },
    /// Remove the action annotation if it still has this value, and the claim
    /// with it; the claim alone when there is no action.
    DropAction {
        uid: Arc<str>,
        value: Option<Box<str>>,
    },
}

/// A call to the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Remove what the mirror of this uid stands for.
    Remove {
        uid: Arc<str>,
        target: RemoveRequest,
    },
    /// Perform an action; the annotation had this value.
    Act {
        value: Box<str>,
        action: ActionName,
        container: Arc<Container>,
    },
    /// Say in the status why the action that the annotation's value names is
    /// not performed. The engine is not asked.
    Reject { value: Box<str>, refusal: Refusal },
}

/// What to do next; nothing when everything is as it should be.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Plan {
    pub(crate) job: Option<Job>,
    pub(crate) operation: Option<Operation>,
}

/// Whether a mirror must go although nobody asked for it: it belongs to a
/// backend or a namespace that is not chosen, and is ours to sweep.
pub(crate) fn is_stray(observed: &Observed, context: Context<'_>) -> bool {
    let in_scope = context.is_in_scope(&observed.object);
    match observed.owner {
        Owner::Me => !context.running || !in_scope,
        Owner::Unclaimed => context.held && (!context.running || !in_scope),
        Owner::Other => context.held && !context.running && in_scope,
        Owner::Nobody => false,
    }
}

/// Decides.
pub(crate) fn plan(key: &Key, entry: &Entry, context: Context<'_>, now: Timestamp) -> Plan {
    let may_write = context.held && context.running;
    let Some(observed) = &entry.observed else {
        return match entry.wanted() {
            Some(desired) if may_write && !context.blocked => Plan::job(Job::Write {
                backend: context.backend.into(),
                metadata: true,
                status: desired.status(None, Own::default(), now).map(Box::new),
                over: None,
            }),
            _ => Plan::default(),
        };
    };
    let object = &observed.object;
    if is_stray(observed, context) {
        return discard(object);
    }
    let owner = observed.owner;
    if !may_write || (owner == Owner::Other && !context.is_in_scope(object)) {
        return Plan::default();
    }
    let gone = entry.wanted().is_none() && (context.complete || entry.removed.is_some());
    let stale = observed.incarnation != entry.incarnation;
    if object.terminating {
        if object.finalizer.is_none() {
            // Somebody else's finalizer holds it. When that goes, the watch
            // tells, and what the engine has is mirrored again.
            return Plan::default();
        }
        let is_wish = owner == Owner::Me
            && key.kind != Kind::Namespace
            && !context.read_only
            && !context.blocked;
        if !is_wish || stale || gone || entry.removal.is_over(&object.uid) {
            return discard(object);
        }
        return match entry.wanted() {
            Some(desired) if may_be_another(desired, object) => discard(object),
            Some(desired) => terminating(entry, object, desired, context, now),
            // The first listing will tell.
            None => Plan::default(),
        };
    }
    match entry.wanted() {
        _ if owner != Owner::Nobody && stale => discard(object),
        // The other kinds have names that two engines may both use.
        Some(_) if owner == Owner::Other && key.kind != Kind::Container => discard(object),
        Some(_) if context.blocked => Plan::default(),
        Some(desired) => live(entry, object, desired, context, now),
        None if owner != Owner::Nobody && gone => discard(object),
        None => Plan::default(),
    }
}

/// Whether the engine's object is perhaps not the one that the mirror shows.
fn may_be_another(desired: &Desired, object: &Object) -> bool {
    let Some(Status::Volume(status)) = &object.status else {
        return false;
    };
    matches!(
        (time(desired.created_at()), &status.created_at),
        (Some(is), Some(was)) if is != *was
    )
}

fn discard(object: &Object) -> Plan {
    if object.terminating && object.finalizer.is_none() {
        return Plan::default();
    }
    Plan::job(Job::Discard {
        uid: Arc::clone(&object.uid),
        version: object.version.clone(),
        finalizer: object.finalizer,
        delete: !object.terminating,
    })
}

/// Somebody deleted the mirror: the engine's object goes first.
fn terminating(
    entry: &Entry,
    object: &Object,
    desired: &Desired,
    context: Context<'_>,
    now: Timestamp,
) -> Plan {
    let own = Own {
        last_action: entry.last_action.as_ref(),
        deleting: true,
        refusal: entry.removal.refusal(&object.uid),
    };
    let status = desired
        .status(object.status.as_ref(), own, now)
        .filter(|status| object.status.as_ref() != Some(status));
    let may_begin = context.callable && !entry.is_young() && entry.removal.may_begin(&object.uid);
    let target = if may_begin {
        removal(desired, &object.key)
    } else {
        None
    };
    Plan {
        job: status.map(|status| Job::Write {
            backend: context.backend.into(),
            metadata: false,
            status: Some(Box::new(status)),
            over: None,
        }),
        operation: target.map(|target| Operation::Remove {
            uid: Arc::clone(&object.uid),
            target,
        }),
    }
}

/// What to remove, with what proves that it is still what the mirror shows.
fn removal(desired: &Desired, key: &Key) -> Option<RemoveRequest> {
    Some(match desired {
        Desired::Container(_) => RemoveRequest::Container {
            id: key.name.to_string(),
        },
        Desired::Image { image, tag } => match tag {
            Some(tag) => RemoveRequest::ImageTag {
                tag: tag.to_string(),
                image_id: image.id.clone(),
            },
            None => RemoveRequest::Image {
                id: image.id.clone(),
            },
        },
        Desired::Volume(volume) => RemoveRequest::Volume {
            name: volume.name.clone(),
            created_at: volume.created_at,
        },
        Desired::Namespace => return None,
    })
}

/// The mirror stands for something that exists.
fn live(
    entry: &Entry,
    object: &Object,
    desired: &Desired,
    context: Context<'_>,
    now: Timestamp,
) -> Plan {
    let metadata = object.backend.as_deref() != Some(context.backend)
        || object.instance.as_deref() != Some(context.instance)
        || (object.finalizer.is_none() && object.key.kind != Kind::Namespace);
    let own = Own {
        last_action: entry.last_action.as_ref(),
        ..Own::default()
    };
    let over = may_be_another(desired, object).then(|| object.version.clone());
    let status = desired
        .status(object.status.as_ref(), own, now)
        .filter(|status| object.status.as_ref() != Some(status))
        // Metadata that is written makes another version: one after the other.
        .filter(|_| !metadata || over.is_none());
    let mut plan = Plan::default();
    if metadata || status.is_some() {
        plan.job = Some(Job::Write {
            backend: context.backend.into(),
            metadata,
            status: status.map(Box::new),
            over,
        });
    }
    if metadata {
        // It is not ours to act on before it says so.
        return plan;
    }
    let (job, operation) = match (desired, &object.action) {
        (Desired::Container(container), Some(value)) => {
            action(entry, object, value, container, context)
        }
        (_, None) if object.claim.is_some() && entry.acting.is_none() => {
            (Some(drop_action(object, None)), None)
        }
        _ => (None, None),
    };
    // The status goes first: whoever waits for the annotation to go then finds
    // the outcome.
    plan.job = plan.job.or(job);
    plan.operation = operation;
    plan
}

/// What to do about the annotation that asks for an action.
fn action(
    entry: &Entry,
    object: &Object,
    value: &str,
    container: &Arc<Container>,
    context: Context<'_>,
) -> (Option<Job>, Option<Operation>) {
    let claimed_by_other = object
        .claim
        .as_deref()
        .is_some_and(|claim| *claim != *context.instance);
    match (&entry.action, ActionName::parse(value)) {
        _ if entry.acting.is_some() => (None, None),
        (ActionStage::Done(done), _) if **done == *value => {
            (Some(drop_action(object, Some(value))), None)
        }
        (_, None) => (None, Some(reject(value, invalid_action(value)))),
        (_, Some(_)) if context.read_only => {
            (None, Some(reject(value, ReadOnlyEngine::error().into())))
        }
        (_, Some(_)) if claimed_by_other => (None, Some(reject(value, interrupted_action()))),
        (_, Some(action)) if context.callable => {
            let operation = Operation::Act {
                value: value.into(),
                action,
                container: Arc::clone(container),
            };
            (None, Some(operation))
        }
        _ => (None, None),
    }
}

fn reject(value: &str, refusal: Refusal) -> Operation {
    Operation::Reject {
        value: value.into(),
        refusal,
    }
}

fn drop_action(object: &Object, value: Option<&str>) -> Job {
    Job::DropAction {
        uid: Arc::clone(&object.uid),
        value: value.map(Into::into),
    }
}

impl Plan {
    fn job(job: Job) -> Self {
        Self {
            job: Some(job),
            operation: None,
        }
    }
}

#[cfg(test)]
mod tests;
