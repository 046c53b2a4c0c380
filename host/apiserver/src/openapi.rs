//! `/openapi/v3` of the registry: made when first asked for, kept as long as
//! the registry lives.

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use http::{HeaderMap, Response};
use rdd_apiserver_kinds::ResourceKind;
use rdd_apiserver_kinds::openapi::{self, CustomResourceSchema};

use crate::body::ResponseBody;
use crate::discovery::{tag, tagged};
use crate::encode;
use crate::registry::{Registry, Tagged};
use crate::status::ApiError;

/// The documents of a registry, each made once.
#[derive(Debug)]
pub(crate) struct Documents {
    by_location: HashMap<String, (String, String, OnceLock<Option<Tagged>>)>,
}

fn documents(registry: &Registry) -> &Documents {
    registry.openapi.get_or_init(|| {
        let kinds: Vec<&ResourceKind> = registry.kinds.iter().collect();
        let by_location = openapi::document_group_versions(&kinds)
            .into_iter()
            .map(|(group, version)| {
                let slot = (group.to_owned(), version.to_owned(), OnceLock::new());
                (openapi::document_path(group, version), slot)
            })
            .collect();
        Documents { by_location }
    })
}

fn make(registry: &Registry, group: &str, version: &str) -> Option<Tagged> {
    let kinds: Vec<&ResourceKind> = registry.kinds.iter().collect();
    let custom: Vec<CustomResourceSchema<'_>> = registry
        .resources()
        .filter(|resource| resource.kind.group == group && resource.kind.version == version)
        .filter_map(|resource| {
            let schema = &resource.custom()?.openapi;
            Some(CustomResourceSchema {
                kind: &resource.kind,
                schema,
            })
        })
        .collect();
    let value = openapi::document(group, version, &kinds, &custom)?;
    Some(tag(encode::to_vec(&value)))
}

fn document<'r>(registry: &'r Registry, location: &str) -> Option<&'r Tagged> {
    let (group, version, slot) = documents(registry).by_location.get(location)?;
    slot.get_or_init(|| make(registry, group, version)).as_ref()
}

/// The index; each document's address carries the hash of its content.
pub(crate) fn index(registry: &Registry, headers: &HeaderMap) -> Response<ResponseBody> {
    let index = registry.openapi_index.get_or_init(|| {
        let mut hashes = BTreeMap::new();
        for location in documents(registry).by_location.keys() {
            if let Some(found) = document(registry, location) {
                hashes.insert(location.clone(), found.etag.trim_matches('"').to_owned());
            }
        }
        tag(encode::to_vec(&openapi::index(&hashes)))
    });
    tagged(headers, "application/json", index)
}

/// One document.
pub(crate) fn get(
    registry: &Registry,
    location: &str,
    headers: &HeaderMap,
) -> Result<Response<ResponseBody>, ApiError> {
    document(registry, location)
        .map(|found| tagged(headers, "application/json", found))
        .ok_or_else(ApiError::page_not_found)
}
