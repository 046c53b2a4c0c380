//! The component rules: which crates of the workspace may depend on which others.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// The workspace crates that each crate may depend on. Dev-dependencies are not
/// restricted.
const RULES: [(&str, &[&str]); 25] = [
    ("rdd-core", &[]),
    ("rdd-api", &[]),
    ("rdd-gateway", &["rdd-core"]),
    ("rdd-passthrough", &["rdd-core", "rdd-gateway"]),
    ("rdd-web", &["rdd-core", "rdd-gateway"]),
    ("rdd-mirror", &["rdd-api", "rdd-core"]),
    ("rdd-distribution", &["rdd-core"]),
    ("rdd-plugin-contract", &["rdd-core"]),
    ("rdd-plugin-wasm", &["rdd-core", "rdd-plugin-contract"]),
    (
        "rdd-plugin-dylib",
        &["rdd-core", "rdd-plugin-contract", "rdd-sdk-abi"],
    ),
    (
        "rdd-plugin",
        &[
            "rdd-core",
            "rdd-distribution",
            "rdd-plugin-contract",
            "rdd-plugin-dylib",
            "rdd-plugin-wasm",
        ],
    ),
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
            "rdd-conformance",
            "rdd-core",
            "rdd-distribution",
            "rdd-gateway",
            "rdd-mirror",
            "rdd-passthrough",
            "rdd-plugin",
            "rdd-plugin-project",
            "rdd-toy-engine",
            "rdd-web",
        ],
    ),
    ("rdd-testkit", &["rdd-core"]),
    ("rdd-toy-engine", &["rdd-core"]),
    ("rdd-conformance", &["rdd-core", "rdd-toy-engine"]),
    ("rdd-sdk-abi", &[]),
    ("rdd-sdk", &["rdd-sdk-abi"]),
    ("rdd-plugin-project", &[]),
    ("xtask", &["rdd-plugin-project"]),
    (
        "rdd-bench",
        &["rdd-api", "rdd-core", "rdd-plugin", "rdd-testkit"],
    ),
];

/// The workspace crates that a plugin may depend on: the SDK, but never the host.
const PLUGIN_DEPENDENCIES: &[&str] = &["rdd-sdk"];

/// The frameworks that the engine-neutral core must not depend on.
const NOT_IN_CORE: [&str; 6] = [
    "kube",
    "k8s-openapi",
    "wasmtime",
    "hyper",
    "http",
    "bollard",
];

/// Returns the manifest and the normal dependencies of each crate.
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
            let manifest = package
                .manifest_path
                .strip_prefix(&metadata.workspace_root)
                .unwrap()
                .to_string();
            (package.name.to_string(), (manifest, names))
        })
        .collect()
}

#[test]
fn crates_depend_only_on_the_crates_that_their_rules_allow() {
    let crates = dependencies();
    let workspace: BTreeSet<_> = crates.keys().cloned().collect();
    let rules: BTreeMap<_, _> = RULES.into_iter().collect();
    for (name, (manifest, dependencies)) in &crates {
        let allowed = match rules.get(name.as_str()) {
            Some(allowed) => *allowed,
            None if manifest.starts_with("plugins/") => PLUGIN_DEPENDENCIES,
            None => {
                panic!("{name} ({manifest}) has no rule; add one here and to docs/architecture.md")
            }
        };
        for dependency in dependencies.intersection(&workspace) {
            assert!(
                allowed.contains(&dependency.as_str()),
                "{name} must not depend on {dependency}"
            );
        }
    }
}

#[test]
fn the_core_depends_on_no_framework() {
    let crates = dependencies();
    let (_, core) = &crates["rdd-core"];
    for framework in NOT_IN_CORE {
        assert!(
            !core.contains(framework),
            "rdd-core must not depend on {framework}"
        );
    }
}
