//! Discovery documents of the registry, in both forms.

use std::sync::OnceLock;

use bytes::Bytes;
use http::header::{ETAG, HeaderValue, IF_NONE_MATCH, VARY};
use http::{HeaderMap, Response, StatusCode};
use rdd_apiserver_kinds::ResourceKind;
use rdd_apiserver_kinds::discovery::{self, DiscoveryRoot};

use crate::body::ResponseBody;
use crate::encode;
use crate::negotiate::{self, Format};
use crate::registry::{Registry, Tagged};
use crate::render;
use crate::server::Inner;
use crate::status::ApiError;

fn kinds(registry: &Registry) -> Vec<&ResourceKind> {
    registry.kinds.iter().collect()
}

/// A document with the tag of its content.
pub(crate) fn tag(body: Vec<u8>) -> Tagged {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut out = String::from("\"");
    for salt in 0_u8..2 {
        let mut hasher = DefaultHasher::new();
        salt.hash(&mut hasher);
        body.hash(&mut hasher);
        out.push_str(&format!("{:016X}", hasher.finish()));
    }
    out.push('"');
    Tagged {
        body: Bytes::from(body),
        etag: out,
    }
}

/// A tagged document, or 304 when the client has it.
pub(crate) fn tagged(
    headers: &HeaderMap,
    content_type: &'static str,
    tagged: &Tagged,
) -> Response<ResponseBody> {
    let known = headers
        .get(IF_NONE_MATCH)
        .is_some_and(|sent| sent.as_bytes() == tagged.etag.as_bytes());
    let mut response = if known {
        let mut response = Response::new(ResponseBody::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        render::ready(content_type, tagged.body.clone())
    };
    if let Ok(etag) = HeaderValue::from_str(&tagged.etag) {
        response.headers_mut().insert(ETAG, etag);
    }
    response
        .headers_mut()
        .insert(VARY, HeaderValue::from_static("Accept"));
    response
}

/// Whether the client prefers the aggregated form.
fn wants_aggregated(headers: &HeaderMap) -> bool {
    negotiate::clauses(headers).iter().find_map(|clause| {
        let json = matches!(clause.media, "application/json" | "*/*" | "application/*");
        match clause.parameter("as") {
            _ if !json => None,
            None => Some(false),
            Some("APIGroupDiscoveryList") => (clause.parameter("g") == Some("apidiscovery.k8s.io")
                && clause.parameter("v") == Some("v2"))
            .then_some(true),
            Some(_) => None,
        }
    }) == Some(true)
}

fn aggregated(
    registry: &Registry,
    root: DiscoveryRoot,
    headers: &HeaderMap,
) -> Response<ResponseBody> {
    let slot: Option<&OnceLock<Tagged>> = registry
        .aggregated
        .get(usize::from(root == DiscoveryRoot::Apis));
    let make = || {
        let value = discovery::aggregated_discovery(&kinds(registry), root);
        let mut body = encode::to_vec(&value);
        body.push(b'\n');
        tag(body)
    };
    match slot {
        Some(slot) => tagged(
            headers,
            discovery::AGGREGATED_CONTENT_TYPE,
            slot.get_or_init(make),
        ),
        None => tagged(headers, discovery::AGGREGATED_CONTENT_TYPE, &make()),
    }
}

/// `/api`.
pub(crate) fn api(
    server: &Inner,
    registry: &Registry,
    headers: &HeaderMap,
    format: Format,
) -> Response<ResponseBody> {
    if wants_aggregated(headers) {
        return aggregated(registry, DiscoveryRoot::Api, headers);
    }
    render::value(200, &discovery::api_versions(&server.address), format)
}

/// `/apis`.
pub(crate) fn apis(
    registry: &Registry,
    headers: &HeaderMap,
    format: Format,
) -> Response<ResponseBody> {
    if wants_aggregated(headers) {
        return aggregated(registry, DiscoveryRoot::Apis, headers);
    }
    render::value(200, &discovery::api_group_list(&kinds(registry)), format)
}

/// `/apis/{group}`.
pub(crate) fn group(
    registry: &Registry,
    group: &str,
    format: Format,
) -> Result<Response<ResponseBody>, ApiError> {
    discovery::api_group(&kinds(registry), group)
        .map(|value| render::value(200, &value, format))
        .ok_or_else(ApiError::page_not_found)
}

/// `/api/v1` and `/apis/{group}/{version}`.
pub(crate) fn version(
    registry: &Registry,
    group: &str,
    version: &str,
    format: Format,
) -> Option<Response<ResponseBody>> {
    discovery::api_resource_list(&kinds(registry), group, version)
        .map(|value| render::value(200, &value, format))
}

/// `/`: the paths that are served.
pub(crate) fn root(registry: &Registry) -> serde_json::Value {
    let mut paths: Vec<String> = [
        "/api",
        "/apis",
        "/healthz",
        "/livez",
        "/openapi/v2",
        "/openapi/v3",
        "/readyz",
        "/version",
    ]
    .into_iter()
    .map(str::to_owned)
    .collect();
    for part in ["healthz", "livez", "readyz"] {
        paths.push(format!("/{part}/ping"));
    }
    for kind in &registry.kinds {
        if !kind.group.is_empty() {
            paths.push(format!("/apis/{}", kind.group));
        }
        paths.push(kind.root_path());
    }
    paths.sort();
    paths.dedup();
    serde_json::json!({"paths": paths})
}
