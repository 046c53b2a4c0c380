//! Requests in, answers out: the path decides who answers.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::body::ResponseBody;
use crate::limits::{self, BODY_MAX};
use crate::negotiate::{self, Format};
use crate::path::{self, ResourcePath, Target};
use crate::query::Query;
use crate::registry::Registry;
use crate::resource::Resource;
use crate::server::{ApiServer, Inner};
use crate::status::ApiError;
use crate::user::UserInfo;
use crate::verbs::call::Call;
use crate::verbs::{collection, create, delete, get, list, patch, scale, update, watch};
use crate::{discovery, health, openapi, render, review};

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
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            Ok(handle(server, parts, body).await)
        })
    }
}

async fn handle<B>(server: Arc<Inner>, parts: Parts, body: B) -> Response<ResponseBody>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let length = parts.uri.query().map_or(0, str::len);
    if length > limits::QUERY_MAX {
        let error = ApiError::bad_request(format!(
            "the query string has {length} bytes, the most is {}",
            limits::QUERY_MAX
        ));
        return render::error(&error, Format::JSON);
    }
    let query = Query::parse(parts.uri.query());
    let head = parts.method == Method::HEAD;
    let format = negotiate::format(&parts.headers, &query, false).unwrap_or(Format::JSON);
    let plain = Format {
        media: format.media,
        shape: negotiate::Shape::Whole,
        pretty: format.pretty,
    };
    let mut response = route(server, parts, query, plain, body)
        .await
        .unwrap_or_else(|error| render::error(&error, plain));
    if head {
        *response.body_mut() = ResponseBody::empty();
    }
    response
}

/// Reads a body up to the limit.
async fn read<B>(body: B) -> Result<Bytes, ApiError>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match Limited::new(body, BODY_MAX).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::too_large(BODY_MAX)),
        Err(error) => Err(ApiError::bad_request(format!(
            "the body cannot be read: {error}"
        ))),
    }
}

async fn route<B>(
    server: Arc<Inner>,
    parts: Parts,
    query: Query,
    format: Format,
    body: B,
) -> Result<Response<ResponseBody>, ApiError>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let target = path::parse(parts.uri.path());
    let Some(user) = parts.extensions.get::<UserInfo>().cloned() else {
        return Err(ApiError::unauthorized());
    };
    refuse_impersonation(&parts.headers, &user)?;
    let registry = server.registry.load_full();
    let only_get = || {
        if parts.method == Method::GET {
            Ok(())
        } else {
            Err(ApiError::method_not_allowed())
        }
    };
    match target {
        Target::Resource(path) => resource(server, &registry, parts, query, path, user, body).await,
        Target::Root => Ok(render::value(200, &discovery::root(&registry), format)),
        Target::Version => {
            only_get()?;
            Ok(render::value(200, &health::version(), format))
        }
        Target::Health(name, check) => Ok(health::health(
            &server,
            &name,
            check.as_deref(),
            query.raw("verbose").is_some(),
        )),
        Target::OpenApiV2 => Err(ApiError::page_not_found()),
        Target::OpenApiV3(location) => {
            only_get()?;
            match location {
                None => Ok(openapi::index(&registry, &parts.headers)),
                Some(location) => openapi::get(&registry, &location, &parts.headers),
            }
        }
        Target::Api => {
            only_get()?;
            Ok(discovery::api(&server, &registry, &parts.headers, format))
        }
        Target::Apis => Ok(discovery::apis(&registry, &parts.headers, format)),
        Target::Group(group) => discovery::group(&registry, &group, format),
        Target::GroupVersion(group, version) => {
            discovery::version(&registry, &group, &version, format)
                .ok_or_else(|| unknown(&registry, Some(&group)))
        }
        Target::Unknown { group } => Err(unknown(&registry, group.as_deref())),
    }
}

/// Begins the name of every header by which a caller asks to act as somebody
/// else.
const IMPERSONATE: &str = "impersonate-";

