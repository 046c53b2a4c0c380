//! Encodes responses: objects, lists, and errors in the negotiated format.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WARNING};
use http::{HeaderMap, Response, StatusCode};
use rdd_apiserver_kinds::table::{self, IncludeObjectPolicy};
use serde_json::{Value, json};

use crate::body::ResponseBody;
use crate::encode;
use crate::limits;
use crate::meta;
use crate::negotiate::{MediaType, ObjectShape, ResponseFormat};
use crate::protobuf;
use crate::status::ApiError;
use crate::verbs::context::{HandlerResponse, RequestContext, ResponsePayload};

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

/// Parses the query parameter `includeObject`.
///
/// # Errors
/// 400 for an unknown value.
pub(crate) fn include_object(ctx: &RequestContext) -> Result<IncludeObjectPolicy, ApiError> {
    let value = ctx.query.raw("includeObject").unwrap_or_default();
    IncludeObjectPolicy::parse(value).map_err(|error| {
        ApiError::bad_request(format!("Unable to convert to Table as requested: {error}"))
    })
}

/// Converts an object to the negotiated shape.
///
/// # Errors
/// 406 if the shape is that of a list.
pub(crate) fn transform_object(ctx: &RequestContext, object: Value) -> Result<Value, ApiError> {
    Ok(match ctx.format.shape {
        ObjectShape::Whole => object,
        ObjectShape::PartialMetadata => table::partial_object_metadata(&object),
        ObjectShape::PartialMetadataList => {
            return Err(ApiError::not_acceptable(
                "you requested PartialObjectMetadataList, but the requested object is not a list",
            ));
        }
        ObjectShape::Table => {
            let metadata = json!({"resourceVersion": meta::text(&object, "resourceVersion")});
            let now = ctx.server.clock.now();
            ctx.resource
                .columns
                .table([&object], metadata, include_object(ctx)?, now, true)
        }
    })
}

/// Encodes the response of a handler.
///
/// # Errors
/// 406 if the shape is that of a list, 500 for a damaged record.
pub(crate) fn handler_response(
    ctx: &RequestContext,
    response: HandlerResponse,
) -> Result<Response<ResponseBody>, ApiError> {
    let HandlerResponse { code, payload } = response;
    let is_verbatim = ctx.format == ResponseFormat::JSON && ctx.resource.is_verbatim();
    Ok(match payload {
        ResponsePayload::Plain(plain) => value(code, &plain, ctx.format),
        ResponsePayload::Record(record) if is_verbatim => {
            let mut out = encode::with_type_meta(&ctx.resource.type_meta_prefix, &record.value);
            out.push(b'\n');
            self::response(code, ctx.format.content_type(), out)
        }
        ResponsePayload::Record(record) => {
            let object = transform_object(ctx, ctx.load(&record)?)?;
            value(code, &object, ctx.format)
        }
        ResponsePayload::Object(object) => value(code, &transform_object(ctx, object)?, ctx.format),
    })
}

/// Returns a document that is already encoded.
pub(crate) fn document(content_type: &'static str, body: Bytes) -> Response<ResponseBody> {
    response(200, content_type, body)
}
