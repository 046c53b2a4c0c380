//! The built-in kinds: one entry each, with its rules.
//!
//! Objects pass through the functions of [`BuiltinKind`] in the form of their
//! own group-version; only [`BuiltinKind::to_storage`] and
//! [`BuiltinKind::from_storage`] know that two kinds share their objects.

mod config_map;
mod crd;
mod decode;
mod event;
mod field_errors;
mod lease;
mod namespace;
mod registry;
mod secret;
mod service_account;
mod zero_value;

use rdd_apiserver_schema::FieldError;
use serde_json::{Map, Value};

pub use decode::DecodeError;
pub use registry::{discovery_only, find, kinds};

use crate::kind::ResourceKind;
use crate::schemas;
use crate::table::TableColumns;
use rdd_apiserver_schema::names::NameRule;

/// One kind that is compiled into the server.
#[derive(Clone, Debug)]
pub struct BuiltinKind {
    /// What discovery says of it.
    pub kind: ResourceKind,
    /// What names its objects take.
    pub name_rule: NameRule,
    /// Whether a PUT of an object that does not exist creates it.
    pub allow_create_on_update: bool,
    /// Whether a DELETE answers with the object instead of a `Status`.
    pub return_deleted_object: bool,
    /// Whether `metadata.generation` counts changes of the specification.
    pub has_generation: bool,
    /// Group and plural under which objects are stored; two kinds with the
    /// same pair share their objects.
    pub storage_resource: (&'static str, &'static str),
    schema: &'static str,
    strategy: KindStrategy,
}

/// What a kind does beyond what every kind does. Functions that fill in or
/// change an object run before those that judge it.
#[derive(Clone, Copy, Debug)]
struct KindStrategy {
    prepare_create: fn(&mut Value),
    prepare_update: fn(&mut Value, &Value),
    prepare_status: fn(&mut Value, &Value),
    validate_create: fn(&Value) -> Vec<FieldError>,
    validate_update: fn(&Value, &Value) -> Vec<FieldError>,
    validate_status: fn(&Value, &Value) -> Vec<FieldError>,
    warnings: fn(&Value) -> Vec<String>,
    /// The value of one of the kind's own field labels.
    field: fn(&str, &Value) -> Option<String>,
    to_storage: fn(Value) -> Value,
    from_storage: fn(Value) -> Value,
}

impl KindStrategy {
    /// A kind without rules of its own.
    const DEFAULT: Self = Self {
        prepare_create: |_| {},
        prepare_update: |_, _| {},
        prepare_status: reset_spec,
        validate_create: |_| Vec::new(),
        validate_update: |_, _| Vec::new(),
        validate_status: |_, _| Vec::new(),
        warnings: |_| Vec::new(),
        field: |_, _| None,
        to_storage: |object| object,
        from_storage: |object| object,
    };
}

impl BuiltinKind {
    /// The kind's schema without references, with list and map topologies.
    pub fn schema(&self) -> &'static Value {
        schemas::inlined(self.schema).unwrap_or(&Value::Null)
    }

    /// The name of the kind's schema in OpenAPI documents.
    pub fn schema_name(&self) -> &'static str {
        self.schema
    }

    /// Decodes `object` in place as the kind's type: unknown fields are
    /// removed and returned as dotted paths, empty optional fields vanish,
    /// those that are always written appear, times and base64 take their
    /// canonical form. To be called on every object that a client gave or
    /// patched, before anything else.
    ///
    /// # Errors
    /// When a value has the wrong type.
    pub fn decode(&self, object: &mut Value) -> Result<Vec<String>, DecodeError> {
        decode::decode(self.schema, object)
    }

    /// The sentence with which upstream refuses an object that cannot be
    /// decoded.
    pub fn decode_message(&self, error: &DecodeError) -> String {
        let ResourceKind { kind, version, .. } = &self.kind;
        format!("{kind} in version \"{version}\" cannot be handled as a {kind}: {error}")
    }

    /// Fills in what the kind defaults and takes away what clients cannot
    /// set. `metadata.name` is set already.
    pub fn prepare_create(&self, object: &mut Value) {
        (self.strategy.prepare_create)(object);
    }

    /// The same for a write to an object that exists: what such a write
    /// cannot change is taken from `old`.
    pub fn prepare_update(&self, object: &mut Value, old: &Value) {
        (self.strategy.prepare_update)(object, old);
    }

    /// The same for a write to `/status`.
    pub fn prepare_status(&self, object: &mut Value, old: &Value) {
        (self.strategy.prepare_status)(object, old);
    }

    /// The same for a PUT to `namespaces/finalize`: only `spec.finalizers`
    /// can change. Other kinds have no such path.
    pub fn prepare_finalize(&self, object: &mut Value, old: &Value) {
        namespace::prepare_finalize(object, old);
    }

    /// What is wrong with a new object, beyond its metadata.
    pub fn validate_create(&self, object: &Value) -> Vec<FieldError> {
        (self.strategy.validate_create)(object)
    }

    /// What is wrong with an object as a replacement of `old`, beyond its
    /// metadata.
    pub fn validate_update(&self, object: &Value, old: &Value) -> Vec<FieldError> {
        (self.strategy.validate_update)(object, old)
    }

    /// What is wrong with an object after a write to `/status`.
    pub fn validate_status(&self, object: &Value, old: &Value) -> Vec<FieldError> {
        (self.strategy.validate_status)(object, old)
    }

    /// Advice that goes into `Warning` headers of a create or update.
    pub fn warnings(&self, object: &Value) -> Vec<String> {
        (self.strategy.warnings)(object)
    }

    /// The value of a field that field selectors may name, empty when the
    /// object has none; `None` when there is no such field label.
    pub fn field(&self, label: &str, object: &Value) -> Option<String> {
        match label {
            "metadata.name" => Some(string_or_empty(&object["metadata"]["name"])),
            "metadata.namespace" => Some(string_or_empty(&object["metadata"]["namespace"])),
            _ => (self.strategy.field)(label, object),
        }
    }

    /// The form in which `object` is stored.
    pub fn to_storage(&self, object: Value) -> Value {
        (self.strategy.to_storage)(object)
    }

    /// The form of this kind of what is stored.
    pub fn from_storage(&self, object: Value) -> Value {
        (self.strategy.from_storage)(object)
    }

    /// Whether objects are stored in the form in which this kind shows them.
    pub fn is_stored_as_served(&self) -> bool {
        self.storage_resource.0 == self.kind.group
    }

    /// The columns of the kind's tables.
    pub fn columns(&self) -> TableColumns {
        TableColumns::for_builtin(&self.kind.group, &self.kind.kind)
            .unwrap_or_else(TableColumns::name_and_age)
    }
}

/// A write to `/status` changes the status alone.
fn reset_spec(object: &mut Value, old: &Value) {
    reset_field(object, old, "spec");
}

fn string_or_empty(value: &Value) -> String {
    value.as_str().unwrap_or_default().into()
}

/// Takes a field of the object from `old`, its absence included.
fn reset_field(object: &mut Value, old: &Value, field: &str) {
    if let Some(object) = object.as_object_mut() {
        match old.get(field) {
            Some(value) => object.insert(field.into(), value.clone()),
            None => object.remove(field),
        };
    }
}

/// The object at `field`, made when there is none.
fn object_field_mut<'o>(object: &'o mut Value, field: &str) -> Option<&'o mut Map<String, Value>> {
    let slot = object.as_object_mut()?.entry(field).or_insert(Value::Null);
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    slot.as_object_mut()
}
