//! The roles that exist in each cluster, with the names of Kubernetes, and who has
//! them.

use serde_json::{Value, json};

use crate::rbac::{AUTHENTICATED_GROUP, MASTERS_GROUP};

const READ: [&str; 3] = ["get", "list", "watch"];
const WRITE: [&str; 5] = ["create", "update", "patch", "delete", "deletecollection"];
/// The beginning of the labels by which roles are aggregated, before the name of the
/// role that gets their rules.
const AGGREGATE_TO: &str = "rbac.authorization.k8s.io/aggregate-to-";

/// A ClusterRole that exists in each cluster.
pub(super) struct BootstrapRole {
    pub(super) name: &'static str,
    /// The role that gets the rules of this one.
    aggregate_to: Option<&'static str>,
    /// The rules; those of others for a role that is aggregated.
    pub(super) rules: Option<Value>,
}

/// The roles that a group has in each cluster.
pub(super) const BOOTSTRAP_BINDINGS: [(&str, &str); 3] = [
    ("cluster-admin", MASTERS_GROUP),
    ("system:discovery", AUTHENTICATED_GROUP),
    ("system:basic-user", AUTHENTICATED_GROUP),
];

impl BootstrapRole {
    fn with_rules(name: &'static str, rules: Value) -> Self {
        Self {
            name,
            aggregate_to: None,
            rules: Some(rules),
        }
    }

    /// Returns a role whose rules are those of the roles with its label.
    fn aggregated(name: &'static str, aggregate_to: Option<&'static str>) -> Self {
        Self {
            name,
            aggregate_to,
            rules: None,
        }
    }

    fn aggregated_to(role: &'static str, name: &'static str, rules: Value) -> Self {
        Self {
            name,
            aggregate_to: Some(role),
            rules: Some(rules),
        }
    }

    /// Returns the label by which another role gets the rules of this one.
    pub(super) fn label(&self) -> Option<String> {
        self.aggregate_to
            .map(|role| format!("{AGGREGATE_TO}{role}"))
    }

    /// Returns the selectors of a role that is aggregated.
    pub(super) fn selectors(&self) -> Option<Value> {
        let label = format!("{AGGREGATE_TO}{}", self.name);
        let selectors = json!([{"matchLabels": {label: "true"}}]);
        self.rules.is_none().then_some(selectors)
    }
}

fn rule(verbs: &[&str], groups: &[&str], resources: &[&str]) -> Value {
    json!({"verbs": verbs, "apiGroups": groups, "resources": resources})
}

/// Returns all roles. Every user may read what is served, and ask who they are and
/// what they may do: kubectl and client libraries do so first.
pub(super) fn bootstrap_roles() -> Vec<BootstrapRole> {
    vec![
        BootstrapRole::with_rules(
            "cluster-admin",
            json!([
                rule(&["*"], &["*"], &["*"]),
                {"verbs": ["*"], "nonResourceURLs": ["*"]},
            ]),
        ),
        BootstrapRole::with_rules(
            "system:discovery",
            json!([{"verbs": ["get"], "nonResourceURLs": [
                "/", "/api", "/api/*", "/apis", "/apis/*", "/healthz", "/healthz/*", "/livez",
                "/livez/*", "/openapi", "/openapi/*", "/readyz", "/readyz/*", "/version", "/version/",
            ]}]),
        ),
        BootstrapRole::with_rules(
            "system:basic-user",
            json!([
                rule(
                    &["create"],
                    &["authorization.k8s.io"],
                    &["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
                ),
                rule(
                    &["create"],
                    &["authentication.k8s.io"],
                    &["selfsubjectreviews"]
                ),
            ]),
        ),
        BootstrapRole::aggregated("admin", None),
        BootstrapRole::aggregated("edit", Some("admin")),
        BootstrapRole::aggregated("view", Some("edit")),
        BootstrapRole::aggregated_to("admin", "system:aggregate-to-admin", admin_rules()),
        BootstrapRole::aggregated_to("edit", "system:aggregate-to-edit", edit_rules()),
        BootstrapRole::aggregated_to("view", "system:aggregate-to-view", view_rules()),
    ]
}

/// What an administrator of a namespace may do besides editing: grant rights.
fn admin_rules() -> Value {
    let rbac = ["rbac.authorization.k8s.io"];
    json!([
        rule(
            &["create"],
            &["authorization.k8s.io"],
            &["localsubjectaccessreviews"]
        ),
        rule(
            &[&READ[..], &WRITE[..]].concat(),
            &rbac,
            &["roles", "rolebindings"]
        ),
    ])
}

/// What an editor may do besides reading. In Kubernetes, an editor may also
/// impersonate ServiceAccounts, because the pods that an editor creates can be any of
/// them; here, nothing else gives these rights.
fn edit_rules() -> Value {
    json!([
        rule(&READ, &[""], &["secrets"]),
        rule(&WRITE, &[""], &["serviceaccounts", "configmaps", "secrets"]),
        rule(&WRITE, &["", "events.k8s.io"], &["events"]),
        rule(
            &[&READ[..], &WRITE[..]].concat(),
            &["coordination.k8s.io"],
            &["leases"]
        ),
    ])
}

/// What a viewer may read: nothing from which more rights follow, such as Secrets.
fn view_rules() -> Value {
    json!([
        rule(
            &READ,
            &[""],
            &[
                "serviceaccounts",
                "configmaps",
                "limitranges",
                "resourcequotas",
                "namespaces"
            ],
        ),
        rule(&READ, &["", "events.k8s.io"], &["events"]),
    ])
}