/// Refuses to act as somebody else: a header that is passed over would give
/// the caller's own rights to who asked for lesser ones.
fn refuse_impersonation(headers: &http::HeaderMap, user: &UserInfo) -> Result<(), ApiError> {
    let Some((name, value)) = headers
        .iter()
        .find(|(name, _)| name.as_str().starts_with(IMPERSONATE))
    else {
        return Ok(());
    };
    let (group, resource) = match name.as_str() {
        "impersonate-user" => ("", "users"),
        "impersonate-group" => ("", "groups"),
        "impersonate-uid" => ("authentication.k8s.io", "uids"),
        _ => ("authentication.k8s.io", "userextras"),
    };
    let subject = String::from_utf8_lossy(value.as_bytes());
    Err(ApiError::forbidden(
        group,
        resource,
        &subject,
        &format!(
            "User {:?} cannot impersonate resource {resource:?} in API group {group:?} at the cluster scope: this server acts for nobody but the caller; leave out {name} (kubectl: --as, --as-group, --as-uid)",
            user.name
        ),
        Vec::new(),
    ))
}

/// 404 in the words that the path's group has for it.
fn unknown(registry: &Registry, group: Option<&str>) -> ApiError {
    match group {
        Some(group) if group.is_empty() || registry.is_builtin_group(group) => {
            ApiError::no_resource()
        }
        _ => ApiError::page_not_found(),
    }
}

async fn resource<B>(
    server: Arc<Inner>,
    registry: &Registry,
    parts: Parts,
    query: Query,
    path: ResourcePath,
    user: UserInfo,
    body: B,
) -> Result<Response<ResponseBody>, ApiError>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if review::is_review(&path) {
        let format = negotiate::format(&parts.headers, &query, true)?;
        let body = read(body).await?;
        return review::answer(&server, &path, &parts, &user, &body, format).await;
    }
    let found = registry.get(&path.group, &path.version, &path.resource);
    let Some(resource) = found.cloned() else {
        return Err(unknown(registry, Some(&path.group)));
    };
    let verb = verb(&parts.method, &path, &resource, &query, &parts.headers)?;
    let mut format = negotiate::format(&parts.headers, &query, resource.is_builtin())?;
    if path.subresource.as_deref() == Some("scale") {
        format.shape = negotiate::Shape::Whole;
    }
    let call = Call {
        server,
        resource,
        path,
        query,
        headers: parts.headers,
        format,
        user,
    };
    let body = if verb.has_body() {
        read(body).await
    } else {
        Ok(Bytes::new())
    };
    let call = Arc::new(call);
    let answered = match body {
        Ok(body) if is_large(&call, verb, &body) => {
            let large = match verb {
                Verb::List => &call.server.large_lists,
                _ => &call.server.large_writes,
            };
            let work = Arc::clone(&call);
            let answer = async move { serve(&work, verb, &body).await };
            large.run(answer).await.flatten()
        }
        Ok(body) => serve(&call, verb, &body).await,
        Err(error) => Err(error),
    };
    let mut response = answered.unwrap_or_else(|error| render::error(&error, call.plain()));
    if let Some(warning) = call
        .resource
        .custom()
        .and_then(|custom| custom.warning.clone())
    {
        render::warn(response.headers_mut(), &[warning]);
    }
    Ok(response)
}

/// Whether a request takes so long that it must not hold up others: what it
/// sends is large, or what it changes or lists is.
fn is_large(call: &Call, verb: Verb, body: &Bytes) -> bool {
    let stored = || {
        call.server
            .store
            .snapshot()
            .get(&call.key(call.name()))
            .map_or(0, |record| record.value.len())
    };
    match verb {
        Verb::Get | Verb::Watch => false,
        Verb::List => list::is_large(call),
        Verb::Create | Verb::Delete | Verb::DeleteCollection => body.len() > limits::LARGE,
        Verb::Update | Verb::Patch => body.len() > limits::LARGE || stored() > limits::LARGE,
    }
}

