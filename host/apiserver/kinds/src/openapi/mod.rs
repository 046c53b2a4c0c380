//! OpenAPI v3: one document per served group-version, and their index. Used by
//! `kubectl explain`, `kubectl apply`, and `--validate`.

mod custom;
mod parameters;
mod paths;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::builtin;
use crate::discovery;
use crate::kind::{KindOrigin, ResourceKind};
use crate::schemas;

/// The title of every document.
const TITLE: &str = "Kubernetes";
/// The schema of a custom resource whose version does not declare one.
static NO_SCHEMA: Value = Value::Null;

/// A custom resource and the schema of its version.
#[derive(Clone, Copy, Debug)]
pub struct CustomResourceSchema<'a> {
    /// The resource.
    pub kind: &'a ResourceKind,
    /// `schema.openAPIV3Schema` of the version; null if there is none.
    pub schema: &'a Value,
}

/// Returns the path of a group-version's document below `/openapi/v3/`: `api/v1` or
/// `apis/{group}/{version}`.
pub fn document_path(group: &str, version: &str) -> String {
    if group.is_empty() {
        format!("api/{version}")
    } else {
        format!("apis/{group}/{version}")
    }
}

/// Returns every group-version that has a document, in the order of discovery.
pub fn document_group_versions<'a>(kinds: &[&'a ResourceKind]) -> Vec<(&'a str, &'a str)> {
    let served: Vec<&ResourceKind> = kinds
        .iter()
        .copied()
        .filter(|kind| !kind.verbs.is_empty())
        .collect();
    discovery::group_versions(&served)
        .into_iter()
        .map(|found| (found.group, found.version))
        .collect()
}

/// Returns the response to `GET /openapi/v3`, the index of the documents. `hashes`
/// contains a hash of the document for each [`document_path`]; it must not need
/// escaping in a query string.
pub fn index(hashes: &BTreeMap<String, String>) -> Value {
    let paths: Map<String, Value> = hashes
        .iter()
        .map(|(path, hash)| {
            let url = format!("/openapi/v3/{path}?hash={hash}");
            (path.clone(), json!({"serverRelativeURL": url}))
        })
        .collect();
    json!({"paths": paths})
}

/// Returns the response to `GET /openapi/v3/{path}`, the document of one
/// group-version, or `None` if it serves no kinds. `custom` contains the schemas of
/// the custom resources among `kinds`.
pub fn document(
    group: &str,
    version: &str,
    kinds: &[&ResourceKind],
    custom: &[CustomResourceSchema<'_>],
) -> Option<Value> {
    let mut served: Vec<&ResourceKind> = kinds
        .iter()
        .copied()
        .filter(|kind| kind.group == group && kind.version == version && !kind.verbs.is_empty())
        .collect();
    served.sort_by(|a, b| a.plural.cmp(&b.plural));
    if served.is_empty() {
        return None;
    }
    let mut all_paths = Map::new();
    let mut components = Map::new();
    for kind in served {
        let name = schema_name(kind);
        all_paths.extend(paths::paths_of_kind(kind, &name));
        let schema = match kind.origin {
            KindOrigin::Builtin => schemas::get(&name)?.clone(),
            KindOrigin::Crd => {
                let declared = custom.iter().find(|custom| custom.kind == kind);
                custom::schema(kind, declared.map_or(&NO_SCHEMA, |custom| custom.schema))
            }
        };
        if kind.has_verb("list") {
            components.insert(list_name(&name), custom::list_schema(kind, &name));
        }
        components.insert(name, schema);
    }
    let all_paths = Value::Object(all_paths);
    add_referenced(&all_paths, &mut components);
    Some(json!({
        "openapi": "3.0.0",
        "info": {"title": TITLE, "version": "unversioned"},
        "paths": all_paths,
        "components": {"schemas": components},
    }))
}

/// Adds all built-in schemas that the document refers to.
fn add_referenced(paths: &Value, components: &mut Map<String, Value>) {
    let mut names = Vec::new();
    schemas::collect_references(paths, &mut names);
    components
        .values()
        .for_each(|schema| schemas::collect_references(schema, &mut names));
    let missing: Vec<(String, Value)> = names
        .into_iter()
        .filter(|name| !components.contains_key(*name))
        .filter_map(|name| Some((name.to_owned(), schemas::get(name)?.clone())))
        .collect();
    components.extend(missing);
}

/// Returns the name of a kind's schema. That of a custom resource consists of its
/// reversed group, its version, and its kind.
pub fn schema_name(kind: &ResourceKind) -> String {
    let custom_name = || {
        let mut parts: Vec<&str> = kind.group.rsplit('.').collect();
        parts.extend([kind.version.as_str(), kind.kind.as_str()]);
        parts.join(".")
    };
    // A built-in kind that is not stored, such as a review. Its package is the
    // first label of its group.
    let review_name = || {
        let package = kind.group.split('.').next().unwrap_or_default();
        format!("io.k8s.api.{package}.{}.{}", kind.version, kind.kind)
    };
    match kind.origin {
        KindOrigin::Crd => custom_name(),
        KindOrigin::Builtin => builtin::find(&kind.group, &kind.version, &kind.plural)
            .map_or_else(review_name, |builtin| builtin.schema_name().to_owned()),
    }
}

fn list_name(name: &str) -> String {
    format!("{name}List")
}

/// Returns the response to `GET /openapi/v2`, an empty Swagger document. All
/// descriptions are in the v3 documents, which every supported client reads. kubectl
/// reads this one, too, before it applies a kind that no v3 document describes.
pub fn empty_v2_document() -> Value {
    json!({
        "swagger": "2.0",
        "info": {"title": TITLE, "version": "unversioned"},
        "paths": {},
        "definitions": {},
    })
}

#[cfg(test)]
mod tests;
