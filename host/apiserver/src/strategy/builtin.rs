//! The strategy of built-in kinds: the descriptions from
//! `rdd-apiserver-kinds`, and the few rules that need the server.

use rdd_apiserver_kinds::builtin::{BuiltinKind, DecodeError};
use serde_json::Value;

use crate::definition;
use crate::status::{ApiError, StatusCause};

/// The namespaces that cannot be deleted.
const PROTECTED_NAMESPACES: [&str; 3] = ["default", "kube-system", "kube-public"];

/// The strategy of one built-in kind.
#[derive(Debug)]
pub(crate) struct BuiltinStrategy {
    pub(crate) kind: &'static BuiltinKind,
    role: KindRole,
}

/// The role of a kind, for the kinds with special rules.
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
    pub(crate) fn new(kind: &'static BuiltinKind) -> Self {
        let role = match (kind.kind.group.as_str(), kind.kind.plural.as_str()) {
            ("", "namespaces") => KindRole::Namespace,
            (definition::GROUP, definition::PLURAL) => KindRole::Definition,
            _ => KindRole::Plain,
        };
        Self { kind, role }
    }

    /// Returns whether objects are stored in the form in which they are sent.
    pub(crate) fn is_verbatim(&self) -> bool {
        self.kind.is_stored_as_served()
    }

    /// Converts an object from the stored form, in place.
    pub(crate) fn convert_from_storage(&self, object: &mut Value) {
        if !self.is_verbatim() {
            *object = self.kind.from_storage(object.take());
        }
    }

    /// Returns the stored form of an object, or `None` if it is the same.
    pub(crate) fn to_storage(&self, object: &Value) -> Option<Value> {
        (!self.is_verbatim()).then(|| self.kind.to_storage(object.clone()))
    }

    /// Returns whether field selectors can use the field.
    pub(crate) fn is_selectable(&self, field: &str) -> bool {
        self.kind.field(field, &Value::Null).is_some()
    }

    /// Returns the error message for a field that is not selectable.
    pub(crate) fn unknown_field_message(&self, field: &str) -> String {
        self.kind.unknown_field_message(field)
    }

    pub(crate) fn field_value(&self, object: &Value, field: &str) -> String {
        self.kind.field(field, object).unwrap_or_default()
    }

    /// Decodes an object from a client, in place. Returns the unknown fields.
    ///
    /// # Errors
    /// A field has the wrong type.
    pub(crate) fn decode(&self, object: &mut Value) -> Result<Vec<String>, DecodeError> {
        self.kind.decode(object)
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
        self.kind.allow_create_on_update
    }

    /// Returns whether finalizers in `spec`, which only namespaces have, keep a
    /// terminating object.
    pub(crate) fn has_spec_finalizers(&self, object: &Value) -> bool {
        self.role == KindRole::Namespace
            && object
                .pointer("/spec/finalizers")
                .and_then(Value::as_array)
                .is_some_and(|finalizers| !finalizers.is_empty())
    }

    /// Returns whether writes to the main resource ignore the status.
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
        self.kind.return_deleted_object
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

    /// Changes an object whose deletion begins.
    pub(crate) fn prepare_delete(&self, object: &mut Value, now: &str) {
        match self.role {
            KindRole::Namespace => {
                if let Some(status) = object.pointer_mut("/status").and_then(Value::as_object_mut) {
                    status.insert("phase".to_owned(), "Terminating".into());
                }
            }
            KindRole::Definition => definition::mark_deleted(object, now),
            KindRole::Plain => {}
        }
    }

    /// Returns whether a terminating object has a grace period.
    pub(crate) fn has_grace_period(&self) -> bool {
        self.role == KindRole::Plain
    }
}
