//! The types of an object's fields, which decide how fields are merged, compared, and owned.

mod openapi;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value};

use crate::path::PathElement;

/// The types of all fields of one kind in one version. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ObjectType {
    pub(crate) root: FieldType,
}

impl ObjectType {
    /// Returns the types that an OpenAPI v3 schema without `$ref` declares. The schema must describe
    /// the kind's root.
    ///
    /// Reads `type`, `format`, `properties`, `additionalProperties`, `items`, `default` (of list
    /// keys), and the `x-kubernetes-` extensions list-type, list-map-keys, map-type,
    /// preserve-unknown-fields, int-or-string, and embedded-resource. `apiVersion`, `kind`, and
    /// `metadata` always have the types that Kubernetes gives them, regardless of the schema.
    pub fn from_openapi(schema: &Value) -> Self {
        Self {
            root: openapi::convert_object(schema),
        }
    }

    /// Returns the types of a kind without a schema, deduced from its values: maps are granular,
    /// lists are atomic, and `metadata` has the types that Kubernetes gives it.
    pub fn deduced() -> Self {
        Self::from_openapi(&Value::Object(Map::new()))
    }
}

/// The type of one field.
#[derive(Clone, Debug)]
pub(crate) enum FieldType {
    /// Declared by a schema.
    Atom(Arc<TypeAtom>),
    /// Deduced from the value: maps are granular, lists are atomic.
    Deduced,
    /// One indivisible value of any type.
    Opaque,
}

/// The types that a value may have. A schema without `type` allows all three.
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

/// How the items of a list are owned: `x-kubernetes-list-type`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ElementRelationship {
    /// `atomic`: the list is owned and replaced as a whole.
    Atomic,
    /// `set`: each value is owned separately.
    Set,
    /// `map`: items are identified by these key fields, each with its default for items that omit
    /// it.
    Keyed(Vec<(String, Option<Value>)>),
}

#[derive(Clone, Debug)]
pub(crate) struct MapAtom {
    pub(crate) is_atomic: bool,
    pub(crate) fields: BTreeMap<String, FieldType>,
    /// The type of all undeclared fields, or `None` if undeclared fields are not allowed.
    pub(crate) additional: Option<FieldType>,
}

/// The part of a type that applies to a given value.
#[derive(Clone, Copy)]
pub(crate) enum ResolvedAtom<'a> {
    Scalar(ScalarAtom),
    List(&'a ListAtom),
    Map(&'a MapAtom),
}

/// Why an item of a `set` or `map` list cannot be identified. The messages are upstream's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ListItemError {
    #[error("associative list without keys has an element that's a map type")]
    MapInSet,
    #[error("not supported: associative list with lists as elements")]
    ListInSet,
    #[error("associative list without keys has an element that's an explicit null")]
    NullInSet,
    #[error("associative list with keys may not have a null element")]
    NullInMap,
    #[error("associative list with keys may not have non-map elements")]
    NonMapInMap,
    #[error(
        "associative list with keys has an element that omits all key fields {0:?} (and doesn't have default values for any key fields)"
    )]
    MissingKeys(Vec<String>),
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

impl FieldType {
    pub(crate) fn atom(&self) -> &TypeAtom {
        match self {
            Self::Atom(atom) => atom,
            Self::Deduced => &DEDUCED,
            Self::Opaque => &OPAQUE,
        }
    }

    /// Returns the part of the type that applies to a value. For an absent or null value, or one
    /// that the type does not allow, returns the first of map, scalar, and list that the type
    /// allows.
    pub(crate) fn resolve(&self, value: Option<&Value>) -> ResolvedAtom<'_> {
        let atom = self.atom();
        let (map, list, scalar) = (
            atom.map.as_ref().map(ResolvedAtom::Map),
            atom.list.as_ref().map(ResolvedAtom::List),
            atom.scalar.map(ResolvedAtom::Scalar),
        );
        let matching = match value {
            None | Some(Value::Null) => None,
            Some(Value::Object(_)) => map,
            Some(Value::Array(_)) => list,
            Some(_) => scalar,
        };
        matching
            .or(map)
            .or(scalar)
            .or(list)
            .unwrap_or(ResolvedAtom::Scalar(ScalarAtom::Any))
    }
}

impl ResolvedAtom<'_> {
    /// Returns whether the value is an atomic map or an atomic list.
    pub(crate) fn is_atomic(self) -> bool {
        match self {
            Self::Map(map) => map.is_atomic,
            Self::List(list) => list.is_atomic(),
            Self::Scalar(_) => false,
        }
    }
}

impl MapAtom {
    /// Returns the type of a field, and whether it is declared by name. A field that is not allowed
    /// is opaque.
    pub(crate) fn field_type(&self, name: &str) -> (&FieldType, bool) {
        match (self.fields.get(name), &self.additional) {
            (Some(declared), _) => (declared, true),
            (None, Some(additional)) => (additional, false),
            (None, None) => (&FieldType::Opaque, false),
        }
    }
}

impl ListAtom {
    pub(crate) fn is_atomic(&self) -> bool {
        self.relationship == ElementRelationship::Atomic
    }

    /// Returns the path element that identifies an item of a `set` or `map` list.
    pub(crate) fn path_element(&self, item: &Value) -> Result<PathElement, ListItemError> {
        let keys = match &self.relationship {
            ElementRelationship::Keyed(keys) => keys,
            _ => {
                return match item {
                    Value::Object(_) => Err(ListItemError::MapInSet),
                    Value::Array(_) => Err(ListItemError::ListInSet),
                    Value::Null => Err(ListItemError::NullInSet),
                    scalar => Ok(PathElement::Value(scalar.clone())),
                };
            }
        };
        let fields = match item {
            Value::Object(fields) => fields,
            Value::Null => return Err(ListItemError::NullInMap),
            _ => return Err(ListItemError::NonMapInMap),
        };
        let found: Vec<(String, Value)> = keys
            .iter()
            .filter_map(|(name, default)| {
                let value = fields.get(name).or(default.as_ref())?;
                Some((name.clone(), value.clone()))
            })
            .collect();
        if found.is_empty() {
            let names = keys.iter().map(|(name, _)| name.clone()).collect();
            return Err(ListItemError::MissingKeys(names));
        }
        Ok(PathElement::Key(found))
    }
}