async fn serve(call: &Call, verb: Verb, body: &Bytes) -> Result<Response<ResponseBody>, ApiError> {
    match verb {
        Verb::Get => render::answer(call, get::get(call)?),
        Verb::List => list::list(call),
        Verb::Watch => watch::watch(call),
        Verb::Create => render::answer(call, create::create(call, body).await?),
        Verb::Update => {
            let answer = if call.path.subresource.as_deref() == Some("scale") {
                scale::update(call, body).await?
            } else {
                update::update(call, body).await?
            };
            render::answer(call, answer)
        }
        Verb::Patch => render::answer(call, patch::patch(call, body).await?),
        Verb::Delete => render::answer(call, delete::delete(call, body).await?),
        Verb::DeleteCollection => collection::delete(call, body).await,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

impl Verb {
    fn has_body(self) -> bool {
        !matches!(self, Self::Get | Self::List | Self::Watch)
    }
}

/// Which verb a method is on this path, or why there is none.
fn verb(
    method: &Method,
    path: &ResourcePath,
    resource: &Resource,
    query: &Query,
    headers: &http::HeaderMap,
) -> Result<Verb, ApiError> {
    let builtin = resource.is_builtin();
    let kind = &resource.kind;
    let refuse = || {
        if builtin {
            ApiError::method_not_allowed()
        } else {
            ApiError::not_supported(&kind.group, &kind.plural, "")
        }
    };
    let missing = || {
        if builtin {
            ApiError::no_resource()
        } else {
            ApiError::page_not_found()
        }
    };
    if !kind.namespaced && path.namespace.is_some() {
        return Err(missing());
    }
    // All namespaces at once: only reading.
    let everywhere = kind.namespaced && path.namespace.is_none();
    if everywhere && path.name.is_some() {
        return Err(missing());
    }
    let reads = matches!(*method, Method::GET | Method::HEAD);
    if everywhere && !(*method == Method::GET || !builtin && reads) {
        return Err(if builtin {
            ApiError::method_not_allowed()
        } else {
            missing()
        });
    }
    if let Some(name) = path.subresource.as_deref() {
        let sub =
            kind.subresource(name)
                .ok_or_else(|| match (builtin, name, path.name.as_deref()) {
                    (false, "status" | "scale", Some(object)) => {
                        ApiError::not_found(&kind.group, &kind.plural, object)
                    }
                    _ => missing(),
                })?;
        let (verb, name) = match *method {
            Method::GET => (Verb::Get, "get"),
            Method::HEAD if !builtin => (Verb::Get, "get"),
            Method::PUT => (Verb::Update, "update"),
            Method::PATCH => (Verb::Patch, "patch"),
            _ => return Err(refuse()),
        };
        return if sub.verbs.contains(&name) {
            Ok(verb)
        } else {
            Err(refuse())
        };
    }
    let watches = query.flag("watch");
    let apply = headers
        .get(http::header::CONTENT_TYPE)
        .is_some_and(|sent| sent.as_bytes().starts_with(b"application/apply-patch+yaml"));
    let verb = match (method, path.name.is_some()) {
        (&Method::GET, true) => (Verb::Get, "get"),
        (&Method::HEAD, true) if !builtin => (Verb::Get, "get"),
        (&Method::GET, false) if watches => (Verb::Watch, "watch"),
        (&Method::GET, false) => (Verb::List, "list"),
        (&Method::HEAD, false) if !builtin => (Verb::List, "list"),
        (&Method::POST, false) => (Verb::Create, "create"),
        (&Method::PUT, true) => (Verb::Update, "update"),
        (&Method::PATCH, true) => (Verb::Patch, "patch"),
        (&Method::DELETE, true) => (Verb::Delete, "delete"),
        (&Method::DELETE, false) => (Verb::DeleteCollection, "deletecollection"),
        (&Method::PUT, false) if !builtin => {
            return Err(ApiError::bad_request("name must be provided"));
        }
        (&Method::PATCH, false) if !builtin && apply => {
            return Err(ApiError::bad_request("name must be provided"));
        }
        (&Method::PATCH, false) if !builtin => {
            return Err(ApiError::unsupported_media(
                "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
            ));
        }
        _ => return Err(refuse()),
    };
    if kind.has_verb(verb.1) {
        Ok(verb.0)
    } else {
        Err(refuse())
    }
}
