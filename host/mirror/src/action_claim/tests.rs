//! Claims on an API that is scripted: what happens between reading a Container
//! and writing it decides who wins.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::Value;
use tokio::sync::Notify;

use super::*;
use crate::fixtures::{NAMESPACE, answered, refused};
use crate::key::Kind;

const ID: &str = "abcd";
const ACTION: &str = "restart";

/// What happens just before a write is looked at.
enum Meanwhile {
    Nothing,
    /// Somebody writes the Container, or removes it.
    Change(fn(&mut Option<Value>)),
    /// The write arrives, and waits for the test.
    Held,
    /// The API refuses the write.
    Refused(u16),
}

/// An API that has one Container at the most.
#[derive(Default)]
struct FakeApi {
    container: Mutex<Option<Value>>,
    /// One for each write to come, then nothing.
    meanwhile: Mutex<VecDeque<Meanwhile>>,
    writes: Mutex<usize>,
    arrived: Notify,
    release: Notify,
}

impl FakeApi {
    /// One whose Container belongs to `owner`, and asks for the action.
    fn new(owner: &str) -> Arc<Self> {
        let container = json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
            "metadata": {
                "name": ID, "namespace": NAMESPACE, "uid": "first", "resourceVersion": "1",
                "labels": {INSTANCE_LABEL: owner},
                "annotations": {ACTION_ANNOTATION: ACTION},
            },
        });
        Arc::new(Self {
            container: Mutex::new(Some(container)),
            ..Self::default()
        })
    }

    fn next_write_meets(&self, meanwhile: Meanwhile) {
        self.meanwhile.lock().unwrap().push_back(meanwhile);
    }

    fn change(&self, change: fn(&mut Option<Value>)) {
        let mut container = self.container.lock().unwrap();
        change(&mut container);
        if let Some(container) = container.as_mut() {
            touch(container);
        }
    }

    fn client(self: &Arc<Self>) -> Client {
        let api = Arc::clone(self);
        let service = tower::service_fn(move |request| Arc::clone(&api).answer(request));
        Client::new(service, NAMESPACE)
    }

    async fn answer(self: Arc<Self>, request: Request<Body>) -> Result<Response<Body>, Infallible> {
        let (parts, body) = request.into_parts();
        if parts.method == Method::GET {
            return Ok(self.read());
        }
        assert_eq!(parts.method, Method::PATCH);
        let bytes = body.collect().await.unwrap().to_bytes();
        *self.writes.lock().unwrap() += 1;
        let meanwhile = self.meanwhile.lock().unwrap().pop_front();
        match meanwhile.unwrap_or(Meanwhile::Nothing) {
            Meanwhile::Nothing => {}
            Meanwhile::Change(change) => self.change(change),
            Meanwhile::Held => {
                self.arrived.notify_one();
                self.release.notified().await;
            }
            Meanwhile::Refused(code) => return Ok(refused(code)),
        }
        Ok(self.write(&serde_json::from_slice(&bytes).unwrap()))
    }

    fn read(&self) -> Response<Body> {
        match &*self.container.lock().unwrap() {
            Some(container) => answered(StatusCode::OK, container),
            None => refused(404),
        }
    }

    /// As a merge patch is taken: only over the object and version that it names.
    fn write(&self, patch: &Value) -> Response<Body> {
        let mut container = self.container.lock().unwrap();
        let Some(container) = container.as_mut() else {
            return refused(404);
        };
        for field in ["uid", "resourceVersion"] {
            let wanted = &patch["metadata"][field];
            if !wanted.is_null() && *wanted != container["metadata"][field] {
                return refused(409);
            }
        }
        json_patch::merge(container, patch);
        touch(container);
        answered(StatusCode::OK, container)
    }

    fn writes(&self) -> usize {
        *self.writes.lock().unwrap()
    }

    /// Who claimed the action.
    fn claimed_by(&self) -> Option<String> {
        let container = self.container.lock().unwrap();
        let claim = &container.as_ref()?["metadata"]["annotations"][ACTION_CLAIM_ANNOTATION];
        Some(claim.as_str()?.to_owned())
    }
}

/// Gives it another version.
fn touch(container: &mut Value) {
    let version = &mut container["metadata"]["resourceVersion"];
    let number: u64 = version.as_str().unwrap().parse().unwrap();
    *version = (number + 1).to_string().into();
}

async fn claim_as(api: &Arc<FakeApi>, instance: &str) -> Result<ClaimOutcome, kube::Error> {
    let key = Key {
        kind: Kind::Container,
        namespace: NAMESPACE.into(),
        name: ID.into(),
    };
    let instance = InstanceId::parse(instance).unwrap();
    claim(&api.client(), &key, ACTION, &instance).await
}

