//! The HTTP service: it routes requests by path and verb.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tracing::{Instrument as _, Span};

use crate::audit::{AUDIT_ID, PendingEvent, RequestRecord, audit_id};
use crate::body::ResponseBody;
use crate::limits::{self, MAX_BODY_BYTES};
use crate::negotiate::{self, EndpointKind, ResponseFormat};
use crate::path::{self, RequestTarget, ResourcePath};
use crate::protobuf;
use crate::query::QueryParams;
use crate::registry::ResourceRegistry;
use crate::request_context::RequestContext;
use crate::request_span;
use crate::request_verb::{RequestVerb, requested_verb};
use crate::server::ApiServer;
use crate::server_state::ServerState;
use crate::status::ApiError;
use crate::unread_body::UnreadBody;
use crate::user::UserInfo;
use crate::verbs::{
    collection, create, delete, get, handler_response, list, patch, scale, update, watch,
};
use crate::warnings::WarningRecorder;
use crate::{
    authorization, backup, compression, discovery, health, impersonation, openapi, render, review,
};

impl<B> tower::Service<Request<B>> for ApiServer
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let server = Arc::clone(&self.0);
        let (parts, body) = request.into_parts();
        let span = request_span::new(&parts);
        Box::pin(async move {
            let request = handle(server, parts, body, &span);
            Ok(request.instrument(span.clone()).await)
        })
    }
}

async fn handle<B>(
    server: Arc<ServerState>,
    parts: Parts,
    body: B,
    span: &Span,
) -> Response<ResponseBody>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let is_head = parts.method == Method::HEAD;
    let audit_id = audit_id(&parts.headers);
    let query = limited_query(&parts);
    let no_query = QueryParams::parse(None);
    let mut body = std::pin::pin!(body);
    let unread = UnreadBody::new(&parts);
    let pending = PendingEvent::new(
        server.audit.as_ref(),
        &server.clock,
        &parts,
        query.as_ref().unwrap_or(&no_query),
        // The ID is ASCII.
        audit_id.to_str().unwrap_or_default(),
    );
    let mut response = match query {
        Ok(query) => {
            let plain = negotiate::document_format(&parts.headers, &query);
            let state = Arc::clone(&server);
            let body = body.as_mut();
            route(state, parts, query, plain, body, span, pending.record())
                .await
                .unwrap_or_else(|error| render::error(&error, plain))
        }
        Err(error) => render::error(&error, ResponseFormat::JSON),
    };
    unread.finish(body, &mut response).await;
    // A request that was rejected before it was routed has no verb.
    let verb = pending.record().verb.get().copied().unwrap_or_default();
    server.metrics.record(verb, response.status());
    pending.finish(response.status());
    response.headers_mut().insert(AUDIT_ID, audit_id);
    if is_head {
        *response.body_mut() = ResponseBody::empty();
    }
    response
}

/// Parses the query string.
///
/// # Errors
/// 400 for one that is too long.
fn limited_query(parts: &Parts) -> Result<QueryParams, ApiError> {
    let length = parts.uri.query().map_or(0, str::len);
    if length <= limits::MAX_QUERY_BYTES {
        return Ok(QueryParams::parse(parts.uri.query()));
    }
    Err(ApiError::bad_request(format!(
        "the query string has {length} bytes, the most is {}",
        limits::MAX_QUERY_BYTES
    )))
}

/// Reads a body up to the limit.
async fn read_body<B>(body: B) -> Result<Bytes, ApiError>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::too_large(MAX_BODY_BYTES)),
        Err(error) => Err(ApiError::bad_request(format!(
            "the body cannot be read: {error}"
        ))),
    }
}

