//! The controller's record of one mirror: the engine's side and the API's side.

use std::sync::Arc;

use rdd_api::LastAction;

use crate::desired_state::{DesiredState, MirrorStatus, RequestFailure};
use crate::key::MirrorKey;

/// A mirror as the API has it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MirrorObject {
    pub(crate) key: MirrorKey,
    pub(crate) uid: Arc<str>,
    pub(crate) version: ResourceVersion,
    /// Whether it has been deleted and is held by finalizers.
    pub(crate) terminating: bool,
    /// Index of our finalizer in the list of finalizers.
    pub(crate) finalizer: Option<usize>,
    /// Value of the backend label.
    pub(crate) backend: Option<Box<str>>,
    /// Value of the instance label.
    pub(crate) instance: Option<Box<str>>,
    /// Value of the action annotation.
    pub(crate) action: Option<Box<str>>,
    /// Value of the annotation that claims the action.
    pub(crate) claim: Option<Box<str>>,
    pub(crate) status: Option<MirrorStatus>,
}

impl MirrorObject {
    /// Returns the owner of the mirror from the point of view of `instance`.
    pub(crate) fn owner(&self, instance: &str) -> MirrorOwner {
        match &self.instance {
            Some(label) if **label == *instance => MirrorOwner::ThisInstance,
            Some(_) => MirrorOwner::OtherInstance,
            None if self.backend.is_some() || self.finalizer.is_some() => MirrorOwner::Unclaimed,
            None => MirrorOwner::Unmanaged,
        }
    }
}

/// The owner of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MirrorOwner {
    ThisInstance,
    OtherInstance,
    /// A mirror without an instance label: it was created before the label was
    /// introduced, or the label was removed.
    Unclaimed,
    /// Not a mirror: it has neither label nor our finalizer, which nobody else
    /// sets.
    Unmanaged,
}

/// A resource version. Since Kubernetes 1.35, the versions of one resource are
/// guaranteed to be comparable as numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResourceVersion(pub(crate) Box<str>);

impl ResourceVersion {
    /// Returns the version as a number, or `None` if it is not one. Such a
    /// version is never considered stale.
    pub(crate) fn number(&self) -> Option<u64> {
        self.0.parse().ok()
    }
}

/// A mirror in the API, and what it represents.
#[derive(Debug)]
pub(crate) struct ObservedMirror {
    pub(crate) object: MirrorObject,
    /// The incarnation of the engine's object that the mirror was created for;
    /// see [`MirrorEntry::incarnation`].
    pub(crate) incarnation: u64,
    /// The listing of the API during which it was last seen or written.
    pub(crate) list_generation: u64,
    /// The owner. Marks that have been removed still count: pruning removes the
    /// finalizer before the object, and users may remove the labels.
    pub(crate) owner: MirrorOwner,
}

/// The progress of the action that the annotation requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum ActionStage {
    #[default]
    Idle,
    /// The action with this value is finished. First the status is written,
    /// then the annotation is removed.
    Done(Box<str>),
}

/// A removal that was requested from the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RemovalCall {
    /// [`MirrorEntry::incarnation`] when the removal was requested.
    pub(crate) incarnation: u64,
    /// Whether an object that may have blocked the removal has been removed
    /// since.
    pub(crate) blocker_removed: bool,
}

/// The progress of the removal from the engine that a client requested by
/// deleting the mirror with this UID.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum RemovalStage {
    #[default]
    Idle,
    Running {
        uid: Arc<str>,
        call: RemovalCall,
    },
    /// The engine no longer has the object: the mirror may be released.
    Done(Arc<str>),
    /// The deletion was not a client's and is not carried out: the mirror may
    /// be released, and is then recreated.
    Dismissed(Arc<str>),
    Refused {
        uid: Arc<str>,
        failure: RequestFailure,
        attempts: u32,
        next: NextAttempt,
    },
}

/// When a refused removal is retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextAttempt {
    /// When the retry timer fires, or earlier if an object is removed that may
    /// have blocked it.
    Waiting {
        /// Whether the cool-down after the last attempt is over. Until then,
        /// the removal of a blocker triggers no retry: many objects may be
        /// removed at once, and each one would trigger a retry of everything.
        cooled_down: bool,
        /// Whether a possible blocker was removed during the cool-down.
        blocker_removed: bool,
    },
    Due,
    Running(RemovalCall),
}

impl RemovalStage {
    /// Returns whether the mirror with this UID may be released.
    pub(crate) fn is_finished(&self, uid: &str) -> bool {
        matches!(self, Self::Done(finished) | Self::Dismissed(finished) if **finished == *uid)
    }

    /// Returns why the engine refuses to remove the object of the mirror with
    /// this UID.
    pub(crate) fn failure(&self, of: &str) -> Option<&RequestFailure> {
        match self {
            Self::Refused { uid, failure, .. } if **uid == *of => Some(failure),
            _ => None,
        }
    }

