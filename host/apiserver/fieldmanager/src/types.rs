//! What the fields of an object are for ownership: the tree of types behind merging, comparing and tracking.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde_json::Value;

use crate::path::PathElement;

/// The types of one kind in one version, made from its schema. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct TypeTree {
    pub(crate) root: Type,
}

/// The type of one value.
#[derive(Clone, Debug)]
pub(crate) enum Type {
    /// Declared by a schema.
    Atom(Arc<Atom>),
    /// Follows the value: maps are granular, lists are atomic.
    Deduced,
    /// One indivisible value, whatever its form.
    Opaque,
}

/// The forms that a value may take; a schema without `type` allows all three.
#[derive(Clone, Debug, Default)]
pub(crate) struct Atom {
    pub(crate) scalar: Option<Scalar>,
    pub(crate) list: Option<ListType>,
    pub(crate) map: Option<MapType>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scalar {
    Number,
    Text,
    Bool,
    Any,
}

#[derive(Clone, Debug)]
pub(crate) struct ListType {
    pub(crate) relation: ListRelation,
    pub(crate) element: Type,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ListRelation {
    /// `atomic`: owned and replaced as a whole.
    Atomic,
    /// `set`: each value is owned by itself.
    Set,
    /// `map`: items are told apart by these fields, each with the default that stands for an absent one.
    Keyed(Vec<(String, Option<Value>)>),
}

#[derive(Clone, Debug)]
pub(crate) struct MapType {
    pub(crate) atomic: bool,
    pub(crate) fields: BTreeMap<String, Type>,
    /// The type of all fields that are not declared; none where there may not be any.
    pub(crate) rest: Option<Type>,
}

/// How a value is walked, given its type and the form that it has.
#[derive(Clone, Copy)]
pub(crate) enum Shape<'a> {
    Scalar(Scalar),
    List(&'a ListType),
    Map(&'a MapType),
}

static DEDUCED: LazyLock<Atom> = LazyLock::new(|| Atom {
    scalar: Some(Scalar::Any),
    list: Some(ListType {
        relation: ListRelation::Atomic,
        element: Type::Opaque,
    }),
    map: Some(MapType {
        atomic: false,
        fields: BTreeMap::new(),
        rest: Some(Type::Deduced),
    }),
});

static OPAQUE: LazyLock<Atom> = LazyLock::new(|| Atom {
    scalar: Some(Scalar::Any),
    list: Some(ListType {
        relation: ListRelation::Atomic,
        element: Type::Opaque,
    }),
    map: Some(MapType {
        atomic: true,
        fields: BTreeMap::new(),
        rest: Some(Type::Opaque),
    }),
});

static OBJECT_META: LazyLock<Type> = LazyLock::new(object_meta);

impl TypeTree {
    /// The types that an OpenAPI v3 schema without `$ref` declares for the kind whose root it describes.
    ///
    /// Read are `type`, `format`, `properties`, `additionalProperties`, `items`, `default` (of list keys) and the
    /// `x-kubernetes-` extensions list-type, list-map-keys, map-type, preserve-unknown-fields, int-or-string and
    /// embedded-resource. `apiVersion`, `kind` and `metadata` are always those of Kubernetes itself, whatever the schema says.
    pub fn from_openapi(schema: &Value) -> Self {
        let mut atom = convert(schema, false);
        let map = atom.map.get_or_insert_with(|| MapType {
            atomic: false,
            fields: BTreeMap::new(),
            rest: Some(Type::Deduced),
        });
        map.atomic = false;
        declare_resource(map);
        // An object is a map and nothing else.
        atom.scalar = None;
        atom.list = None;
        Self {
            root: Type::Atom(Arc::new(atom)),
        }
    }

    /// The types of a kind of which no schema is known: maps are granular, lists atomic, metadata is Kubernetes' own.
    pub fn untyped() -> Self {
        Self::from_openapi(&Value::Object(serde_json::Map::new()))
    }
}

impl Type {
    pub(crate) fn atom(&self) -> &Atom {
        match self {
            Self::Atom(atom) => atom,
            Self::Deduced => &DEDUCED,
            Self::Opaque => &OPAQUE,
        }
    }

    /// How to walk the value. An absent or null value, or one of a form that the type does not allow, takes the first of
    /// map, scalar and list that the type has.
    pub(crate) fn shape(&self, value: Option<&Value>) -> Shape<'_> {
        let atom = self.atom();
        let (map, list, scalar) = (
            atom.map.as_ref().map(Shape::Map),
            atom.list.as_ref().map(Shape::List),
            atom.scalar.map(Shape::Scalar),
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
            .unwrap_or(Shape::Scalar(Scalar::Any))
    }
}

impl MapType {
    /// The type of a field and whether it is declared by name. A field that may not be there is opaque.
    pub(crate) fn field(&self, name: &str) -> (&Type, bool) {
        match (self.fields.get(name), &self.rest) {
            (Some(declared), _) => (declared, true),
            (None, Some(rest)) => (rest, false),
            (None, None) => (&Type::Opaque, false),
        }
    }
}

impl ListType {
    pub(crate) fn is_atomic(&self) -> bool {
        self.relation == ListRelation::Atomic
    }

    /// What tells an item of a `set` or `map` list apart, or why nothing does.
    pub(crate) fn element_of(&self, item: &Value) -> Result<PathElement, String> {
        let keys = match &self.relation {
            ListRelation::Keyed(keys) => keys,
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
fn convert(schema: &Value, preserve: bool) -> Atom {
    let preserve = preserve || flag(schema, "x-kubernetes-preserve-unknown-fields");
    let scalar = |scalar| Atom {
        scalar: Some(scalar),
        ..Atom::default()
    };
    match text(schema, "type") {
        "object" => Atom {
            map: Some(convert_map(schema, preserve)),
            ..Atom::default()
        },
        "array" => Atom {
            list: Some(convert_list(schema, preserve)),
            ..Atom::default()
        },
        "integer" | "number" => scalar(Scalar::Number),
        "boolean" => scalar(Scalar::Bool),
        "string" if matches!(text(schema, "format"), "" | "byte") => scalar(Scalar::Text),
        "string" => scalar(Scalar::Any),
        _ => Atom {
            scalar: Some(Scalar::Any),
            list: Some(convert_list(schema, preserve)),
            map: Some(convert_map(schema, preserve)),
        },
    }
}

fn convert_map(schema: &Value, preserve: bool) -> MapType {
    let properties = schema.get("properties").and_then(Value::as_object);
    let fields: BTreeMap<String, Type> = properties
        .into_iter()
        .flatten()
        .map(|(name, schema)| {
            (
                name.clone(),
                Type::Atom(Arc::new(convert(schema, preserve))),
            )
        })
        .collect();
    let rest = match schema.get("additionalProperties") {
        Some(Value::Bool(allowed)) => allowed.then_some(Type::Deduced),
        Some(schema) => Some(Type::Atom(Arc::new(convert(schema, preserve)))),
        None => (preserve || fields.is_empty()).then_some(Type::Deduced),
    };
    let mut map = MapType {
        atomic: text(schema, "x-kubernetes-map-type") == "atomic",
        fields,
        rest,
    };
    if flag(schema, "x-kubernetes-embedded-resource") {
        declare_resource(&mut map);
    }
    map
}

fn convert_list(schema: &Value, preserve: bool) -> ListType {
    let items = schema.get("items");
    let relation = match text(schema, "x-kubernetes-list-type") {
        "set" => ListRelation::Set,
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
            ListRelation::Keyed(keys)
        }
        _ => ListRelation::Atomic,
    };
    ListType {
        relation,
        element: items.map_or(Type::Opaque, |items| {
            Type::Atom(Arc::new(convert(items, preserve)))
        }),
    }
}

/// Gives a map what every resource has.
fn declare_resource(map: &mut MapType) {
    let text = || {
        Type::Atom(Arc::new(Atom {
            scalar: Some(Scalar::Text),
            ..Atom::default()
        }))
    };
    map.fields.insert("apiVersion".to_owned(), text());
    map.fields.insert("kind".to_owned(), text());
    map.fields
        .insert("metadata".to_owned(), OBJECT_META.clone());
}

/// ObjectMeta of meta/v1 as the API server types it.
fn object_meta() -> Type {
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
    Type::Atom(Arc::new(convert(&meta, false)))
}
