//! The built-in kinds as the engine meets them: what `rdd-apiserver-kinds`
//! knows of a kind, and the few rules that need the engine.

use std::sync::Arc;

use rdd_apiserver_kinds::ResourceKind;
use rdd_apiserver_kinds::builtin::{self, BuiltinKind};
use serde_json::Value;

use crate::managed::Types;
use crate::resource::{Resource, Source};
use crate::status::{ApiError, StatusCause};

/// Namespaces that nobody may delete.
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

/// One built-in kind.
#[derive(Debug)]
pub(crate) struct Builtin {
    pub(crate) kind: &'static BuiltinKind,
    role: Role,
}

/// Kinds with a life of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Plain,
    Namespace,
    Definition,
}

fn causes(errors: Vec<rdd_apiserver_schema::FieldError>) -> Vec<StatusCause> {
    errors.iter().map(StatusCause::from).collect()
}

impl Builtin {
    fn new(kind: &'static BuiltinKind) -> Self {
        let role = match (kind.kind.group.as_str(), kind.kind.plural.as_str()) {
            ("", "namespaces") => Role::Namespace,
            (crate::crd::GROUP, crate::crd::PLURAL) => Role::Definition,
            _ => Role::Plain,
        };
        Self { kind, role }
    }

    /// Whether stored objects are shown as they are stored.
    pub(crate) fn verbatim(&self) -> bool {
        self.kind.is_stored_as_served()
    }

    /// From the stored form, in place.
    pub(crate) fn read(&self, object: &mut Value) {
        if !self.verbatim() {
            *object = self.kind.from_storage(object.take());
        }
    }

    /// To the stored form; nothing when it is the same.
    pub(crate) fn store(&self, object: &Value) -> Option<Value> {
        (!self.verbatim()).then(|| self.kind.to_storage(object.clone()))
    }

    /// Whether a field can be selected on.
    pub(crate) fn selectable(&self, field: &str) -> bool {
        self.kind.field(field, &Value::Null).is_some()
    }

    pub(crate) fn field(&self, object: &Value, field: &str) -> String {
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

    pub(crate) fn create_on_update(&self) -> bool {
        self.kind.allow_create_on_update
    }

    /// Whether something but metadata's finalizers keeps a terminating object.
    pub(crate) fn holds(&self, object: &Value) -> bool {
        self.role == Role::Namespace
            && object
                .pointer("/spec/finalizers")
                .and_then(Value::as_array)
                .is_some_and(|finalizers| !finalizers.is_empty())
    }

    /// Whether writes to the main path leave the status alone.
    pub(crate) fn resets_status(&self) -> bool {
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

    pub(crate) fn counts_generations(&self) -> bool {
        self.kind.has_generation
    }

    pub(crate) fn delete_returns_object(&self) -> bool {
        self.kind.return_deleted_object
    }

    pub(crate) fn may_delete(&self, name: &str) -> Result<(), ApiError> {
        if self.role == Role::Namespace && IMMORTAL.contains(&name) {
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
            Role::Namespace => {
                if let Some(status) = object.pointer_mut("/status").and_then(Value::as_object_mut) {
                    status.insert("phase".to_owned(), "Terminating".into());
                }
            }
            Role::Definition => crate::crd::delete(object, now),
            Role::Plain => {}
        }
    }

    /// Whether a marked object carries a grace period.
    pub(crate) fn has_grace(&self) -> bool {
        self.role == Role::Plain
    }
}

/// All built-in resources.
pub(crate) fn resources() -> Vec<Arc<Resource>> {
    builtin::kinds()
        .iter()
        .map(|kind| {
            Arc::new(Resource::new(
                kind.kind.clone(),
                kind.storage_resource,
                kind.name_rule,
                kind.columns(),
                Types::of(kind.schema()),
                Source::Builtin(Builtin::new(kind)),
            ))
        })
        .collect()
}

/// Kinds that discovery shows and nobody serves.
pub(crate) fn listed() -> Vec<ResourceKind> {
    let mut listed = builtin::discovery_only().to_vec();
    listed.extend(crate::review::kinds());
    listed
}
