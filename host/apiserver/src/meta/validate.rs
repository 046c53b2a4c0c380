//! Validation of `metadata`, the same for every kind.

use std::cell::LazyCell;

use rdd_apiserver_schema::names::{self, NameValidator};
use serde_json::{Map, Value};

use crate::cause::quoted;
use crate::limits;
use crate::status::StatusCause;

fn text<'a>(meta: &'a Map<String, Value>, key: &str) -> &'a str {
    meta.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Validates the metadata of an object. Returns a cause for each error.
pub(crate) fn validate_metadata(
    object: &Value,
    rule: NameValidator,
    namespaced: bool,
) -> Vec<StatusCause> {
    let mut out = Vec::new();
    let empty = Map::new();
    let meta = object
        .get("metadata")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    let prefix = text(meta, "generateName");
    if !prefix.is_empty() {
        // A prefix may end with characters that a name must not end with.
        let with_suffix = format!("{prefix}a");
        for reason in rule.validate(&with_suffix) {
            out.push(StatusCause::invalid(
                "metadata.generateName",
                &prefix.into(),
                &reason,
            ));
        }
    }
    let name = text(meta, "name");
    if name.is_empty() {
        out.push(StatusCause::required(
            "metadata.name",
            "name or generateName is required",
        ));
    }
    for reason in rule.validate(name).iter().filter(|_| !name.is_empty()) {
        out.push(StatusCause::invalid("metadata.name", &name.into(), reason));
    }
    let namespace = text(meta, "namespace");
    if namespaced {
        if namespace.is_empty() {
            out.push(StatusCause::required("metadata.namespace", ""));
        }
        for reason in names::validate_dns_label(namespace)
            .iter()
            .filter(|_| !namespace.is_empty())
        {
            out.push(StatusCause::invalid(
                "metadata.namespace",
                &namespace.into(),
                reason,
            ));
        }
    } else if !namespace.is_empty() {
        out.push(StatusCause::forbidden(
            "metadata.namespace",
            "not allowed on this type",
        ));
    }
    validate_labels(meta, &mut out);
    validate_annotations(meta, &mut out);
    validate_owner_references(meta, &mut out);
    validate_finalizers(meta, &mut out);
    out
}

fn validate_labels(meta: &Map<String, Value>, out: &mut Vec<StatusCause>) {
    for (key, value) in meta
        .get("labels")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        for reason in names::validate_qualified_name(key) {
            out.push(StatusCause::invalid(
                "metadata.labels",
                &key.as_str().into(),
                &reason,
            ));
        }
        for reason in names::validate_label_value(value.as_str().unwrap_or_default()) {
            out.push(StatusCause::invalid("metadata.labels", value, &reason));
        }
    }
}

fn validate_annotations(meta: &Map<String, Value>, out: &mut Vec<StatusCause>) {
    let mut size = 0;
    for (key, value) in meta
        .get("annotations")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        for reason in names::validate_qualified_name(&key.to_lowercase()) {
            out.push(StatusCause::invalid(
                "metadata.annotations",
                &key.as_str().into(),
                &reason,
            ));
        }
        size += key.len() + value.as_str().unwrap_or_default().len();
    }
    if size > names::MAX_ANNOTATION_BYTES {
        out.push(StatusCause::new(
            "FieldValueTooLong",
            "metadata.annotations",
            format!(
                "Too long: may not be more than {} bytes",
                names::MAX_ANNOTATION_BYTES
            ),
        ));
    }
}

