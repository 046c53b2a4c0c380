//! The records of requests to the passthrough.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::sync::{Arc, Mutex};

use http::{HeaderMap, Request, StatusCode, Uri};
use rdd_core::{AccessScope, UserIdentity};
use rdd_gateway::{
    AccessHandle, AccessRecord, AccessRecorder, Gateway, GatewayOptions, RequestHandler,
    text_response,
};
use rdd_testkit::eventually;
use tokio::sync::mpsc;
use tower::util::BoxCloneSyncService;

use common::{TestGateway, start, status};

/// What was recorded, in its order.
#[derive(Clone, Default)]
struct TestRecorder(Arc<Mutex<Vec<String>>>);

struct TestRecord {
    path: String,
    recorder: TestRecorder,
}

impl TestRecorder {
    fn push(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl AccessRecorder for TestRecorder {
    fn begin(
        &self,
        identity: &UserIdentity,
        scope: AccessScope,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Option<AccessHandle> {
        assert!(!headers.contains_key("authorization"));
        let user = &identity.user;
        self.push(format!("{user} {scope:?} {uri}"));
        Some(AccessHandle(Arc::new(TestRecord {
            path: uri.path().to_owned(),
            recorder: self.clone(),
        })))
    }
}

impl AccessRecord for TestRecord {
    fn respond(&self, status: StatusCode) {
        self.recorder.push(format!("{} {status}", self.path));
    }
}

impl Drop for TestRecord {
    fn drop(&mut self) {
        self.recorder.push(format!("{} ended", self.path));
    }
}

/// Serves requests like those that open a session: it keeps the record, and hands it
/// to the test.
fn session_handler() -> (RequestHandler, mpsc::UnboundedReceiver<AccessHandle>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let handler = tower::service_fn(move |mut request: Request<rdd_gateway::RequestBody>| {
        if let Some(record) = request.extensions_mut().remove::<AccessHandle>() {
            sender.send(record).unwrap();
        }
        std::future::ready(Ok(text_response(StatusCode::OK, "opened")))
    });
    (BoxCloneSyncService::new(handler), receiver)
}

async fn start_recorded(passthrough: RequestHandler, recorder: &TestRecorder) -> TestGateway {
    let mut gateway = start().await;
    gateway.become_ready();
    let second = Gateway::bind(GatewayOptions {
        recorder: Some(Arc::new(recorder.clone())),
        passthrough,
        ..gateway.options.clone()
    })
    .await
    .unwrap();
    gateway.address = second.address();
    tokio::spawn(second.serve(std::future::pending()));
    gateway
}

#[tokio::test]
async fn a_record_begins_with_the_request_and_ends_with_what_it_opened() {
    let recorder = TestRecorder::default();
    let (passthrough, mut opened) = session_handler();
    let gateway = start_recorded(passthrough, &recorder).await;
    let path = "/passthrough/engine/logs/x";
    let response = gateway
        .send(&format!("{path}?tail=1"), &gateway.bearer())
        .await;
    assert_eq!(status(&response), "200");
    let mut lines = vec![
        format!("rdd-admin ContainerLog {path}?tail=1"),
        format!("{path} 200 OK"),
    ];
    assert_eq!(recorder.lines(), lines);
    drop(opened.recv().await);
    lines.push(format!("{path} ended"));
    eventually("the end of the record", || async {
        match recorder.lines() {
            found if found == lines => Ok(()),
            found => Err(format!("{found:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn only_requests_to_the_passthrough_with_credentials_are_recorded() {
    let recorder = TestRecorder::default();
    let (passthrough, _opened) = session_handler();
    let gateway = start_recorded(passthrough, &recorder).await;
    let path = "/passthrough/engine/logs/x";
    assert_eq!(status(&gateway.send(path, "").await), "401");
    for other in ["/api", "/metrics"] {
        let response = gateway.send(other, &gateway.bearer()).await;
        assert_eq!(status(&response), "200", "{other}");
    }
    assert_eq!(recorder.lines(), Vec::<String>::new());
    // One that is refused is recorded, too.
    let headers = format!("{}impersonate-user: bob\r\n", gateway.bearer());
    assert_eq!(status(&gateway.send(path, &headers).await), "403");
    let lines = recorder.lines();
    assert_eq!(
        lines[1..],
        [format!("{path} 403 Forbidden"), format!("{path} ended")]
    );
}
