//! Discovery documents, legacy and aggregated, as pure functions of the served
//! kinds.

use std::cmp::Reverse;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::kind::{KindOrigin, ResourceKind, api_version, compare_versions};

/// The media type of aggregated discovery, in `Accept` and in `Content-Type`.
pub const AGGREGATED_CONTENT_TYPE: &str =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// The priority of every group that CRDs define.
const CRD_PRIORITY: u32 = 1000;

/// The `groupPriorityMinimum` of upstream's own groups.
const GROUP_PRIORITIES: [(&str, u32); 9] = [
    ("", 18000),
    ("events.k8s.io", 17750),
    ("authentication.k8s.io", 17700),
    ("authorization.k8s.io", 17600),
    ("rbac.authorization.k8s.io", 17000),
    ("admissionregistration.k8s.io", 16700),
    ("apiextensions.k8s.io", 16700),
    ("coordination.k8s.io", 16500),
    ("discovery.k8s.io", 16200),
];

/// One group-version and its kinds.
#[derive(Clone, Debug)]
pub struct GroupVersion<'a> {
    /// API group; empty for the core group.
    pub group: &'a str,
    /// Version within the group.
    pub version: &'a str,
    /// Its kinds, sorted by plural.
    pub kinds: Vec<&'a ResourceKind>,
}

/// Returns the group-versions of `kinds`: groups by upstream's group priority,
/// and versions by version priority, both highest first.
pub fn group_versions<'a>(kinds: &[&'a ResourceKind]) -> Vec<GroupVersion<'a>> {
    let mut sorted = kinds.to_vec();
    sorted.sort_by(|a, b| {
        Reverse(priority(a))
            .cmp(&Reverse(priority(b)))
            .then_with(|| a.group.cmp(&b.group))
            .then_with(|| compare_versions(&a.version, &b.version))
            .then_with(|| a.plural.cmp(&b.plural))
    });
    let mut found: Vec<GroupVersion<'a>> = Vec::new();
    for kind in sorted {
        match found.last_mut() {
            Some(last) if last.group == kind.group && last.version == kind.version => {
                last.kinds.push(kind);
            }
            _ => found.push(GroupVersion {
                group: &kind.group,
                version: &kind.version,
                kinds: vec![kind],
            }),
        }
    }
    found
}

fn priority(kind: &ResourceKind) -> u32 {
    match kind.origin {
        KindOrigin::Crd => CRD_PRIORITY,
        KindOrigin::Builtin => GROUP_PRIORITIES
            .iter()
            .find(|(group, _)| *group == kind.group)
            .map_or(CRD_PRIORITY, |(_, priority)| *priority),
    }
}

/// Returns the response to `GET /api`, an `APIVersions`. `server_address` is the
/// `host:port` at which clients reach the server.
pub fn api_versions(server_address: &str) -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [
            {"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}
        ],
    })
}

/// Returns the response to `GET /apis`, an `APIGroupList` of all groups except the
/// core group.
pub fn api_group_list(kinds: &[&ResourceKind]) -> Value {
    let versions = group_versions(kinds);
    let groups: Vec<Value> = by_group(&versions)
        .into_iter()
        .filter(|group| group.first().is_some_and(|v| !v.group.is_empty()))
        .filter_map(|versions| api_group_fields(versions).map(Value::Object))
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// Returns the response to `GET /apis/{group}`, an `APIGroup`, or `None` if the
/// group has no kinds.
pub fn api_group(kinds: &[&ResourceKind], group: &str) -> Option<Value> {
    let versions = group_versions(kinds);
    let versions = by_group(&versions)
        .into_iter()
        .find(|found| found.first().is_some_and(|v| v.group == group))?;
    let mut entry = api_group_fields(versions)?;
    entry.insert("kind".into(), "APIGroup".into());
    entry.insert("apiVersion".into(), "v1".into());
    Some(Value::Object(entry))
}

fn by_group<'v, 'a>(versions: &'v [GroupVersion<'a>]) -> Vec<&'v [GroupVersion<'a>]> {
    versions.chunk_by(|a, b| a.group == b.group).collect()
}

fn api_group_fields(versions: &[GroupVersion<'_>]) -> Option<Map<String, Value>> {
    let all: Vec<Value> = versions
        .iter()
        .map(|v| json!({"groupVersion": api_version(v.group, v.version), "version": v.version}))
        .collect();
    let mut entry = Map::new();
    entry.insert("name".into(), versions.first()?.group.into());
    entry.insert("preferredVersion".into(), all.first()?.clone());
    entry.insert("versions".into(), Value::Array(all));
    Some(entry)
}

/// Returns the response to `GET /api/v1` or `/apis/{group}/{version}`, an
/// `APIResourceList`, or `None` if the version has no kinds.
pub fn api_resource_list(kinds: &[&ResourceKind], group: &str, version: &str) -> Option<Value> {
    let found = group_versions(kinds)
        .into_iter()
        .find(|v| v.group == group && v.version == version)?;
    let mut resources = Vec::new();
    for kind in &found.kinds {
        resources.push(api_resource(kind));
        resources.extend(api_subresources(kind));
    }
    let mut list = json!({
        "kind": "APIResourceList",
        "groupVersion": api_version(group, version),
        "resources": resources,
    });
    // Upstream omits `apiVersion` in the list of the core group.
    if !group.is_empty()
        && let Some(list) = list.as_object_mut()
    {
        list.insert("apiVersion".into(), "v1".into());
    }
    Some(list)
}

fn api_resource(kind: &ResourceKind) -> Value {
    let mut entry = json!({
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": kind.verbs,
    });
    if let Some(entry) = entry.as_object_mut() {
        insert_names(entry, kind);
        if !kind.storage_version_hash.is_empty() {
            entry.insert(
                "storageVersionHash".into(),
                kind.storage_version_hash.as_str().into(),
            );
        }
    }
    entry
}

fn insert_names(entry: &mut Map<String, Value>, kind: &ResourceKind) {
    if !kind.short_names.is_empty() {
        entry.insert("shortNames".into(), json!(kind.short_names));
    }
    if !kind.categories.is_empty() {
        entry.insert("categories".into(), json!(kind.categories));
    }
}

fn api_subresources(kind: &ResourceKind) -> impl Iterator<Item = Value> {
    kind.subresources.iter().map(|sub| {
        let mut entry = json!({
            "name": format!("{}/{}", kind.plural, sub.name),
            "singularName": "",
            "namespaced": kind.namespaced,
            "kind": sub.kind,
            "verbs": sub.verbs,
        });
        let is_other_group_version = sub.group != kind.group || sub.version != kind.version;
        if let (true, Some(entry)) = (is_other_group_version, entry.as_object_mut()) {
            entry.insert("group".into(), sub.group.as_str().into());
            entry.insert("version".into(), sub.version.as_str().into());
        }
        entry
    })
}

/// Returns the quoted entity tag of a document, for `ETag` and `If-None-Match`.
pub fn etag(body: &[u8]) -> String {
    format!("\"{:X}\"", Sha256::digest(body))
}

/// The two paths of aggregated discovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiscoveryRoot {
    /// `/api`: only the core group.
    Api,
    /// `/apis`: all other groups.
    Apis,
}