fn validate_owner_references(meta: &Map<String, Value>, out: &mut Vec<StatusCause>) {
    const FIELD: &str = "metadata.ownerReferences";
    let mut controller: Option<String> = None;
    let list = meta.get("ownerReferences").unwrap_or(&Value::Null);
    // The whole list, as each reference quotes it that is a controller after the first:
    // once, and no more of it than a cause may have.
    let quoted_list = LazyCell::new(|| limits::ellipsize(quoted(list), limits::MAX_CAUSE_BYTES));
    for owner in list.as_array().into_iter().flatten() {
        let empty = Map::new();
        let owner = owner.as_object().unwrap_or(&empty);
        let (api_version, kind) = (text(owner, "apiVersion"), text(owner, "kind"));
        let name = text(owner, "name");
        let mut reject = |field: &str, value: &str, reason| {
            out.push(StatusCause::invalid(
                format!("{FIELD}.{field}"),
                &value.into(),
                reason,
            ));
        };
        // A group and a version, or the version alone.
        if api_version.is_empty() || api_version.matches('/').count() > 1 {
            reject("apiVersion", api_version, "version must not be empty");
        }
        for (field, value) in [("kind", kind), ("name", name), ("uid", text(owner, "uid"))] {
            if value.is_empty() {
                reject(field, value, "must not be empty");
            }
        }
        if (api_version, kind) == ("v1", "Event") {
            out.push(StatusCause::invalid(
                FIELD,
                &Value::Object(owner.clone()),
                "/v1, Kind=Event is disallowed from being an owner",
            ));
        }
        if owner.get("controller") == Some(&Value::Bool(true)) {
            // Each cause names the first one, too.
            let this = limits::ellipsize(format!("{kind}/{name}"), limits::MAX_CAUSE_BYTES);
            match &controller {
                // The response has the number of the others, and not their messages.
                Some(_) if out.len() > limits::MAX_CAUSES => {
                    out.push(StatusCause::invalid_quoted(FIELD, "", ""));
                }
                Some(first) => {
                    let detail = format!(
                        "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {this}"
                    );
                    out.push(StatusCause::invalid_quoted(FIELD, &quoted_list, &detail));
                }
                None => controller = Some(this),
            }
        }
    }
}

fn validate_finalizers(meta: &Map<String, Value>, out: &mut Vec<StatusCause>) {
    let list = string_items(meta.get("finalizers"));
    for finalizer in &list {
        for reason in names::validate_qualified_name(finalizer) {
            out.push(StatusCause::invalid(
                "metadata.finalizers",
                &(*finalizer).into(),
                &reason,
            ));
        }
    }
    if list.contains(&super::ORPHAN) && list.contains(&super::FOREGROUND) {
        out.push(StatusCause::invalid(
            "metadata.finalizers",
            &list.clone().into(),
            "finalizer orphan and foregroundDeletion cannot be both set",
        ));
    }
}

/// Returns a cause for each finalizer that has no domain and is not one of
/// Kubernetes' own.
pub(crate) fn validate_qualified_finalizers(object: &Value) -> Vec<StatusCause> {
    super::finalizers(object)
        .into_iter()
        .enumerate()
        .filter_map(|(index, finalizer)| {
            let reason = names::validate_finalizer_domain(finalizer)?;
            let field = format!("metadata.finalizers[{index}]");
            Some(StatusCause::invalid(field, &finalizer.into(), reason))
        })
        .collect()
}

/// Returns the strings in a list.
pub(crate) fn string_items(list: Option<&Value>) -> Vec<&str> {
    list.and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// Validates a change of the metadata. Returns a cause for each error.
pub(crate) fn validate_metadata_update(new: &Value, old: &Value) -> Vec<StatusCause> {
    let mut out = Vec::new();
    let get = |object: &Value, key: &str| object.pointer(&format!("/metadata/{key}")).cloned();
    if get(old, "deletionTimestamp").is_some() {
        let (before, after) = (get(old, "finalizers"), get(new, "finalizers"));
        let before = string_items(before.as_ref());
        let added: Vec<&str> = string_items(after.as_ref())
            .into_iter()
            .filter(|f| !before.contains(f))
            .collect();
        if !added.is_empty() {
            let list: Vec<String> = added.iter().map(|f| format!("\"{f}\"")).collect();
            out.push(StatusCause::forbidden(
                "metadata.finalizers",
                &format!(
                    "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                    list.join(", ")
                ),
            ));
        }
    }
    for key in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ] {
        let (before, after) = (get(old, key), get(new, key));
        if before != after {
            out.push(StatusCause::invalid(
                format!("metadata.{key}"),
                &after.unwrap_or(Value::Null),
                "field is immutable",
            ));
        }
    }
    out
}
