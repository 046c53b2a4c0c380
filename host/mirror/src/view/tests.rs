//! Events in, changes out.

use super::*;
use crate::fixtures::{applied, at, container, image, info, key, removed, volume, volume_key};
use rdd_core::ObjectKind;

/// A view that has taken in these events.
fn view(events: impl IntoIterator<Item = WatchEvent>) -> View {
    let mut view = View::new(crate::fixtures::NAMESPACE.into(), info());
    for event in events {
        view.apply(event).expect("a good event");
    }
    view
}

fn show(changes: &[Change]) -> Vec<String> {
    let mut shown: Vec<String> = changes
        .iter()
        .map(|change| match change {
            Change::Set(key, Desired::Image { tag, .. }) => {
                let tag = tag.as_deref().unwrap_or("none");
                assert!(key.name.starts_with("img-"));
                format!("set {tag}")
            }
            Change::Set(key, _) => format!("set {}", key.name),
            Change::Gone(key) => format!("gone {}", key.name),
        })
        .collect();
    shown.sort();
    shown
}

fn gone(name: &str) -> String {
    format!("gone {name}")
}

#[test]
fn a_whole_listing_ends_what_it_does_not_name() {
    let mut view = view([
        applied(EngineObject::Container(container("aaaa"))),
        WatchEvent::InitBegin,
    ]);
    assert!(view.is_listing() && !view.is_complete());
    let changes = view.apply(applied(EngineObject::Container(container("bbbb"))));
    assert_eq!(show(&changes.expect("good")), ["set bbbb"]);
    let changes = view.apply(WatchEvent::InitDone);
    assert_eq!(show(&changes.expect("good")), ["gone aaaa"]);
    assert!(!view.is_listing() && view.is_complete());
}

#[test]
fn a_listing_that_breaks_off_ends_nothing() {
    let mut view = view([
        applied(EngineObject::Container(container("aaaa"))),
        WatchEvent::InitBegin,
    ]);
    view.interrupted();
    assert_eq!(
        view.apply(WatchEvent::InitDone),
        Err(ProtocolError::DoneWithoutBegin)
    );
    assert!(!view.is_complete());
}

#[test]
fn what_did_not_change_is_no_change() {
    let all = || {
        [
            EngineObject::Container(container("aaaa")),
            EngineObject::Image(image("sha256:1", &["a:1"])),
            EngineObject::Volume(volume("x", at(1))),
        ]
        .map(applied)
    };
    let mut view = view(all());
    for event in all() {
        assert_eq!(view.apply(event), Ok(Vec::new()));
    }
}

#[test]
fn a_tag_has_one_image() {
    let mut view = view([applied(EngineObject::Image(image(
        "sha256:1",
        &["a:1", "b:1"],
    )))]);
    let changes = view
        .apply(applied(EngineObject::Image(image("sha256:2", &["a:1"]))))
        .expect("good");
    assert_eq!(
        show(&changes),
        [
            gone(&names::image("sha256:1", Some("a:1"))),
            "set a:1".into(),
            "set b:1".into()
        ]
    );
    // The engine's own word on the loser changes nothing, and takes nothing
    // from the winner.
    let late = applied(EngineObject::Image(image("sha256:1", &["b:1"])));
    assert_eq!(view.apply(late), Ok(Vec::new()));
    let changes = view.apply(removed(ObjectKind::Image, "sha256:1"));
    let lost = names::image("sha256:1", Some("b:1"));
    assert_eq!(show(&changes.expect("good")), [gone(&lost)]);
}

#[test]
fn an_image_dangles_only_without_tags() {
    let mut view = view([applied(EngineObject::Image(image("sha256:1", &["a:1"])))]);
    let changes = view
        .apply(applied(EngineObject::Image(image("sha256:2", &["a:1"]))))
        .expect("good");
    let lost = names::image("sha256:1", Some("a:1"));
    assert_eq!(
        show(&changes),
        [gone(&lost), "set a:1".into(), "set none".into()]
    );
    let changes = view
        .apply(applied(EngineObject::Image(image("sha256:1", &["b:1"]))))
        .expect("good");
    let dangling = names::image("sha256:1", None);
    assert_eq!(show(&changes), [gone(&dangling), "set b:1".into()]);
}

#[test]
fn a_volume_that_was_removed_is_another_from_then_on() {
    let mut view = view([applied(EngineObject::Volume(volume("x", at(1))))]);
    let changes = view.apply(removed(ObjectKind::Volume, "x")).expect("good");
    assert_eq!(changes, [Change::Gone(volume_key("x"))]);
}

#[test]
fn a_moved_creation_time_alone_makes_no_other_volume() {
    let mut view = view([applied(EngineObject::Volume(volume("x", at(1))))]);
    let changes = view
        .apply(applied(EngineObject::Volume(volume("x", at(2)))))
        .expect("good");
    assert!(matches!(&changes[..], [Change::Set(..)]), "{changes:?}");
    let labelled = Volume {
        labels: [("a".to_owned(), "b".to_owned())].into(),
        ..volume("x", at(3))
    };
    let changes = view
        .apply(applied(EngineObject::Volume(labelled)))
        .expect("good");
    assert!(
        matches!(&changes[..], [Change::Gone(_), Change::Set(..)]),
        "{changes:?}"
    );
}

#[test]
fn what_kubernetes_or_the_backend_cannot_name_is_left_out() {
    let mut view = view([]);
    for nonsense in [
        EngineObject::Container(container("../../secrets")),
        EngineObject::Container(container("AAAA")),
        EngineObject::Namespace("a/b".to_owned()),
    ] {
        assert_eq!(view.apply(applied(nonsense)), Ok(Vec::new()));
    }
}

#[test]
fn the_fixed_namespaces_never_go() {
    let mut view = view([]);
    assert_eq!(
        view.fixed_namespaces(),
        [Change::Set(
            key(Kind::Namespace, "moby"),
            Desired::Namespace
        )]
    );
    for name in ["moby", "other"] {
        view.apply(applied(EngineObject::Namespace(name.to_owned())))
            .expect("good");
    }
    assert_eq!(
        view.apply(removed(ObjectKind::Namespace, "moby")),
        Ok(Vec::new())
    );
    let changes = view
        .apply(removed(ObjectKind::Namespace, "other"))
        .expect("good");
    assert_eq!(changes, [Change::Gone(key(Kind::Namespace, "other"))]);
}
