//! The built-in kinds and their strategies.
//!
//! Objects pass through the methods of [`BuiltinKind`] in the form of their own
//! group-version. Only [`BuiltinKind::to_storage`] and
//! [`BuiltinKind::from_storage`] deal with kinds that share their objects.

mod admission_policy;
mod config_map;
mod crd;
mod decode;
mod event;
mod field_errors;
mod label_selector;
mod lease;
mod namespace;
mod rbac;
mod registry;
mod secret;
mod service_account;
mod zero_value;

use rdd_apiserver_schema::FieldError;
use serde_json::{Map, Value, json};

pub use decode::DecodeError;
pub use registry::{find, kinds};

use crate::kind::ResourceKind;
use crate::schemas;
use crate::table::TableColumns;
use rdd_apiserver_schema::names::NameValidator;

/// One kind that is compiled into the server.
#[derive(Clone, Debug)]
pub struct BuiltinKind {
    /// Its entry in discovery.
    pub kind: ResourceKind,
    /// The rule that names of its objects must follow.
    pub name_rule: NameValidator,
    /// Whether a PUT of an object that does not exist creates it.
    pub allow_create_on_update: bool,
    /// Whether a PUT without a resource version replaces any version.
    pub allow_unconditional_update: bool,
    /// Whether a DELETE returns the object instead of a `Status`.
    pub return_deleted_object: bool,
    /// Whether `metadata.generation` counts changes of the spec.
    pub has_generation: bool,
    /// Whether a finalizer must have a domain, or be one of Kubernetes' own.
    pub requires_qualified_finalizers: bool,
    /// The group and plural under which objects are stored. Kinds with the same
    /// pair share their objects.
    pub storage_resource: (&'static str, &'static str),
    schema: &'static str,
    strategy: KindStrategy,
}

/// The behavior that differs between kinds, as in upstream's `rest` strategies.
/// Functions that prepare an object run before those that validate it.
#[derive(Clone, Copy, Debug)]
struct KindStrategy {
    prepare_create: fn(&mut Value),
    add_unowned_fields: fn(&mut Value),
    prepare_update: fn(&mut Value, &Value),
    prepare_status: fn(&mut Value, &Value),
    validate_create: fn(&Value) -> Vec<FieldError>,
    validate_update: fn(&Value, &Value) -> Vec<FieldError>,
    validate_status: fn(&Value, &Value) -> Vec<FieldError>,
    warnings: fn(&Value) -> Vec<String>,
    /// Returns the value of one of the kind's own field labels. `None` if the kind has none.
    field: Option<fn(&str, &Value) -> Option<String>>,
    prepare_storage: fn(&mut Value),
    to_storage: fn(Value) -> Value,
    from_storage: fn(Value) -> Value,
}

impl KindStrategy {
    /// The strategy of a kind without special behavior.
    const DEFAULT: Self = Self {
        prepare_create: |_| {},
        add_unowned_fields: |_| {},
        prepare_update: |_, _| {},
        prepare_status: reset_spec,
        validate_create: |_| Vec::new(),
        validate_update: |_, _| Vec::new(),
        validate_status: |_, _| Vec::new(),
        warnings: |_| Vec::new(),
        field: None,
        prepare_storage: |_| {},
        to_storage: |object| object,
        from_storage: |object| object,
    };
}

