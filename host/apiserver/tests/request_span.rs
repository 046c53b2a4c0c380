//! The span of a request. Its own process, since other threads without a
//! subscriber would disable the span that this test reads.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use rdd_apiserver::{ApiServer, ApiServerOptions, UserInfo};
use rdd_testkit::CapturedLog;
use tower::ServiceExt as _;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::format::FmtSpan;

#[tokio::test]
async fn a_span_has_the_user_the_verb_and_the_path_without_empty_fields() {
    let log = CapturedLog::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::DEBUG)
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = ApiServer::open(ApiServerOptions::in_memory())
        .await
        .unwrap();
    for path in ["/api/v1/namespaces/default", "/version"] {
        let request = Request::get(path)
            .extension(UserInfo {
                name: "admin".to_owned(),
                ..UserInfo::default()
            })
            .body(Empty::<Bytes>::new())
            .unwrap();
        server.clone().oneshot(request).await.unwrap();
    }
    server.close().await;
    let text = log.text();
    for fields in [
        r#"{user="admin" verb="get" resource="namespaces" name="default"}"#,
        r#"{user="admin" verb="get" path="/version"}"#,
    ] {
        assert!(text.contains(&format!("api_request{fields}")), "{text}");
    }
}
