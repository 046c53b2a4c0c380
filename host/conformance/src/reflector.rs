//! What a client knows of an engine from the events of a watch.

use std::collections::{BTreeMap, BTreeSet};

use rdd_core::{EngineObject, ObjectRef, WatchEvent};

use crate::case::{CaseResult, fault};
use crate::rules;

/// The objects by the events so far, which must come in the order of the
/// contract.
#[derive(Debug, Default)]
pub(crate) struct ObjectReflector {
    pub(crate) objects: BTreeMap<ObjectRef, EngineObject>,
    /// The objects of the listing in progress.
    listing: Option<BTreeSet<ObjectRef>>,
    /// The number of complete listings.
    pub(crate) listings: usize,
}

impl ObjectReflector {
    /// Applies an event.
    pub(crate) fn apply(&mut self, event: &WatchEvent) -> CaseResult {
        let wrong = |expected: &str, seen: &str| Err(fault(rules::WATCH_LISTING, expected, seen));
        match (event, &mut self.listing) {
            (WatchEvent::InitBegin, None) => self.listing = Some(BTreeSet::new()),
            (WatchEvent::InitBegin, Some(_)) => {
                return wrong("init-done before another listing", "init-begin twice");
            }
            (WatchEvent::InitDone, Some(listed)) => {
                self.objects
                    .retain(|reference, _| listed.contains(reference));
                self.listing = None;
                self.listings += 1;
            }
            (WatchEvent::InitDone, None) => {
                return wrong("init-begin before init-done", "init-done alone");
            }
            (WatchEvent::Removed(reference), Some(_)) => {
                let seen = format!("the removal of {} in it", reference.id);
                return wrong("only objects in a listing", &seen);
            }
            (WatchEvent::Removed(reference), None) => {
                self.objects.remove(reference);
            }
            (WatchEvent::Applied(_), None) if self.listings == 0 => {
                return wrong("init-begin as the first event", "an object before it");
            }
            (WatchEvent::Applied(object), listing) => {
                let reference = object.reference();
                if let Some(listed) = listing
                    && !listed.insert(reference.clone())
                {
                    let seen = format!("{:?} {} twice", reference.kind, reference.id);
                    return wrong("each object once in a listing", &seen);
                }
                self.objects.insert(reference, (**object).clone());
            }
        }
        Ok(())
    }

    /// Returns whether the first listing is complete and none is in progress.
    pub(crate) fn is_settled(&self) -> bool {
        self.listings > 0 && self.listing.is_none()
    }
}
