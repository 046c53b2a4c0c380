//! Answers as bytes: the one place where objects, lists and failures take the
//! form that the client asked for.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WARNING};
use http::{HeaderMap, Response, StatusCode};
use rdd_apiserver_kinds::table::{self, IncludeObjectPolicy};
use serde_json::{Value, json};

use crate::body::ResponseBody;
use crate::encode;
use crate::limits;
use crate::meta;
use crate::negotiate::{Format, Media, Shape};
use crate::status::ApiError;
use crate::verbs::call::{Answer, Call, Shown};

/// A response with the headers that every answer carries.
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

/// Plain text.
pub(crate) fn text(code: u16, text: impl Into<String>) -> Response<ResponseBody> {
    response(code, "text/plain; charset=utf-8", text.into().into_bytes())
}

/// A value in a serialisation.
pub(crate) fn bytes(value: &Value, format: Format) -> Vec<u8> {
    match format.media {
        Media::Json if format.pretty => encode::to_pretty(value),
        Media::Json => {
            let mut out = encode::to_vec(value);
            out.push(b'\n');
            out
        }
        Media::Yaml => match serde_saphyr::to_string(value) {
            Ok(text) => text.into_bytes(),
            Err(error) => {
                tracing::error!(%error, "a value could not be written as YAML");
                Vec::new()
            }
        },
    }
}

/// A value as it is.
pub(crate) fn value(code: u16, value: &Value, format: Format) -> Response<ResponseBody> {
    response(code, format.content_type(), bytes(value, format))
}

/// A failure.
pub(crate) fn error(error: &ApiError, format: Format) -> Response<ResponseBody> {
    if error.is_page() {
        return text(404, "404 page not found\n");
    }
    let mut response = value(error.code(), &error.to_value(), format);
    if let Some(seconds) = error.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// Adds `Warning` headers, each text once, as many as clients can take: the
/// last one says that there were more.
pub(crate) fn warn(headers: &mut HeaderMap, warnings: &[String]) {
    let mut seen: Vec<&str> = Vec::new();
    for warning in warnings {
        if seen.len() == limits::WARNINGS_MAX {
            break;
        }
        if !seen.contains(&warning.as_str()) {
            seen.push(warning);
        }
    }
    let long = seen.iter().map(|text| text.len()).sum::<usize>() > limits::WARNINGS_BYTES;
    let mut shown: Vec<String> = Vec::new();
    let mut bytes = 0;
    for (index, warning) in seen.iter().enumerate() {
        let text = if long {
            limits::clipped((*warning).to_owned(), limits::WARNING_BYTES)
        } else {
            (*warning).to_owned()
        };
        bytes += text.len();
        let is_last = index + 1 == limits::WARNINGS_MAX && warnings.len() > index + 1;
        if bytes > limits::WARNINGS_BYTES || is_last {
            shown.push("more warnings were left out".to_owned());
            break;
        }
        shown.push(text);
    }
    for warning in &shown {
        let escaped = warning
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace(['\n', '\r'], " ");
        if let Ok(header) = HeaderValue::from_bytes(format!("299 - \"{escaped}\"").as_bytes()) {
            headers.append(WARNING, header);
        }
    }
}

/// The parameter `includeObject`.
pub(crate) fn include(call: &Call) -> Result<IncludeObjectPolicy, ApiError> {
    let asked = call.query.raw("includeObject").unwrap_or_default();
    IncludeObjectPolicy::parse(asked).map_err(|error| {
        ApiError::bad_request(format!("Unable to convert to Table as requested: {error}"))
    })
}

/// One object in the shape that was asked for.
pub(crate) fn shaped(call: &Call, object: Value) -> Result<Value, ApiError> {
    Ok(match call.format.shape {
        Shape::Whole => object,
        Shape::Partial => table::partial_object_metadata(&object),
        Shape::PartialList => {
            return Err(ApiError::not_acceptable(
                "you requested PartialObjectMetadataList, but the requested object is not a list",
            ));
        }
        Shape::Table => {
            let metadata = json!({"resourceVersion": meta::text(&object, "resourceVersion")});
            let now = (call.server.clock)();
            call.resource
                .columns
                .table([&object], metadata, include(call)?, now, true)
        }
    })
}

/// A verb's answer.
pub(crate) fn answer(call: &Call, answer: Answer) -> Result<Response<ResponseBody>, ApiError> {
    let Answer {
        code,
        shown,
        warnings,
    } = answer;
    let whole = call.format == Format::JSON && call.resource.verbatim();
    let mut response = match shown {
        Shown::Plain(plain) => value(code, &plain, call.format),
        Shown::Stored(record) if whole => {
            let mut out = encode::with_type(&call.resource.typed, &record.value);
            out.push(b'\n');
            response(code, call.format.content_type(), out)
        }
        Shown::Stored(record) => {
            let object = shaped(call, call.load(&record)?)?;
            value(code, &object, call.format)
        }
        Shown::Object(object) => value(code, &shaped(call, object)?, call.format),
    };
    warn(response.headers_mut(), &warnings);
    Ok(response)
}

/// A JSON document that is ready.
pub(crate) fn ready(content_type: &'static str, body: Bytes) -> Response<ResponseBody> {
    response(200, content_type, body)
}
