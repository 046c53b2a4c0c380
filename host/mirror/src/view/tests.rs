//! Tests of the view: events in, changes out.

use super::*;
use crate::fixtures::{applied, at, container, image, info, key, removed, volume, volume_key};
use rdd_core::ObjectKind;

/// Returns a view to which these events were applied.
fn view(events: impl IntoIterator<Item = WatchEvent>) -> EngineView {
    let mut view = EngineView::new(crate::fixtures::NAMESPACE.into(), info());
    for event in events {
        view.apply(event).expect("the event must be valid");
    }
    view
}

fn summary(changes: &[DesiredChange]) -> Vec<String> {
    let mut shown: Vec<String> = changes
        .iter()
        .map(|change| match change {
            DesiredChange::Set(key, DesiredState::Image { tag, .. }) => {
                let tag = tag.as_deref().unwrap_or("none");
                assert!(key.name.starts_with("img-"));
                format!("set {tag}")
            }
            DesiredChange::Set(key, _) => format!("set {}", key.name),
            DesiredChange::Removed(key) => format!("removed {}", key.name),
        })
        .collect();
    shown.sort();
    shown
}

fn removed_change(name: &str) -> String {
    format!("removed {name}")
}

#[test]
fn objects_missing_from_a_complete_listing_are_removed() {
    let mut view = view([
        applied(EngineObject::Container(container("aaaa"))),
        WatchEvent::InitBegin,
    ]);
    assert!(view.is_listing() && !view.has_listed());
    let changes = view.apply(applied(EngineObject::Container(container("bbbb"))));
    assert_eq!(
        summary(&changes.expect("the event must be valid")),
        ["set bbbb"]
    );
    let changes = view.apply(WatchEvent::InitDone);
    assert_eq!(
        summary(&changes.expect("the event must be valid")),
        ["removed aaaa"]
    );
    assert!(!view.is_listing() && view.has_listed());
}

#[test]
fn an_aborted_listing_removes_nothing() {
    let mut view = view([
        applied(EngineObject::Container(container("aaaa"))),
        WatchEvent::InitBegin,
    ]);
    view.abort_listing();
    assert_eq!(
        view.apply(WatchEvent::InitDone),
        Err(WatchProtocolError::InitDoneWithoutBegin)
    );
    assert!(!view.has_listed());
}

#[test]
fn unchanged_objects_cause_no_change() {
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
fn a_tag_belongs_to_one_image() {
    let mut view = view([applied(EngineObject::Image(image(
        "sha256:1",
        &["a:1", "b:1"],
    )))]);
    let changes = view
        .apply(applied(EngineObject::Image(image("sha256:2", &["a:1"]))))
        .expect("the event must be valid");
    assert_eq!(
        summary(&changes),
        [
            removed_change(&mirror_names::image("sha256:1", Some("a:1"))),
            "set a:1".into(),
            "set b:1".into()
        ]
    );
    // The later event about the previous owner changes nothing, and does not
    // affect the new owner.
    let late = applied(EngineObject::Image(image("sha256:1", &["b:1"])));
    assert_eq!(view.apply(late), Ok(Vec::new()));
    let changes = view.apply(removed(ObjectKind::Image, "sha256:1"));
    let lost = mirror_names::image("sha256:1", Some("b:1"));
    assert_eq!(
        summary(&changes.expect("the event must be valid")),
        [removed_change(&lost)]
    );
}

#[test]
fn an_image_is_dangling_only_without_tags() {
    let mut view = view([applied(EngineObject::Image(image("sha256:1", &["a:1"])))]);
    let changes = view
        .apply(applied(EngineObject::Image(image("sha256:2", &["a:1"]))))
        .expect("the event must be valid");
    let lost = mirror_names::image("sha256:1", Some("a:1"));
    assert_eq!(
        summary(&changes),
        [removed_change(&lost), "set a:1".into(), "set none".into()]
    );
    let changes = view
        .apply(applied(EngineObject::Image(image("sha256:1", &["b:1"]))))
        .expect("the event must be valid");
    let dangling = mirror_names::image("sha256:1", None);
    assert_eq!(
        summary(&changes),
        [removed_change(&dangling), "set b:1".into()]
    );
}

#[test]
fn a_removed_volume_is_reported_as_removed() {
    let mut view = view([applied(EngineObject::Volume(volume("x", at(1))))]);
    let changes = view
        .apply(removed(ObjectKind::Volume, "x"))
        .expect("the event must be valid");
    assert_eq!(changes, [DesiredChange::Removed(volume_key("x"))]);
}

#[test]
fn a_volume_whose_creation_time_alone_changed_is_the_same_volume() {
    let mut view = view([applied(EngineObject::Volume(volume("x", at(1))))]);
    let changes = view
        .apply(applied(EngineObject::Volume(volume("x", at(2)))))
        .expect("the event must be valid");
    assert!(
        matches!(&changes[..], [DesiredChange::Set(..)]),
        "{changes:?}"
    );
    let labeled = Volume {
        labels: [("a".to_owned(), "b".to_owned())].into(),
        ..volume("x", at(3))
    };
    let changes = view
        .apply(applied(EngineObject::Volume(labeled)))
        .expect("the event must be valid");
    assert!(
        matches!(
            &changes[..],
            [DesiredChange::Removed(_), DesiredChange::Set(..)]
        ),
        "{changes:?}"
    );
}

#[test]
fn objects_with_invalid_names_or_ids_are_ignored() {
    let mut view = view([]);
    for invalid in [
        EngineObject::Container(container("../../secrets")),
        EngineObject::Container(container("AAAA")),
        EngineObject::Namespace("a/b".to_owned()),
    ] {
        assert_eq!(view.apply(applied(invalid)), Ok(Vec::new()));
    }
}

#[test]
fn the_fixed_namespaces_are_never_removed() {
    let mut view = view([]);
    assert_eq!(
        view.fixed_namespaces(),
        [DesiredChange::Set(
            key(MirrorKind::Namespace, "moby"),
            DesiredState::Namespace
        )]
    );
    for name in ["moby", "other"] {
        view.apply(applied(EngineObject::Namespace(name.to_owned())))
            .expect("the event must be valid");
    }
    assert_eq!(
        view.apply(removed(ObjectKind::Namespace, "moby")),
        Ok(Vec::new())
    );
    let changes = view
        .apply(removed(ObjectKind::Namespace, "other"))
        .expect("the event must be valid");
    assert_eq!(
        changes,
        [DesiredChange::Removed(key(MirrorKind::Namespace, "other"))]
    );
}
