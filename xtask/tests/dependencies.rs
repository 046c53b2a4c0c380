//! The rooms of the workspace depend on each other in one direction only.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// What each room may depend on, of our own crates. Tests may use the testkit
/// and whatever stands below them.
const RULES: [(&str, &[&str]); 17] = [
    ("rdd-core", &[]),
    ("rdd-api", &[]),
    ("rdd-gateway", &["rdd-core"]),
    ("rdd-passthrough", &["rdd-core", "rdd-gateway"]),
    ("rdd-mirror", &["rdd-api", "rdd-core"]),
    ("rdd-plugin-wasm", &["rdd-core"]),
    ("rdd-plugin", &["rdd-core", "rdd-plugin-wasm"]),
    ("rdd-apiserver-storage", &[]),
    ("rdd-apiserver-schema", &[]),
    ("rdd-apiserver-fieldmanager", &[]),
    (
        "rdd-apiserver-kinds",
        &["rdd-apiserver-schema", "rdd-apiserver-fieldmanager"],
    ),
    (
        "rdd-apiserver",
        &[
            "rdd-apiserver-storage",
            "rdd-apiserver-schema",
            "rdd-apiserver-fieldmanager",
            "rdd-apiserver-kinds",
        ],
    ),
    (
        "rdd",
        &[
            "rdd-api",
            "rdd-apiserver",
            "rdd-core",
            "rdd-gateway",
            "rdd-mirror",
            "rdd-passthrough",
            "rdd-plugin",
        ],
    ),
    ("rdd-testkit", &["rdd-core"]),
    ("rdd-sdk", &[]),
    ("xtask", &["rdd-api"]),
    ("rdd-bench", &["rdd-api"]),
];

/// A plugin sees the contract and the SDK, never the host.
const PLUGIN_MAY_SEE: &[&str] = &["rdd-sdk"];

/// The engine-neutral heart names no framework.
const NOT_IN_CORE: [&str; 6] = [
    "kube",
    "k8s-openapi",
    "wasmtime",
    "hyper",
    "http",
    "bollard",
];

fn dependencies() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    metadata
        .packages
        .iter()
        .map(|package| {
            let names = package
                .dependencies
                .iter()
                .filter(|dependency| dependency.kind == DependencyKind::Normal)
                .map(|dependency| dependency.name.clone())
                .collect();
            let folder = package
                .manifest_path
                .strip_prefix(&metadata.workspace_root)
                .unwrap()
                .to_string();
            (package.name.to_string(), (folder, names))
        })
        .collect()
}

#[test]
fn rooms_depend_in_one_direction() {
    let crates = dependencies();
    let ours: BTreeSet<_> = crates.keys().cloned().collect();
    let rules: BTreeMap<_, _> = RULES.into_iter().collect();
    for (name, (manifest, dependencies)) in &crates {
        let allowed = match rules.get(name.as_str()) {
            Some(allowed) => *allowed,
            None if manifest.starts_with("plugins/") => PLUGIN_MAY_SEE,
            None => {
                panic!("{name} ({manifest}) has no rule: add one here and to docs/architecture.md")
            }
        };
        for dependency in dependencies.intersection(&ours) {
            assert!(
                allowed.contains(&dependency.as_str()),
                "{name} must not depend on {dependency}"
            );
        }
    }
}

#[test]
fn the_core_names_no_framework() {
    let crates = dependencies();
    let (_, core) = &crates["rdd-core"];
    for framework in NOT_IN_CORE {
        assert!(
            !core.contains(framework),
            "rdd-core must not depend on {framework}"
        );
    }
}
