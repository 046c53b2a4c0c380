//! Tests of claims with a scripted API: what happens between the read and the
//! write of a Container decides who wins.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::Value;
use tokio::sync::Notify;

use super::*;
use crate::fixtures::{NAMESPACE, refusal, response};
use crate::key::MirrorKind;

const ID: &str = "abcd";
const ACTION: &str = "restart";

/// What happens just before a write is processed.
enum Interference {
    None,
    /// The Container is changed or removed.
    Change(fn(&mut Option<Value>)),
    /// The write waits until the test releases it.
    Hold,
    /// The API refuses the write.
    Refuse(u16),
}

/// An API with at most one Container.
#[derive(Default)]
struct FakeApi {
    container: Mutex<Option<Value>>,
    /// The interference with each of the next writes.
    interference: Mutex<VecDeque<Interference>>,
    writes: Mutex<usize>,
    arrived: Notify,
    release: Notify,
}

impl FakeApi {
    /// Creates an API whose Container belongs to `owner` and requests the
    /// action.
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

    fn interfere_with_next_write(&self, interference: Interference) {
        self.interference.lock().unwrap().push_back(interference);
    }

    fn change(&self, change: fn(&mut Option<Value>)) {
        let mut container = self.container.lock().unwrap();
        change(&mut container);
        if let Some(container) = container.as_mut() {
            bump_version(container);
        }
    }

    fn client(self: &Arc<Self>) -> Client {
        let api = Arc::clone(self);
        let service = tower::service_fn(move |request| Arc::clone(&api).respond(request));
        Client::new(service, NAMESPACE)
    }

    async fn respond(
        self: Arc<Self>,
        request: Request<Body>,
    ) -> Result<Response<Body>, Infallible> {
        let (parts, body) = request.into_parts();
        if parts.method == Method::GET {
            return Ok(self.read());
        }
        assert_eq!(parts.method, Method::PATCH);
        let bytes = body.collect().await.unwrap().to_bytes();
        *self.writes.lock().unwrap() += 1;
        let interference = self.interference.lock().unwrap().pop_front();
        match interference.unwrap_or(Interference::None) {
            Interference::None => {}
            Interference::Change(change) => self.change(change),
            Interference::Hold => {
                self.arrived.notify_one();
                self.release.notified().await;
            }
            Interference::Refuse(code) => return Ok(refusal(code)),
        }
        Ok(self.write(&serde_json::from_slice(&bytes).unwrap()))
    }

    fn read(&self) -> Response<Body> {
        match &*self.container.lock().unwrap() {
            Some(container) => response(StatusCode::OK, container),
            None => refusal(404),
        }
    }

    /// Applies a merge patch if the UID and version in it match.
    fn write(&self, patch: &Value) -> Response<Body> {
        let mut container = self.container.lock().unwrap();
        let Some(container) = container.as_mut() else {
            return refusal(404);
        };
        for field in ["uid", "resourceVersion"] {
            let wanted = &patch["metadata"][field];
            if !wanted.is_null() && *wanted != container["metadata"][field] {
                return refusal(409);
            }
        }
        json_patch::merge(container, patch);
        bump_version(container);
        response(StatusCode::OK, container)
    }

    fn writes(&self) -> usize {
        *self.writes.lock().unwrap()
    }

    /// Returns the instance that claimed the action.
    fn claimed_by(&self) -> Option<String> {
        let container = self.container.lock().unwrap();
        let claim = &container.as_ref()?["metadata"]["annotations"][ACTION_CLAIM_ANNOTATION];
        Some(claim.as_str()?.to_owned())
    }
}

/// Increments the resource version.
fn bump_version(container: &mut Value) {
    let version = &mut container["metadata"]["resourceVersion"];
    let number: u64 = version.as_str().unwrap().parse().unwrap();
    *version = (number + 1).to_string().into();
}

async fn claim_as(api: &Arc<FakeApi>, instance: &str) -> Result<ClaimOutcome, kube::Error> {
    let key = MirrorKey {
        kind: MirrorKind::Container,
        namespace: NAMESPACE.into(),
        name: ID.into(),
    };
    let instance = InstanceId::parse(instance).unwrap();
    claim(&api.client(), &key, ACTION, &instance).await
}

