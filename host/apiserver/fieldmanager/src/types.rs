//! What the fields of an object are for ownership: the tree of types behind merging, comparing and tracking.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde_json::Value;

use crate::path::PathElement;

/// The types of one kind in one version, made from its schema. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct ObjectType {
    pub(crate) root: FieldType,
}

/// The type of one value.
#[derive(Clone, Debug)]
pub(crate) enum FieldType {
    /// Declared by a schema.
    Atom(Arc<TypeAtom>),
    /// Follows the value: maps are granular, lists are atomic.
    Deduced,
    /// One indivisible value, whatever its form.
    Opaque,
}

/// The forms that a value may take; a schema without `type` allows all three.
#[derive(Clone, Debug, Default)]
pub(crate) struct TypeAtom {
    pub(crate) scalar: Option<ScalarAtom>,
    pub(crate) list: Option<ListAtom>,
    pub(crate) map: Option<MapAtom>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScalarAtom {
    Number,
    String,
    Bool,
    Any,
}

#[derive(Clone, Debug)]
pub(crate) struct ListAtom {
    pub(crate) relationship: ElementRelationship,
    pub(crate) element: FieldType,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ElementRelationship {
    /// `atomic`: owned and replaced as a whole.
    Atomic,
    /// `set`: each value is owned by itself.
    Set,
    /// `map`: items are told apart by these fields, each with the default that stands for an absent one.
    Keyed(Vec<(String, Option<Value>)>),
}

#[derive(Clone, Debug)]
pub(crate) struct MapAtom {
    pub(crate) is_atomic: bool,
    pub(crate) fields: BTreeMap<String, FieldType>,
    /// The type of all fields that are not declared; none where there may not be any.
    pub(crate) additional: Option<FieldType>,
}

/// How a value is walked, given its type and the form that it has.
#[derive(Clone, Copy)]
pub(crate) enum ResolvedAtom<'a> {
    Scalar(ScalarAtom),
    List(&'a ListAtom),
    Map(&'a MapAtom),
}

static DEDUCED: LazyLock<TypeAtom> = LazyLock::new(|| TypeAtom {
    scalar: Some(ScalarAtom::Any),
    list: Some(ListAtom {
        relationship: ElementRelationship::Atomic,
        element: FieldType::Opaque,
    }),
    map: Some(MapAtom {
        is_atomic: false,
        fields: BTreeMap::new(),
        additional: Some(FieldType::Deduced),
    }),
});

static OPAQUE: LazyLock<TypeAtom> = LazyLock::new(|| TypeAtom {
    scalar: Some(ScalarAtom::Any),
    list: Some(ListAtom {
        relationship: ElementRelationship::Atomic,
        element: FieldType::Opaque,
    }),
    map: Some(MapAtom {
        is_atomic: true,
        fields: BTreeMap::new(),
        additional: Some(FieldType::Opaque),
    }),
});

static OBJECT_META: LazyLock<FieldType> = LazyLock::new(object_meta);

impl ObjectType {
    /// The types that an OpenAPI v3 schema without `$ref` declares for the kind whose root it describes.
    ///
    /// Read are `type`, `format`, `properties`, `additionalProperties`, `items`, `default` (of list keys) and the
    /// `x-kubernetes-` extensions list-type, list-map-keys, map-type, preserve-unknown-fields, int-or-string and
    /// embedded-resource. `apiVersion`, `kind` and `metadata` are always those of Kubernetes itself, whatever the schema says.
    pub fn from_openapi(schema: &Value) -> Self {
        let mut atom = convert(schema, false);
        let map = atom.map.get_or_insert_with(|| MapAtom {
            is_atomic: false,
            fields: BTreeMap::new(),
            additional: Some(FieldType::Deduced),
        });
        map.atomic = false;
        declare_resource(map);
        // An object is a map and nothing else.
        atom.scalar = None;
        atom.list = None;
        Self {
            root: FieldType::Atom(Arc::new(atom)),
        }
    }

    /// The types of a kind of which no schema is known: maps are granular, lists atomic, metadata is Kubernetes' own.
    pub fn deduced() -> Self {
        Self::from_openapi(&Value::Object(serde_json::Map::new()))
    }
}

impl FieldType {
    pub(crate) fn atom(&self) -> &TypeAtom {
        match self {
            Self::Atom(atom) => atom,
            Self::Deduced => &DEDUCED,
            Self::Opaque => &OPAQUE,
        }
    }

    /// How to walk the value. An absent or null value, or one of a form that the type does not allow, takes the first of
    /// map, scalar and list that the type has.
    pub(crate) fn resolve(&self, value: Option<&Value>) -> ResolvedAtom<'_> {
        let atom = self.atom();
        let (map, list, scalar) = (
            atom.map.as_ref().map(ResolvedAtom::Map),
            atom.list.as_ref().map(ResolvedAtom::List),
            atom.scalar.map(ResolvedAtom::Scalar),
        );
        let by_form = match value {
            None | Some(Value::Null) => None,
            Some(Value::Object(_)) => map,
            Some(Value::Array(_)) => list,
            Some(_) => scalar,
        };
        by_form
            .or(map)
            .or(scalar)
            .or(list)
            .unwrap_or(ResolvedAtom::Scalar(ScalarAtom::Any))
    }
}

impl MapAtom {
    /// The type of a field and whether it is declared by name. A field that may not be there is opaque.
    pub(crate) fn field_type(&self, name: &str) -> (&FieldType, bool) {
        match (self.fields.get(name), &self.additional) {
            (Some(declared), _) => (declared, true),
            (None, Some(rest)) => (rest, false),
            (None, None) => (&FieldType::Opaque, false),
        }
    }
}

impl ListAtom {
    pub(crate) fn is_atomic(&self) -> bool {
        self.relationship == ElementRelationship::Atomic
    }

