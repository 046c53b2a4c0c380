//! Tests of removals and their preconditions.

use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::RemoveVolumeOptions;
use rdd_sdk::Backend;
use rdd_sdk::types::{ErrorCode, Object, ObjectKind, ObjectRef, RemovalTarget, Timestamp};

use crate::fixture::{self, EngineFixture, removal};

async fn created(fixture: &EngineFixture, name: &str) -> Option<Timestamp> {
    let object = ObjectRef {
        kind: ObjectKind::Volume,
        namespace: "moby".to_owned(),
        id: name.to_owned(),
    };
    match fixture.moby.inspect(object).await.unwrap().object {
        Object::Volume(volume) => volume.created_at,
        other => panic!("{other:?}"),
    }
}

async fn create(fixture: &EngineFixture, name: &str) {
    let request = VolumeCreateRequest {
        name: Some(name.to_owned()),
        ..VolumeCreateRequest::default()
    };
    fixture.docker.create_volume(request).await.unwrap();
}

#[test]
fn a_running_container_is_removed() {
    fixture::run("rm", |fixture| async move {
        let id = fixture.create("a", "exec sleep 600", false).await;
        fixture.start(&id).await;
        fixture
            .moby
            .remove(removal(RemovalTarget::Container(id.clone())))
            .await
            .unwrap();
        let error = fixture
            .moby
            .remove(removal(RemovalTarget::Container(id)))
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::NotFound);
    });
}

#[test]
fn a_tag_is_removed_only_from_the_specified_image() {
    fixture::run("tags", |fixture| async move {
        let container = fixture.run_to_exit("a", "echo 1 > /one", false).await;
        let tag = fixture.name("image");
        let old = fixture.commit(&container, Some(&tag)).await;
        let new = fixture.commit(&container, None).await;
        assert_ne!(old, new);
        fixture.tag(&new, &tag).await;
        let full = format!("{tag}:1");
        let error = fixture
            .moby
            .remove(removal(RemovalTarget::ImageTag((
                full.clone(),
                old.clone(),
            ))))
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Replaced, "{}", error.message);
        // The old image is dangling and can be removed by its ID; the new one
        // cannot, since it has a tag.
        fixture
            .moby
            .remove(removal(RemovalTarget::Image(old.clone())))
            .await
            .unwrap();
        let error = fixture
            .moby
            .remove(removal(RemovalTarget::Image(new.clone())))
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Replaced, "{}", error.message);
        fixture
            .moby
            .remove(removal(RemovalTarget::ImageTag((
                full.clone(),
                new.clone(),
            ))))
            .await
            .unwrap();
        for target in [
            RemovalTarget::ImageTag((full, new)),
            RemovalTarget::Image(old),
        ] {
            let error = fixture.moby.remove(removal(target)).await.unwrap_err();
            assert_eq!(error.code, ErrorCode::NotFound, "{}", error.message);
        }
    });
}

#[test]
fn the_removal_of_an_image_in_use_is_a_conflict() {
    fixture::run("inuse", |fixture| async move {
        let source = fixture.run_to_exit("a", "echo 1 > /one", false).await;
        // A failure must not remove the image of other tests.
        let tag = fixture.name("image");
        let image = fixture.commit(&source, Some(&tag)).await;
        let full = format!("{tag}:1");
        fixture.create_from(&full, "b", "true", false).await;
        let target = RemovalTarget::ImageTag((full, image));
        let error = fixture.moby.remove(removal(target)).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Conflict);
        assert!(error.message.contains("container"), "{}", error.message);
    });
}

#[test]
fn a_later_volume_of_the_same_name_is_not_removed() {
    fixture::run("volume", |fixture| async move {
        let name = fixture.name("v");
        create(&fixture, &name).await;
        let first = created(&fixture, &name).await;
        fixture
            .docker
            .remove_volume(&name, None::<RemoveVolumeOptions>)
            .await
            .unwrap();
        // The resolution of the engine's creation times is one second.
        while create_and_get_time(&fixture, &name).await == first {
            fixture
                .docker
                .remove_volume(&name, None::<RemoveVolumeOptions>)
                .await
                .unwrap();
        }
        let error = fixture
            .moby
            .remove(removal(RemovalTarget::Volume((name.clone(), first))))
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Replaced, "{}", error.message);
        let second = created(&fixture, &name).await;
        fixture
            .moby
            .remove(removal(RemovalTarget::Volume((name.clone(), second))))
            .await
            .unwrap();
        let error = fixture
            .moby
            .remove(removal(RemovalTarget::Volume((name, second))))
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::NotFound);
    });
}

async fn create_and_get_time(fixture: &EngineFixture, name: &str) -> Option<Timestamp> {
    create(fixture, name).await;
    created(fixture, name).await
}
