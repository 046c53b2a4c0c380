//! One served resource, whether built in or defined by a CRD.

use std::cmp::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The verbs of a custom resource, in the order in which upstream lists them.
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

/// Bytes of the SHA-256 that a storage version hash keeps, as upstream does.
const STORAGE_VERSION_HASH_BYTES: usize = 8;

/// What discovery, OpenAPI and the request router need to know of one served
/// resource in one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceKind {
    /// API group; empty for the core group.
    pub group: String,
    /// Version within the group, such as `v1`.
    pub version: String,
    /// Lower-case plural: the resource's name in paths.
    pub plural: String,
    /// Lower-case singular, for people.
    pub singular: String,
    /// CamelCase kind of one object.
    pub kind: String,
    /// CamelCase kind of a list of them.
    pub list_kind: String,
    /// Abbreviations that kubectl takes for the plural.
    pub short_names: Vec<String>,
    /// Groupings such as `all`, which kubectl expands.
    pub categories: Vec<String>,
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// Verbs that are served, in the order in which discovery shows them.
    /// Empty for a resource that is only listed in discovery.
    pub verbs: Vec<&'static str>,
    /// Tells clients whether two versions are stored alike.
    pub storage_version_hash: String,
    /// Subresources, in the order in which aggregated discovery shows them.
    pub subresources: Vec<SubresourceKind>,
    /// Who defined the resource.
    pub origin: KindOrigin,
}

/// Who defined a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KindOrigin {
    /// Compiled into the server.
    Builtin,
    /// A CustomResourceDefinition object.
    Crd,
}

/// One subresource such as `status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubresourceKind {
    /// Name in the path, after the object's name.
    pub name: String,
    /// Group of what it answers with.
    pub group: String,
    /// Version of what it answers with.
    pub version: String,
    /// Kind of what it answers with.
    pub kind: String,
    /// Verbs that are served.
    pub verbs: Vec<&'static str>,
}

impl ResourceKind {
    /// `group/version`, or only the version in the core group: the value of
    /// `apiVersion`.
    pub fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    /// Path of the group-version below which the resource is served, such as
    /// `/api/v1` or `/apis/coordination.k8s.io/v1`.
    pub fn root_path(&self) -> String {
        if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        }
    }

    /// Whether `verb` is served on the resource itself.
    pub fn has_verb(&self, verb: &str) -> bool {
        self.verbs.contains(&verb)
    }

    /// The subresource of that name.
    pub fn subresource(&self, name: &str) -> Option<&SubresourceKind> {
        self.subresources.iter().find(|s| s.name == name)
    }

    /// The served versions of a CustomResourceDefinition (as JSON, v1), best
    /// version first. Names come from `spec.names`; the caller sees to it
    /// that they were accepted. Empty when `crd` lacks what a valid one has.
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

/// `group/version`, or only the version in the core group.
pub fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.into()
    } else {
        format!("{group}/{version}")
    }
}

/// The hash by which discovery names the form in which a kind is stored.
pub(crate) fn storage_version_hash(group: &str, version: &str, kind: &str) -> String {
    let digest = Sha256::digest(format!("{group}/{version}/{kind}"));
    STANDARD.encode(digest.get(..STORAGE_VERSION_HASH_BYTES).unwrap_or(&digest))
}

/// Orders versions as Kubernetes does, best first: `v2`, `v1`, `v1beta2`,
/// `v1beta1`, `v1alpha1`, then everything else by name.
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    match (version_priority(a), version_priority(b)) {
        (Some(a), Some(b)) => b.cmp(&a),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

/// Stability (2 for a release, 1 beta, 0 alpha), major and minor number.
fn version_priority(version: &str) -> Option<(u8, u64, u64)> {
    let rest = version.strip_prefix('v')?;
    for (word, level) in [("beta", 1), ("alpha", 0)] {
        if let Some((major, minor)) = rest.split_once(word) {
            return Some((level, parse_number(major)?, parse_number(minor)?));
        }
    }
    Some((2, parse_number(rest)?, 0))
}

/// A version's number: digits without a leading zero.
fn parse_number(digits: &str) -> Option<u64> {
    let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    if plain { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn versions_sort_by_stability_then_number() {
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
    fn storage_hash_is_the_one_clients_know() {
        assert_eq!(storage_version_hash("", "v1", "ConfigMap"), "qFsyl6wFWjQ=");
        assert_eq!(
            storage_version_hash("coordination.k8s.io", "v1", "Lease"),
            "gqkMMb/YqFM="
        );
    }

    #[test]
    fn a_crd_gives_its_served_versions_best_first() {
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
        let best = &kinds[0];
        assert_eq!(
            (best.singular.as_str(), best.list_kind.as_str()),
            ("boat", "BoatList")
        );
        assert!(!best.namespaced);
        let names: Vec<_> = best.subresources.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["status", "scale"]);
        assert_eq!(
            best.storage_version_hash,
            storage_version_hash("example.com", "v0", "Boat")
        );
    }
}