async fn route<B>(
    server: Arc<ServerState>,
    parts: Parts,
    query: QueryParams,
    format: ResponseFormat,
    body: B,
    span: &Span,
    record: &RequestRecord,
) -> Result<Response<ResponseBody>, ApiError>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let target = path::parse(parts.uri.path());
    let Some(user) = parts.extensions.get::<UserInfo>().cloned() else {
        return Err(ApiError::unauthorized());
    };
    let user = match impersonation::impersonated_user(&server, &parts.headers, &user)? {
        Some(impersonated) => {
            request_span::record_impersonated(span, &impersonated);
            record.impersonated.get_or_init(|| impersonated.clone());
            impersonated
        }
        None => user,
    };
    match &target {
        RequestTarget::Resource(path) => {
            let verb = requested_verb(&parts.method, path, &query);
            request_span::record_resource(span, verb, path);
        }
        _ => request_span::record_non_resource(span, &parts),
    }
    authorization::check(&server, &user, &parts, &target, &query, record)?;
    let registry = server.registry.load_full();
    let only_get = || {
        if parts.method == Method::GET {
            Ok(())
        } else {
            Err(ApiError::method_not_allowed())
        }
    };
    match target {
        RequestTarget::Resource(path) => {
            resource(server, parts, query, path, user, body, record).await
        }
        RequestTarget::Root => Ok(render::value(200, &discovery::root(&registry), format)),
        RequestTarget::Version => {
            only_get()?;
            Ok(render::value(200, &health::version(), format))
        }
        RequestTarget::Health(name, check) => Ok(health::health(
            &server,
            &name,
            check.as_deref(),
            query.raw("verbose").is_some(),
        )),
        RequestTarget::Backup => {
            only_get()?;
            backup::respond(&server).await
        }
        RequestTarget::OpenApiV2 => {
            only_get()?;
            Ok(openapi::v2(&parts.headers))
        }
        RequestTarget::OpenApiV3(location) => {
            only_get()?;
            match location {
                None => Ok(openapi::index(&registry, &parts.headers)),
                Some(location) => openapi::get(&registry, &location, &parts.headers),
            }
        }
        RequestTarget::Api => {
            only_get()?;
            Ok(discovery::api(&server, &registry, &parts.headers, format))
        }
        RequestTarget::Apis => {
            let response = discovery::apis(&registry, &parts.headers, format);
            Ok(compression::compress(&parts.headers, response))
        }
        RequestTarget::Group(group) => discovery::group(&registry, &group, format),
        RequestTarget::GroupVersion(group, version) => {
            discovery::version(&registry, &group, &version, format)
                .map(|response| compression::compress(&parts.headers, response))
                .ok_or_else(|| unknown(&registry, Some(&group)))
        }
        RequestTarget::Unknown { group } => Err(unknown(&registry, group.as_deref())),
    }
}

/// Returns the 404 of a path in `group`, in the form of that group.
fn unknown(registry: &ResourceRegistry, group: Option<&str>) -> ApiError {
    match group {
        Some(group) if group.is_empty() || registry.is_builtin_group(group) => {
            ApiError::no_resource()
        }
        _ => ApiError::page_not_found(),
    }
}

