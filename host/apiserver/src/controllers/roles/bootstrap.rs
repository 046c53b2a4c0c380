//! Creates the roles and bindings that exist in each cluster, and adds what is
//! missing in them.

use std::sync::Arc;

use rdd_apiserver_storage::{RecordChange, StoredRecord, WritePrecondition};
use serde_json::{Value, json};

use super::bootstrap_roles::{BOOTSTRAP_BINDINGS, bootstrap_roles};
use crate::encode::EncodedObject;
use crate::open_error::OpenError;
use crate::rbac::{GROUP, RuleEntry, missing_rights};
use crate::records;
use crate::server_state::ServerState;
use crate::timestamp;

/// The label of all of them. An object without it belongs to somebody else.
const LABEL: (&str, &str) = ("kubernetes.io/bootstrapping", "rbac-defaults");
/// The annotation of all of them. With another value, one is left as it is.
const AUTOUPDATE: (&str, &str) = ("rbac.authorization.kubernetes.io/autoupdate", "true");

/// Creates the missing roles and bindings, and adds to existing ones what they lack:
/// nothing that was added to them is removed.
///
/// # Errors
/// A write failed.
pub(crate) async fn reconcile(server: &Arc<ServerState>) -> Result<(), OpenError> {
    for role in bootstrap_roles() {
        let fields = match (&role.rules, role.selectors()) {
            (_, Some(selectors)) => json!({"aggregationRule": {"clusterRoleSelectors": selectors}}),
            (rules, None) => json!({"rules": rules}),
        };
        reconcile_object(server, "clusterroles", role.name, fields, role.label()).await?;
    }
    for (role, group) in BOOTSTRAP_BINDINGS {
        let fields = json!({
            "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": GROUP, "kind": "Group", "name": group}],
        });
        reconcile_object(server, "clusterrolebindings", role, fields, None).await?;
    }
    Ok(())
}

async fn reconcile_object(
    server: &Arc<ServerState>,
    resource: &str,
    name: &'static str,
    fields: Value,
    label: Option<String>,
) -> Result<(), OpenError> {
    let mut labels = json!({(LABEL.0): LABEL.1});
    if let Some(label) = label {
        labels[label] = "true".into();
    }
    let mut wanted = json!({"metadata": {
        "labels": labels,
        "annotations": {(AUTOUPDATE.0): AUTOUPDATE.1},
    }});
    extend(&mut wanted, fields);
    let key = format!("{GROUP}/{resource}/{name}");
    let found = server.store.snapshot().get(&key).cloned();
    let (object, precondition) = match found {
        None => (new_object(server, name, wanted), WritePrecondition::Absent),
        Some(record) => match completed(&record, &wanted) {
            None => return Ok(()),
            Some(object) => (object, WritePrecondition::Revision(record.revision)),
        },
    };
    let storable = EncodedObject::new(&object);
    let change = RecordChange::put(move |revision| storable.at_revision(revision));
    match server.store.commit(&key, precondition, change).await {
        Ok(_) => Ok(()),
        Err(source) => Err(OpenError::Role { name, source }),
    }
}

fn extend(object: &mut Value, fields: Value) {
    if let (Some(object), Value::Object(fields)) = (object.as_object_mut(), fields) {
        object.extend(fields);
    }
}

fn new_object(server: &ServerState, name: &str, wanted: Value) -> Value {
    let mut object = wanted;
    let identity = json!({
        "name": name,
        "uid": uuid::Uuid::new_v4().to_string(),
        "creationTimestamp": timestamp::rfc3339_seconds(server.clock.now()),
    });
    if let Some(metadata) = object.get_mut("metadata") {
        extend(metadata, identity);
    }
    object
}

/// Returns an existing object with what it lacks. `None` if it lacks nothing, or is to
/// be left as it is.
fn completed(record: &StoredRecord, wanted: &Value) -> Option<Value> {
    let mut object = records::read(record)
        .inspect_err(|error| tracing::error!(%error, "cannot read a role or a binding"))
        .ok()?;
    let metadata = &object["metadata"];
    if metadata["labels"][LABEL.0] != LABEL.1 || metadata["annotations"][AUTOUPDATE.0] == "false" {
        return None;
    }
    let mut is_changed = false;
    for field in ["labels", "annotations"] {
        for (name, value) in wanted["metadata"][field].as_object().into_iter().flatten() {
            if object["metadata"][field].get(name).is_none() {
                object["metadata"][field][name] = value.clone();
                is_changed = true;
            }
        }
    }
    is_changed |= add_missing(&mut object, wanted, "rules", |held, rule| {
        let [held, rule] = [held, std::slice::from_ref(rule)]
            .map(|rules| RuleEntry::from_role(&json!({"rules": rules})));
        missing_rights(&held, &rule).is_empty()
    });
    is_changed |= add_missing(&mut object, wanted, "subjects", |held, subject| {
        held.contains(subject)
    });
    if let Some(aggregation) = wanted.get("aggregationRule") {
        let rule = &mut object["aggregationRule"];
        is_changed |= add_missing(
            rule,
            aggregation,
            "clusterRoleSelectors",
            |held, selector| held.contains(selector),
        );
    }
    is_changed.then_some(object)
}

/// Adds the items of a list that an object lacks. Returns whether there are any.
fn add_missing(
    object: &mut Value,
    wanted: &Value,
    field: &str,
    is_held: impl Fn(&[Value], &Value) -> bool,
) -> bool {
    let mut list = object[field].as_array().cloned().unwrap_or_default();
    let items = wanted[field].as_array().into_iter().flatten();
    let missing: Vec<Value> = items
        .filter(|item| !is_held(&list, item))
        .cloned()
        .collect();
    if missing.is_empty() {
        return false;
    }
    list.extend(missing);
    object[field] = list.into();
    true
}