#[tokio::test]
async fn a_claim_is_written_once_and_recognized_only_by_its_instance() {
    let api = FakeApi::new("one");
    assert_eq!(claim_as(&api, "one").await.unwrap(), ClaimOutcome::Won);
    assert_eq!(api.claimed_by().as_deref(), Some("one"));
    // After a crash.
    assert_eq!(claim_as(&api, "one").await.unwrap(), ClaimOutcome::Won);
    assert_eq!(api.writes(), 1);
    // Another instance has taken over the mirror.
    api.change(|container| set_owner(container, "two"));
    assert_eq!(claim_as(&api, "two").await.unwrap(), ClaimOutcome::Lost);
    assert_eq!(api.claimed_by().as_deref(), Some("one"));
    assert_eq!(api.writes(), 1);
}

fn set_owner(container: &mut Option<Value>, instance: &str) {
    container.as_mut().unwrap()["metadata"]["labels"][INSTANCE_LABEL] = instance.into();
}

fn annotate(container: &mut Option<Value>, annotation: &str, value: Value) {
    container.as_mut().unwrap()["metadata"]["annotations"][annotation] = value;
}

#[tokio::test]
async fn one_of_two_instances_that_read_before_either_writes_wins() {
    let api = FakeApi::new("one");
    api.interfere_with_next_write(Interference::Hold);
    let slow = tokio::spawn({
        let api = Arc::clone(&api);
        async move { claim_as(&api, "one").await }
    });
    // It has read that it owns the mirror, and its write is in flight.
    api.arrived.notified().await;
    api.change(|container| set_owner(container, "two"));
    assert_eq!(claim_as(&api, "two").await.unwrap(), ClaimOutcome::Won);
    api.release.notify_one();
    assert_eq!(slow.await.unwrap().unwrap(), ClaimOutcome::Lost);
    assert_eq!(api.claimed_by().as_deref(), Some("two"));
    assert_eq!(api.writes(), 2);
}

#[tokio::test]
async fn a_claim_of_another_instance_is_not_overwritten() {
    let api = FakeApi::new("one");
    api.interfere_with_next_write(Interference::Change(|container| {
        annotate(container, ACTION_CLAIM_ANNOTATION, "two".into());
    }));
    assert_eq!(claim_as(&api, "one").await.unwrap(), ClaimOutcome::Lost);
    assert_eq!(api.claimed_by().as_deref(), Some("two"));
}

#[tokio::test]
async fn a_claim_is_retried_a_limited_number_of_times_on_conflicts() {
    for (conflicts, outcome, writes) in [
        (MAX_ATTEMPTS - 1, ClaimOutcome::Won, MAX_ATTEMPTS),
        (MAX_ATTEMPTS, ClaimOutcome::Lost, MAX_ATTEMPTS),
    ] {
        let api = FakeApi::new("one");
        for _ in 0..conflicts {
            api.interfere_with_next_write(Interference::Change(|_| {}));
        }
        assert_eq!(claim_as(&api, "one").await.unwrap(), outcome);
        assert_eq!(api.claimed_by().is_some(), outcome == ClaimOutcome::Won);
        assert_eq!(api.writes(), writes);
    }
}

#[tokio::test]
async fn an_action_of_another_instance_or_no_action_is_not_claimed() {
    let changes: [fn(&mut Option<Value>); 7] = [
        |container| *container = None,
        |container| set_owner(container, "two"),
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
        // The same change between the read and the write.
        let api = FakeApi::new("one");
        api.interfere_with_next_write(Interference::Change(change));
        let outcome = claim_as(&api, "one").await.unwrap();
        assert_eq!((outcome, api.writes()), (ClaimOutcome::Lost, 1), "{index}");
        assert_ne!(api.claimed_by().as_deref(), Some("one"), "{index}");
    }
}

#[tokio::test]
async fn a_recreated_container_of_the_same_name_is_not_claimed() {
    let api = FakeApi::new("one");
    api.interfere_with_next_write(Interference::Change(|container| {
        container.as_mut().unwrap()["metadata"] = json!({
            "name": ID, "namespace": NAMESPACE, "uid": "second", "resourceVersion": "5",
            "labels": {INSTANCE_LABEL: "one"}, "annotations": {},
        });
    }));
    assert_eq!(claim_as(&api, "one").await.unwrap(), ClaimOutcome::Lost);
    assert_eq!((api.claimed_by(), api.writes()), (None, 1));
}

#[tokio::test]
async fn a_failing_api_is_an_error() {
    let api = FakeApi::new("one");
    api.interfere_with_next_write(Interference::Refuse(500));
    let error = claim_as(&api, "one").await.unwrap_err();
    assert!(
        matches!(&error, kube::Error::Api(status) if status.code == 500),
        "{error}"
    );
    assert_eq!(api.writes(), 1);
}
