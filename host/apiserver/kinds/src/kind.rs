//! One served resource, whether built in or defined by a CRD.

use std::cmp::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The verbs of a custom resource, in upstream's order.
const CUSTOM_RESOURCE_VERBS: [&str; 8] = [
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "create",
    "update",
    "watch",
];

/// The verbs of `/status` and `/scale`.
pub(crate) const SUBRESOURCE_VERBS: [&str; 3] = ["get", "patch", "update"];

/// The number of bytes of the SHA-256 digest in a storage version hash, as upstream.
const STORAGE_VERSION_HASH_BYTES: usize = 8;

/// One served resource in one version, as discovery, OpenAPI, and the request
/// router need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceKind {
    /// API group; empty for the core group.
    pub group: String,
    /// Version within the group, such as `v1`.
    pub version: String,
    /// Lowercase plural: the resource's name in paths.
    pub plural: String,
    /// Lowercase singular, which kubectl accepts and displays.
    pub singular: String,
    /// CamelCase kind of one object.
    pub kind: String,
    /// CamelCase kind of a list of objects.
    pub list_kind: String,
    /// Abbreviations that kubectl accepts for the plural.
    pub short_names: Vec<String>,
    /// Groups of resources such as `all`, which kubectl expands.
    pub categories: Vec<String>,
    /// Whether objects belong to a namespace.
    pub namespaced: bool,
    /// Served verbs, in the order of discovery. Empty for a resource that
    /// appears in discovery only.
    pub verbs: Vec<&'static str>,
    /// Hash by which clients detect that two versions share their storage.
    pub storage_version_hash: String,
    /// Subresources, in the order of aggregated discovery.
    pub subresources: Vec<SubresourceKind>,
    /// How the resource is defined.
    pub origin: KindOrigin,
}

/// How a resource is defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KindOrigin {
    /// Compiled into the server.
    Builtin,
    /// By a CustomResourceDefinition object.
    Crd,
}

/// One subresource such as `status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubresourceKind {
    /// Path segment after the object's name.
    pub name: String,
    /// API group of the objects that it returns.
    pub group: String,
    /// Version of the objects that it returns.
    pub version: String,
    /// Kind of the objects that it returns.
    pub kind: String,
    /// Served verbs.
    pub verbs: Vec<&'static str>,
}

impl ResourceKind {
    /// Returns the value of `apiVersion`. See [`api_version`].
    pub fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    /// Returns the path of the resource's group-version, such as `/api/v1` or
    /// `/apis/coordination.k8s.io/v1`.
    pub fn root_path(&self) -> String {
        if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        }
    }

    /// Returns whether `verb` is served on the resource itself.
    pub fn has_verb(&self, verb: &str) -> bool {
        self.verbs.contains(&verb)
    }

    /// Returns the subresource with this name.
    pub fn subresource(&self, name: &str) -> Option<&SubresourceKind> {
        self.subresources.iter().find(|s| s.name == name)
    }

    /// Returns the served versions of a CustomResourceDefinition (v1, as JSON),
    /// highest priority first. Names are taken from `spec.names`; the caller
    /// must check that they were accepted. Returns none if a field is missing
    /// that every valid definition has.
    pub fn from_crd(crd: &Value) -> Vec<ResourceKind> {
        let spec = &crd["spec"];
        let versions = spec["versions"].as_array().map_or(&[][..], Vec::as_slice);
        let storage = versions.iter().find(|v| v["storage"] == true);
        let mut kinds: Vec<ResourceKind> = versions
            .iter()
            .filter(|v| v["served"] == true)
            .filter_map(|v| kind_of_crd_version(spec, v, storage.unwrap_or(v)))
            .collect();
        kinds.sort_by(|a, b| compare_versions(&a.version, &b.version));
        kinds
    }
}

fn kind_of_crd_version(spec: &Value, version: &Value, storage: &Value) -> Option<ResourceKind> {
    let names = &spec["names"];
    let group = spec["group"].as_str()?;
    let kind = names["kind"].as_str()?;
    let name = version["name"].as_str()?;
    let mut subresources = Vec::new();
    if version["subresources"]["status"].is_object() {
        subresources.push(SubresourceKind {
            name: "status".into(),
            group: group.into(),
            version: name.into(),
            kind: kind.into(),
            verbs: SUBRESOURCE_VERBS.to_vec(),
        });
    }
    if version["subresources"]["scale"].is_object() {
        subresources.push(SubresourceKind {
            name: "scale".into(),
            group: "autoscaling".into(),
            version: "v1".into(),
            kind: "Scale".into(),
            verbs: SUBRESOURCE_VERBS.to_vec(),
        });
    }
    Some(ResourceKind {
        group: group.into(),
        version: name.into(),
        plural: names["plural"].as_str()?.into(),
        singular: names["singular"]
            .as_str()
            .map_or_else(|| kind.to_lowercase(), String::from),
        kind: kind.into(),
        list_kind: names["listKind"]
            .as_str()
            .map_or_else(|| format!("{kind}List"), String::from),
        short_names: string_list(&names["shortNames"]),
        categories: string_list(&names["categories"]),
        namespaced: spec["scope"] == "Namespaced",
        verbs: CUSTOM_RESOURCE_VERBS.to_vec(),
        storage_version_hash: storage_version_hash(group, storage["name"].as_str()?, kind),
        subresources,
        origin: KindOrigin::Crd,
    })
}

