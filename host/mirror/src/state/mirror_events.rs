//! The API's side: events of the watches of our mirrors, and responses to
//! writes.

use super::MirrorState;
use crate::entry::{ActionStage, MirrorObject, MirrorOwner, ObservedMirror};
use crate::key::{MirrorKey, MirrorKind};

/// An event of the watch of one mirrored kind, in the terms of kube's `Event`.
#[derive(Debug)]
pub(crate) enum MirrorEvent {
    /// A listing begins.
    Init(MirrorKind),
    /// The object exists: it was listed, created, or changed.
    Apply(MirrorObject),
    /// The object was deleted.
    Delete(MirrorObject),
    /// The listing is complete.
    InitDone(MirrorKind),
}

/// The listings of one kind in the API.
#[derive(Default)]
pub(super) struct KindListing {
    /// Number of listings that have begun.
    generation: u64,
    /// Whether any listing was completed.
    listed_once: bool,
}

impl KindListing {
    pub(super) fn has_listed(&self) -> bool {
        self.listed_once
    }
}

impl MirrorState {
    /// Handles an event of the API's watches.
    pub(crate) fn on_mirror_event(&mut self, event: MirrorEvent) {
        match event {
            MirrorEvent::Init(kind) => self.listings.entry(kind).or_default().generation += 1,
            MirrorEvent::Apply(object) => self.on_apply(object),
            MirrorEvent::Delete(object) => self.on_delete(object),
            MirrorEvent::InitDone(kind) => self.on_init_done(kind),
        }
    }

    fn on_apply(&mut self, object: MirrorObject) {
        let generation = self.list_generation(object.key.kind);
        let entry = self.entries.entry(object.key.clone()).or_default();
        if let Some((uid, last_listed)) = &mut entry.tombstone
            && *uid == object.uid
        {
            *last_listed = generation;
            return;
        }
        if let Some(observed) = &mut entry.observed
            && observed.object.uid == object.uid
        {
            observed.list_generation = generation;
        }
        if !entry.is_stale_version(&object.version) {
            self.observe(object);
        }
    }

    fn on_delete(&mut self, object: MirrorObject) {
        let Some(entry) = self.entries.get_mut(&object.key) else {
            return;
        };
        entry.raise_min_resource_version(&object.version);
        if entry
            .tombstone
            .as_ref()
            .is_some_and(|(uid, _)| *uid == object.uid)
        {
            entry.tombstone = None;
        }
        if entry
            .observed
            .as_ref()
            .is_some_and(|observed| observed.object.uid == object.uid)
        {
            self.remove_observed(&object.key);
        }
        self.queue.add(object.key);
    }

    /// Handles a complete listing: what it did not contain is gone.
    fn on_init_done(&mut self, kind: MirrorKind) {
        let generation = self.list_generation(kind);
        self.listings.entry(kind).or_default().listed_once = true;
        let mut unlisted = Vec::new();
        for (key, entry) in self.entries.iter_mut().filter(|(key, _)| key.kind == kind) {
            let was_tombstone = entry
                .tombstone
                .take_if(|(_, last_listed)| *last_listed < generation)
                .is_some();
            let is_gone = entry
                .observed
                .as_ref()
                .is_some_and(|observed| observed.list_generation < generation);
            if was_tombstone || is_gone {
                unlisted.push((key.clone(), is_gone));
            }
        }
        for (key, is_gone) in unlisted {
            if is_gone {
                self.remove_observed(&key);
            }
            self.queue.add(key);
        }
    }

    pub(super) fn list_generation(&self, kind: MirrorKind) -> u64 {
        self.listings
            .get(&kind)
            .map_or(0, |listing| listing.generation)
    }

    /// Records an object that exists in the API.
    pub(super) fn observe(&mut self, object: MirrorObject) {
        let key = object.key.clone();
        let (list_generation, is_listed) =
            self.listings.get(&key.kind).map_or((0, false), |listing| {
                (listing.generation, listing.listed_once)
            });
        let entry = self.entries.entry(key.clone()).or_default();
        entry.raise_min_resource_version(&object.version);
        let previous = entry
            .observed
            .take_if(|observed| observed.object.uid == object.uid);
        let incarnation = match &previous {
            Some(previous) => previous.incarnation,
            None => {
                entry.last_action = None;
                entry.action = ActionStage::Idle;
                if is_listed {
                    // A mirror that appears while a write is in flight was
                    // created by that write, which may have been planned for an
                    // older incarnation.
                    entry
                        .write
                        .as_ref()
                        .map_or(entry.incarnation, |write| write.incarnation)
                } else {
                    // This process has not written anything yet: the mirror is
                    // older than everything that the engine has reported.
                    0
                }
            }
        };
        let is_unchanged = previous.as_ref().is_some_and(|previous| {
            MirrorObject {
                version: object.version.clone(),
                ..previous.object.clone()
            } == object
        });
        if let ActionStage::Done(value) = &entry.action
            && object.action.as_ref() != Some(value)
        {
            entry.action = ActionStage::Idle;
        }
        let owner = match (
            object.owner(&self.instance),
            previous.map(|previous| previous.owner),
        ) {
            (MirrorOwner::Unclaimed | MirrorOwner::Unmanaged, Some(MirrorOwner::ThisInstance)) => {
                MirrorOwner::ThisInstance
            }
            (MirrorOwner::Unmanaged, Some(MirrorOwner::Unclaimed)) => MirrorOwner::Unclaimed,
            (owner, _) => owner,
        };
        if owner == MirrorOwner::OtherInstance && entry.action == ActionStage::Idle {
            // The other instance may have carried out a later action, which the
            // status of the mirror then shows.
            entry.last_action = None;
        }
        entry.observed = Some(ObservedMirror {
            owner,
            object,
            incarnation,
            list_generation,
        });
        self.update_orphan(&key);
        if !is_unchanged {
            self.queue.add(key);
        }
    }

    /// Records that the mirror does not exist in the API.
    pub(super) fn remove_observed(&mut self, key: &MirrorKey) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.observed = None;
            entry.last_action = None;
            entry.action = ActionStage::Idle;
        }
        self.orphans.remove(key);
    }
}
