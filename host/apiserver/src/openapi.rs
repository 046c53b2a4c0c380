//! `/openapi/v3`: documents that are created when they are first requested and
//! cached as long as the registry.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use http::{HeaderMap, Response};
use rdd_apiserver_kinds::ResourceKind;
use rdd_apiserver_kinds::openapi::{self, CustomResourceSchema};

use crate::body::ResponseBody;
use crate::cached_response::{CachedResponse, cached_response, conditional_response};
use crate::encode;
use crate::negotiate;
use crate::protobuf;
use crate::registry::{OpenApiCache, ResourceRegistry};
use crate::render;
use crate::status::ApiError;

fn documents(registry: &ResourceRegistry) -> &OpenApiCache {
    registry.openapi_documents.get_or_init(|| {
        let kinds: Vec<&ResourceKind> = registry.kinds.iter().collect();
        let by_location = openapi::document_group_versions(&kinds)
            .into_iter()
            .map(|(group, version)| {
                let slot = (group.to_owned(), version.to_owned(), OnceLock::new());
                (openapi::document_path(group, version), slot)
            })
            .collect();
        OpenApiCache { by_location }
    })
}

fn render_document(
    registry: &ResourceRegistry,
    group: &str,
    version: &str,
) -> Option<CachedResponse> {
    let kinds: Vec<&ResourceKind> = registry.kinds.iter().collect();
    let custom: Vec<CustomResourceSchema<'_>> = registry
        .resources()
        .filter(|resource| resource.kind.group == group && resource.kind.version == version)
        .filter_map(|resource| {
            let schema = &resource.custom()?.openapi_schema;
            Some(CustomResourceSchema {
                kind: &resource.kind,
                schema,
            })
        })
        .collect();
    let value = openapi::document(group, version, &kinds, &custom)?;
    Some(cached_response(encode::to_vec(&value)))
}

fn document<'r>(registry: &'r ResourceRegistry, location: &str) -> Option<&'r CachedResponse> {
    let (group, version, slot) = documents(registry).by_location.get(location)?;
    slot.get_or_init(|| render_document(registry, group, version))
        .as_ref()
}

/// The media types of a version 2 document in protobuf. kubectl 1.32 sends the first,
/// and the response has the second.
const V2_PROTOBUF_REQUESTED: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
const V2_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// Responds to `GET /openapi/v2` with a document that describes nothing. kubectl reads
/// it before it applies a kind that is not served, or a `List`.
pub(crate) fn v2(headers: &HeaderMap) -> Response<ResponseBody> {
    let accepts_protobuf = negotiate::accept_clauses(headers)
        .iter()
        .any(|clause| [V2_PROTOBUF_REQUESTED, V2_PROTOBUF].contains(&clause.media));
    if accepts_protobuf {
        return render::document(V2_PROTOBUF, protobuf::empty_openapi_v2().into());
    }
    let document = encode::to_vec(&openapi::empty_v2_document());
    render::document("application/json", document.into())
}

/// Responds with the index. The URL of each document contains the hash of its
/// content.
pub(crate) fn index(registry: &ResourceRegistry, headers: &HeaderMap) -> Response<ResponseBody> {
    let index = registry.openapi_index.get_or_init(|| {
        let mut hashes = BTreeMap::new();
        for location in documents(registry).by_location.keys() {
            if let Some(document) = document(registry, location) {
                hashes.insert(location.clone(), document.etag.trim_matches('"').to_owned());
            }
        }
        cached_response(encode::to_vec(&openapi::index(&hashes)))
    });
    conditional_response(headers, "application/json", index)
}

/// Responds with one document.
pub(crate) fn get(
    registry: &ResourceRegistry,
    location: &str,
    headers: &HeaderMap,
) -> Result<Response<ResponseBody>, ApiError> {
    document(registry, location)
        .map(|document| conditional_response(headers, "application/json", document))
        .ok_or_else(ApiError::page_not_found)
}
