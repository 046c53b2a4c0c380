//! The order of a watch, and how much one may hold.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use rdd_core::{ObjectRef, WatchEvent};

use crate::bindings::engine::Event;
use crate::check::{Violation, violation};
use crate::convert;

/// Objects that one watch may report at once: ten times the largest engine
/// that this project measures with.
const MAX_OBJECTS: usize = 100_000;
/// Bytes that the objects of one watch may hold together. A container with
/// its labels has about two KiB.
const MAX_BYTES: usize = 512 * 1024 * 1024;
/// Elements between one finished listing and the next: objects that change
/// while they are listed, and listings that begin anew.
const MAX_UNFINISHED: usize = 4 * MAX_OBJECTS;

/// Follows a watch and refuses what its protocol forbids.
pub(crate) struct Reflector {
    form: rdd_core::IdFormat,
    max_objects: usize,
    max_bytes: usize,
    max_unfinished: usize,
    phase: Phase,
    /// Objects are told apart by this hash: it is for their number and weight
    /// alone, and a collision among 100,000 would be off by one object.
    hasher: RandomState,
    /// What the reader holds, by weight.
    known: HashMap<u64, usize>,
    /// What the listing in progress has named.
    listed: HashMap<u64, usize>,
    /// The weight of `known` and `listed`.
    bytes: usize,
    /// The weight of the last element.
    last: usize,
    /// Elements since the last finished listing.
    unfinished: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Before,
    Listing,
    Live,
}

impl Reflector {
    pub(crate) fn new(form: rdd_core::IdFormat) -> Self {
        Self {
            form,
            max_objects: MAX_OBJECTS,
            max_bytes: MAX_BYTES,
            max_unfinished: MAX_UNFINISHED,
            phase: Phase::Before,
            hasher: RandomState::new(),
            known: HashMap::new(),
            listed: HashMap::new(),
            bytes: 0,
            last: 0,
            unfinished: 0,
        }
    }

    /// Checks the next element.
    pub(crate) fn next(&mut self, event: Event) -> Result<WatchEvent, Violation> {
        self.last = 0;
        match event {
            Event::InitBegin => {
                self.listed_more()?;
                let abandoned: usize = self.listed.drain().map(|(_, weight)| weight).sum();
                self.bytes -= abandoned;
                self.phase = Phase::Listing;
                Ok(WatchEvent::InitBegin)
            }
            Event::Applied(object) => {
                let (object, weight) = convert::object(self.form, object)?;
                let reference = object.reference();
                self.last = weight;
                match self.phase {
                    Phase::Before => {
                        return Err(violation!(
                            "watch applied {reference} before init-begin",
                            reference = named(&reference)
                        ));
                    }
                    Phase::Listing => {
                        self.listed_more()?;
                        let before = self.listed.insert(self.hasher.hash_one(&reference), weight);
                        self.bytes = self.bytes - before.unwrap_or(0) + weight;
                    }
                    Phase::Live => {
                        let before = self.known.insert(self.hasher.hash_one(&reference), weight);
                        self.bytes = self.bytes - before.unwrap_or(0) + weight;
                    }
                }
                self.within()?;
                Ok(WatchEvent::Applied(Box::new(object)))
            }
            Event::InitDone => {
                if self.phase != Phase::Listing {
                    return Err(violation!("watch sent init-done without an init-begin"));
                }
                let gone: usize = self.known.values().sum();
                self.known = std::mem::take(&mut self.listed);
                self.bytes -= gone;
                self.unfinished = 0;
                self.phase = Phase::Live;
                Ok(WatchEvent::InitDone)
            }
            Event::Removed(reference) => {
                let reference = convert::object_ref(self.form, reference)?;
                if self.phase != Phase::Live {
                    return Err(violation!(
                        "watch removed {} outside of live changes",
                        named(&reference)
                    ));
                }
                let weight = self
                    .known
                    .remove(&self.hasher.hash_one(&reference))
                    .unwrap_or(0);
                self.bytes -= weight;
                Ok(WatchEvent::Removed(reference))
            }
        }
    }

    /// The bytes of the object in the last element.
    pub(crate) fn last_weight(&self) -> usize {
        self.last
    }

    fn listed_more(&mut self) -> Result<(), Violation> {
        self.unfinished += 1;
        if self.unfinished > self.max_unfinished {
            return Err(violation!(
                "watch sent {} elements without an init-done",
                self.unfinished
            ));
        }
        Ok(())
    }

