//! Encodes values, documents, and errors as responses in the negotiated format.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WARNING};
use http::{HeaderMap, Response, StatusCode};
use serde_json::Value;

use crate::body::ResponseBody;
use crate::encode;
use crate::limits;
use crate::negotiate::{MediaType, ResponseFormat};
use crate::protobuf;
use crate::status::ApiError;

/// Returns a response with the headers that every response has.
pub(crate) fn response(
    code: u16,
    content_type: &'static str,
    body: impl Into<ResponseBody>,
) -> Response<ResponseBody> {
    let mut response = Response::new(body.into());
    *response.status_mut() =
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

/// Returns plain text.
pub(crate) fn text(code: u16, text: impl Into<String>) -> Response<ResponseBody> {
    response(code, "text/plain; charset=utf-8", text.into().into_bytes())
}

/// Encodes a value in JSON or YAML.
fn text_bytes(value: &Value, format: ResponseFormat) -> Vec<u8> {
    match format.media {
        MediaType::Json if format.pretty => encode::to_pretty(value),
        MediaType::Json | MediaType::Protobuf => {
            let mut out = encode::to_vec(value);
            out.push(b'\n');
            out
        }
        MediaType::Yaml => match serde_saphyr::to_string(value) {
            Ok(text) => text.into_bytes(),
            Err(error) => {
                tracing::error!(%error, "cannot encode a value as YAML");
                Vec::new()
            }
        },
    }
}

/// Returns a value.
pub(crate) fn value(code: u16, value: &Value, format: ResponseFormat) -> Response<ResponseBody> {
    if format.media == MediaType::Protobuf {
        // What has no message is JSON, which such clients decode as well.
        return match protobuf::encode(value) {
            Some(bytes) => response(code, format.content_type(), bytes),
            None => self::value(
                code,
                value,
                ResponseFormat {
                    media: MediaType::Json,
                    ..format
                },
            ),
        };
    }
    response(code, format.content_type(), text_bytes(value, format))
}

/// Returns an error as a `Status`, or as the plain text of an unknown path.
pub(crate) fn error(error: &ApiError, format: ResponseFormat) -> Response<ResponseBody> {
    if error.is_page() {
        return text(404, "404 page not found\n");
    }
    let mut response = value(error.code(), &error.to_value(), format);
    if let Some(seconds) = error.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// Adds `Warning` headers, up to the limits that clients have. The last one says if
/// there are more.
pub(crate) fn add_warnings(headers: &mut HeaderMap, warnings: &[String]) {
    let shown = &warnings[..warnings.len().min(limits::MAX_WARNINGS)];
    let must_truncate = shown.iter().map(String::len).sum::<usize>() > limits::MAX_WARNINGS_BYTES;
    let mut texts: Vec<String> = Vec::new();
    let mut bytes = 0;
    for (index, warning) in shown.iter().enumerate() {
        let text = if must_truncate {
            limits::ellipsize(warning.clone(), limits::MAX_SHORTENED_WARNING_BYTES)
        } else {
            warning.clone()
        };
        bytes += text.len();
        let is_last = index + 1 == limits::MAX_WARNINGS && warnings.len() > index + 1;
        if bytes > limits::MAX_WARNINGS_BYTES || is_last {
            texts.push("more warnings were left out".to_owned());
            break;
        }
        texts.push(text);
    }
    for warning in &texts {
        let escaped = warning
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace(['\n', '\r'], " ");
        if let Ok(header) = HeaderValue::from_bytes(format!("299 - \"{escaped}\"").as_bytes()) {
            headers.append(WARNING, header);
        }
    }
}

/// Returns a document that is already encoded.
pub(crate) fn document(content_type: &'static str, body: Bytes) -> Response<ResponseBody> {
    response(200, content_type, body)
}
