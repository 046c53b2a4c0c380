//! The strategy of built-in kinds: the descriptions from
//! `rdd-apiserver-kinds`, and the few rules that need the server.

use rdd_apiserver_kinds::builtin::BuiltinKind;
use serde_json::Value;

use super::{NormalizeError, NullPolicy, RestStrategy};
use crate::definition;
use crate::meta;
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

impl BuiltinStrategy {
    pub(crate) fn new(kind: &'static BuiltinKind) -> Self {
        let role = match (kind.kind.group.as_str(), kind.kind.plural.as_str()) {
            ("", "namespaces") => KindRole::Namespace,
            (definition::GROUP, definition::PLURAL) => KindRole::Definition,
            _ => KindRole::Plain,
        };
        Self { kind, role }
    }
}

impl RestStrategy for BuiltinStrategy {
    fn normalize(
        &self,
        object: &mut Value,
        _nulls: NullPolicy,
    ) -> Result<Vec<String>, NormalizeError> {
        Ok(self.kind.decode(object)?)
    }

    fn prepare_for_create(&self, object: &mut Value) {
        self.kind.prepare_create(object);
        if self.kind.has_generation {
            meta::edit(object, |meta| {
                meta.insert("generation".to_owned(), 1.into());
            });
        }
    }

    fn prepare_for_update(&self, object: &mut Value, live: &Value, subresource: Option<&str>) {
        match subresource {
            Some("status") => self.kind.prepare_status(object, live),
            Some("finalize") => self.kind.prepare_finalize(object, live),
            _ => self.kind.prepare_update(object, live),
        }
    }

    fn validate(
        &self,
        new: &Value,
        old: Option<&Value>,
        subresource: Option<&str>,
    ) -> Vec<StatusCause> {
        let errors = match (old, subresource) {
            (None, _) => self.kind.validate_create(new),
            (Some(old), Some("status")) => self.kind.validate_status(new, old),
            (Some(old), _) => self.kind.validate_update(new, old),
        };
        let mut causes = match self.kind.requires_qualified_finalizers {
            true => meta::validate::validate_qualified_finalizers(new),
            false => Vec::new(),
        };
        causes.extend(errors.iter().map(StatusCause::from));
        causes
    }

    fn warnings(&self, object: &Value) -> Vec<String> {
        self.kind.warnings(object)
    }

    fn canonicalize(&self, object: &mut Value) {
        self.kind.prepare_storage(object);
    }

    fn add_unowned_fields(&self, object: &mut Value) {
        self.kind.add_unowned_fields(object);
    }

    fn allow_create_on_update(&self) -> bool {
        self.kind.allow_create_on_update
    }

    fn allow_unconditional_update(&self) -> bool {
        self.kind.allow_unconditional_update
    }

    fn has_status_subresource(&self) -> bool {
        self.kind.kind.subresource("status").is_some()
    }

    fn tracks_generation(&self) -> bool {
        self.kind.has_generation
    }

    fn returns_deleted_object(&self) -> bool {
        self.kind.return_deleted_object
    }

    fn check_deletable(&self, name: &str) -> Result<(), ApiError> {
        if self.role == KindRole::Namespace && PROTECTED_NAMESPACES.contains(&name) {
            let message = "this namespace may not be deleted";
            return Err(ApiError::forbidden(
                "",
                "namespaces",
                name,
                message,
                Vec::new(),
            ));
        }
        Ok(())
    }

    fn prepare_for_delete(&self, object: &mut Value, now: &str) {
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

    fn has_grace_period(&self) -> bool {
        self.role == KindRole::Plain
    }

    /// Namespaces have finalizers in `spec` as well.
    fn is_held(&self, object: &Value) -> bool {
        self.role == KindRole::Namespace && meta::has_spec_finalizers(object)
    }

    fn merge_schema(&self) -> Option<&Value> {
        Some(self.kind.schema())
    }

    fn is_verbatim(&self) -> bool {
        self.kind.is_stored_as_served()
    }

    fn convert_from_storage(&self, object: &mut Value) {
        if !self.is_verbatim() {
            *object = self.kind.from_storage(object.take());
        }
    }

    fn to_storage(&self, object: &Value) -> Option<Value> {
        (!self.is_verbatim()).then(|| self.kind.to_storage(object.clone()))
    }

    fn is_selectable(&self, field: &str) -> bool {
        self.kind.field(field, &Value::Null).is_some()
    }

    fn unknown_field_message(&self, field: &str) -> String {
        self.kind.unknown_field_message(field)
    }

    fn field_value(&self, object: &Value, field: &str) -> String {
        self.kind.field(field, object).unwrap_or_default()
    }
}