impl BuiltinKind {
    /// Returns the kind's schema without references, with its list and map types.
    pub fn schema(&self) -> &'static Value {
        schemas::inlined(self.schema).unwrap_or(&Value::Null)
    }

    /// Returns the name of the kind's schema in OpenAPI documents.
    pub fn schema_name(&self) -> &'static str {
        self.schema
    }

    /// Decodes `object` in place as the kind's type. Removes unknown fields and
    /// returns them as dotted paths, omits empty optional fields, adds fields
    /// that are always written, and converts times and base64 to their
    /// canonical form. Must be called first on every object that a client sent
    /// or patched.
    ///
    /// # Errors
    ///
    /// Fails if a value has the wrong type.
    pub fn decode(&self, object: &mut Value) -> Result<Vec<String>, DecodeError> {
        decode::decode(self.schema, object)
    }

    /// Returns the object in which no field is set. Its fields have the zero values
    /// of Go, so a creator does not own `spec` itself, which every object has.
    pub fn zero_object(&self) -> Option<Value> {
        let mut object = json!({
            "apiVersion": self.kind.api_version(),
            "kind": self.kind.kind,
            "metadata": {},
        });
        self.decode(&mut object).is_ok().then_some(object)
    }

    /// Returns upstream's message for an object that cannot be decoded.
    pub fn decode_message(&self, error: &DecodeError) -> String {
        let ResourceKind { kind, version, .. } = &self.kind;
        format!("{kind} in version \"{version}\" cannot be handled as a {kind}: {error}")
    }

    /// Sets the defaults of a new object and resets fields that clients cannot
    /// set. `metadata.name` must already be set.
    pub fn prepare_create(&self, object: &mut Value) {
        (self.strategy.prepare_create)(object);
    }

    /// Sets the fields of a new object that its creator does not own, so they are
    /// in no managed fields.
    pub fn add_unowned_fields(&self, object: &mut Value) {
        (self.strategy.add_unowned_fields)(object);
    }

    /// Prepares an object that replaces `old`: resets the fields that such a
    /// write cannot change to those of `old`.
    pub fn prepare_update(&self, object: &mut Value, old: &Value) {
        (self.strategy.prepare_update)(object, old);
    }

    /// Does the same as [`BuiltinKind::prepare_update`] for a write to `/status`.
    pub fn prepare_status(&self, object: &mut Value, old: &Value) {
        (self.strategy.prepare_status)(object, old);
    }

    /// Does the same as [`BuiltinKind::prepare_update`] for a PUT to
    /// `namespaces/finalize`, which can change only `spec.finalizers`. Other
    /// kinds have no such subresource.
    pub fn prepare_finalize(&self, object: &mut Value, old: &Value) {
        namespace::prepare_finalize(object, old);
    }

    /// Validates a new object, except its metadata.
    pub fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        (self.strategy.validate_create)(object)
    }

    /// Validates an object that replaces `old`, except its metadata.
    pub fn validate_update(&self, object: &Value, old: &Value) -> Vec<FieldError> {
        (self.strategy.validate_update)(object, old)
    }

    /// Validates an object after a write to `/status`.
    pub fn validate_status(&self, object: &Value, old: &Value) -> Vec<FieldError> {
        (self.strategy.validate_status)(object, old)
    }

    /// Returns the warnings for the `Warning` headers of a create or update.
    pub fn warnings(&self, object: &Value) -> Vec<String> {
        (self.strategy.warnings)(object)
    }

    /// Returns the value of a field label for field selectors. Returns an empty
    /// string if the object does not have the field, and `None` if the kind has
    /// no such label.
    pub fn field(&self, label: &str, object: &Value) -> Option<String> {
        match label {
            "metadata.name" => Some(string_or_empty(&object["metadata"]["name"])),
            // Namespaces have labels of their own, without this one.
            "metadata.namespace" if self.storage_resource != ("", "namespaces") => {
                Some(string_or_empty(&object["metadata"]["namespace"]))
            }
            _ => self.strategy.field?(label, object),
        }
    }

    /// Returns the error message for a field label that [`Self::field`] does not know.
    pub fn unknown_field_message(&self, label: &str) -> String {
        match self.strategy.field {
            Some(_) => format!("field label not supported: {label}"),
            None => format!(
                "{label:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
            ),
        }
    }

    /// Removes what a stored object does not keep. Upstream stores objects as
    /// Protobuf, in which an empty list is the same as none. Must be called
    /// before an object is compared with a stored one.
    pub fn prepare_storage(&self, object: &mut Value) {
        (self.strategy.prepare_storage)(object);
    }

    /// Converts an object to the form in which it is stored.
    pub fn to_storage(&self, object: Value) -> Value {
        (self.strategy.to_storage)(object)
    }

    /// Converts a stored object to this kind.
    pub fn from_storage(&self, object: Value) -> Value {
        (self.strategy.from_storage)(object)
    }

    /// Returns whether objects are stored in the form in which this kind serves
    /// them.
    pub fn is_stored_as_served(&self) -> bool {
        self.storage_resource.0 == self.kind.group
    }

    /// Returns the columns of the kind's tables.
    pub fn columns(&self) -> TableColumns {
        TableColumns::for_builtin(&self.kind.group, &self.kind.kind)
            .unwrap_or_else(TableColumns::name_and_age)
    }
}

/// Resets the spec, because a write to `/status` changes only the status.
fn reset_spec(object: &mut Value, old: &Value) {
    reset_field(object, old, "spec");
}

fn string_or_empty(value: &Value) -> String {
    value.as_str().unwrap_or_default().into()
}

/// Sets a field of the object to its value in `old`, or removes it if `old` does
/// not have it.
fn reset_field(object: &mut Value, old: &Value, field: &str) {
    if let Some(object) = object.as_object_mut() {
        match old.get(field) {
            Some(value) => object.insert(field.into(), value.clone()),
            None => object.remove(field),
        };
    }
}

/// Returns the object at `field`. Creates it if the field is not an object.
fn object_field_mut<'o>(object: &'o mut Value, field: &str) -> Option<&'o mut Map<String, Value>> {
    let value = object.as_object_mut()?.entry(field).or_insert(Value::Null);
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut()
}