    /// What tells an item of a `set` or `map` list apart, or why nothing does.
    pub(crate) fn path_element(&self, item: &Value) -> Result<PathElement, String> {
        let keys = match &self.relationship {
            ElementRelationship::Keyed(keys) => keys,
            _ => {
                return match item {
                    Value::Object(_) => Err(
                        "associative list without keys has an element that's a map type".to_owned(),
                    ),
                    Value::Array(_) => {
                        Err("not supported: associative list with lists as elements".to_owned())
                    }
                    Value::Null => Err(
                        "associative list without keys has an element that's an explicit null"
                            .to_owned(),
                    ),
                    scalar => Ok(PathElement::Value(scalar.clone())),
                };
            }
        };
        let fields = match item {
            Value::Object(fields) => fields,
            Value::Null => {
                return Err("associative list with keys may not have a null element".to_owned());
            }
            _ => return Err("associative list with keys may not have non-map elements".to_owned()),
        };
        let found: Vec<(String, Value)> = keys
            .iter()
            .filter_map(|(name, default)| {
                let value = fields.get(name).or(default.as_ref())?;
                Some((name.clone(), value.clone()))
            })
            .collect();
        if found.is_empty() {
            let names: Vec<&str> = keys.iter().map(|(name, _)| name.as_str()).collect();
            return Err(format!(
                "associative list with keys has an element that omits all key fields {names:?} (and doesn't have default values for any key fields)"
            ));
        }
        Ok(PathElement::Key(found))
    }
}

fn flag(schema: &Value, name: &str) -> bool {
    schema.get(name).and_then(Value::as_bool).unwrap_or(false)
}

fn text<'a>(schema: &'a Value, name: &str) -> &'a str {
    schema.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// `preserve`: a schema further up keeps unknown fields, and so do all below it.
fn convert(schema: &Value, preserve: bool) -> TypeAtom {
    let preserve = preserve || flag(schema, "x-kubernetes-preserve-unknown-fields");
    let scalar = |scalar| TypeAtom {
        scalar: Some(scalar),
        ..TypeAtom::default()
    };
    match text(schema, "type") {
        "object" => TypeAtom {
            map: Some(convert_map(schema, preserve)),
            ..TypeAtom::default()
        },
        "array" => TypeAtom {
            list: Some(convert_list(schema, preserve)),
            ..TypeAtom::default()
        },
        "integer" | "number" => scalar(ScalarAtom::Number),
        "boolean" => scalar(ScalarAtom::Bool),
        "string" if matches!(text(schema, "format"), "" | "byte") => scalar(ScalarAtom::String),
        "string" => scalar(ScalarAtom::Any),
        _ => TypeAtom {
            scalar: Some(ScalarAtom::Any),
            list: Some(convert_list(schema, preserve)),
            map: Some(convert_map(schema, preserve)),
        },
    }
}

fn convert_map(schema: &Value, preserve: bool) -> MapAtom {
    let properties = schema.get("properties").and_then(Value::as_object);
    let fields: BTreeMap<String, FieldType> = properties
        .into_iter()
        .flatten()
        .map(|(name, schema)| {
            (
                name.clone(),
                FieldType::Atom(Arc::new(convert(schema, preserve))),
            )
        })
        .collect();
    let rest = match schema.get("additionalProperties") {
        Some(Value::Bool(allowed)) => allowed.then_some(FieldType::Deduced),
        Some(schema) => Some(FieldType::Atom(Arc::new(convert(schema, preserve)))),
        None => (preserve || fields.is_empty()).then_some(FieldType::Deduced),
    };
    let mut map = MapAtom {
        is_atomic: text(schema, "x-kubernetes-map-type") == "atomic",
        fields,
        additional: rest,
    };
    if flag(schema, "x-kubernetes-embedded-resource") {
        declare_resource(&mut map);
    }
    map
}

fn convert_list(schema: &Value, preserve: bool) -> ListAtom {
    let items = schema.get("items");
    let relation = match text(schema, "x-kubernetes-list-type") {
        "set" => ElementRelationship::Set,
        "map" => {
            let default = |key: &str| items?.get("properties")?.get(key)?.get("default").cloned();
            let mut keys: Vec<(String, Option<Value>)> = schema
                .get("x-kubernetes-list-map-keys")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(|key| (key.to_owned(), default(key)))
                .collect();
            keys.sort_by(|(l, _), (r, _)| l.cmp(r));
            ElementRelationship::Keyed(keys)
        }
        _ => ElementRelationship::Atomic,
    };
    ListAtom {
        relationship: relation,
        element: items.map_or(FieldType::Opaque, |items| {
            FieldType::Atom(Arc::new(convert(items, preserve)))
        }),
    }
}

/// Gives a map what every resource has.
fn declare_resource(map: &mut MapAtom) {
    let text = || {
        FieldType::Atom(Arc::new(TypeAtom {
            scalar: Some(ScalarAtom::String),
            ..TypeAtom::default()
        }))
    };
    map.fields.insert("apiVersion".to_owned(), text());
    map.fields.insert("kind".to_owned(), text());
    map.fields
        .insert("metadata".to_owned(), OBJECT_META.clone());
}

/// ObjectMeta of meta/v1 as the API server types it.
fn object_meta() -> FieldType {
    let texts = serde_json::json!({"type": "object", "additionalProperties": {"type": "string"}});
    let time = serde_json::json!({"type": "string", "format": "date-time"});
    let number = serde_json::json!({"type": "integer"});
    let text = serde_json::json!({"type": "string"});
    let meta = serde_json::json!({"type": "object", "properties": {
        "annotations": texts,
        "clusterName": text,
        "creationTimestamp": time,
        "deletionGracePeriodSeconds": number,
        "deletionTimestamp": time,
        "finalizers": {"type": "array", "x-kubernetes-list-type": "set", "items": text},
        "generateName": text,
        "generation": number,
        "labels": texts,
        "managedFields": {"type": "array", "x-kubernetes-list-type": "atomic", "items": {}},
        "name": text,
        "namespace": text,
        "ownerReferences": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["uid"], "items": {
            "type": "object", "x-kubernetes-map-type": "atomic", "properties": {
                "apiVersion": text, "blockOwnerDeletion": {"type": "boolean"}, "controller": {"type": "boolean"},
                "kind": text, "name": text, "uid": text}}},
        "resourceVersion": text,
        "selfLink": text,
        "uid": text,
    }});
    FieldType::Atom(Arc::new(convert(&meta, false)))
}
