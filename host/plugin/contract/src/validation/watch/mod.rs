//! The validation of a watch: the order of its events and the size of what it
//! reports.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdd_core::{BackendInfo, IdFormat, ObjectRef, WatchEvent};

use super::{ContractError, contract_error, object, object_ref, quote};
use crate::{BackendLimits, HeldMemory, InstanceMemory, MemoryError};

/// The maximum number of objects that one watch may report at the same time: ten
/// times the largest engine in this project's benchmarks.
const MAX_OBJECTS: usize = 100_000;
/// The maximum number of events between two finished listings. It leaves space
/// for objects that change while they are listed and for listings that start
/// over.
const MAX_UNFINISHED_EVENTS: usize = 4 * MAX_OBJECTS;

/// The window in which changes are counted.
const FLOOD_WINDOW: Duration = Duration::from_secs(60);

/// An event that a watch must not send.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchFault {
    /// It violates the contract.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// The objects need more memory than the backend may use.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// There were too many changes. The message is the end of a sentence that
    /// begins with the backend's name.
    #[error(
        "flooded the daemon: its watch sent {changes} changes within {:.1} s; {max} are allowed per minute, and a new listing replaces any number of them",
        .window.as_secs_f64()
    )]
    Flood {
        /// The number of changes.
        changes: usize,
        /// The time in which they were sent.
        window: Duration,
        /// The limit.
        max: usize,
    },
}

/// Follows a watch and rejects events that its protocol does not allow.
///
/// What it counts as the memory of the instance is what the reader of the watch
/// keeps: the objects of the last complete listing with all changes since, and
/// those of a listing in progress.
#[derive(Debug)]
pub struct WatchValidator {
    id_format: IdFormat,
    max_objects: usize,
    max_unfinished_events: usize,
    max_changes: usize,
    phase: Phase,
    /// Hashes identify the objects. They are only used to count the objects and
    /// their bytes, so a collision among 100,000 objects miscounts by one object.
    hasher: RandomState,
    /// The size of each object that the reader has.
    known: HashMap<u64, usize>,
    /// The size of each object in the current listing.
    listed: HashMap<u64, usize>,
    /// The total size of `known` and `listed`.
    bytes: usize,
    /// The same number, as memory of the instance.
    held: HeldMemory,
    /// The size of the object in the last event.
    last_object_bytes: usize,
    /// The number of events since the last finished listing.
    unfinished_events: usize,
    /// The number of changes since `changes_since`.
    changes: usize,
    changes_since: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    BeforeListing,
    Listing,
    Live,
}

impl WatchValidator {
    /// Creates a validator for one watch of the backend, whose objects count as
    /// `memory`.
    pub fn new(info: &BackendInfo, limits: &BackendLimits, memory: &Arc<InstanceMemory>) -> Self {
        Self {
            id_format: info.id_format,
            max_objects: MAX_OBJECTS,
            max_unfinished_events: MAX_UNFINISHED_EVENTS,
            max_changes: limits.max_changes_per_minute,
            held: HeldMemory::empty(memory.clone()),
            changes: 0,
            changes_since: Instant::now(),
            phase: Phase::BeforeListing,
            hasher: RandomState::new(),
            known: HashMap::new(),
            listed: HashMap::new(),
            bytes: 0,
            last_object_bytes: 0,
            unfinished_events: 0,
        }
    }

    /// Validates the next event.
    ///
    /// # Errors
    ///
    /// Fails if the contract does not allow it now, or if it exceeds a limit.
    pub fn validate(&mut self, event: &mut WatchEvent) -> Result<(), WatchFault> {
        self.last_object_bytes = 0;
        match event {
            WatchEvent::InitBegin => {
                self.count_listing_event()?;
                let abandoned: usize = self.listed.drain().map(|(_, bytes)| bytes).sum();
                self.bytes -= abandoned;
                self.phase = Phase::Listing;
                Ok(self.held.resize(self.bytes)?)
            }
            WatchEvent::Applied(applied) => {
                let bytes = object(self.id_format, applied)?;
                let reference = applied.reference();
                self.last_object_bytes = bytes;
                match self.phase {
                    Phase::BeforeListing => {
                        return Err(contract_error!(
                            "watch applied {reference} before init-begin",
                            reference = describe(&reference)
                        )
                        .into());
                    }
                    Phase::Listing => {
                        self.count_listing_event()?;
                        let before = self.listed.insert(self.hasher.hash_one(&reference), bytes);
                        self.bytes = self.bytes - before.unwrap_or(0) + bytes;
                    }
                    Phase::Live => {
                        self.count_change()?;
                        let before = self.known.insert(self.hasher.hash_one(&reference), bytes);
                        self.bytes = self.bytes - before.unwrap_or(0) + bytes;
                    }
                }
                self.check_limits()
            }
            WatchEvent::InitDone => {
                if self.phase != Phase::Listing {
                    return Err(
                        contract_error!("watch sent init-done without an init-begin").into(),
                    );
                }
                let replaced: usize = self.known.values().sum();
                self.known = std::mem::take(&mut self.listed);
                self.bytes -= replaced;
                self.unfinished_events = 0;
                self.phase = Phase::Live;
                Ok(self.held.resize(self.bytes)?)
            }
            WatchEvent::Removed(reference) => {
                object_ref(self.id_format, reference)?;
                if self.phase != Phase::Live {
                    return Err(contract_error!(
                        "watch removed {} before init-done",
                        describe(reference)
                    )
                    .into());
                }
                self.count_change()?;
                let bytes = self
                    .known
                    .remove(&self.hasher.hash_one(&*reference))
                    .unwrap_or(0);
                self.bytes -= bytes;
                Ok(self.held.resize(self.bytes)?)
            }
        }
    }

    /// Returns the size of the object in the last event, in bytes.
    pub fn last_object_bytes(&self) -> usize {
        self.last_object_bytes
    }

    fn count_listing_event(&mut self) -> Result<(), ContractError> {
        self.unfinished_events += 1;
        if self.unfinished_events > self.max_unfinished_events {
            return Err(contract_error!(
                "watch sent {} events without an init-done",
                self.unfinished_events
            ));
        }
        Ok(())
    }

    fn count_change(&mut self) -> Result<(), WatchFault> {
        self.changes += 1;
        if self.changes <= self.max_changes {
            return Ok(());
        }
        let (now, changes) = (Instant::now(), self.changes);
        let window = now.saturating_duration_since(self.changes_since);
        (self.changes, self.changes_since) = (1, now);
        match window < FLOOD_WINDOW {
            true => Err(WatchFault::Flood {
                changes,
                window,
                max: self.max_changes,
            }),
            false => Ok(()),
        }
    }

    fn check_limits(&mut self) -> Result<(), WatchFault> {
        let objects = self.known.len().max(self.listed.len());
        if objects > self.max_objects {
            return Err(contract_error!(
                "watch reported {objects} objects; {} are allowed",
                self.max_objects
            )
            .into());
        }
        Ok(self.held.resize(self.bytes)?)
    }
}

fn describe(reference: &ObjectRef) -> String {
    format!("the {:?} {}", reference.kind, quote(&reference.id))
}

#[cfg(test)]
mod tests;
