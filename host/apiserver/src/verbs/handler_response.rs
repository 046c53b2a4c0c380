//! The responses of handlers: objects in the negotiated shape.

use std::sync::Arc;

use http::Response;
use rdd_apiserver_kinds::table::{self, IncludeObjectPolicy};
use rdd_apiserver_storage::StoredRecord;
use serde_json::{Value, json};

use crate::body::ResponseBody;
use crate::encode;
use crate::meta;
use crate::negotiate::{ObjectShape, ResponseFormat};
use crate::render;
use crate::request_context::RequestContext;
use crate::status::ApiError;

/// The object in a response.
pub(crate) enum ResponsePayload {
    /// A stored object of the request's resource.
    Record(Arc<StoredRecord>),
    /// An object of the request's resource that is not stored.
    Object(Value),
    /// A value that no `Accept` header transforms, such as a `Status`.
    Plain(Value),
}

/// The response of a handler, before it is encoded.
pub(crate) struct HandlerResponse {
    pub(crate) code: u16,
    pub(crate) payload: ResponsePayload,
}

impl HandlerResponse {
    pub(crate) fn new(code: u16, shown: ResponsePayload) -> Self {
        Self {
            code,
            payload: shown,
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
pub(crate) fn encode_response(
    ctx: &RequestContext,
    response: HandlerResponse,
) -> Result<Response<ResponseBody>, ApiError> {
    let HandlerResponse { code, payload } = response;
    let is_verbatim = ctx.format == ResponseFormat::JSON && ctx.resource.is_verbatim();
    Ok(match payload {
        ResponsePayload::Plain(plain) => render::value(code, &plain, ctx.format),
        ResponsePayload::Record(record) if is_verbatim => {
            let mut out = encode::with_type_meta(&ctx.resource.type_meta_prefix, &record.value);
            out.push(b'\n');
            render::response(code, ctx.format.content_type(), out)
        }
        ResponsePayload::Record(record) => {
            let object = transform_object(ctx, ctx.load(&record)?)?;
            render::value(code, &object, ctx.format)
        }
        ResponsePayload::Object(object) => {
            render::value(code, &transform_object(ctx, object)?, ctx.format)
        }
    })
}
