//! Jobs in, requests out: what each one binds itself to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use kube::client::Body;

use super::*;
use crate::fixtures::{INSTANCE, at, container, desired_volume, key, status, volume_key};

/// Requests as they were sent: method and path, with the body.
type Sent = Arc<Mutex<Vec<(String, Value)>>>;

/// Carries `job` out against an API that gives these answers.
async fn perform_with(
    key: &Key,
    job: Job,
    answers: &[(u16, Value)],
) -> (Outcome, Vec<(String, Value)>) {
    let answers = Arc::new(Mutex::new(VecDeque::from(answers.to_vec())));
    let sent = Sent::default();
    let requests = Arc::clone(&sent);
    let service = tower::service_fn(move |request: Request<Body>| {
        let (answers, requests) = (Arc::clone(&answers), Arc::clone(&requests));
        async move {
            let line = format!("{} {}", request.method(), request.uri().path());
            let body = request.into_body().collect_bytes().await.expect("a body");
            let body = serde_json::from_slice(&body).unwrap_or_default();
            requests.lock().expect("the list").push((line, body));
            let answer = answers.lock().expect("the answers").pop_front();
            let (code, body) = answer.expect("no more requests than answers");
            let mut response = Response::new(Body::from(body.to_string().into_bytes()));
            *response.status_mut() = http::StatusCode::from_u16(code).expect("a code");
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let client = Client::new(service, "rd");
    let writer = MirrorWriter {
        client,
        instance: InstanceId::parse(INSTANCE).expect("an ID"),
        lease: Some(LeaseHandle::held()),
    };
    let outcome = writer.perform(key, job).await;
    let sent = sent.lock().expect("the list").clone();
    (outcome, sent)
}

fn the_object(version: &str, more: Value) -> Value {
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

fn refusal(code: u16) -> (u16, Value) {
    let reason = if code == 404 { "NotFound" } else { "" };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "metadata": {},
        "reason": reason, "message": "no", "code": code,
    });
    (code, status)
}

fn discard(delete: bool) -> Job {
    Job::Discard {
        uid: "u1".into(),
        version: Version("6".into()),
        finalizer: Some(1),
        delete,
    }
}

fn lines(sent: &[(String, Value)]) -> Vec<&str> {
    sent.iter().map(|(line, _)| line.as_str()).collect()
}

#[tokio::test]
async fn discarding_touches_the_very_object_and_asks_for_no_more_than_it_saw() {
    let key = key(Kind::Container, "aaaa");
    let answers = [
        (200, the_object("7", json!({}))),
        (200, json!({"kind": "Status"})),
    ];
    let (outcome, sent) = perform_with(&key, discard(true), &answers).await;
    assert!(matches!(outcome, Outcome::Discarded { version, .. } if version.number() == Some(7)));
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
async fn what_was_stripped_before_is_deleted_only_as_it_was_seen() {
    let key = key(Kind::Container, "aaaa");
    let job = Job::Discard {
        uid: "u1".into(),
        version: Version("6".into()),
        finalizer: None,
        delete: true,
    };
    let (outcome, sent) = perform_with(&key, job, &[(200, json!({"kind": "Status"}))]).await;
    assert!(matches!(outcome, Outcome::Discarded { .. }));
    // Another daemon may have put a finalizer on meanwhile, and would take a
    // deletion without the version for a user's.
    assert_eq!(
        sent[0].1["preconditions"],
        json!({"uid": "u1", "resourceVersion": "6"})
    );
}

#[tokio::test]
async fn what_somebody_else_holds_is_not_taken_for_gone() {
    let held = || {
        let time = "2026-01-01T00:00:00Z";
        the_object(
            "8",
            json!({"deletionTimestamp": time, "finalizers": ["other/one"]}),
        )
    };
    let key = key(Kind::Container, "aaaa");
    // Deleted by somebody before, and by us.
    for (delete, answers) in [
        (false, vec![(200, held()), (200, held())]),
        (
            true,
            vec![
                (200, the_object("7", json!({}))),
                (200, held()),
                (200, held()),
            ],
        ),
    ] {
        let (outcome, _) = perform_with(&key, discard(delete), &answers).await;
        assert!(
            matches!(&outcome, Outcome::Written(object) if object.terminating),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn an_object_that_is_another_by_now_is_read_again() {
    let key = key(Kind::Container, "aaaa");
    let other = the_object("9", json!({"uid": "u2"}));
    for code in [404, 409, 422] {
        let answers = [refusal(code), (200, other.clone())];
        let (outcome, _) = perform_with(&key, discard(true), &answers).await;
        let Outcome::Refreshed {
            object: Some(object),
            message,
        } = outcome
        else {
            panic!("{outcome:?}");
        };
        assert_eq!(&*object.uid, "u2");
        assert_eq!(message, format!("no (HTTP status {code})"));
    }
    for code in [403, 429, 500, 503] {
        let (outcome, _) = perform_with(&key, discard(true), &[refusal(code)]).await;
        assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
    }
}

#[tokio::test]
async fn metadata_goes_before_the_status_and_makes_its_namespace() {
    let key = key(Kind::Container, "aaaa");
    let desired = crate::desired::Desired::Container(Arc::new(container("aaaa")));
    let status = status(&desired).expect("a status");
    let shown = serde_json::to_value(&status).expect("it serializes");
    let job = Job::Write {
        backend: "moby".into(),
        metadata: true,
        status: Some(Box::new(status)),
        over: None,
    };
    let answers = [
        refusal(404),
        refusal(404),
        (201, json!({"metadata": {"name": "rd"}})),
        (
            201,
            the_object("6", json!({"labels": {BACKEND_LABEL: "moby"}})),
        ),
        (200, the_object("7", json!({"status": shown}))),
    ];
    let (outcome, sent) = perform_with(&key, job, &answers).await;
    assert!(matches!(outcome, Outcome::Written(object) if object.version.number() == Some(7)));
    let object = "/apis/containers.rancherdesktop.io/v1alpha1/namespaces/rd/containers/aaaa";
    assert_eq!(
        lines(&sent),
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
async fn a_moved_creation_time_is_written_over_what_was_seen_alone() {
    let status = status(&desired_volume("x", at(2))).expect("a status");
    let shown = serde_json::to_value(&status).expect("it serializes");
    let job = Job::Write {
        backend: "moby".into(),
        metadata: false,
        status: Some(Box::new(status)),
        over: Some(Version("5".into())),
    };
    let answers = [(200, the_object("6", json!({"status": shown})))];
    let (_, sent) = perform_with(&volume_key("x"), job, &answers).await;
    assert_eq!(sent[0].1["metadata"]["resourceVersion"], "5");
}

#[tokio::test]
async fn what_others_have_added_to_the_status_is_taken_out() {
    let status = status(&desired_volume("x", at(2))).expect("a status");
    let shown = serde_json::to_value(&status).expect("it serializes");
    let mut more = shown.clone();
    more["labels"] = json!({"theirs": "1"});
    let job = Job::Write {
        backend: "moby".into(),
        metadata: false,
        status: Some(Box::new(status)),
        over: None,
    };
    let answers = [
        (200, the_object("6", json!({"status": more}))),
        (200, the_object("7", json!({"status": shown}))),
    ];
    let (outcome, sent) = perform_with(&volume_key("x"), job, &answers).await;
    assert!(matches!(outcome, Outcome::Written(object) if object.version.number() == Some(7)));
    assert_eq!(
        sent[1].1,
        json!([
            {"op": "test", "path": "/metadata/uid", "value": "u1"},
            {"op": "test", "path": "/metadata/resourceVersion", "value": "6"},
            {"op": "replace", "path": "/status", "value": shown},
        ])
    );
}

#[tokio::test]
async fn an_action_is_dropped_only_as_it_was_seen() {
    let job = Job::DropAction {
        uid: "u1".into(),
        value: Some("stop".into()),
    };
    let answers = [(200, the_object("6", json!({})))];
    let (_, sent) = perform_with(&key(Kind::Container, "aaaa"), job, &answers).await;
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
    let job = Job::DropAction {
        uid: "u1".into(),
        value: None,
    };
    let (_, sent) = perform_with(&key(Kind::Container, "aaaa"), job, &answers).await;
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
async fn nothing_is_written_once_the_lease_is_lost() {
    let key = key(Kind::Container, "aaaa");
    let status = status(&crate::desired::Desired::Container(Arc::new(container(
        "aaaa",
    ))));
    for job in [
        Job::Write {
            backend: "moby".into(),
            metadata: true,
            status: status.clone().map(Box::new),
            over: None,
        },
        Job::Write {
            backend: "moby".into(),
            metadata: false,
            status: status.map(Box::new),
            over: None,
        },
        Job::DropAction {
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
            instance: InstanceId::parse(INSTANCE).expect("an ID"),
            lease: Some(LeaseHandle::lost()),
        };
        let outcome = writer.perform(&key, job).await;
        assert!(
            matches!(&outcome, Outcome::Failed(message) if message.contains("Lease")),
            "{outcome:?}"
        );
    }
}