/// Returns the response to `GET /api` or `/apis` as an `APIGroupDiscoveryList` of
/// version v2.
pub fn aggregated_discovery(kinds: &[&ResourceKind], root: DiscoveryRoot) -> Value {
    let versions = group_versions(kinds);
    let items: Vec<Value> = by_group(&versions)
        .into_iter()
        .filter(|group| {
            group.first().is_some_and(|v| v.group.is_empty()) == (root == DiscoveryRoot::Api)
        })
        .filter_map(aggregated_group)
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    })
}

fn aggregated_group(versions: &[GroupVersion<'_>]) -> Option<Value> {
    let metadata = match versions.first()?.group {
        "" => json!({}),
        group => json!({"name": group}),
    };
    let versions: Vec<Value> = versions
        .iter()
        .map(|v| {
            let resources: Vec<Value> = v.kinds.iter().map(|k| aggregated_resource(k)).collect();
            json!({"version": v.version, "resources": resources, "freshness": "Current"})
        })
        .collect();
    Some(json!({"metadata": metadata, "versions": versions}))
}

fn aggregated_resource(kind: &ResourceKind) -> Value {
    let mut entry = json!({
        "resource": kind.plural,
        "responseKind": response_kind(&kind.group, &kind.version, &kind.kind),
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": kind.singular,
        "verbs": kind.verbs,
    });
    if let Some(entry) = entry.as_object_mut() {
        insert_names(entry, kind);
        if !kind.subresources.is_empty() {
            let subresources: Vec<Value> = kind
                .subresources
                .iter()
                .map(|sub| {
                    json!({
                        "subresource": sub.name,
                        "responseKind": response_kind(&sub.group, &sub.version, &sub.kind),
                        "verbs": sub.verbs,
                    })
                })
                .collect();
            entry.insert("subresources".into(), Value::Array(subresources));
        }
    }
    entry
}

fn response_kind(group: &str, version: &str, kind: &str) -> Value {
    json!({"group": group, "version": version, "kind": kind})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin;

    fn boats() -> Vec<ResourceKind> {
        ResourceKind::from_crd(&json!({"spec": {
            "group": "example.com", "scope": "Namespaced", "names": {"plural": "boats", "kind": "Boat"},
            "versions": [
                {"name": "v1beta1", "served": true, "storage": false},
                {"name": "v1", "served": true, "storage": true, "subresources": {"scale": {}}}]}}))
    }

    #[test]
    fn groups_and_versions_are_sorted_by_priority() {
        let custom = boats();
        let kinds: Vec<&ResourceKind> = custom
            .iter()
            .rev()
            .chain(builtin::kinds().iter().map(|b| &b.kind))
            .collect();
        let list = api_group_list(&kinds);
        let names: Vec<&str> = list["groups"]
            .as_array()
            .unwrap()
            .iter()
            .map(|g| g["name"].as_str().unwrap())
            .collect();
        assert_eq!(
            names,
            [
                "events.k8s.io",
                "rbac.authorization.k8s.io",
                "admissionregistration.k8s.io",
                "apiextensions.k8s.io",
                "coordination.k8s.io",
                "example.com"
            ]
        );
        let example_group = api_group(&kinds, "example.com").unwrap();
        assert_eq!(
            example_group["preferredVersion"]["groupVersion"],
            "example.com/v1"
        );
        assert_eq!(example_group["versions"][1]["version"], "v1beta1");
        assert!(api_group(&kinds, "none.example.com").is_none());
        assert_eq!(
            aggregated_discovery(&kinds, DiscoveryRoot::Api)["items"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
        assert_eq!(
            aggregated_discovery(&kinds, DiscoveryRoot::Apis)["items"]
                .as_array()
                .unwrap()
                .len(),
            6
        );
    }

    #[test]
    fn subresources_of_another_group_have_group_and_version() {
        let custom = boats();
        let kinds: Vec<&ResourceKind> = custom.iter().collect();
        let list = api_resource_list(&kinds, "example.com", "v1").unwrap();
        assert_eq!(list["resources"][1]["name"], "boats/scale");
        assert_eq!(list["resources"][1]["group"], "autoscaling");
        assert!(api_resource_list(&kinds, "example.com", "v2").is_none());
    }
}
