//! What is known of one mirror, on both sides.

use std::sync::Arc;

use rdd_api::LastAction;

use crate::desired::{Desired, Refusal, Status};
use crate::key::Key;

/// A mirror as the API has it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Object {
    pub(crate) key: Key,
    pub(crate) uid: Arc<str>,
    pub(crate) version: Version,
    /// Deleted by somebody, held by finalizers.
    pub(crate) terminating: bool,
    /// Where our finalizer stands in the list.
    pub(crate) finalizer: Option<usize>,
    /// The backend label.
    pub(crate) backend: Option<Box<str>>,
    /// The instance label.
    pub(crate) instance: Option<Box<str>>,
    /// The action annotation.
    pub(crate) action: Option<Box<str>>,
    /// The annotation that claims the action.
    pub(crate) claim: Option<Box<str>>,
    pub(crate) status: Option<Status>,
}

impl Object {
    /// Whose mirror it is, as seen by `instance`.
    pub(crate) fn owner(&self, instance: &str) -> Owner {
        match &self.instance {
            Some(label) if **label == *instance => Owner::Me,
            Some(_) => Owner::Other,
            None if self.backend.is_some() || self.finalizer.is_some() => Owner::Unclaimed,
            None => Owner::Nobody,
        }
    }
}

/// Whose mirror an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// This instance's.
    Me,
    /// Another instance's.
    Other,
    /// A mirror that names no instance: it is from before the label, or
    /// somebody has taken the label off.
    Unclaimed,
    /// It is no mirror: it has neither a label nor the finalizer, which nobody
    /// else puts on.
    Nobody,
}

/// A resource version. Kubernetes promises (since 1.35) that those of one
/// resource compare as numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Version(pub(crate) Box<str>);

impl Version {
    /// `None` for what is no number; such a version is never called old.
    pub(crate) fn number(&self) -> Option<u64> {
        self.0.parse().ok()
    }
}

/// A mirror, and what it stands for.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) object: Object,
    /// Which of the engine's successive objects of this name the mirror was
    /// made for; see [`Entry::incarnation`].
    pub(crate) incarnation: u64,
    /// During which listing of the API it was last seen or written.
    pub(crate) epoch: u64,
    /// Whose it is. Marks that were there once count: our own discarding takes
    /// off the finalizer, and a user the labels, before it is deleted.
    pub(crate) owner: Owner,
}

/// Whether an action has been carried out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum ActionStage {
    #[default]
    Idle,
    /// Done; the status has to say so, then the annotation goes.
    Done(Box<str>),
}

/// When a removal was asked of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// [`Entry::incarnation`] then.
    pub(crate) incarnation: u64,
    /// Whether something went meanwhile that may have been in its way.
    pub(crate) woken: bool,
}

/// How far the removal of the engine's object has come, which somebody asked
/// for by deleting the mirror of this uid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum RemovalStage {
    #[default]
    Idle,
    Running {
        uid: Arc<str>,
        call: Call,
    },
    /// The engine has it no more: the mirror may go.
    Done(Arc<str>),
    /// The deletion was nobody's wish, and is not carried out: the mirror may
    /// go, and is made again.
    Withdrawn(Arc<str>),
    Refused {
        uid: Arc<str>,
        refusal: Refusal,
        attempts: u32,
        next: NextAttempt,
    },
}

/// When a refused removal is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextAttempt {
    /// When its timer says so, or earlier, when something goes that may have
    /// been in its way.
    Waiting {
        /// Whether it has waited long enough since the last attempt to be
        /// woken: much may go at once, and each time wake everything.
        rested: bool,
        /// Whether something went before it had.
        woken: bool,
    },
    Due,
    Running(Call),
}

impl RemovalStage {
    /// Whether the mirror may go.
    pub(crate) fn is_over(&self, uid: &str) -> bool {
        matches!(self, Self::Done(of) | Self::Withdrawn(of) if **of == *uid)
    }

    pub(crate) fn refusal(&self, of: &str) -> Option<&Refusal> {
        match self {
            Self::Refused { uid, refusal, .. } if **uid == *of => Some(refusal),
            _ => None,
        }
    }

