//! A container that bears another's ID as its name: the engine takes one for
//! the other, and the backend must not.

use std::cell::Cell;
use std::rc::Rc;

use bollard::query_parameters::{
    InspectContainerOptions, RemoveContainerOptionsBuilder, RemoveVolumeOptions,
    RenameContainerOptionsBuilder,
};
use futures::FutureExt;
use rdd_sdk::Backend;
use rdd_sdk::types::{Action, ErrorCode, Removal};

use crate::fixture::{self, Fixture, everything, read};
use crate::proxy::Proxy;

async fn rename(fixture: &Fixture, id: &str, name: &str) {
    let options = RenameContainerOptionsBuilder::new().name(name).build();
    fixture.docker.rename_container(id, options).await.unwrap();
}

async fn remove(fixture: &Fixture, id: &str) {
    let force = RemoveContainerOptionsBuilder::new().force(true).build();
    fixture
        .docker
        .remove_container(id, Some(force))
        .await
        .unwrap();
}

/// ID and name of what a text leads to.
async fn lookup(fixture: &Fixture, text: &str) -> Option<(String, String)> {
    let found = fixture
        .docker
        .inspect_container(text, None::<InspectContainerOptions>)
        .await
        .ok()?;
    Some((found.id?, found.name?.trim_start_matches('/').to_owned()))
}

#[test]
fn nothing_is_done_to_an_id_that_is_anothers_name() {
    fixture::run("collision", |fixture| async move {
        let id = fixture.finished("a", "echo mine", false).await;
        let other = fixture.finished("b", "echo other", false).await;
        rename(&fixture, &other, &id).await;

        let removal = Removal::Container(id.clone());
        let error = fixture.moby.remove(removal.clone()).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Conflict, "{}", error.message);
        assert!(
            error.message.contains(&other) && error.message.contains("rename it"),
            "{}",
            error.message
        );
        let error = fixture
            .moby
            .act(id.clone(), Action::Start)
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Conflict, "{}", error.message);
        // A log is opened, as what was opened can be proven afterwards.
        let (out, _) = read(fixture.logs(&id, everything()).await).await;
        assert_eq!(String::from_utf8(out).unwrap(), "mine\n");
        assert_eq!(lookup(&fixture, &id).await.unwrap().0, id);

        // The first goes: the ID is nothing but a name now.
        remove(&fixture, &id).await;
        let error = fixture.moby.remove(removal).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::NotFound, "{}", error.message);
        let error = fixture
            .moby
            .act(id.clone(), Action::Start)
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::NotFound, "{}", error.message);
        let moby = Rc::clone(&fixture.moby);
        let log = rdd_sdk::native::Running::start({
            let id = id.clone();
            |responder| async move { moby.get_logs(id, everything(), responder).await }
        });
        let error = log.await.err().expect("no log of another's");
        assert_eq!(error.code, ErrorCode::NotFound, "{}", error.message);
        assert_eq!(lookup(&fixture, &id).await, Some((other, id)));
    });
}

/// Removes through a proxy that puts another container in the place of the one
/// that is meant, right before the `nth` request that changes something.
async fn replaced_before(fixture: &Rc<Fixture>, nth: u32) {
    let name = |suffix: &str| format!("{suffix}{nth}");
    let id = fixture.create(&name("a"), "exec sleep 600", false).await;
    fixture.start(&id).await;
    let other = fixture.create(&name("b"), "exec sleep 600", false).await;
    fixture.start(&other).await;
    let changes = Rc::new(Cell::new(0));
    let proxy = Proxy::start(
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
        .remove(Removal::Container(id.clone()))
        .await
        .unwrap_err();
    assert!(changes.get() >= nth, "the test did nothing");
    assert_eq!(error.code, ErrorCode::NotFound, "{}", error.message);
    // Untouched, its name included.
    assert_eq!(lookup(fixture, &other).await, Some((other, id)));
}

#[test]
fn a_removal_never_hits_what_took_the_id_as_its_name_meanwhile() {
    fixture::run("replaced", |fixture| async move {
        for nth in 1..=2 {
            replaced_before(&fixture, nth).await;
        }
    });
}

#[test]
fn a_refused_removal_leaves_the_name_as_it_was() {
    fixture::run("refused", |fixture| async move {
        let id = fixture.create("a", "true", false).await;
        let proxy = Proxy::start(fixture.socket.clone(), &fixture.name("proxy"), {
            let (fixture, id) = (Rc::clone(&fixture), id.clone());
            move |line| {
                let (fixture, id) = (Rc::clone(&fixture), id.clone());
                async move {
                    if line.starts_with("DELETE ") {
                        // Somebody else names it in between: no such container
                        // for the engine, and still there.
                        rename(&fixture, &id, &fixture.name("mine")).await;
                    }
                }
                .boxed_local()
            }
        });
        let error = proxy
            .moby()
            .remove(Removal::Container(id.clone()))
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Conflict, "{}", error.message);
        assert_eq!(lookup(&fixture, &id).await.unwrap().1, fixture.name("mine"));
        // And an attempt that was cut short is taken up where it was.
        let mark = format!("{}.rdd-removing.{id}", fixture.name("mine"));
        rename(&fixture, &id, &mark).await;
        fixture
            .moby
            .remove(Removal::Container(id.clone()))
            .await
            .unwrap();
        assert_eq!(lookup(&fixture, &id).await, None);
    });
}

#[test]
fn anonymous_volumes_outlive_their_container() {
    fixture::run("anonymous", |fixture| async move {
        let id = fixture.create_with_volume("a").await;
        let volume = fixture.volume_of(&id).await;
        fixture.moby.remove(Removal::Container(id)).await.unwrap();
        // Fails where it is gone.
        fixture
            .docker
            .remove_volume(&volume, None::<RemoveVolumeOptions>)
            .await
            .unwrap();
    });
}
