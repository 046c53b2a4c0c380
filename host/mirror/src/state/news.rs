//! The API's side: what its watches and answers say of our mirrors.

use super::State;
use crate::entry::{ActionStage, Object, Observed, Owner};
use crate::key::{Key, Kind};

/// What the watch of one kind in the API says.
#[derive(Debug)]
pub(crate) enum News {
    /// A new listing begins.
    Begin(Kind),
    /// The object exists: in the listing, or changed.
    Object(Object),
    /// The object is no more.
    Deleted(Object),
    /// The listing is whole.
    Done(Kind),
}

/// The listings of one kind in the API.
#[derive(Default)]
pub(super) struct Listing {
    /// Counts them, when they begin.
    epoch: u64,
    /// Whether one was ever whole.
    done: bool,
}

impl Listing {
    pub(super) fn is_done(&self) -> bool {
        self.done
    }
}

impl State {
    /// Takes in news of the API.
    pub(crate) fn on_news(&mut self, news: News) {
        match news {
            News::Begin(kind) => self.listings.entry(kind).or_default().epoch += 1,
            News::Object(object) => self.seen(object),
            News::Deleted(object) => self.deleted(object),
            News::Done(kind) => self.kind_listed(kind),
        }
    }

    fn seen(&mut self, object: Object) {
        let epoch = self.epoch(object.key.kind);
        let entry = self.entries.entry(object.key.clone()).or_default();
        if let Some((uid, heard)) = &mut entry.ended
            && *uid == object.uid
        {
            *heard = epoch;
            return;
        }
        if let Some(observed) = &mut entry.observed
            && observed.object.uid == object.uid
        {
            observed.epoch = epoch;
        }
        if !entry.is_overtaken(&object.version) {
            self.observe(object);
        }
    }

    fn deleted(&mut self, object: Object) {
        let Some(entry) = self.entries.get_mut(&object.key) else {
            return;
        };
        entry.raise_floor(&object.version);
        if entry
            .ended
            .as_ref()
            .is_some_and(|(uid, _)| *uid == object.uid)
        {
            entry.ended = None;
        }
        if entry
            .observed
            .as_ref()
            .is_some_and(|was| was.object.uid == object.uid)
        {
            self.forget(&object.key);
        }
        self.enqueue(object.key);
    }

    /// What a whole listing did not name is no more.
    fn kind_listed(&mut self, kind: Kind) {
        let epoch = self.epoch(kind);
        self.listings.entry(kind).or_default().done = true;
        let mut unlisted = Vec::new();
        for (key, entry) in self.entries.iter_mut().filter(|(key, _)| key.kind == kind) {
            let ended = entry.ended.take_if(|(_, heard)| *heard < epoch).is_some();
            let gone = entry.observed.as_ref().is_some_and(|was| was.epoch < epoch);
            if ended || gone {
                unlisted.push((key.clone(), gone));
            }
        }
        for (key, gone) in unlisted {
            if gone {
                self.forget(&key);
            }
            self.enqueue(key);
        }
    }

    pub(super) fn epoch(&self, kind: Kind) -> u64 {
        self.listings.get(&kind).map_or(0, |listing| listing.epoch)
    }

    /// The API has this.
    pub(super) fn observe(&mut self, object: Object) {
        let key = object.key.clone();
        let (epoch, listed) = self
            .listings
            .get(&key.kind)
            .map_or((0, false), |listing| (listing.epoch, listing.done));
        let entry = self.entries.entry(key.clone()).or_default();
        entry.raise_floor(&object.version);
        let was = entry.observed.take_if(|was| was.object.uid == object.uid);
        let incarnation = match &was {
            Some(was) => was.incarnation,
            None => {
                entry.last_action = None;
                entry.action = ActionStage::Idle;
                if listed {
                    // A mirror that appears while its write is in flight is
                    // that write's, planned before whatever happened since.
                    entry
                        .job
                        .as_ref()
                        .map_or(entry.incarnation, |job| job.incarnation)
                } else {
                    // Nothing was written yet: it is older than all that the
                    // engine has said.
                    0
                }
            }
        };
        let same = was.as_ref().is_some_and(|was| {
            Object {
                version: object.version.clone(),
                ..was.object.clone()
            } == object
        });
        if let ActionStage::Done(value) = &entry.action
            && object.action.as_ref() != Some(value)
        {
            entry.action = ActionStage::Idle;
        }
        let owner = match (object.owner(&self.instance), was.map(|was| was.owner)) {
            (Owner::Unclaimed | Owner::Nobody, Some(Owner::Me)) => Owner::Me,
            (Owner::Nobody, Some(Owner::Unclaimed)) => Owner::Unclaimed,
            (owner, _) => owner,
        };
        if owner == Owner::Other && entry.action == ActionStage::Idle {
            // It may have carried out a later one: its status says so.
            entry.last_action = None;
        }
        entry.observed = Some(Observed {
            owner,
            object,
            incarnation,
            epoch,
        });
        self.find_stray(&key);
        if !same {
            self.enqueue(key);
        }
    }

    /// The API has nothing.
    pub(super) fn forget(&mut self, key: &Key) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.observed = None;
            entry.last_action = None;
            entry.action = ActionStage::Idle;
        }
        self.strays.remove(key);
    }
}