    /// Something went that may have been in the way; true when the engine is
    /// to be asked again now.
    pub(crate) fn wake(&mut self) -> bool {
        match self {
            Self::Running { call, .. }
            | Self::Refused {
                next: NextAttempt::Running(call),
                ..
            } => call.woken = true,
            Self::Refused { next, .. } => match next {
                NextAttempt::Waiting { rested: true, .. } => {
                    *next = NextAttempt::Due;
                    return true;
                }
                NextAttempt::Waiting { woken, .. } => *woken = true,
                NextAttempt::Due | NextAttempt::Running(_) => {}
            },
            Self::Idle | Self::Done(_) | Self::Withdrawn(_) => {}
        }
        false
    }

    /// Whether the engine may be asked (again) now.
    pub(crate) fn may_begin(&self, of: &str) -> bool {
        match self {
            Self::Idle => true,
            Self::Running { uid, .. } | Self::Done(uid) | Self::Withdrawn(uid) => **uid != *of,
            Self::Refused { uid, next, .. } => **uid != *of || *next == NextAttempt::Due,
        }
    }
}

/// What a job was planned upon.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    /// [`Entry::incarnation`] then.
    pub(crate) incarnation: u64,
    /// The version that the mirror had then; `None` when there was none.
    pub(crate) version: Option<Version>,
}

/// Everything about one key.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    /// What the engine has.
    pub(crate) desired: Option<Desired>,
    /// Counts the engine's objects of this name: it moves when the engine says
    /// that one is gone. A mirror of an older incarnation stands for something
    /// that does not exist any more, and must never lead to a call.
    pub(crate) incarnation: u64,
    /// What the API has.
    pub(crate) observed: Option<Observed>,
    /// A mirror that we saw end, while the watch may still bring older news of
    /// it; with the listing in which it was last heard of.
    pub(crate) ended: Option<(Arc<str>, u64)>,
    /// The newest version that was seen; older news is dropped.
    pub(crate) floor: u64,
    /// We had the engine remove the object, during its listing of this number,
    /// and its own word for that is still to come: until then its older words
    /// must not bring the mirror back.
    pub(crate) removed: Option<u64>,
    /// A volume that was heard of a moment ago, until the reminder of this
    /// number: its creation time does not prove yet that it is not another.
    pub(crate) young: Option<u64>,
    /// An action that ended since this process began.
    pub(crate) last_action: Option<LastAction>,
    pub(crate) action: ActionStage,
    /// The mirror, perhaps one before this one, whose action is being claimed or
    /// carried out. Another one waits for its end: so each end is known for what
    /// it is, and nothing is begun twice.
    pub(crate) acting: Option<Arc<str>>,
    pub(crate) removal: RemovalStage,
    /// A job is in flight.
    pub(crate) job: Option<Flight>,
    /// Failed jobs in a row.
    pub(crate) failures: u32,
    /// The next job has to wait for its timer.
    pub(crate) backing_off: bool,
}

impl Entry {
    /// What the engine has, as far as the mirror is concerned.
    pub(crate) fn wanted(&self) -> Option<&Desired> {
        self.desired.as_ref().filter(|_| self.removed.is_none())
    }

    pub(crate) fn is_young(&self) -> bool {
        self.young.is_some()
    }

    /// The engine's object of this name is no more: a later one is another.
    pub(crate) fn succeed(&mut self) {
        self.incarnation += 1;
        self.removed = None;
        self.young = None;
        self.last_action = None;
        self.action = ActionStage::Idle;
    }

    /// Nothing that the engine said holds any more.
    pub(crate) fn forget_engine(&mut self) {
        self.desired = None;
        self.removed = None;
        self.young = None;
        self.action = ActionStage::Idle;
        self.removal = RemovalStage::Idle;
        self.last_action = None;
        self.failures = 0;
        self.backing_off = false;
    }

    /// The version that the mirror has, as far as is known.
    pub(crate) fn version(&self) -> Option<&Version> {
        self.observed
            .as_ref()
            .map(|observed| &observed.object.version)
    }

    /// Whether news of a later version was seen already.
    pub(crate) fn is_overtaken(&self, version: &Version) -> bool {
        version.number().is_some_and(|number| number < self.floor)
    }

    pub(crate) fn raise_floor(&mut self, version: &Version) {
        self.floor = self.floor.max(version.number().unwrap_or(0));
    }

    /// Whether nothing is left to remember.
    pub(crate) fn is_void(&self) -> bool {
        self.desired.is_none()
            && self.observed.is_none()
            && self.ended.is_none()
            && self.acting.is_none()
            && self.job.is_none()
    }
}
