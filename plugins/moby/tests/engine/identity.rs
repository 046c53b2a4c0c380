//! Tests with a container that has the ID of another one as its name. The engine
//! may confuse them; the backend must not.

use std::cell::Cell;
use std::rc::Rc;

use bollard::query_parameters::{
    InspectContainerOptions, RemoveContainerOptionsBuilder, RemoveVolumeOptions,
    RenameContainerOptionsBuilder,
};
use futures::FutureExt;
use rdd_sdk::Backend;
use rdd_sdk::testing;
use rdd_sdk::types::{Action, ErrorCode, RemovalTarget};

use crate::fixture::{self, EngineFixture, container_ref, read, removal, whole_log};
use crate::proxy::EngineProxy;

async fn rename(fixture: &EngineFixture, id: &str, name: &str) {
    let options = RenameContainerOptionsBuilder::new().name(name).build();
    fixture.docker.rename_container(id, options).await.unwrap();
}

async fn remove(fixture: &EngineFixture, id: &str) {
    let force = RemoveContainerOptionsBuilder::new().force(true).build();
    fixture
        .docker
        .remove_container(id, Some(force))
        .await
        .unwrap();
}

/// Returns the ID and name of the container that the engine resolves a text to.
async fn lookup(fixture: &EngineFixture, text: &str) -> Option<(String, String)> {
    let found = fixture
        .docker
        .inspect_container(text, None::<InspectContainerOptions>)
        .await
        .ok()?;
    Some((found.id?, found.name?.trim_start_matches('/').to_owned()))
}

#[test]
fn an_id_that_is_the_name_of_another_container_is_rejected() {
    fixture::run("collision", |fixture| async move {
        let id = fixture.run_to_exit("a", "echo mine", false).await;
        let other = fixture.run_to_exit("b", "echo other", false).await;
        rename(&fixture, &other, &id).await;

        let removal = removal(RemovalTarget::Container(id.clone()));
        let error = fixture.moby.remove(removal.clone()).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Conflict, "{}", error.message);
        assert!(
            error.message.contains(&other) && error.message.contains("rename or remove"),
            "{}",
            error.message
        );
        let error = fixture
            .moby
            .act(container_ref(&id), Action::Start)
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Conflict, "{}", error.message);
        // A log can be opened, since its container is verified afterwards.
        let (out, _) = read(fixture.logs(&id, whole_log()).await).await;
        assert_eq!(String::from_utf8(out).unwrap(), "mine\n");
        assert_eq!(lookup(&fixture, &id).await.unwrap().0, id);

        // After the removal of the first container, the ID is only a name.
        remove(&fixture, &id).await;
        let error = fixture.moby.remove(removal).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::NotFound, "{}", error.message);
        let error = fixture
            .moby
            .act(container_ref(&id), Action::Start)
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::NotFound, "{}", error.message);
        let log = testing::get_logs(&fixture.moby, container_ref(&id), whole_log());
        let error = log
            .await
            .err()
            .expect("the log of another container was opened");
        assert_eq!(error.code, ErrorCode::NotFound, "{}", error.message);
        assert_eq!(lookup(&fixture, &id).await, Some((other, id)));
    });
}

/// Removes a container through a proxy that replaces it with another one right
/// before the `nth` request with side effects.
async fn replaced_before(fixture: &Rc<EngineFixture>, nth: u32) {
    let name = |suffix: &str| format!("{suffix}{nth}");
    let id = fixture.create(&name("a"), "exec sleep 600", false).await;
    fixture.start(&id).await;
    let other = fixture.create(&name("b"), "exec sleep 600", false).await;
    fixture.start(&other).await;
    let changes = Rc::new(Cell::new(0));
    let proxy = EngineProxy::start(
        fixture.socket.clone(),
        &fixture.name(&format!("proxy{nth}")),
        {
            let (fixture, id, other) = (Rc::clone(fixture), id.clone(), other.clone());
            let changes = Rc::clone(&changes);
            move |line| {
                let (fixture, id, other) = (Rc::clone(&fixture), id.clone(), other.clone());
                let is_change = !line.starts_with("GET ");
                changes.set(changes.get() + u32::from(is_change));
                let now = is_change && changes.get() == nth;
                async move {
                    if now {
                        remove(&fixture, &id).await;
                        rename(&fixture, &other, &id).await;
                    }
                }
                .boxed_local()
            }
        },
    );
    let error = proxy
        .moby()
        .remove(removal(RemovalTarget::Container(id.clone())))
        .await
        .unwrap_err();
    assert!(changes.get() >= nth, "the container was not replaced");
    assert_eq!(error.code, ErrorCode::NotFound, "{}", error.message);
    // The other container is unchanged, including its name.
    assert_eq!(lookup(fixture, &other).await, Some((other, id)));
}

#[test]
fn a_removal_never_affects_a_container_that_took_the_id_as_its_name() {
    fixture::run("replaced", |fixture| async move {
        for nth in 1..=2 {
            replaced_before(&fixture, nth).await;
        }
    });
}

#[test]
fn a_refused_removal_restores_the_name() {
    fixture::run("refused", |fixture| async move {
        let id = fixture.create("a", "true", false).await;
        let proxy = EngineProxy::start(fixture.socket.clone(), &fixture.name("proxy"), {
            let (fixture, id) = (Rc::clone(&fixture), id.clone());
            move |line| {
                let (fixture, id) = (Rc::clone(&fixture), id.clone());
                async move {
                    if line.starts_with("DELETE ") {
                        // Another client renames it, so that the engine does not
                        // find the temporary name.
                        rename(&fixture, &id, &fixture.name("mine")).await;
                    }
                }
                .boxed_local()
            }
        });
        let error = proxy
            .moby()
            .remove(removal(RemovalTarget::Container(id.clone())))
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Conflict, "{}", error.message);
        assert_eq!(lookup(&fixture, &id).await.unwrap().1, fixture.name("mine"));
        // An interrupted removal is continued.
        let mark = format!("{}.rdd-removing.{id}", fixture.name("mine"));
        rename(&fixture, &id, &mark).await;
        fixture
            .moby
            .remove(removal(RemovalTarget::Container(id.clone())))
            .await
            .unwrap();
        assert_eq!(lookup(&fixture, &id).await, None);
    });
}

#[test]
fn anonymous_volumes_are_kept_when_their_container_is_removed() {
    fixture::run("anonymous", |fixture| async move {
        let id = fixture.create_with_volume("a").await;
        let volume = fixture.volume_of(&id).await;
        fixture
            .moby
            .remove(removal(RemovalTarget::Container(id)))
            .await
            .unwrap();
        // Fails if the volume does not exist.
        fixture
            .docker
            .remove_volume(&volume, None::<RemoveVolumeOptions>)
            .await
            .unwrap();
    });
}
