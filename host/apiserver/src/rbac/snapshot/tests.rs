//! Which subjects a binding matches, and where.

use serde_json::json;

use super::*;
use crate::rbac::ResourceAccessRequest;

fn user(name: &str, groups: &[&str]) -> UserInfo {
    UserInfo {
        name: name.to_owned(),
        groups: groups.iter().map(|&group| group.to_owned()).collect(),
        ..UserInfo::default()
    }
}

fn pods_in(namespace: &str) -> AccessRequest<'_> {
    AccessRequest::Resource(ResourceAccessRequest {
        verb: "list",
        resource: "pods",
        namespace,
        ..ResourceAccessRequest::default()
    })
}

/// Returns a snapshot with a role of each kind that allows to list pods, and one
/// binding.
fn snapshot(resource: &str, namespace: &str, role_kind: &str, subject: Value) -> RbacSnapshot {
    let rules = json!([{"verbs": ["list"], "apiGroups": [""], "resources": ["pods"]}]);
    let mut snapshot = RbacSnapshot::default();
    snapshot.insert(
        "clusterroles",
        &json!({"metadata": {"name": "reader"}, "rules": rules}),
    );
    snapshot.insert(
        "roles",
        &json!({"metadata": {"name": "reader", "namespace": "here"}, "rules": rules}),
    );
    snapshot.insert(
        resource,
        &json!({
            "metadata": {"name": "bound", "namespace": namespace},
            "roleRef": {"kind": role_kind, "name": "reader"},
            "subjects": [subject],
        }),
    );
    snapshot
}

#[test]
fn a_binding_matches_its_subjects_where_it_is() {
    let alice = || json!({"kind": "User", "name": "alice"});
    let team = || json!({"kind": "Group", "name": "team"});
    let account = || json!({"kind": "ServiceAccount", "name": "bot"});
    let account_there = || json!({"kind": "ServiceAccount", "name": "bot", "namespace": "there"});
    let everywhere = ("clusterrolebindings", "", "ClusterRole");
    let here = ("rolebindings", "here", "ClusterRole");
    let own_role = ("rolebindings", "here", "Role");
    let bot_here = "system:serviceaccount:here:bot";
    let bot_there = "system:serviceaccount:there:bot";
    for ((resource, namespace, kind), subject, user, requested, allowed) in [
        (everywhere, alice(), user("alice", &[]), "", true),
        (everywhere, alice(), user("alice", &[]), "here", true),
        (everywhere, alice(), user("bob", &["alice"]), "", false),
        (here, alice(), user("alice", &[]), "here", true),
        (here, alice(), user("alice", &[]), "there", false),
        (here, alice(), user("alice", &[]), "", false),
        (own_role, alice(), user("alice", &[]), "here", true),
        (own_role, alice(), user("alice", &[]), "there", false),
        (everywhere, team(), user("bob", &["team"]), "", true),
        (everywhere, team(), user("team", &[]), "", false),
        (here, account(), user(bot_here, &[]), "here", true),
        (here, account(), user(bot_there, &[]), "here", false),
        (here, account_there(), user(bot_there, &[]), "here", true),
        // Without a namespace, it is nobody's.
        (
            everywhere,
            account(),
            user("system:serviceaccount::bot", &[]),
            "",
            false,
        ),
    ] {
        let snapshot = snapshot(resource, namespace, kind, subject.clone());
        let outcome = snapshot.authorize(&user, &pods_in(requested));
        assert_eq!(
            outcome.allowed, allowed,
            "{resource} {subject} {user:?} {requested:?}"
        );
    }
}

#[test]
fn the_reason_names_the_binding() {
    let subject = json!({"kind": "Group", "name": "team"});
    let bob = user("bob", &["team"]);
    for (resource, namespace, kind, expected) in [
        (
            "clusterrolebindings",
            "",
            "ClusterRole",
            r#"RBAC: allowed by ClusterRoleBinding "bound" of ClusterRole "reader" to Group "team""#,
        ),
        (
            "rolebindings",
            "here",
            "Role",
            r#"RBAC: allowed by RoleBinding "bound/here" of Role "reader" to Group "team""#,
        ),
    ] {
        let snapshot = snapshot(resource, namespace, kind, subject.clone());
        let outcome = snapshot.authorize(&bob, &pods_in("here"));
        assert_eq!(outcome.reason, expected);
    }
}

#[test]
fn a_binding_without_its_role_grants_nothing_and_is_named() {
    let mut snapshot = RbacSnapshot::default();
    let binding = json!({
        "metadata": {"name": "bound"},
        "roleRef": {"kind": "ClusterRole", "name": "gone"},
        "subjects": [{"kind": "User", "name": "alice"}],
    });
    snapshot.insert("clusterrolebindings", &binding);
    let outcome = snapshot.authorize(&user("alice", &[]), &pods_in(""));
    assert!(!outcome.allowed);
    assert_eq!(
        outcome.reason,
        r#"RBAC: clusterrole.rbac.authorization.k8s.io "gone" not found"#
    );
    let bob = snapshot.authorize(&user("bob", &[]), &pods_in(""));
    assert_eq!(bob.reason, "");
}

#[test]
fn masters_may_do_everything_without_a_role() {
    let snapshot = RbacSnapshot::default();
    let admin = user("admin", &[MASTERS_GROUP]);
    let path = AccessRequest::NonResource {
        verb: "delete",
        path: "/x",
    };
    assert!(snapshot.authorize(&admin, &path).allowed);
    assert!(!snapshot.authorize(&user("eve", &[]), &path).allowed);
}
