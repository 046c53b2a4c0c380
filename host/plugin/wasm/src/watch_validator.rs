//! The validation of a watch: the order of its events and the size of what it
//! reports.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use rdd_core::{BackendInfo, IdFormat, ObjectRef, WatchEvent};

use crate::bindings::engine::Event;
use crate::contract::{self, ContractError, contract_error};
use crate::convert;

/// The maximum number of objects that one watch may report at the same time: ten
/// times the largest engine in this project's benchmarks.
const MAX_OBJECTS: usize = 100_000;
/// The maximum size in bytes of the objects of one watch together. A container
/// with its labels has about 2 KiB.
const MAX_BYTES: usize = 512 * 1024 * 1024;
/// The maximum number of events between two finished listings. It leaves space
/// for objects that change while they are listed and for listings that start
/// over.
const MAX_UNFINISHED_EVENTS: usize = 4 * MAX_OBJECTS;

/// Follows a watch and rejects events that its protocol does not allow.
pub(crate) struct WatchValidator {
    id_format: IdFormat,
    default_namespace: String,
    max_objects: usize,
    max_bytes: usize,
    max_unfinished_events: usize,
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
    /// The size of the object in the last event.
    last_object_bytes: usize,
    /// The number of events since the last finished listing.
    unfinished_events: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    BeforeListing,
    Listing,
    Live,
}

impl WatchValidator {
    pub(crate) fn new(info: &BackendInfo) -> Self {
        Self {
            id_format: info.id_format,
            default_namespace: info.default_namespace().to_owned(),
            max_objects: MAX_OBJECTS,
            max_bytes: MAX_BYTES,
            max_unfinished_events: MAX_UNFINISHED_EVENTS,
            phase: Phase::BeforeListing,
            hasher: RandomState::new(),
            known: HashMap::new(),
            listed: HashMap::new(),
            bytes: 0,
            last_object_bytes: 0,
            unfinished_events: 0,
        }
    }

    /// Validates and converts the next event.
    pub(crate) fn validate(&mut self, event: Event) -> Result<WatchEvent, ContractError> {
        self.last_object_bytes = 0;
        match event {
            Event::InitBegin => {
                self.count_listing_event()?;
                let abandoned: usize = self.listed.drain().map(|(_, bytes)| bytes).sum();
                self.bytes -= abandoned;
                self.phase = Phase::Listing;
                Ok(WatchEvent::InitBegin)
            }
            Event::Applied(object) => {
                let (object, bytes) = convert::object(self.id_format, object)?;
                let reference = object.reference();
                self.last_object_bytes = bytes;
                match self.phase {
                    Phase::BeforeListing => {
                        return Err(contract_error!(
                            "watch applied {reference} before init-begin",
                            reference = describe(&reference)
                        ));
                    }
                    Phase::Listing => {
                        self.count_listing_event()?;
                        let before = self.listed.insert(self.hasher.hash_one(&reference), bytes);
                        self.bytes = self.bytes - before.unwrap_or(0) + bytes;
                    }
                    Phase::Live => {
                        let before = self.known.insert(self.hasher.hash_one(&reference), bytes);
                        self.bytes = self.bytes - before.unwrap_or(0) + bytes;
                    }
                }
                self.check_limits()?;
                Ok(WatchEvent::Applied(Box::new(object)))
            }
            Event::InitDone => {
                if self.phase != Phase::Listing {
                    return Err(contract_error!(
                        "watch sent init-done without an init-begin"
                    ));
                }
                let replaced: usize = self.known.values().sum();
                self.known = std::mem::take(&mut self.listed);
                self.bytes -= replaced;
                self.unfinished_events = 0;
                self.phase = Phase::Live;
                Ok(WatchEvent::InitDone)
            }
            Event::Removed(reference) => {
                let reference =
                    convert::object_ref(self.id_format, &self.default_namespace, reference)?;
                if self.phase != Phase::Live {
                    return Err(contract_error!(
                        "watch removed {} before init-done",
                        describe(&reference)
                    ));
                }
                let bytes = self
                    .known
                    .remove(&self.hasher.hash_one(&reference))
                    .unwrap_or(0);
                self.bytes -= bytes;
                Ok(WatchEvent::Removed(reference))
            }
        }
    }

