//! Tests of the watch: its listing, and each kind of change.

use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::{
    RemoveImageOptions, RemoveVolumeOptions, RenameContainerOptionsBuilder,
};
use rdd_sdk::testing::WatchReader;
use rdd_sdk::types::{Container, ContainerState, Event, Object, ObjectKind, ObjectRef};

use crate::fixture;

async fn container(
    watch: &mut WatchReader,
    id: &str,
    wanted: impl Fn(&Container) -> bool,
) -> Container {
    watch
        .until(|event| match event {
            Event::Applied(Object::Container(container))
                if container.id == id && wanted(container) =>
            {
                Some(container.clone())
            }
            _ => None,
        })
        .await
}

fn reference(kind: ObjectKind, id: &str) -> ObjectRef {
    ObjectRef {
        kind,
        namespace: "moby".to_owned(),
        id: id.to_owned(),
    }
}

#[test]
fn the_listing_contains_all_objects() {
    fixture::run("listing", |fixture| async move {
        let mut ids = Vec::new();
        for n in 0..30 {
            ids.push(fixture.create(&n.to_string(), "true", false).await);
        }
        let name = fixture.name("v");
        let request = VolumeCreateRequest {
            name: Some(name.clone()),
            ..VolumeCreateRequest::default()
        };
        fixture.docker.create_volume(request).await.unwrap();
        let listing = fixture.watch().await.listing().await;
        for id in &ids {
            let found = listing
                .iter()
                .filter(|o| matches!(o, Object::Container(c) if c.id == *id));
            assert_eq!(found.count(), 1);
        }
        assert!(
            listing
                .iter()
                .any(|o| matches!(o, Object::Volume(v) if v.name == name))
        );
        assert!(listing.iter().any(
            |o| matches!(o, Object::Image(i) if i.repo_tags.iter().any(|tag| tag == fixture::IMAGE))
        ));
    });
}

#[test]
fn all_changes_of_a_container_are_reported() {
    fixture::run("life", |fixture| async move {
        let mut watch = fixture.watch().await;
        watch.listing().await;
        let id = fixture.create("a", "exec sleep 600", false).await;
        container(&mut watch, &id, |c| c.state == ContainerState::Created).await;
        fixture.start(&id).await;
        let running = container(&mut watch, &id, |c| c.running).await;
        assert!(running.pid > 0 && running.started_at.is_some());
        fixture.docker.pause_container(&id).await.unwrap();
        container(&mut watch, &id, |c| c.paused && c.running).await;
        fixture.docker.unpause_container(&id).await.unwrap();
        container(&mut watch, &id, |c| !c.paused && c.running).await;
        let name = fixture.name("renamed");
        let rename = RenameContainerOptionsBuilder::new().name(&name).build();
        fixture.docker.rename_container(&id, rename).await.unwrap();
        container(&mut watch, &id, |c| c.name == name).await;
        fixture.docker.kill_container(&id, None).await.unwrap();
        let exited = container(&mut watch, &id, |c| c.state == ContainerState::Exited).await;
        assert_eq!(
            (exited.exit_code, exited.started_at),
            (137, running.started_at)
        );
        fixture.docker.remove_container(&id, None).await.unwrap();
        watch
            .until_removed(reference(ObjectKind::Container, &id))
            .await;
    });
}

#[test]
fn images_and_their_tags_are_reported() {
    fixture::run("images", |fixture| async move {
        let container = fixture.run_to_exit("a", "echo 1 > /one", false).await;
        let mut watch = fixture.watch().await;
        watch.listing().await;
        let untagged = fixture.commit(&container, None).await;
        let tags_of = async |watch: &mut WatchReader, id: &str, count: usize| {
            watch
                .until(|event| match event {
                    Event::Applied(Object::Image(image))
                        if image.id == id && image.repo_tags.len() == count =>
                    {
                        Some(image.clone())
                    }
                    _ => None,
                })
                .await
        };
        tags_of(&mut watch, &untagged, 0).await;
        let tag = fixture.name("image");
        fixture.tag(&untagged, &tag).await;
        let tagged = tags_of(&mut watch, &untagged, 1).await;
        assert_eq!(tagged.repo_tags, [format!("{tag}:1")]);
        assert_eq!(tagged.os, "linux");
        fixture
            .docker
            .remove_image(&format!("{tag}:1"), None::<RemoveImageOptions>, None)
            .await
            .unwrap();
        watch
            .until_removed(reference(ObjectKind::Image, &untagged))
            .await;
    });
}

#[test]
fn volumes_are_reported_and_a_replaced_one_is_removed_first() {
    fixture::run("volumes", |fixture| async move {
        let mut watch = fixture.watch().await;
        watch.listing().await;
        let name = fixture.name("v");
        let request = || VolumeCreateRequest {
            name: Some(name.clone()),
            ..VolumeCreateRequest::default()
        };
        let created = async |watch: &mut WatchReader| {
            watch
                .until(|event| {
                    matches!(event, Event::Applied(Object::Volume(v)) if v.name == name)
                        .then_some(())
                })
                .await;
        };
        fixture.docker.create_volume(request()).await.unwrap();
        created(&mut watch).await;
        fixture
            .docker
            .remove_volume(&name, None::<RemoveVolumeOptions>)
            .await
            .unwrap();
        fixture.docker.create_volume(request()).await.unwrap();
        watch
            .until_removed(reference(ObjectKind::Volume, &name))
            .await;
        created(&mut watch).await;
        fixture
            .docker
            .remove_volume(&name, None::<RemoveVolumeOptions>)
            .await
            .unwrap();
        watch
            .until_removed(reference(ObjectKind::Volume, &name))
            .await;
    });
}

#[test]
fn changes_during_the_listing_are_reported() {
    fixture::run("gap", |fixture| async move {
        for round in 0..20 {
            let id = fixture
                .create(&round.to_string(), "exec sleep 600", false)
                .await;
            let (mut watch, ()) = futures::join!(fixture.watch(), fixture.start(&id));
            let listing = watch.listing().await;
            let listed = listing
                .iter()
                .any(|o| matches!(o, Object::Container(c) if c.id == id && c.running));
            if !listed {
                container(&mut watch, &id, |c| c.running).await;
            }
        }
    });
}

#[test]
fn the_last_state_after_a_burst_is_reported() {
    fixture::run("burst", |fixture| async move {
        let mut watch = fixture.watch().await;
        watch.listing().await;
        let id = fixture.create("a", "true", false).await;
        // More events than the engine queues for a reader, while none are read.
        let last = fixture.name("last");
        for round in 0..400 {
            let name = if round == 399 {
                last.clone()
            } else {
                fixture.name(&format!("n{round}"))
            };
            let rename = RenameContainerOptionsBuilder::new().name(&name).build();
            fixture.docker.rename_container(&id, rename).await.unwrap();
        }
        watch
            .until(|event| match event {
                Event::Applied(Object::Container(c)) if c.id == id && c.name == last => Some(()),
                _ => None,
            })
            .await;
    });
}
