//! Tests of inspections.

use rdd_sdk::Backend;
use rdd_sdk::types::{ContainerState, ErrorCode, Object, ObjectKind, ObjectRef};

use crate::fixture::{self, IMAGE};

fn reference(kind: ObjectKind, id: &str) -> ObjectRef {
    ObjectRef {
        kind,
        namespace: "moby".to_owned(),
        id: id.to_owned(),
    }
}

#[test]
fn a_container_is_returned_without_its_environment() {
    fixture::run("inspect", |fixture| async move {
        let id = fixture.run_to_exit("a", "exit 3", false).await;
        let inspection = fixture
            .moby
            .inspect(reference(ObjectKind::Container, &id))
            .await
            .unwrap();
        let Object::Container(container) = inspection.object else {
            panic!()
        };
        assert_eq!(
            (container.id, container.name),
            (id.clone(), fixture.name("a"))
        );
        assert_eq!(
            (container.path.as_str(), container.args),
            ("sh", vec!["-c".into(), "exit 3".into()])
        );
        assert_eq!(
            (container.state, container.exit_code, container.pid),
            (ContainerState::Exited, 3, 0)
        );
        // The start and end are not compared: the engine may record the end of a
        // short-lived process before its start.
        assert!(container.created_at <= container.started_at && container.finished_at.is_some());
        assert!(container.created_at.is_some() && !container.running && !container.tty);
        assert!(
            !inspection.raw.contains("hunter2") && inspection.raw.contains("SECRET="),
            "{}",
            inspection.raw
        );

        let image = reference(ObjectKind::Image, &container.image_id);
        let Object::Image(image) = fixture.moby.inspect(image).await.unwrap().object else {
            panic!()
        };
        assert!(image.repo_tags.iter().any(|tag| tag == IMAGE));
        assert_eq!(
            (image.os.as_str(), image.architecture.is_empty()),
            ("linux", false)
        );
        assert!(image.size > 0 && image.created_at.is_some());

        // The engine itself would accept a name.
        let name = reference(ObjectKind::Container, &fixture.name("a"));
        let error = fixture.moby.inspect(name).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidArgument);
    });
}

#[test]
fn a_missing_object_is_not_found() {
    fixture::run("missing", |fixture| async move {
        let hex = "0123456789abcdef".repeat(4);
        for (kind, id) in [
            (ObjectKind::Container, hex.clone()),
            (ObjectKind::Image, format!("sha256:{hex}")),
            (ObjectKind::Volume, fixture.name("none")),
            (ObjectKind::Namespace, "other".to_owned()),
        ] {
            let error = fixture
                .moby
                .inspect(reference(kind, &id))
                .await
                .unwrap_err();
            assert_eq!(error.code, ErrorCode::NotFound, "{kind:?}");
            assert!(
                error.message.to_lowercase().contains("no such"),
                "{}",
                error.message
            );
        }
    });
}