    /// Returns the size of the object in the last event, in bytes.
    pub(crate) fn last_object_bytes(&self) -> usize {
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

    fn check_limits(&self) -> Result<(), ContractError> {
        let objects = self.known.len().max(self.listed.len());
        if objects > self.max_objects {
            return Err(contract_error!(
                "watch reported {objects} objects; {} are allowed",
                self.max_objects
            ));
        }
        if self.bytes > self.max_bytes {
            return Err(contract_error!(
                "watch reported objects of {} bytes; {} are allowed",
                self.bytes,
                self.max_bytes
            ));
        }
        Ok(())
    }
}

fn describe(reference: &ObjectRef) -> String {
    format!(
        "the {:?} {}",
        reference.kind,
        contract::quote(&reference.id)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::types::{self, Object, ObjectKind};

    fn validator() -> WatchValidator {
        WatchValidator::new(&BackendInfo {
            name: "test".to_owned(),
            version: "0.0.0".to_owned(),
            engine: "Test".to_owned(),
            id_format: IdFormat::LowerHex(4),
            namespaces: vec!["first".to_owned(), "second".to_owned()],
            capabilities: rdd_core::Capabilities::default(),
        })
    }

    fn applied(name: &str) -> Event {
        Event::Applied(Object::Namespace(name.to_owned()))
    }

    fn removed(name: &str) -> Event {
        Event::Removed(types::ObjectRef {
            kind: ObjectKind::Namespace,
            id: name.to_owned(),
        })
    }

    fn validate_all(
        validator: &mut WatchValidator,
        events: Vec<Event>,
    ) -> Result<Vec<WatchEvent>, ContractError> {
        events
            .into_iter()
            .map(|event| validator.validate(event))
            .collect()
    }

    #[test]
    fn valid_events_are_accepted() {
        let events = vec![
            Event::InitBegin,
            applied("a"),
            applied("b"),
            Event::InitDone,
            applied("c"),
            removed("a"),
            removed("never-seen"),
            Event::InitBegin,
            applied("b"),
            Event::InitDone,
        ];
        let mut validator = validator();
        assert_eq!(validate_all(&mut validator, events).unwrap().len(), 10);
        assert_eq!(validator.known.len(), 1);
    }

    #[test]
    fn a_listing_may_start_over() {
        let events = vec![
            Event::InitBegin,
            applied("a"),
            Event::InitBegin,
            applied("b"),
            Event::InitDone,
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
            (vec![Event::InitDone], "without an init-begin"),
            (vec![removed("a")], "before init-done"),
            (vec![Event::InitBegin, removed("a")], "before init-done"),
            (
                vec![Event::InitBegin, Event::InitDone, Event::InitDone],
                "without an init-begin",
            ),
        ] {
            let error = validate_all(&mut validator(), events).unwrap_err();
            assert!(error.0.contains(expected), "{error}");
        }
    }

    #[test]
    fn ids_in_another_format_are_rejected() {
        let mut validator = validator();
        validator.validate(Event::InitBegin).unwrap();
        validator.validate(Event::InitDone).unwrap();
        let error = validator
            .validate(Event::Removed(types::ObjectRef {
                kind: ObjectKind::Container,
                id: "ABCD".to_owned(),
            }))
            .unwrap_err();
        assert!(error.0.contains("hexadecimal digits"), "{error}");
    }

    #[test]
    fn a_removed_object_is_of_the_default_namespace() {
        let mut validator = validator();
        validator.validate(Event::InitBegin).unwrap();
        validator.validate(Event::InitDone).unwrap();
        for (kind, expected) in [
            (ObjectKind::Container, "first"),
            (ObjectKind::Image, "first"),
            (ObjectKind::Volume, "first"),
            (ObjectKind::Namespace, "00ff"),
        ] {
            let removed = Event::Removed(types::ObjectRef {
                kind,
                id: "00ff".to_owned(),
            });
            let WatchEvent::Removed(reference) = validator.validate(removed).unwrap() else {
                panic!("not a removal");
            };
            assert_eq!((&*reference.namespace, &*reference.id), (expected, "00ff"));
        }
    }

    #[test]
    fn an_endless_listing_is_rejected() {
        let mut validator = validator();
        validator.max_unfinished_events = 10;
        let mut events = vec![Event::InitBegin];
        events.extend((0..10).map(|_| applied("same")));
        let error = validate_all(&mut validator, events).unwrap_err();
        assert!(error.0.contains("without an init-done"), "{error}");
    }

    #[test]
    fn endless_restarts_of_a_listing_are_rejected() {
        let mut validator = validator();
        validator.max_unfinished_events = 10;
        let error = validate_all(&mut validator, vec![Event::InitBegin; 11]).unwrap_err();
        assert!(error.0.contains("without an init-done"), "{error}");
    }

    #[test]
    fn live_changes_do_not_count_toward_a_listing() {
        let mut validator = validator();
        validator.max_unfinished_events = 10;
        validate_all(&mut validator, vec![Event::InitBegin, Event::InitDone]).unwrap();
        validate_all(&mut validator, (0..100).map(|_| applied("same")).collect()).unwrap();
    }

    #[test]
    fn the_number_and_size_of_objects_is_bounded() {
        let mut many = validator();
        many.max_objects = 2;
        let error = validate_all(
            &mut many,
            vec![
                Event::InitBegin,
                applied("a"),
                Event::InitDone,
                applied("b"),
                applied("c"),
            ],
        )
        .unwrap_err();
        assert!(error.0.contains("3 objects"), "{error}");

        let mut large = validator();
        large.max_bytes = 100;
        let error = validate_all(
            &mut large,
            vec![
                Event::InitBegin,
                applied("a"),
                applied("b"),
                applied("c"),
                applied("d"),
            ],
        )
        .unwrap_err();
        assert!(error.0.contains("bytes"), "{error}");
    }
}