    fn within(&self) -> Result<(), Violation> {
        let objects = self.known.len().max(self.listed.len());
        if objects > self.max_objects {
            return Err(violation!(
                "watch reported {objects} objects; {} are allowed",
                self.max_objects
            ));
        }
        if self.bytes > self.max_bytes {
            return Err(violation!(
                "the objects of the watch hold {} bytes; {} are allowed",
                self.bytes,
                self.max_bytes
            ));
        }
        Ok(())
    }
}

fn named(reference: &ObjectRef) -> String {
    format!(
        "the {:?} {}",
        reference.kind,
        crate::check::shown(&reference.id)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::types::{self, Object, ObjectKind};

    fn reflector() -> Reflector {
        Reflector::new(rdd_core::IdFormat::LowerHex(4))
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

    fn feed(reflector: &mut Reflector, events: Vec<Event>) -> Result<Vec<WatchEvent>, Violation> {
        events
            .into_iter()
            .map(|event| reflector.next(event))
            .collect()
    }

    #[test]
    fn lets_the_protocol_through() {
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
        let mut reflector = reflector();
        assert_eq!(feed(&mut reflector, events).unwrap().len(), 10);
        assert_eq!(reflector.known.len(), 1);
    }

    #[test]
    fn a_listing_may_begin_anew() {
        let events = vec![
            Event::InitBegin,
            applied("a"),
            Event::InitBegin,
            applied("b"),
            Event::InitDone,
        ];
        let mut reflector = reflector();
        feed(&mut reflector, events).unwrap();
        assert_eq!(reflector.known.len(), 1);
        assert_eq!(reflector.bytes, *reflector.known.values().next().unwrap());
    }

    #[test]
    fn refuses_what_is_out_of_order() {
        for (events, why) in [
            (vec![applied("a")], "before init-begin"),
            (vec![Event::InitDone], "without an init-begin"),
            (vec![removed("a")], "outside of live changes"),
            (
                vec![Event::InitBegin, removed("a")],
                "outside of live changes",
            ),
            (
                vec![Event::InitBegin, Event::InitDone, Event::InitDone],
                "without an init-begin",
            ),
        ] {
            let refused = feed(&mut reflector(), events).unwrap_err();
            assert!(refused.0.contains(why), "{refused}");
        }
    }

    #[test]
    fn refuses_ids_of_another_form() {
        let mut reflector = reflector();
        reflector.next(Event::InitBegin).unwrap();
        reflector.next(Event::InitDone).unwrap();
        let refused = reflector
            .next(Event::Removed(types::ObjectRef {
                kind: ObjectKind::Container,
                id: "ABCD".to_owned(),
            }))
            .unwrap_err();
        assert!(
            refused.0.contains("4 lower-case hexadecimal digits"),
            "{refused}"
        );
    }

    #[test]
    fn an_endless_listing_is_cut() {
        let mut reflector = reflector();
        reflector.max_unfinished = 10;
        let mut events = vec![Event::InitBegin];
        events.extend((0..10).map(|_| applied("same")));
        let refused = feed(&mut reflector, events).unwrap_err();
        assert!(refused.0.contains("without an init-done"), "{refused}");
    }

    #[test]
    fn endless_restarts_of_a_listing_are_cut() {
        let mut reflector = reflector();
        reflector.max_unfinished = 10;
        let refused = feed(&mut reflector, vec![Event::InitBegin; 11]).unwrap_err();
        assert!(refused.0.contains("without an init-done"), "{refused}");
    }

    #[test]
    fn live_changes_do_not_count_against_a_listing() {
        let mut reflector = reflector();
        reflector.max_unfinished = 10;
        feed(&mut reflector, vec![Event::InitBegin, Event::InitDone]).unwrap();
        feed(&mut reflector, (0..100).map(|_| applied("same")).collect()).unwrap();
    }

    #[test]
    fn the_number_and_size_of_objects_are_bounded() {
        let mut many = reflector();
        many.max_objects = 2;
        let refused = feed(
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
        assert!(refused.0.contains("3 objects"), "{refused}");

        let mut large = reflector();
        large.max_bytes = 100;
        let refused = feed(
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
        assert!(refused.0.contains("bytes"), "{refused}");
    }
}