async fn resource<B>(
    server: Arc<ServerState>,
    parts: Parts,
    query: QueryParams,
    path: ResourcePath,
    user: UserInfo,
    body: B,
    record: &RequestRecord,
) -> Result<Response<ResponseBody>, ApiError>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if review::is_review(&path) {
        record.verb.get_or_init(|| "create");
        let format = negotiate::format(&parts.headers, &query, EndpointKind::Builtin)?;
        let body = read_body(body).await?;
        record.keep_body(&path, &parts.headers, &body);
        return review::respond(&server, &path, &parts, &user, &body, format).await;
    }
    let registry = server.registry.load_full();
    let Some(resource) = registry
        .get(&path.group, &path.version, &path.resource)
        .cloned()
    else {
        return Err(unknown(&registry, Some(&path.group)));
    };
    let verb = RequestVerb::determine(&parts, &path, &resource, &query)?;
    record.verb.get_or_init(|| verb.name());
    let kind = &resource.kind;
    let has_message =
        resource.is_builtin() && protobuf::has_message(&kind.api_version(), &kind.kind);
    let endpoint = match (has_message, verb) {
        (true, RequestVerb::List) => EndpointKind::BuiltinList,
        (true, RequestVerb::Watch) => EndpointKind::BuiltinWatch,
        (true, _) => EndpointKind::Builtin,
        (false, _) => EndpointKind::Custom,
    };
    let mut format = negotiate::format(&parts.headers, &query, endpoint)?;
    if path.subresource.as_deref() == Some("scale") {
        format.shape = negotiate::ObjectShape::Whole;
    }
    let call = RequestContext {
        server,
        resource,
        path,
        query,
        headers: parts.headers,
        format,
        user,
        warnings: WarningRecorder::default(),
    };
    let body = if verb.has_body() {
        read_body(body).await
    } else {
        Ok(Bytes::new())
    };
    if let Ok(body) = &body {
        record.keep_body(&call.path, &call.headers, body);
    }
    let call = Arc::new(call);
    let result = match body {
        Ok(body) if is_large(&call, verb, &body) => {
            let limiter = match verb {
                RequestVerb::List => &call.server.large_lists,
                _ => &call.server.large_writes,
            };
            let request = Arc::clone(&call);
            let work = async move { serve(&request, verb, &body).await };
            limiter.run(work).await.flatten()
        }
        Ok(body) => serve(&call, verb, &body).await,
        Err(error) => Err(error),
    };
    let mut response = result.unwrap_or_else(|error| {
        let format = negotiate::document_format(&call.headers, &call.query);
        render::error(&error, format)
    });
    if let Some(warning) = call.resource.strategy().deprecation_warning() {
        call.warnings.add(warning.to_owned());
    }
    render::add_warnings(response.headers_mut(), &call.warnings.take());
    Ok(response)
}

/// Returns whether a request takes so long that it would delay others: its
/// body is large, or what it changes or lists is large.
fn is_large(call: &RequestContext, verb: RequestVerb, body: &Bytes) -> bool {
    let stored = || {
        call.server
            .store
            .snapshot()
            .get(&call.key(call.name()))
            .map_or(0, |record| record.value.len())
    };
    match verb {
        RequestVerb::Get | RequestVerb::Watch => false,
        RequestVerb::List => list::is_large(call),
        RequestVerb::Create | RequestVerb::Delete | RequestVerb::DeleteCollection => {
            body.len() > limits::LARGE_WRITE_BYTES
        }
        RequestVerb::Update | RequestVerb::Patch => {
            body.len() > limits::LARGE_WRITE_BYTES || stored() > limits::LARGE_WRITE_BYTES
        }
    }
}

/// Serves a request and compresses a large response. Both may take a while, so
/// both run where large requests run.
async fn serve(
    call: &RequestContext,
    verb: RequestVerb,
    body: &Bytes,
) -> Result<Response<ResponseBody>, ApiError> {
    let response = dispatch(call, verb, body).await?;
    Ok(compression::compress(&call.headers, response))
}

async fn dispatch(
    call: &RequestContext,
    verb: RequestVerb,
    body: &Bytes,
) -> Result<Response<ResponseBody>, ApiError> {
    match verb {
        RequestVerb::Get => handler_response::encode_response(call, get::get(call)?),
        RequestVerb::List => list::list(call),
        RequestVerb::Watch => watch::watch(call),
        RequestVerb::Create => {
            handler_response::encode_response(call, create::create(call, body).await?)
        }
        RequestVerb::Update => {
            let answer = if call.path.subresource.as_deref() == Some("scale") {
                scale::update(call, body).await?
            } else {
                update::update(call, body).await?
            };
            handler_response::encode_response(call, answer)
        }
        RequestVerb::Patch => {
            handler_response::encode_response(call, patch::patch(call, body).await?)
        }
        RequestVerb::Delete => {
            handler_response::encode_response(call, delete::delete(call, body).await?)
        }
        RequestVerb::DeleteCollection => collection::delete_collection(call, body).await,
    }
}