#[tokio::test]
async fn a_claim_is_written_once_and_found_again_by_its_instance_alone() {
    let api = FakeApi::new("one");
    assert_eq!(claim_as(&api, "one").await.unwrap(), ClaimOutcome::Won);
    assert_eq!(api.claimed_by().as_deref(), Some("one"));
    // After a crash.
    assert_eq!(claim_as(&api, "one").await.unwrap(), ClaimOutcome::Won);
    assert_eq!(api.writes(), 1);
    // The mirror changed hands since.
    api.change(|container| own(container, "two"));
    assert_eq!(claim_as(&api, "two").await.unwrap(), ClaimOutcome::Lost);
    assert_eq!(api.claimed_by().as_deref(), Some("one"));
    assert_eq!(api.writes(), 1);
}

fn own(container: &mut Option<Value>, instance: &str) {
    container.as_mut().unwrap()["metadata"]["labels"][INSTANCE_LABEL] = instance.into();
}

fn annotate(container: &mut Option<Value>, annotation: &str, value: Value) {
    container.as_mut().unwrap()["metadata"]["annotations"][annotation] = value;
}

#[tokio::test]
async fn of_two_that_read_before_either_writes_one_wins() {
    let api = FakeApi::new("one");
    api.next_write_meets(Meanwhile::Held);
    let slow = tokio::spawn({
        let api = Arc::clone(&api);
        async move { claim_as(&api, "one").await }
    });
    // It has read that the mirror is its own, and its write is on the way.
    api.arrived.notified().await;
    api.change(|container| own(container, "two"));
    assert_eq!(claim_as(&api, "two").await.unwrap(), ClaimOutcome::Won);
    api.release.notify_one();
    assert_eq!(slow.await.unwrap().unwrap(), ClaimOutcome::Lost);
    assert_eq!(api.claimed_by().as_deref(), Some("two"));
    assert_eq!(api.writes(), 2);
}

#[tokio::test]
async fn a_claim_that_another_one_wrote_first_is_not_written_over() {
    let api = FakeApi::new("one");
    api.next_write_meets(Meanwhile::Change(|container| {
        annotate(container, ACTION_CLAIM_ANNOTATION, "two".into());
    }));
    assert_eq!(claim_as(&api, "one").await.unwrap(), ClaimOutcome::Lost);
    assert_eq!(api.claimed_by().as_deref(), Some("two"));
}

#[tokio::test]
async fn writes_of_others_are_put_up_with_for_a_while() {
    for (others, outcome, writes) in [
        (ATTEMPTS - 1, ClaimOutcome::Won, ATTEMPTS),
        (ATTEMPTS, ClaimOutcome::Lost, ATTEMPTS),
    ] {
        let api = FakeApi::new("one");
        for _ in 0..others {
            api.next_write_meets(Meanwhile::Change(|_| {}));
        }
        assert_eq!(claim_as(&api, "one").await.unwrap(), outcome);
        assert_eq!(api.claimed_by().is_some(), outcome == ClaimOutcome::Won);
        assert_eq!(api.writes(), writes);
    }
}

#[tokio::test]
async fn what_is_not_this_instances_to_do_is_not_claimed() {
    let changes: [fn(&mut Option<Value>); 7] = [
        |container| *container = None,
        |container| own(container, "two"),
        |container| container.as_mut().unwrap()["metadata"]["labels"] = json!({}),
        |container| container.as_mut().unwrap()["metadata"]["annotations"] = json!({}),
        |container| annotate(container, ACTION_ANNOTATION, "stop".into()),
        |container| annotate(container, ACTION_CLAIM_ANNOTATION, "two".into()),
        |container| {
            container.as_mut().unwrap()["metadata"]["deletionTimestamp"] =
                "2026-01-01T00:00:00Z".into();
        },
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let api = FakeApi::new("one");
        api.change(change);
        let outcome = claim_as(&api, "one").await.unwrap();
        assert_eq!((outcome, api.writes()), (ClaimOutcome::Lost, 0), "{index}");
        // The same between reading and writing.
        let api = FakeApi::new("one");
        api.next_write_meets(Meanwhile::Change(change));
        let outcome = claim_as(&api, "one").await.unwrap();
        assert_eq!((outcome, api.writes()), (ClaimOutcome::Lost, 1), "{index}");
        assert_ne!(api.claimed_by().as_deref(), Some("one"), "{index}");
    }
}

#[tokio::test]
async fn a_container_that_took_the_name_meanwhile_is_another_one() {
    let api = FakeApi::new("one");
    api.next_write_meets(Meanwhile::Change(|container| {
        container.as_mut().unwrap()["metadata"] = json!({
            "name": ID, "namespace": NAMESPACE, "uid": "second", "resourceVersion": "5",
            "labels": {INSTANCE_LABEL: "one"}, "annotations": {},
        });
    }));
    assert_eq!(claim_as(&api, "one").await.unwrap(), ClaimOutcome::Lost);
    assert_eq!((api.claimed_by(), api.writes()), (None, 1));
}

#[tokio::test]
async fn an_api_that_fails_is_an_error_and_no_outcome() {
    let api = FakeApi::new("one");
    api.next_write_meets(Meanwhile::Refused(500));
    let error = claim_as(&api, "one").await.unwrap_err();
    assert!(
        matches!(&error, kube::Error::Api(status) if status.code == 500),
        "{error}"
    );
    assert_eq!(api.writes(), 1);
}