fn string_list(value: &Value) -> Vec<String> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|v| v.as_str().map(String::from))
        .collect()
}

/// Returns `group/version`, or only the version for the core group.
pub fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.into()
    } else {
        format!("{group}/{version}")
    }
}

/// Returns the hash by which discovery identifies the storage version of a kind.
pub(crate) fn storage_version_hash(group: &str, version: &str, kind: &str) -> String {
    let digest = Sha256::digest(format!("{group}/{version}/{kind}"));
    STANDARD.encode(digest.get(..STORAGE_VERSION_HASH_BYTES).unwrap_or(&digest))
}

/// Compares versions by Kubernetes' version priority, highest first: `v2`, `v1`,
/// `v1beta2`, `v1beta1`, `v1alpha1`, then all other names in alphabetical order.
///
/// Written by hand because `kube_core::Version::priority`, which does the same,
/// would make `kube` a dependency of this crate.
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    match (version_priority(a), version_priority(b)) {
        (Some(a), Some(b)) => b.cmp(&a),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

/// Returns the stability (2 for a stable version, 1 for beta, 0 for alpha), and
/// the major and minor number.
fn version_priority(version: &str) -> Option<(u8, u64, u64)> {
    let rest = version.strip_prefix('v')?;
    for (suffix, stability) in [("beta", 1), ("alpha", 0)] {
        if let Some((major, minor)) = rest.split_once(suffix) {
            return Some((stability, parse_number(major)?, parse_number(minor)?));
        }
    }
    Some((2, parse_number(rest)?, 0))
}

/// Parses a number of a version: digits without a leading zero.
fn parse_number(digits: &str) -> Option<u64> {
    let is_valid = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    if is_valid { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn versions_are_sorted_by_stability_and_number() {
        let mut versions = [
            "foo10",
            "v1alpha1",
            "v1",
            "v11beta2",
            "v10",
            "foo1",
            "v3beta1",
            "v12alpha1",
            "v2",
            "v10beta3",
            "v11alpha2",
            "v01",
        ];
        versions.sort_by(|a, b| compare_versions(a, b));
        assert_eq!(
            versions,
            [
                "v10",
                "v2",
                "v1",
                "v11beta2",
                "v10beta3",
                "v3beta1",
                "v12alpha1",
                "v11alpha2",
                "v1alpha1",
                "foo1",
                "foo10",
                "v01"
            ]
        );
    }

    #[test]
    fn storage_version_hashes_are_those_of_upstream() {
        assert_eq!(storage_version_hash("", "v1", "ConfigMap"), "qFsyl6wFWjQ=");
        assert_eq!(
            storage_version_hash("coordination.k8s.io", "v1", "Lease"),
            "gqkMMb/YqFM="
        );
    }

    #[test]
    fn a_crd_yields_its_served_versions_by_priority() {
        let kinds = ResourceKind::from_crd(&json!({"spec": {
        "group": "example.com", "scope": "Cluster",
        "names": {"plural": "boats", "kind": "Boat", "shortNames": ["bt"]},
        "versions": [
            {"name": "v1alpha1", "served": true, "storage": false},
            {"name": "v1", "served": true, "storage": false, "subresources": {"scale": {}, "status": {}}},
            {"name": "v0", "served": false, "storage": true},
        ]}}));
        let versions: Vec<_> = kinds.iter().map(|k| k.version.as_str()).collect();
        assert_eq!(versions, ["v1", "v1alpha1"]);
        let first = &kinds[0];
        assert_eq!(
            (first.singular.as_str(), first.list_kind.as_str()),
            ("boat", "BoatList")
        );
        assert!(!first.namespaced);
        let names: Vec<_> = first.subresources.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["status", "scale"]);
        assert_eq!(
            first.storage_version_hash,
            storage_version_hash("example.com", "v0", "Boat")
        );
    }
}