    /// Records that an object was removed that may have blocked this removal.
    /// Returns whether the removal must be retried now.
    pub(crate) fn on_blocker_removed(&mut self) -> bool {
        match self {
            Self::Running { call, .. }
            | Self::Refused {
                next: NextAttempt::Running(call),
                ..
            } => call.blocker_removed = true,
            Self::Refused { next, .. } => match next {
                NextAttempt::Waiting {
                    cooled_down: true, ..
                } => {
                    *next = NextAttempt::Due;
                    return true;
                }
                NextAttempt::Waiting {
                    blocker_removed, ..
                } => *blocker_removed = true,
                NextAttempt::Due | NextAttempt::Running(_) => {}
            },
            Self::Idle | Self::Done(_) | Self::Dismissed(_) => {}
        }
        false
    }

    /// Returns whether the removal for the mirror with this UID may be
    /// requested from the engine now.
    pub(crate) fn can_start(&self, of: &str) -> bool {
        match self {
            Self::Idle => true,
            Self::Running { uid, .. } | Self::Done(uid) | Self::Dismissed(uid) => **uid != *of,
            Self::Refused { uid, next, .. } => **uid != *of || *next == NextAttempt::Due,
        }
    }
}

/// The state on which a write in flight is based.
#[derive(Clone, Debug)]
pub(crate) struct InFlightWrite {
    /// [`MirrorEntry::incarnation`] when the write was planned.
    pub(crate) incarnation: u64,
    /// The version of the mirror when the write was planned; `None` if there
    /// was no mirror.
    pub(crate) version: Option<ResourceVersion>,
}

/// The state of one key.
#[derive(Debug, Default)]
pub(crate) struct MirrorEntry {
    /// What the engine has.
    pub(crate) desired: Option<DesiredState>,
    /// Counts the successive engine objects of this name. It is incremented
    /// when the engine reports that one is gone. A mirror of an older
    /// incarnation represents an object that no longer exists, and must never
    /// lead to an engine request.
    pub(crate) incarnation: u64,
    /// What the API has.
    pub(crate) observed: Option<ObservedMirror>,
    /// UID of a mirror that is known to be deleted, while the watch may still
    /// deliver older events about it, and the last listing that contained it.
    pub(crate) tombstone: Option<(Arc<str>, u64)>,
    /// The newest version that was seen. Older events are dropped.
    pub(crate) min_resource_version: u64,
    /// Set when the engine has removed the object on our request, during its
    /// listing of this number, and has not yet reported it: until then, older
    /// events must not recreate the mirror.
    pub(crate) removed_in_listing: Option<u64>,
    /// Set while a volume is new, until the timer with this number fires: its
    /// creation time does not yet prove that it is not another volume.
    pub(crate) settling: Option<u64>,
    /// The last action that finished in this process.
    pub(crate) last_action: Option<LastAction>,
    pub(crate) action: ActionStage,
    /// UID of the mirror whose action is being claimed or carried out; possibly
    /// a predecessor of the current mirror. The next action waits until it has
    /// finished, so that every result belongs to a known action and no action
    /// is started twice.
    pub(crate) acting_uid: Option<Arc<str>>,
    pub(crate) removal: RemovalStage,
    /// The write in flight.
    pub(crate) write: Option<InFlightWrite>,
    /// Number of consecutive failed writes.
    pub(crate) write_failures: u32,
    /// Whether the next write must wait for its timer.
    pub(crate) backing_off: bool,
}

impl MirrorEntry {
    /// Returns what should be mirrored: what the engine has, unless it has been
    /// removed on our request.
    pub(crate) fn effective_desired(&self) -> Option<&DesiredState> {
        self.desired
            .as_ref()
            .filter(|_| self.removed_in_listing.is_none())
    }

    pub(crate) fn is_settling(&self) -> bool {
        self.settling.is_some()
    }

    /// Records that the engine removed the object. A later object of the same
    /// name is a new incarnation.
    pub(crate) fn begin_new_incarnation(&mut self) {
        self.incarnation += 1;
        self.removed_in_listing = None;
        self.settling = None;
        self.last_action = None;
        self.action = ActionStage::Idle;
    }

    /// Discards everything that is known from the engine.
    pub(crate) fn reset_engine_state(&mut self) {
        self.desired = None;
        self.removed_in_listing = None;
        self.settling = None;
        self.action = ActionStage::Idle;
        self.removal = RemovalStage::Idle;
        self.last_action = None;
        self.write_failures = 0;
        self.backing_off = false;
    }

    /// Returns the last known version of the mirror.
    pub(crate) fn version(&self) -> Option<&ResourceVersion> {
        self.observed
            .as_ref()
            .map(|observed| &observed.object.version)
    }

    /// Returns whether a later version has already been seen.
    pub(crate) fn is_stale_version(&self, version: &ResourceVersion) -> bool {
        version
            .number()
            .is_some_and(|number| number < self.min_resource_version)
    }

    pub(crate) fn raise_min_resource_version(&mut self, version: &ResourceVersion) {
        self.min_resource_version = self.min_resource_version.max(version.number().unwrap_or(0));
    }

    /// Returns whether the entry holds nothing and can be dropped.
    pub(crate) fn is_empty(&self) -> bool {
        self.desired.is_none()
            && self.observed.is_none()
            && self.tombstone.is_none()
            && self.acting_uid.is_none()
            && self.write.is_none()
    }
}
