//! The spans of requests and log sessions, as they are logged. One test, so that
//! no other thread registers these spans without a subscriber.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use rdd_core::{ContainerEngine as _, ContainerIndex, OutputSource, ServingSnapshot, ServingState};
use rdd_gateway::{
    BearerToken, CertificateSet, ConnectionLimits, DaemonPhase, Gateway, GatewayOptions,
    HealthReport, HostOriginPolicy, LocalAuthenticator, RequestHandler,
};
use rdd_passthrough::{Passthrough, PassthroughOptions};
use rdd_testkit::{CapturedLog, FakeEngine, eventually};
use serde_json::Value;
use tokio::sync::watch;

use super::*;
use crate::discovery_entry::DiscoveryEntry;
use crate::logs::socket::{self, LogEndpoint};
use crate::state_dir::StateDir;

/// Reads the log of the daemon's subscriber.
#[derive(Default)]
struct LogReader(CapturedLog);

impl LogReader {
    fn text(&self) -> String {
        self.0.text()
    }

    fn dispatch(&self, format: LogFormat) -> Dispatch {
        let log = self.0.clone();
        dispatch(EnvFilter::new("debug"), format, false, move || log.clone())
    }

    /// Waits for the line with `message`.
    async fn line(&self, message: &str) -> String {
        eventually(message, || async {
            let text = self.text();
            let line = text.lines().find(|line| line.contains(message));
            line.map(str::to_owned).ok_or(text)
        })
        .await
    }
}

/// Opens and reads the log of a container as `rdd logs` does. Returns its ID.
async fn read_log(state_dir: &StateDir) -> String {
    let certificates = CertificateSet::load_or_create(&state_dir.tls(), &[], Timestamp::now());
    let token = BearerToken::load_or_create(&state_dir.token()).unwrap();
    let engine = FakeEngine::named("moby");
    let id = engine.run_container("web");
    engine.write_log(&id, OutputSource::Stdout, "line\n");
    let (_serving, snapshot) = watch::channel(ServingSnapshot {
        backend: "moby".to_owned(),
        info: Some(engine.info().clone()),
        serving: ServingState::Ready(Arc::new(engine.clone())),
    });
    let passthrough = Passthrough::new(PassthroughOptions {
        serving: snapshot,
        containers: ContainerIndex::channel().1,
        max_streams: 16,
        read_only: false,
        parse_selector: |text| Err(rdd_core::SelectorTextError(text.to_owned())),
    });
    let (_health, reported) = watch::channel(HealthReport {
        phase: DaemonPhase::Ready,
        checks: Vec::new(),
    });
    let gateway = Gateway::bind(GatewayOptions {
        listen: "127.0.0.1:0".parse().unwrap(),
        tls: Some(certificates.unwrap().server),
        authenticator: Arc::new(LocalAuthenticator::new(token)),
        access_scope: rdd_passthrough::access_scope,
        host_origin_policy: HostOriginPolicy::new(&[], &[]),
        page: None,
        response_headers: Default::default(),
        passthrough: RequestHandler::new(passthrough.clone()),
        recorder: None,
        api: None,
        metrics: RequestHandler::new(passthrough.clone()),
        health: reported,
        limits: ConnectionLimits::default(),
        shutdown_grace: Duration::from_secs(1),
    })
    .await
    .unwrap();
    let discovery = DiscoveryEntry::new(gateway.address(), None, Timestamp::now());
    let discovery = serde_json::to_vec(&discovery).unwrap();
    std::fs::write(state_dir.discovery(), discovery).unwrap();
    let server = tokio::spawn(gateway.serve(std::future::pending()));

    let endpoint = LogEndpoint::discover(state_dir).unwrap();
    let path = format!("logs/{id}");
    let log = socket::connect(&endpoint, &path, "follow=false", "rdd.logs.v1+source").await;
    let mut log = log.unwrap();
    while let Some(Ok(_)) = log.next().await {}
    drop(log);
    passthrough.shutdown().await;
    server.abort();
    id
}

#[tokio::test]
async fn requests_and_log_sessions_are_logged_with_the_fields_of_their_spans() {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    for format in [LogFormat::Json, LogFormat::Text] {
        let dir = tempfile::tempdir().unwrap();
        let state_dir = StateDir::locate(Some(dir.path().to_owned())).unwrap();
        let log = LogReader::default();
        // All tasks run on the thread of the test.
        let _default = tracing::dispatcher::set_default(&log.dispatch(format));
        let id = read_log(&state_dir).await;
        let path = format!("/passthrough/engine/logs/{id}");
        let request = log.line("request handled").await;
        let session = log.line("session ended").await;
        match format {
            LogFormat::Json => {
                let request: Value = serde_json::from_str(&request).unwrap();
                let span = &request["span"];
                assert_eq!(span["name"], "request", "{request}");
                assert_eq!(span["method"], "GET", "{request}");
                assert_eq!(span["path"], path, "{request}");
                assert_eq!(span["user"], "rdd-admin", "{request}");
                assert_eq!(request["fields"]["status"], 101, "{request}");
                let session: Value = serde_json::from_str(&session).unwrap();
                let span = &session["span"];
                assert_eq!(span["name"], "log_session", "{session}");
                assert_eq!(span["backend"], "moby", "{session}");
                assert_eq!(span["container"], id, "{session}");
                assert_eq!(span["user"], "rdd-admin", "{session}");
                let spans = session["spans"].as_array().unwrap();
                assert!(spans.contains(span), "{session}");
            }
            LogFormat::Text => {
                for field in ["request{method=GET", &path, "user=\"rdd-admin\""] {
                    assert!(request.contains(field), "{field}: {request}");
                }
                for field in ["log_session{backend=\"moby\"", &id, "user=\"rdd-admin\""] {
                    assert!(session.contains(field), "{field}: {session}");
                }
            }
        }
        let token = std::fs::read_to_string(state_dir.token()).unwrap();
        assert!(!log.text().contains(token.trim()), "the token was logged");
        assert!(!log.text().contains("follow=false"), "a query was logged");
    }
}
