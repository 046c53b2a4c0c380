//! Which sequences of events a watch may send.

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
