//! The built-in kinds as the engine meets them: what `rdd-apiserver-kinds`
//! knows of a kind, and the few rules that need the engine.

use std::sync::Arc;

use rdd_apiserver_kinds::ResourceKind;
use rdd_apiserver_kinds::builtin::{self, BuiltinKind};
use serde_json::Value;

use crate::managed::Types;
use crate::resource::{ResourceStrategy, ServedResource};
use crate::status::{ApiError, StatusCause};

/// Namespaces that nobody may delete.
const PROTECTED_NAMESPACES: [&str; 3] = ["default", "kube-system", "kube-public"];

/// One built-in kind.
#[derive(Debug)]
pub(crate) struct BuiltinStrategy {
    pub(crate) kind: &'static BuiltinKind,
    role: KindRole,
}

/// Kinds with a life of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KindRole {
    Plain,
    Namespace,
    Definition,
}

fn causes(errors: Vec<rdd_apiserver_schema::FieldError>) -> Vec<StatusCause> {
    errors.iter().map(StatusCause::from).collect()
}

impl BuiltinStrategy {
    fn new(kind: &'static BuiltinKind) -> Self {
        let role = match (kind.kind.group.as_str(), kind.kind.plural.as_str()) {
            ("", "namespaces") => KindRole::Namespace,
            (crate::crd::GROUP, crate::crd::PLURAL) => KindRole::Definition,
            _ => KindRole::Plain,
        };
        Self { kind, role }
    }

    /// Whether stored objects are shown as they are stored.
    pub(crate) fn is_verbatim(&self) -> bool {
        self.kind.stored_as_shown()
    }

    /// From the stored form, in place.
    pub(crate) fn from_storage(&self, object: &mut Value) {
        if !self.is_verbatim() {
            *object = self.kind.from_storage(object.take());
        }
    }

    /// To the stored form; nothing when it is the same.
    pub(crate) fn to_storage(&self, object: &Value) -> Option<Value> {
        (!self.is_verbatim()).then(|| self.kind.to_storage(object.clone()))
    }

    /// Whether a field can be selected on.
    pub(crate) fn is_selectable(&self, field: &str) -> bool {
        self.kind.field(field, &Value::Null).is_some()
    }

    pub(crate) fn field_value(&self, object: &Value, field: &str) -> String {
        self.kind.field(field, object).unwrap_or_default()
    }

    /// Decodes what a client sent, in place; gives the unknown fields.
    pub(crate) fn decode(&self, object: &mut Value) -> Result<Vec<String>, String> {
        self.kind.decode(object).map_err(|error| error.to_string())
    }

    pub(crate) fn validate(
        &self,
        new: &Value,
        old: Option<&Value>,
        subresource: Option<&str>,
    ) -> Vec<StatusCause> {
        causes(match (old, subresource) {
            (None, _) => self.kind.validate_create(new),
            (Some(old), Some("status")) => self.kind.validate_status(new, old),
            (Some(old), _) => self.kind.validate_update(new, old),
        })
    }

    pub(crate) fn warnings(&self, object: &Value) -> Vec<String> {
        self.kind.warnings(object)
    }

    pub(crate) fn allows_create_on_update(&self) -> bool {
        self.kind.put_creates
    }

    /// Whether something but metadata's finalizers keeps a terminating object.
    pub(crate) fn has_spec_finalizers(&self, object: &Value) -> bool {
        self.role == KindRole::Namespace
            && object
                .pointer("/spec/finalizers")
                .and_then(Value::as_array)
                .is_some_and(|finalizers| !finalizers.is_empty())
    }

    /// Whether writes to the main path leave the status alone.
    pub(crate) fn has_status_subresource(&self) -> bool {
        self.kind.kind.subresource("status").is_some()
    }

    pub(crate) fn prepare_create(&self, object: &mut Value) {
        self.kind.prepare_create(object);
        if self.kind.has_generation {
            crate::meta::edit(object, |meta| {
                meta.insert("generation".to_owned(), 1.into());
            });
        }
    }

    pub(crate) fn prepare_update(
        &self,
        object: &mut Value,
        live: &Value,
        subresource: Option<&str>,
    ) {
        match subresource {
            Some("status") => self.kind.prepare_status(object, live),
            Some("finalize") => self.kind.prepare_finalize(object, live),
            _ => self.kind.prepare_update(object, live),
        }
    }

    pub(crate) fn tracks_generation(&self) -> bool {
        self.kind.has_generation
    }

    pub(crate) fn delete_returns_object(&self) -> bool {
        self.kind.delete_returns_object
    }

    pub(crate) fn check_deletable(&self, name: &str) -> Result<(), ApiError> {
        if self.role == KindRole::Namespace && PROTECTED_NAMESPACES.contains(&name) {
            return Err(ApiError::forbidden(
                "",
                "namespaces",
                name,
                "this namespace may not be deleted",
                Vec::new(),
            ));
        }
        Ok(())
    }

    /// What the kind itself does to an object that is about to be deleted.
    pub(crate) fn prepare_delete(&self, object: &mut Value, now: &str) {
        match self.role {
            KindRole::Namespace => {
                if let Some(status) = object.pointer_mut("/status").and_then(Value::as_object_mut) {
                    status.insert("phase".to_owned(), "Terminating".into());
                }
            }
            KindRole::Definition => crate::crd::mark_deleted(object, now),
            KindRole::Plain => {}
        }
    }

    /// Whether a marked object carries a grace period.
    pub(crate) fn has_grace_period(&self) -> bool {
        self.role == KindRole::Plain
    }
}

/// All built-in resources.
pub(crate) fn resources() -> Vec<Arc<ServedResource>> {
    builtin::kinds()
        .iter()
        .map(|kind| {
            Arc::new(ServedResource::new(
                kind.kind.clone(),
                kind.storage,
                kind.name_rule,
                kind.columns(),
                Types::of(kind.schema()),
                ResourceStrategy::Builtin(BuiltinStrategy::new(kind)),
            ))
        })
        .collect()
}

/// Kinds that discovery shows and nobody serves.
pub(crate) fn discovery_only_kinds() -> Vec<ResourceKind> {
    let mut listed = builtin::listed().to_vec();
    listed.extend(crate::review::kinds());
    listed
}
