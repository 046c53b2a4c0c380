//! The cluster roles behind the roles of tokens, and those by which Kubernetes'
//! roles `view`, `edit`, and `admin` are about the kinds of rdd. The daemon writes
//! them at each start.

use std::collections::BTreeMap;

use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::discovery;
use crate::token_record::TokenRole;

const GROUP: &str = "rbac.authorization.k8s.io";
/// The field manager of the roles.
const FIELD_MANAGER: &str = "rdd";
const READ_VERBS: [&str; 3] = ["get", "list", "watch"];
const WRITE_VERBS: [&str; 5] = ["create", "update", "patch", "delete", "deletecollection"];

/// Writes the roles, and the bindings of those of tokens. What others have changed in
/// them is changed back: more rights are granted by other bindings.
pub(crate) async fn apply(client: &Client) -> kube::Result<()> {
    let roles: Api<ClusterRole> = Api::all(client.clone());
    let bindings: Api<ClusterRoleBinding> = Api::all(client.clone());
    let params = PatchParams::apply(FIELD_MANAGER).force();
    for (target, rules) in [("view", view_rules()), ("edit", edit_rules())] {
        let name = format!("rdd:aggregate-to-{target}");
        let object = json!({
            "apiVersion": format!("{GROUP}/v1"),
            "kind": "ClusterRole",
            "metadata": {"name": name, "labels": {(format!("{GROUP}/aggregate-to-{target}")): "true"}},
            "rules": rules,
        });
        roles.patch(&name, &params, &Patch::Apply(object)).await?;
    }
    for role in [TokenRole::Viewer, TokenRole::Logs] {
        // The group has the name of its role.
        let name = role.group();
        let object = json!({
            "apiVersion": format!("{GROUP}/v1"),
            "kind": "ClusterRole",
            "metadata": {"name": name},
            "rules": rules(role),
        });
        roles.patch(name, &params, &Patch::Apply(object)).await?;
        let object = json!({
            "apiVersion": format!("{GROUP}/v1"),
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": GROUP, "kind": "Group", "name": name}],
        });
        bindings.patch(name, &params, &Patch::Apply(object)).await?;
    }
    Ok(())
}

/// Returns the rules about reading every kind of rdd. Resources are named one by one:
/// `*` would include `containers/log`.
fn view_rules() -> Vec<Value> {
    let mut plurals: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for definition in rdd_api::crds() {
        let resources = plurals.entry(definition.spec.group).or_default();
        resources.push(definition.spec.names.plural);
    }
    let kinds = plurals.into_iter().map(|(group, resources)| {
        json!({"verbs": READ_VERBS, "apiGroups": [group], "resources": resources})
    });
    kinds.collect()
}

/// Returns the rules about changing what is in the engine, and about what changes
/// nothing but is for those who may: logs, which contain secrets, and processes.
fn edit_rules() -> Vec<Value> {
    let definitions = rdd_api::crds().into_iter();
    let names = definitions
        .filter(|definition| definition.spec.group == rdd_api::CONTAINERS_GROUP)
        .map(|definition| definition.spec.names.plural);
    // The daemon writes the names of namespaces as the engine has them.
    let written: Vec<String> = names.filter(|name| name != "containernamespaces").collect();
    let groups = [rdd_api::CONTAINERS_GROUP];
    vec![
        json!({"verbs": WRITE_VERBS, "apiGroups": groups, "resources": written}),
        json!({"verbs": ["get"], "apiGroups": groups, "resources": ["containers/log"]}),
        json!({"verbs": ["create"], "apiGroups": groups, "resources": ["containers/exec"]}),
    ]
}

/// Returns the rules of a role of tokens.
fn rules(role: TokenRole) -> Vec<Value> {
    let mut rules = view_rules();
    rules.extend([
        json!({"verbs": READ_VERBS, "apiGroups": [""], "resources": ["namespaces"]}),
        json!({
            "verbs": READ_VERBS,
            "apiGroups": [""],
            "resources": ["configmaps"],
            "resourceNames": [discovery::NAME],
        }),
        json!({"verbs": ["get"], "nonResourceURLs": ["/metrics"]}),
    ]);
    if role != TokenRole::Viewer {
        rules.push(json!({
            "verbs": ["get"],
            "apiGroups": [rdd_api::CONTAINERS_GROUP],
            "resources": ["containers/log"],
        }));
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viewer_reads_every_kind_and_neither_logs_nor_secrets() {
        let text = |role| serde_json::to_string(&rules(role)).unwrap();
        let viewer = text(TokenRole::Viewer);
        for definition in rdd_api::crds() {
            let plural = format!("{:?}", definition.spec.names.plural);
            assert!(viewer.contains(&plural), "{plural} in {viewer}");
        }
        for right in ["containers/log", "secrets", "\"*\"", "\"create\""] {
            assert!(!viewer.contains(right), "{right} in {viewer}");
        }
        assert!(text(TokenRole::Logs).contains("containers/log"));
    }
}
