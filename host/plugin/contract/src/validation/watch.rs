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
mod tests {
    use rdd_core::{EngineObject, ObjectKind};

    use super::*;

    fn validator() -> WatchValidator {
        limited(usize::MAX)
    }

    /// Returns the validator of an instance with this limit of memory.
    fn limited(max_bytes: usize) -> WatchValidator {
        let info = BackendInfo {
            name: "test".to_owned(),
            version: "0.0.0".to_owned(),
            engine: "Test".to_owned(),
            id_format: IdFormat::LowerHex(4),
            namespaces: vec!["first".to_owned(), "second".to_owned()],
            capabilities: rdd_core::Capabilities::default(),
        };
        let memory = InstanceMemory::new(max_bytes, crate::MemoryBudget::new(usize::MAX));
        WatchValidator::new(&info, &BackendLimits::default(), &memory)
    }

    fn applied(name: &str) -> WatchEvent {
        WatchEvent::Applied(Box::new(EngineObject::Namespace(name.to_owned())))
    }

    fn removed(name: &str) -> WatchEvent {
        WatchEvent::Removed(ObjectRef::new(ObjectKind::Namespace, name, name))
    }

    fn validate_all(
        validator: &mut WatchValidator,
        mut events: Vec<WatchEvent>,
    ) -> Result<(), WatchFault> {
        events
            .iter_mut()
            .try_for_each(|event| validator.validate(event))
    }

    #[test]
    fn valid_events_are_accepted() {
        let events = vec![
            WatchEvent::InitBegin,
            applied("a"),
            applied("b"),
            WatchEvent::InitDone,
            applied("c"),
            removed("a"),
            removed("never-seen"),
            WatchEvent::InitBegin,
            applied("b"),
            WatchEvent::InitDone,
        ];
        let mut validator = validator();
        validate_all(&mut validator, events).unwrap();
        assert_eq!(validator.known.len(), 1);
    }

    #[test]
    fn a_listing_may_start_over() {
        let events = vec![
            WatchEvent::InitBegin,
            applied("a"),
            WatchEvent::InitBegin,
            applied("b"),
            WatchEvent::InitDone,
        ];
        let mut validator = validator();
        validate_all(&mut validator, events).unwrap();
        assert_eq!(validator.known.len(), 1);
        assert_eq!(validator.bytes, *validator.known.values().next().unwrap());
    }

