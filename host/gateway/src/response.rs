//! Responses of the gateway itself.

use bytes::Bytes;
use http::header::{
    ACCEPT, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};

/// The response body of every handler.
pub type GatewayBody =
    http_body_util::combinators::UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

fn full_body(bytes: impl Into<Bytes>) -> GatewayBody {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// Returns a plain-text response.
pub fn text_response(status: StatusCode, content: impl Into<Bytes>) -> Response<GatewayBody> {
    let mut response = Response::new(full_body(content));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

/// Returns an error response in the format that fits the request `headers`: a
/// Kubernetes `Status` if the client accepts JSON, an HTML page for a browser,
/// plain text otherwise. `retry_after` is in seconds.
pub fn error_response(
    headers: &HeaderMap,
    status: StatusCode,
    message: &str,
    retry_after: Option<u32>,
) -> Response<GatewayBody> {
    let format = ErrorFormat::negotiate(headers);
    let (content_type, body) = match format {
        ErrorFormat::Status => (
            "application/json",
            kubernetes_status(status, message, retry_after),
        ),
        ErrorFormat::Page => ("text/html; charset=utf-8", error_page(status, message)),
        ErrorFormat::Text => ("text/plain; charset=utf-8", format!("{message}\n")),
    };
    let mut response = Response::new(full_body(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // The page loads nothing, and must not be framed.
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    );
    if let Some(seconds) = retry_after {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    // kube-apiserver does not send it, and API clients do not look for it.
    if status == StatusCode::UNAUTHORIZED && format != ErrorFormat::Status {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// The formats of an error response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ErrorFormat {
    Status,
    Page,
    Text,
}

impl ErrorFormat {
    /// Selects the format by the `Accept` header. API clients list JSON, browsers
    /// list HTML before `*/*`, and curl sends `*/*` only.
    fn negotiate(headers: &HeaderMap) -> Self {
        let accepts = |media_type: &str| {
            headers
                .get_all(ACCEPT)
                .iter()
                .filter_map(|value| value.to_str().ok())
                .any(|accept| accept.contains(media_type))
        };
        if accepts("application/json") {
            Self::Status
        } else if accepts("text/html") {
            Self::Page
        } else {
            Self::Text
        }
    }
}

/// Returns a `Status`. That of a request without valid credentials has no details,
/// as in kube-apiserver.
fn kubernetes_status(status: StatusCode, message: &str, retry_after: Option<u32>) -> String {
    let is_unauthorized = status == StatusCode::UNAUTHORIZED;
    let mut body = serde_json::json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason(status),
        "code": status.as_u16(),
    });
    if let Some(seconds) = retry_after {
        body["details"] = serde_json::json!({"retryAfterSeconds": seconds});
    } else if !is_unauthorized {
        body["details"] = serde_json::json!({});
    }
    format!("{body}\n")
}

/// Returns the page for a person who opens the daemon's address in a browser.
fn error_page(status: StatusCode, message: &str) -> String {
    format!(
        r#"<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>rdd: {status}</title></head>
<body>
<h1>{status}</h1>
<p>{message}</p>
<p>This is the Kubernetes API of <b>rdd</b>, which shows the containers, images, and volumes of a container engine. It is an API for programs; <code>rdd dashboard</code> opens its web page.</p>
<p>In a terminal:</p>
<pre>rdd dashboard                 # the web page
rdd status                    # where the kubeconfig is, and whether the engine is connected
rdd ctl get containers -A     # kubectl, with the kubeconfig of the daemon
rdd logs NAME                 # the log of a container</pre>
</body>
</html>
"#,
        message = escape_html(message),
    )
}

/// Escapes `text` for an HTML element. Written by hand: a crate for five
/// replacements would be larger than this function.
fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Returns the Kubernetes `reason` of a status code.
fn reason(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "Unauthorized",
        StatusCode::FORBIDDEN => "Forbidden",
        StatusCode::NOT_FOUND => "NotFound",
        StatusCode::BAD_REQUEST => "BadRequest",
        StatusCode::TOO_MANY_REQUESTS => "TooManyRequests",
        StatusCode::SERVICE_UNAVAILABLE => "ServiceUnavailable",
        StatusCode::INTERNAL_SERVER_ERROR => "InternalError",
        StatusCode::METHOD_NOT_ALLOWED => "MethodNotAllowed",
        // Kubernetes defines no reasons for these, but clients may branch on
        // the reason, so each has a distinct one.
        StatusCode::UPGRADE_REQUIRED => "UpgradeRequired",
        StatusCode::NOT_IMPLEMENTED => "NotImplemented",
        StatusCode::BAD_GATEWAY => "BadGateway",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BROWSER: &str =
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";

    async fn rejection(accept: Option<&'static str>, message: &str) -> (String, String) {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
        }
        let response = error_response(&headers, StatusCode::UNAUTHORIZED, message, None);
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let challenge = response.headers().get(WWW_AUTHENTICATE).cloned();
        let content_type = response.headers()[CONTENT_TYPE]
            .to_str()
            .unwrap()
            .to_owned();
        assert_eq!(challenge.is_some(), content_type != "application/json");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (content_type, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn each_client_gets_an_error_in_the_format_that_it_accepts() {
        let (content_type, body) = rejection(Some(BROWSER), "no credentials").await;
        assert_eq!(content_type, "text/html; charset=utf-8");
        assert!(
            body.contains("no credentials") && body.contains("rdd ctl get"),
            "{body}"
        );

        for kubectl in [
            "application/json",
            "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
            "application/vnd.kubernetes.protobuf,application/json",
            "application/json, text/html",
        ] {
            let (content_type, body) = rejection(Some(kubectl), "no credentials").await;
            assert_eq!(content_type, "application/json", "{kubectl}");
            let status: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(
                status,
                serde_json::json!({
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                    "message": "no credentials", "reason": "Unauthorized", "code": 401,
                })
            );
        }

        for curl in [None, Some("*/*")] {
            let (content_type, body) = rejection(curl, "no credentials").await;
            assert_eq!(content_type, "text/plain; charset=utf-8");
            assert_eq!(body, "no credentials\n");
        }
    }

    #[tokio::test]
    async fn text_from_a_request_is_escaped_in_the_page() {
        let (_, body) = rejection(Some(BROWSER), r#"host "<script>'&" is not allowed"#).await;
        assert!(
            body.contains("&quot;&lt;script&gt;&#39;&amp;&quot;"),
            "{body}"
        );
        assert!(!body.contains("<script"), "{body}");
    }
}
