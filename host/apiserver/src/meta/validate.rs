//! Validation of `metadata`, alike for every kind.

use rdd_apiserver_schema::names::{self, NameValidator};
use serde_json::{Map, Value};

use crate::status::StatusCause;

fn text<'a>(meta: &'a Map<String, Value>, key: &str) -> &'a str {
    meta.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// What is wrong with the metadata of an object that is about to be stored.
pub(crate) fn metadata(object: &Value, rule: NameValidator, namespaced: bool) -> Vec<StatusCause> {
    let mut out = Vec::new();
    let empty = Map::new();
    let meta = object
        .get("metadata")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    let generate = text(meta, "generateName");
    if !generate.is_empty() {
        // The suffix will follow: a name may not end here, a prefix may.
        let probe = format!("{}a", generate);
        for why in rule.validate(&probe) {
            out.push(StatusCause::invalid(
                "metadata.generateName",
                &generate.into(),
                &why,
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
    for why in rule.validate(name).iter().filter(|_| !name.is_empty()) {
        out.push(StatusCause::invalid("metadata.name", &name.into(), why));
    }
    let namespace = text(meta, "namespace");
    if namespaced {
        if namespace.is_empty() {
            out.push(StatusCause::required("metadata.namespace", ""));
        }
        for why in names::validate_dns_label(namespace)
            .iter()
            .filter(|_| !namespace.is_empty())
        {
            out.push(StatusCause::invalid(
                "metadata.namespace",
                &namespace.into(),
                why,
            ));
        }
    } else if !namespace.is_empty() {
        out.push(StatusCause::forbidden(
            "metadata.namespace",
            "not allowed on this type",
        ));
    }
    labels(meta, &mut out);
    annotations(meta, &mut out);
    owners(meta, &mut out);
    finalizers(meta, &mut out);
    out
}

fn labels(meta: &Map<String, Value>, out: &mut Vec<StatusCause>) {
    for (key, value) in meta
        .get("labels")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        for why in names::validate_qualified_name(key) {
            out.push(StatusCause::invalid(
                "metadata.labels",
                &key.as_str().into(),
                &why,
            ));
        }
        for why in names::validate_label_value(value.as_str().unwrap_or_default()) {
            out.push(StatusCause::invalid("metadata.labels", value, &why));
        }
    }
}

fn annotations(meta: &Map<String, Value>, out: &mut Vec<StatusCause>) {
    let mut size = 0;
    for (key, value) in meta
        .get("annotations")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        for why in names::validate_qualified_name(&key.to_lowercase()) {
            out.push(StatusCause::invalid(
                "metadata.annotations",
                &key.as_str().into(),
                &why,
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

fn owners(meta: &Map<String, Value>, out: &mut Vec<StatusCause>) {
    let mut controller: Option<String> = None;
    let list = meta.get("ownerReferences").and_then(Value::as_array);
    for (index, owner) in list.into_iter().flatten().enumerate() {
        let empty = Map::new();
        let owner = owner.as_object().unwrap_or(&empty);
        let path = format!("metadata.ownerReferences[{index}]");
        let (api_version, kind) = (text(owner, "apiVersion"), text(owner, "kind"));
        let name = text(owner, "name");
        for (field, value, why) in [
            ("apiVersion", api_version, "version must not be empty"),
            ("kind", kind, "must not be empty"),
            ("name", name, "must not be empty"),
            ("uid", text(owner, "uid"), "must not be empty"),
        ] {
            if value.is_empty() {
                out.push(StatusCause::invalid(
                    format!("{path}.{field}"),
                    &value.into(),
                    why,
                ));
            }
        }
        if kind == "Event" && matches!(api_version, "v1") {
            out.push(StatusCause::invalid(
                path,
                &Value::Object(owner.clone()),
                "/v1, Kind=Event is disallowed from being an owner",
            ));
        }
        if owner.get("controller") == Some(&Value::Bool(true)) {
            match &controller {
                Some(first) => out.push(StatusCause::invalid(
                    "metadata.ownerReferences",
                    &Value::Array(list.cloned().unwrap_or_default()),
                    &format!("Only one reference can have Controller set to true. Found \"true\" in references for {first} and {name}"),
                )),
                None => controller = Some(name.to_owned()),
            }
        }
    }
}

fn finalizers(meta: &Map<String, Value>, out: &mut Vec<StatusCause>) {
    let list = strings(meta.get("finalizers"));
    for finalizer in &list {
        for why in names::validate_qualified_name(finalizer) {
            out.push(StatusCause::invalid(
                "metadata.finalizers",
                &(*finalizer).into(),
                &why,
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

pub(crate) fn strings(list: Option<&Value>) -> Vec<&str> {
    list.and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// What an update may not do to metadata, whatever the kind.
pub(crate) fn metadata_update(new: &Value, old: &Value) -> Vec<StatusCause> {
    let mut out = Vec::new();
    let get = |object: &Value, key: &str| object.pointer(&format!("/metadata/{key}")).cloned();
    if get(old, "deletionTimestamp").is_some() {
        let (before, after) = (get(old, "finalizers"), get(new, "finalizers"));
        let before = strings(before.as_ref());
        let added: Vec<&str> = strings(after.as_ref())
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
