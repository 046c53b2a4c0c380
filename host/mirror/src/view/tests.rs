//! Tests of the view: events in, changes out.

use super::*;
use crate::fixtures::{applied, at, container, image, info, key, removed, volume, volume_key};
use rdd_core::Container;

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
            removed_change(&mirror_names::image(None, "sha256:1", Some("a:1"))),
            "set a:1".into(),
            "set b:1".into()
        ]
    );
    // The later event about the previous owner changes nothing, and does not
    // affect the new owner.
    let late = applied(EngineObject::Image(image("sha256:1", &["b:1"])));
    assert_eq!(view.apply(late), Ok(Vec::new()));
    let changes = view.apply(removed(ObjectKind::Image, "sha256:1"));
    let lost = mirror_names::image(None, "sha256:1", Some("b:1"));
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
    let lost = mirror_names::image(None, "sha256:1", Some("a:1"));
    assert_eq!(
        summary(&changes),
        [removed_change(&lost), "set a:1".into(), "set none".into()]
    );
    let changes = view
        .apply(applied(EngineObject::Image(image("sha256:1", &["b:1"]))))
        .expect("the event must be valid");
    let dangling = mirror_names::image(None, "sha256:1", None);
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

/// Returns the keys of the mirrors that are set, and of those that are removed.
fn keys(changes: &[DesiredChange]) -> (Vec<MirrorKey>, Vec<MirrorKey>) {
    let (mut set, mut removed) = (Vec::new(), Vec::new());
    for change in changes {
        match change {
            DesiredChange::Set(key, _) => set.push(key.clone()),
            DesiredChange::Removed(key) => removed.push(key.clone()),
        }
    }
    (set, removed)
}

/// Returns one object of each kind whose name another namespace may have, too.
fn objects_of(namespace: &str) -> [EngineObject; 3] {
    let namespace = || namespace.to_owned();
    [
        EngineObject::Container(Container {
            namespace: namespace(),
            ..container("aaaa")
        }),
        EngineObject::Image(Image {
            namespace: namespace(),
            ..image("sha256:1", &["a:1"])
        }),
        EngineObject::Volume(Volume {
            namespace: namespace(),
            ..volume("x", at(1))
        }),
    ]
}

#[test]
fn no_object_is_dropped_for_its_name() {
    let mut view = view([]);
    for odd in [
        EngineObject::Container(container("../../secrets")),
        EngineObject::Container(container("AAAA")),
        EngineObject::Container(container("web_1")),
        EngineObject::Namespace("a/b".to_owned()),
    ] {
        let reference = odd.reference();
        let (set, _) = keys(&view.apply(applied(odd)).expect("the event must be valid"));
        assert_eq!(set.len(), 1, "{reference:?}");
        assert!(rdd_core::text::is_dns_subdomain(&set[0].name));
        let removal = view.apply(WatchEvent::Removed(reference));
        let (_, removed) = keys(&removal.expect("the event must be valid"));
        assert_eq!(removed, set);
    }
}

#[test]
fn objects_of_two_namespaces_with_equal_names_are_kept_apart() {
    let mut view = view(objects_of("moby").map(applied));
    for object in objects_of("shop") {
        let reference = object.reference();
        let default = ObjectRef {
            namespace: "moby".to_owned(),
            ..reference.clone()
        };
        let changes = view.apply(applied(object));
        let (set, removed) = keys(&changes.expect("the event must be valid"));
        assert_eq!((set.len(), removed.len()), (1, 0), "{reference:?}");
        let changes = view.apply(WatchEvent::Removed(reference));
        assert_eq!(keys(&changes.expect("the event must be valid")).1, set);
        // The one of the default namespace was not affected, and has another
        // mirror.
        let changes = view.apply(WatchEvent::Removed(default));
        let (_, removed) = keys(&changes.expect("the event must be valid"));
        assert_eq!(removed.len(), 1);
        assert_ne!(removed, set);
    }
}

#[test]
fn mirrors_are_renamed_with_the_default_namespace() {
    let mut view = view(objects_of("moby").map(applied));
    for object in objects_of("shop") {
        view.apply(applied(object))
            .expect("the event must be valid");
    }
    let changes = view.set_backend_info(BackendInfo {
        namespaces: vec!["shop".to_owned(), "moby".to_owned()],
        ..info()
    });
    let (set, removed) = keys(&changes);
    // Two of each kind; the two namespaces keep their names.
    assert_eq!((set.len(), removed.len()), (6 + 2, 6));
    // The container of the other namespace now has this name, and is another
    // object than the one that had it.
    let container = key(MirrorKind::Container, "aaaa");
    let position = |is_wanted: fn(&DesiredChange) -> bool| {
        let is_container = |change: &DesiredChange| match change {
            DesiredChange::Set(key, _) | DesiredChange::Removed(key) => *key == container,
        };
        let found = changes
            .iter()
            .position(|change| is_container(change) && is_wanted(change));
        found.expect("there is no such change")
    };
    assert!(
        position(|change| matches!(change, DesiredChange::Removed(_)))
            < position(|change| matches!(change, DesiredChange::Set(..)))
    );
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
