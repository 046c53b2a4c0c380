//! Tests of the requests of each write, and of their preconditions.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use kube::client::Body;

use super::*;
use crate::fixtures::{INSTANCE, at, container, desired_volume, key, status, volume_key};

/// The sent requests: method and path, with the body.
type SentRequests = Arc<Mutex<Vec<(String, Value)>>>;

/// Carries out `write` against an API that returns these responses.
async fn perform_with(
    key: &MirrorKey,
    write: WriteRequest,
    responses: &[(u16, Value)],
) -> (WriteOutcome, Vec<(String, Value)>) {
    let responses = Arc::new(Mutex::new(VecDeque::from(responses.to_vec())));
    let sent = SentRequests::default();
    let requests = Arc::clone(&sent);
    let service = tower::service_fn(move |request: Request<Body>| {
        let (responses, requests) = (Arc::clone(&responses), Arc::clone(&requests));
        async move {
            let line = format!("{} {}", request.method(), request.uri().path());
            let body = request.into_body().collect_bytes().await.unwrap();
            let body = serde_json::from_slice(&body).unwrap_or_default();
            requests.lock().unwrap().push((line, body));
            let response = responses.lock().unwrap().pop_front();
            let (code, body) = response.expect("there must not be more requests than responses");
            let mut response = Response::new(Body::from(body.to_string().into_bytes()));
            *response.status_mut() = http::StatusCode::from_u16(code).unwrap();
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let client = Client::new(service, "rd");
    let writer = MirrorWriter {
        client,
        instance: InstanceId::parse(INSTANCE).expect("the ID must be valid"),
        lease: Some(LeaseHandle::held()),
    };
    let outcome = writer.perform(key, write).await;
    let sent = sent.lock().unwrap().clone();
    (outcome, sent)
}

fn object_json(version: &str, more: Value) -> Value {
    let mut object = json!({"metadata": {
        "name": "x", "namespace": "rd", "uid": "u1", "resourceVersion": version,
    }});
    for (field, value) in more.as_object().into_iter().flatten() {
        match field.as_str() {
            "status" => object["status"] = value.clone(),
            _ => object["metadata"][field] = value.clone(),
        }
    }
    object
}

fn error_json(code: u16) -> (u16, Value) {
    let reason = if code == 404 { "NotFound" } else { "" };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "metadata": {},
        "reason": reason, "message": "no", "code": code,
    });
    (code, status)
}

fn prune(delete: bool) -> WriteRequest {
    WriteRequest::Prune {
        uid: "u1".into(),
        version: ResourceVersion("6".into()),
        finalizer: Some(1),
        delete,
    }
}

fn request_lines(sent: &[(String, Value)]) -> Vec<&str> {
    sent.iter().map(|(line, _)| line.as_str()).collect()
}

#[tokio::test]
async fn pruning_is_conditional_on_the_uid_and_version_that_were_seen() {
    let key = key(MirrorKind::Container, "aaaa");
    let responses = [
        (200, object_json("7", json!({}))),
        (200, json!({"kind": "Status"})),
    ];
    let (outcome, sent) = perform_with(&key, prune(true), &responses).await;
    assert!(matches!(outcome, WriteOutcome::Pruned { version, .. } if version.number() == Some(7)));
    let [(_, strip), (_, delete)] = &sent[..] else {
        panic!("{sent:?}");
    };
    assert_eq!(
        *strip,
        json!([
            {"op": "test", "path": "/metadata/uid", "value": "u1"},
            {"op": "test", "path": "/metadata/resourceVersion", "value": "6"},
            {"op": "test", "path": "/metadata/finalizers/1", "value": MIRROR_FINALIZER},
            {"op": "remove", "path": "/metadata/finalizers/1"},
        ])
    );
    assert_eq!(
        delete["preconditions"],
        json!({"uid": "u1", "resourceVersion": "7"})
    );
}

#[tokio::test]
async fn an_object_without_our_finalizer_is_deleted_only_in_the_version_that_was_seen() {
    let key = key(MirrorKind::Container, "aaaa");
    let write = WriteRequest::Prune {
        uid: "u1".into(),
        version: ResourceVersion("6".into()),
        finalizer: None,
        delete: true,
    };
    let (outcome, sent) = perform_with(&key, write, &[(200, json!({"kind": "Status"}))]).await;
    assert!(matches!(outcome, WriteOutcome::Pruned { .. }));
    // Another daemon may have added its finalizer in the meantime, and would
    // mistake an unconditional deletion for a client's.
    assert_eq!(
        sent[0].1["preconditions"],
        json!({"uid": "u1", "resourceVersion": "6"})
    );
}

#[tokio::test]
async fn an_object_held_by_another_finalizer_is_not_considered_gone() {
    let held = || {
        let time = "2026-01-01T00:00:00Z";
        object_json(
            "8",
            json!({"deletionTimestamp": time, "finalizers": ["other/one"]}),
        )
    };
    let key = key(MirrorKind::Container, "aaaa");
    // Already deleted, and deleted by us.
    for (delete, responses) in [
        (false, vec![(200, held()), (200, held())]),
        (
            true,
            vec![
                (200, object_json("7", json!({}))),
                (200, held()),
                (200, held()),
            ],
        ),
    ] {
        let (outcome, _) = perform_with(&key, prune(delete), &responses).await;
        assert!(
            matches!(&outcome, WriteOutcome::Written(object) if object.terminating),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn the_object_is_read_again_after_a_conflict() {
    let key = key(MirrorKind::Container, "aaaa");
    let other = object_json("9", json!({"uid": "u2"}));
    for code in [404, 409, 422] {
        let responses = [error_json(code), (200, other.clone())];
        let (outcome, _) = perform_with(&key, prune(true), &responses).await;
        let WriteOutcome::Refreshed {
            object: Some(object),
            error,
        } = outcome
        else {
            panic!("{outcome:?}");
        };
        assert_eq!(&*object.uid, "u2");
        assert_eq!(error.to_string(), format!("no (HTTP status {code})"));
    }
    for code in [403, 429, 500, 503] {
        let (outcome, _) = perform_with(&key, prune(true), &[error_json(code)]).await;
        assert!(matches!(outcome, WriteOutcome::Failed(_)), "{outcome:?}");
    }
}

#[tokio::test]
async fn metadata_is_written_before_the_status_and_a_missing_namespace_is_created() {
    let key = key(MirrorKind::Container, "aaaa");
    let desired = crate::desired_state::DesiredState::Container(Arc::new(container("aaaa")));
    let status = status(&desired).expect("the kind must have a status");
    let status_json = serde_json::to_value(&status).expect("the status must serialize");
    let write = WriteRequest::Apply {
        backend: "moby".into(),
        metadata: true,
        status: Some(Box::new(status)),
        expected_version: None,
    };
    let responses = [
        error_json(404),
        error_json(404),
        (201, json!({"metadata": {"name": "rd"}})),
        (
            201,
            object_json("6", json!({"labels": {BACKEND_LABEL: "moby"}})),
        ),
        (200, object_json("7", json!({"status": status_json}))),
    ];
    let (outcome, sent) = perform_with(&key, write, &responses).await;
    assert!(matches!(outcome, WriteOutcome::Written(object) if object.version.number() == Some(7)));
    let object = "/apis/containers.rancherdesktop.io/v1alpha1/namespaces/rd/containers/aaaa";
    assert_eq!(
        request_lines(&sent),
        [
            &format!("PATCH {object}"),
            "GET /api/v1/namespaces/rd",
            "POST /api/v1/namespaces",
            &format!("PATCH {object}"),
            &format!("PATCH {object}/status"),
        ]
    );
    assert_eq!(
        sent[3].1["metadata"]["finalizers"],
        json!([MIRROR_FINALIZER])
    );
    assert_eq!(
        sent[3].1["metadata"]["labels"],
        json!({BACKEND_LABEL: "moby", INSTANCE_LABEL: INSTANCE})
    );
    assert_eq!(sent[3].1.get("status"), None);
    assert_eq!(sent[4].1["metadata"].get("resourceVersion"), None);
}

#[tokio::test]
async fn a_changed_creation_time_is_written_only_over_the_version_that_was_seen() {
    let status = status(&desired_volume("x", at(2))).expect("the kind must have a status");
    let status_json = serde_json::to_value(&status).expect("the status must serialize");
    let write = WriteRequest::Apply {
        backend: "moby".into(),
        metadata: false,
        status: Some(Box::new(status)),
        expected_version: Some(ResourceVersion("5".into())),
    };
    let responses = [(200, object_json("6", json!({"status": status_json})))];
    let (_, sent) = perform_with(&volume_key("x"), write, &responses).await;
    assert_eq!(sent[0].1["metadata"]["resourceVersion"], "5");
}

#[tokio::test]
async fn fields_that_others_added_to_the_status_are_removed() {
    let status = status(&desired_volume("x", at(2))).expect("the kind must have a status");
    let status_json = serde_json::to_value(&status).expect("the status must serialize");
    let mut extended = status_json.clone();
    extended["labels"] = json!({"theirs": "1"});
    let write = WriteRequest::Apply {
        backend: "moby".into(),
        metadata: false,
        status: Some(Box::new(status)),
        expected_version: None,
    };
    let responses = [
        (200, object_json("6", json!({"status": extended}))),
        (200, object_json("7", json!({"status": status_json}))),
    ];
    let (outcome, sent) = perform_with(&volume_key("x"), write, &responses).await;
    assert!(matches!(outcome, WriteOutcome::Written(object) if object.version.number() == Some(7)));
    assert_eq!(
        sent[1].1,
        json!([
            {"op": "test", "path": "/metadata/uid", "value": "u1"},
            {"op": "test", "path": "/metadata/resourceVersion", "value": "6"},
            {"op": "replace", "path": "/status", "value": status_json},
        ])
    );
}

#[tokio::test]
async fn an_action_is_cleared_only_if_it_has_the_value_that_was_seen() {
    let write = WriteRequest::ClearAction {
        uid: "u1".into(),
        value: Some("stop".into()),
    };
    let responses = [(200, object_json("6", json!({})))];
    let (_, sent) = perform_with(&key(MirrorKind::Container, "aaaa"), write, &responses).await;
    let path = "/metadata/annotations/containers.rancherdesktop.io~1action";
    let claim = "/metadata/annotations/engine.rancherdesktop.io~1action-claim";
    assert_eq!(
        sent[0].1,
        json!([
            {"op": "test", "path": "/metadata/uid", "value": "u1"},
            {"op": "test", "path": path, "value": "stop"},
            {"op": "remove", "path": path},
            {"op": "add", "path": claim, "value": ""},
            {"op": "remove", "path": claim},
        ])
    );
    let write = WriteRequest::ClearAction {
        uid: "u1".into(),
        value: None,
    };
    let (_, sent) = perform_with(&key(MirrorKind::Container, "aaaa"), write, &responses).await;
    assert_eq!(
        sent[0].1,
        json!([
            {"op": "test", "path": "/metadata/uid", "value": "u1"},
            {"op": "test", "path": claim, "value": INSTANCE},
            {"op": "remove", "path": claim},
        ])
    );
}

#[tokio::test]
async fn nothing_is_written_after_the_lease_is_lost() {
    let key = key(MirrorKind::Container, "aaaa");
    let status = status(&crate::desired_state::DesiredState::Container(Arc::new(
        container("aaaa"),
    )));
    for write in [
        WriteRequest::Apply {
            backend: "moby".into(),
            metadata: true,
            status: status.clone().map(Box::new),
            expected_version: None,
        },
        WriteRequest::Apply {
            backend: "moby".into(),
            metadata: false,
            status: status.map(Box::new),
            expected_version: None,
        },
        WriteRequest::ClearAction {
            uid: "u1".into(),
            value: Some("stop".into()),
        },
    ] {
        let writer = MirrorWriter {
            client: Client::new(
                tower::service_fn(|_: Request<Body>| async {
                    Err::<Response<Body>, _>("a request was sent")
                }),
                "rd",
            ),
            instance: InstanceId::parse(INSTANCE).expect("the ID must be valid"),
            lease: Some(LeaseHandle::lost()),
        };
        let outcome = writer.perform(&key, write).await;
        assert!(
            matches!(&outcome, WriteOutcome::Failed(WriteError::LeaseNotHeld)),
            "{outcome:?}"
        );
    }
}
