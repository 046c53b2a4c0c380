//! The built-in kinds.

use std::sync::Arc;

use rdd_apiserver_kinds::table::Columns;
use rdd_apiserver_kinds::{Kind, Origin, Subresource};
use serde_json::{Value, json};

use crate::managed::Types;
use crate::meta;
use crate::meta::validate::NameRule;
use crate::resource::{Resource, Source};
use crate::status::{ApiError, Cause};

/// One built-in kind's own behaviour.
#[derive(Debug)]
pub(crate) struct Builtin {
    kind: &'static str,
}

const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

impl Builtin {
    pub(crate) fn verbatim(&self) -> bool {
        true
    }
    pub(crate) fn read(&self, _object: &mut Value) {}
    pub(crate) fn selectable(&self, field: &str) -> bool {
        match self.kind {
            "Namespace" => field == "status.phase",
            "Secret" => field == "type",
            _ => false,
        }
    }
    pub(crate) fn field(&self, object: &Value, field: &str) -> String {
        crate::selectors::field::read(object, field)
    }
    pub(crate) fn decode(&self, _object: &mut Value) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }
    pub(crate) fn default(&self, _object: &mut Value) {}
    pub(crate) fn validate(&self, new: &Value, _old: Option<&Value>) -> Vec<Cause> {
        if self.kind == "CustomResourceDefinition" {
            return crate::crd::validate::definition(new);
        }
        Vec::new()
    }
    pub(crate) fn create_on_update(&self) -> bool {
        matches!(self.kind, "Lease" | "Event")
    }
    pub(crate) fn holds(&self, object: &Value) -> bool {
        self.kind == "Namespace"
            && object.pointer("/spec/finalizers").and_then(Value::as_array).is_some_and(|f| !f.is_empty())
    }
    pub(crate) fn resets_status(&self) -> bool {
        matches!(self.kind, "Namespace" | "CustomResourceDefinition")
    }
    pub(crate) fn prepare_create(&self, object: &mut Value) {
        match self.kind {
            "Namespace" => {
                object["status"] = json!({"phase": "Active"});
                object["spec"] = json!({"finalizers": ["kubernetes"]});
                let name = meta::text(object, "name").to_owned();
                object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name.into();
            }
            "CustomResourceDefinition" => {
                crate::crd::prepare::create(object);
            }
            _ => {}
        }
    }
    pub(crate) fn prepare_update(&self, object: &mut Value, live: &Value, subresource: Option<&str>) {
        match (self.kind, subresource) {
            ("Namespace", Some("finalize")) => {
                let finalizers = object.pointer("/spec/finalizers").cloned();
                *object = live.clone();
                object["spec"]["finalizers"] = finalizers.unwrap_or(json!([]));
            }
            ("Namespace" | "CustomResourceDefinition", Some("status")) => {
                let status = object.get("status").cloned();
                let managed = object.pointer("/metadata/managedFields").cloned();
                *object = live.clone();
                crate::verbs::update::put(object, "status", status);
                if let Some(managed) = managed {
                    object["metadata"]["managedFields"] = managed;
                }
            }
            ("Namespace", _) => {
                crate::verbs::update::put(object, "status", live.get("status").cloned());
                crate::verbs::update::put(object, "spec", live.get("spec").cloned());
                let name = meta::text(live, "name").to_owned();
                object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name.into();
            }
            ("CustomResourceDefinition", _) => {
                crate::verbs::update::put(object, "status", live.get("status").cloned());
                crate::crd::prepare::update(object);
            }
            _ => {}
        }
    }
    pub(crate) fn counts_generations(&self) -> bool {
        self.kind == "CustomResourceDefinition"
    }
    pub(crate) fn delete_returns_object(&self) -> bool {
        self.kind == "ServiceAccount"
    }
    pub(crate) fn may_delete(&self, name: &str) -> Result<(), ApiError> {
        if self.kind == "Namespace" && matches!(name, "default" | "kube-system" | "kube-public") {
            return Err(ApiError::forbidden("", "namespaces", name, "this namespace may not be deleted", Vec::new()));
        }
        Ok(())
    }
    pub(crate) fn prepare_delete(&self, object: &mut Value, now: &str) {
        match self.kind {
            "Namespace" => {
                object["status"]["phase"] = "Terminating".into();
            }
            "CustomResourceDefinition" => crate::crd::prepare::delete(object, now),
            _ => {}
        }
    }
    pub(crate) fn has_grace(&self) -> bool {
        !matches!(self.kind, "Namespace" | "CustomResourceDefinition")
    }
}

fn kind(group: &str, plural: &str, singular: &str, name: &str, namespaced: bool, short: &[&str], subs: &[&str]) -> Kind {
    Kind {
        group: group.into(), version: "v1".into(), plural: plural.into(), singular: singular.into(),
        kind: name.into(), list_kind: format!("{name}List"), short_names: short.iter().map(|s| (*s).into()).collect(),
        categories: Vec::new(), namespaced, verbs: VERBS.to_vec(), storage_version_hash: String::new(),
        subresources: subs.iter().map(|s| Subresource { name: (*s).into(), group: group.into(), version: "v1".into(), kind: name.into(), verbs: vec!["get", "patch", "update"] }).collect(),
        origin: Origin::Builtin,
    }
}

/// All built-in resources.
pub(crate) fn resources() -> Vec<Arc<Resource>> {
    let all: [(Kind, &'static str); 7] = [
        (kind("", "namespaces", "namespace", "Namespace", false, &["ns"], &["finalize", "status"]), "Namespace"),
        (kind("", "configmaps", "configmap", "ConfigMap", true, &["cm"], &[]), "ConfigMap"),
        (kind("", "secrets", "secret", "Secret", true, &[], &[]), "Secret"),
        (kind("", "events", "event", "Event", true, &["ev"], &[]), "Event"),
        (kind("", "serviceaccounts", "serviceaccount", "ServiceAccount", true, &["sa"], &[]), "ServiceAccount"),
        (kind("coordination.k8s.io", "leases", "lease", "Lease", true, &[], &[]), "Lease"),
        (kind("apiextensions.k8s.io", "customresourcedefinitions", "customresourcedefinition", "CustomResourceDefinition", false, &["crd", "crds"], &["status"]), "CustomResourceDefinition"),
    ];
    all.into_iter()
        .map(|(kind, name)| {
            let names = if name == "Namespace" { NameRule::Label } else { NameRule::Subdomain };
            let columns = Columns::of_builtin(&kind.group, name).unwrap_or_else(Columns::name_and_age);
            Arc::new(Resource::new(kind, names, columns, Types::of(&Value::Null), Source::Builtin(Builtin { kind: name })))
        })
        .collect()
}

/// Kinds that discovery shows and nobody serves.
pub(crate) fn listed() -> Vec<Kind> {
    Vec::new()
}
