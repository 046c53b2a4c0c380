//! Discovery: the aggregated and the unaggregated documents.

use std::sync::OnceLock;

use http::{HeaderMap, Response};
use rdd_apiserver_kinds::ResourceKind;
use rdd_apiserver_kinds::discovery::{self, DiscoveryRoot};

use crate::body::ResponseBody;
use crate::cached_response::{CachedResponse, cached_response, conditional_response};
use crate::encode;
use crate::negotiate::{self, ResponseFormat};
use crate::registry::ResourceRegistry;
use crate::render;
use crate::server_state::ServerState;
use crate::status::ApiError;

fn kinds(registry: &ResourceRegistry) -> Vec<&ResourceKind> {
    registry.kinds.iter().collect()
}

/// Returns whether the client prefers the aggregated form.
fn prefers_aggregated(headers: &HeaderMap) -> bool {
    negotiate::accept_clauses(headers)
        .iter()
        .find_map(|clause| {
            let json = matches!(clause.media, "application/json" | "*/*" | "application/*");
            match clause.parameter("as") {
                _ if !json => None,
                None => Some(false),
                Some("APIGroupDiscoveryList") => (clause.parameter("g")
                    == Some("apidiscovery.k8s.io")
                    && clause.parameter("v") == Some("v2"))
                .then_some(true),
                Some(_) => None,
            }
        })
        == Some(true)
}

fn aggregated(
    registry: &ResourceRegistry,
    root: DiscoveryRoot,
    headers: &HeaderMap,
) -> Response<ResponseBody> {
    let cached: Option<&OnceLock<CachedResponse>> = registry
        .aggregated_discovery
        .get(usize::from(root == DiscoveryRoot::Apis));
    let make = || {
        let value = discovery::aggregated_discovery(&kinds(registry), root);
        let mut body = encode::to_vec(&value);
        body.push(b'\n');
        cached_response(body)
    };
    match cached {
        Some(cached) => conditional_response(
            headers,
            discovery::AGGREGATED_CONTENT_TYPE,
            cached.get_or_init(make),
        ),
        None => conditional_response(headers, discovery::AGGREGATED_CONTENT_TYPE, &make()),
    }
}

/// Responds to `/api`.
pub(crate) fn api(
    server: &ServerState,
    registry: &ResourceRegistry,
    headers: &HeaderMap,
    format: ResponseFormat,
) -> Response<ResponseBody> {
    if prefers_aggregated(headers) {
        return aggregated(registry, DiscoveryRoot::Api, headers);
    }
    render::value(200, &discovery::api_versions(&server.address), format)
}

/// Responds to `/apis`.
pub(crate) fn apis(
    registry: &ResourceRegistry,
    headers: &HeaderMap,
    format: ResponseFormat,
) -> Response<ResponseBody> {
    if prefers_aggregated(headers) {
        return aggregated(registry, DiscoveryRoot::Apis, headers);
    }
    render::value(200, &discovery::api_group_list(&kinds(registry)), format)
}

/// Responds to `/apis/{group}`.
pub(crate) fn group(
    registry: &ResourceRegistry,
    group: &str,
    format: ResponseFormat,
) -> Result<Response<ResponseBody>, ApiError> {
    discovery::api_group(&kinds(registry), group)
        .map(|value| render::value(200, &value, format))
        .ok_or_else(ApiError::page_not_found)
}

/// Responds to `/api/v1` and `/apis/{group}/{version}`.
pub(crate) fn version(
    registry: &ResourceRegistry,
    group: &str,
    version: &str,
    format: ResponseFormat,
) -> Option<Response<ResponseBody>> {
    discovery::api_resource_list(&kinds(registry), group, version)
        .map(|value| render::value(200, &value, format))
}

/// Returns the document at `/`: the served paths.
pub(crate) fn root(registry: &ResourceRegistry) -> serde_json::Value {
    let mut paths: Vec<String> = [
        "/api",
        "/apis",
        "/backup",
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