    #[test]
    fn events_out_of_order_are_rejected() {
        for (events, expected) in [
            (vec![applied("a")], "before init-begin"),
            (vec![WatchEvent::InitDone], "without an init-begin"),
            (vec![removed("a")], "before init-done"),
            (
                vec![WatchEvent::InitBegin, removed("a")],
                "before init-done",
            ),
            (
                vec![
                    WatchEvent::InitBegin,
                    WatchEvent::InitDone,
                    WatchEvent::InitDone,
                ],
                "without an init-begin",
            ),
        ] {
            let error = validate_all(&mut validator(), events).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    #[test]
    fn a_reference_that_the_contract_does_not_allow_is_rejected() {
        for (reference, expected) in [
            (
                ObjectRef::new(ObjectKind::Container, "first", "ABCD"),
                "hexadecimal digits",
            ),
            (
                ObjectRef::new(ObjectKind::Volume, "../x", "data"),
                "\"../x\"",
            ),
            (
                ObjectRef::new(ObjectKind::Namespace, "first", "second"),
                "two names",
            ),
        ] {
            let events = vec![
                WatchEvent::InitBegin,
                WatchEvent::InitDone,
                WatchEvent::Removed(reference),
            ];
            let error = validate_all(&mut validator(), events).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    #[test]
    fn objects_of_two_namespaces_are_two_objects() {
        let volume = |namespace: &str| {
            WatchEvent::Applied(Box::new(EngineObject::Volume(rdd_core::Volume {
                name: "data".to_owned(),
                namespace: namespace.to_owned(),
                created_at: None,
                driver: String::new(),
                mountpoint: String::new(),
                labels: std::collections::BTreeMap::new(),
                scope: String::new(),
                options: std::collections::BTreeMap::new(),
            })))
        };
        let mut validator = validator();
        let events = vec![
            WatchEvent::InitBegin,
            volume("first"),
            volume("second"),
            WatchEvent::InitDone,
            WatchEvent::Removed(ObjectRef::new(ObjectKind::Volume, "first", "data")),
        ];
        validate_all(&mut validator, events).unwrap();
        assert_eq!(validator.known.len(), 1);
    }

    #[test]
    fn an_endless_listing_is_rejected() {
        let mut validator = validator();
        validator.max_unfinished_events = 10;
        let mut events = vec![WatchEvent::InitBegin];
        events.extend((0..10).map(|_| applied("same")));
        let error = validate_all(&mut validator, events).unwrap_err();
        assert!(
            error.to_string().contains("without an init-done"),
            "{error}"
        );
    }

    #[test]
    fn endless_restarts_of_a_listing_are_rejected() {
        let mut validator = validator();
        validator.max_unfinished_events = 10;
        let error = validate_all(&mut validator, vec![WatchEvent::InitBegin; 11]).unwrap_err();
        assert!(
            error.to_string().contains("without an init-done"),
            "{error}"
        );
    }

    #[test]
    fn live_changes_do_not_count_toward_a_listing() {
        let mut validator = validator();
        validator.max_unfinished_events = 10;
        validate_all(
            &mut validator,
            vec![WatchEvent::InitBegin, WatchEvent::InitDone],
        )
        .unwrap();
        validate_all(&mut validator, (0..100).map(|_| applied("same")).collect()).unwrap();
    }

    #[test]
    fn the_number_and_size_of_objects_is_bounded() {
        let mut many = validator();
        many.max_objects = 2;
        let error = validate_all(
            &mut many,
            vec![
                WatchEvent::InitBegin,
                applied("a"),
                WatchEvent::InitDone,
                applied("b"),
                applied("c"),
            ],
        )
        .unwrap_err();
        assert!(error.to_string().contains("3 objects"), "{error}");

        let mut large = limited(100);
        let error = validate_all(
            &mut large,
            vec![
                WatchEvent::InitBegin,
                applied("a"),
                applied("b"),
                applied("c"),
                applied("d"),
            ],
        )
        .unwrap_err();
        assert!(matches!(error, WatchFault::Memory(_)), "{error}");
    }

    #[test]
    fn what_is_gone_is_no_longer_held() {
        let budget = crate::MemoryBudget::new(usize::MAX);
        let mut validator = validator();
        validator.held = HeldMemory::empty(InstanceMemory::new(usize::MAX, budget.clone()));
        let events = vec![
            WatchEvent::InitBegin,
            applied("a"),
            applied("b"),
            WatchEvent::InitDone,
        ];
        validate_all(&mut validator, events).unwrap();
        assert!(budget.host_bytes() > 0);
        validate_all(&mut validator, vec![removed("a"), removed("b")]).unwrap();
        assert_eq!(budget.host_bytes(), 0);
    }

    #[test]
    fn a_flood_of_changes_is_rejected_and_a_long_stream_of_them_is_not() {
        let mut validator = validator();
        validator.max_changes = 100;
        let listing = vec![WatchEvent::InitBegin, WatchEvent::InitDone];
        validate_all(&mut validator, listing).unwrap();
        let changes = |count| (0..count).map(|_| applied("same")).collect();
        validate_all(&mut validator, changes(100)).unwrap();
        validator.changes_since -= FLOOD_WINDOW;
        validate_all(&mut validator, changes(100)).unwrap();
        let error = validate_all(&mut validator, changes(1)).unwrap_err();
        let expected = "flooded the daemon: its watch sent 101 changes within";
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}
