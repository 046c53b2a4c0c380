//! The tracing span of a request.

use http::request::Parts;
use tracing::field::Empty;
use tracing::{Span, debug_span};

use crate::path::ResourcePath;
use crate::user::UserInfo;

/// Returns the span of a request. The fields without a value are recorded once
/// the request was parsed. If the level is disabled, neither this nor the
/// recording allocates.
pub(crate) fn new(parts: &Parts) -> Span {
    debug_span!(
        "api_request",
        user = parts
            .extensions
            .get::<UserInfo>()
            .map(|user| user.name.as_str()),
        verb = Empty,
        group = Empty,
        resource = Empty,
        namespace = Empty,
        name = Empty,
        path = Empty,
    )
}

/// Records the verb and the path of a request for a resource.
pub(crate) fn record_resource(span: &Span, verb: &str, path: &ResourcePath) {
    if span.is_disabled() {
        return;
    }
    span.record("verb", verb);
    for (field, value) in [
        ("group", path.group.as_str()),
        ("resource", path.resource.as_str()),
        ("namespace", path.namespace.as_deref().unwrap_or_default()),
        ("name", path.name.as_deref().unwrap_or_default()),
    ] {
        if !value.is_empty() {
            span.record(field, value);
        }
    }
}

/// Records the method and the path of a request that is not for a resource.
pub(crate) fn record_non_resource(span: &Span, parts: &Parts) {
    if span.is_disabled() {
        return;
    }
    span.record("verb", parts.method.as_str().to_ascii_lowercase());
    span.record("path", parts.uri.path());
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use bytes::Bytes;
    use http::Request;
    use http_body_util::Empty;
    use tower::ServiceExt as _;
    use tracing::level_filters::LevelFilter;
    use tracing_subscriber::fmt::format::FmtSpan;

    use crate::user::UserInfo;
    use crate::{ApiServer, ApiServerOptions};

    #[derive(Clone, Default)]
    struct LogBuffer(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for LogBuffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_span_has_the_user_the_verb_and_the_path_without_empty_fields() {
        let log = LogBuffer::default();
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
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        for fields in [
            r#"{user="admin" verb="get" resource="namespaces" name="default"}"#,
            r#"{user="admin" verb="get" path="/version"}"#,
        ] {
            assert!(text.contains(&format!("api_request{fields}")), "{text}");
        }
    }
}
