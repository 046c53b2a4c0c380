//! The types of CEL expressions, and what schemas declare.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::cost::EstimateRange;

/// What libraries' values are counted as: the bytes of an address, or a few numbers.
const OPAQUE_SIZE: EstimateRange = EstimateRange { min: 4, max: 16 };

/// A type. `Var` stands for a type to be found while a call is resolved.
#[derive(Clone, Debug)]
pub(super) enum CelType {
    Dyn,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Timestamp,
    Duration,
    List(Arc<CelType>),
    Map(Arc<CelType>, Arc<CelType>),
    /// An object that a schema declares; the same only as itself.
    Object(Arc<DeclType>),
    Optional(Arc<CelType>),
    /// A value of a library that only the library's functions know.
    Opaque(&'static str),
    /// The type of types.
    Meta(Arc<CelType>),
    Var(usize),
}

impl CelType {
    pub(super) fn list(item: Self) -> Self {
        Self::List(Arc::new(item))
    }

    pub(super) fn map(key: Self, value: Self) -> Self {
        Self::Map(Arc::new(key), Arc::new(value))
    }

    pub(super) fn optional(inner: Self) -> Self {
        Self::Optional(Arc::new(inner))
    }

    /// Whether null is a value of the type.
    pub(super) fn is_nullable(&self) -> bool {
        matches!(
            self,
            Self::Object(_)
                | Self::Timestamp
                | Self::Duration
                | Self::Opaque(_)
                | Self::Optional(_)
                | Self::Null
                | Self::Dyn
        )
    }

    /// The size of any value of the type, where the type alone tells it.
    pub(super) fn natural_size(&self) -> Option<EstimateRange> {
        match self {
            Self::Null
            | Self::Bool
            | Self::Int
            | Self::Uint
            | Self::Double
            | Self::Timestamp
            | Self::Duration
            | Self::Meta(_) => Some(EstimateRange::ONE),
            Self::Opaque(_) => Some(OPAQUE_SIZE),
            _ => None,
        }
    }
}

impl fmt::Display for CelType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dyn => f.write_str("dyn"),
            Self::Null => f.write_str("null"),
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Uint => f.write_str("uint"),
            Self::Double => f.write_str("double"),
            Self::String => f.write_str("string"),
            Self::Bytes => f.write_str("bytes"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Duration => f.write_str("duration"),
            Self::List(item) => write!(f, "list({item})"),
            Self::Map(key, value) => write!(f, "map({key}, {value})"),
            Self::Object(_) => f.write_str("object"),
            Self::Optional(inner) => write!(f, "optional_type({inner})"),
            Self::Opaque(name) => f.write_str(name),
            Self::Meta(inner) => write!(f, "type({inner})"),
            Self::Var(_) => f.write_str("dyn"),
        }
    }
}

/// A value that a schema declares, as rules see it.
#[derive(Debug)]
pub(super) struct DeclType {
    /// What kind of value it is.
    pub(super) kind: DeclKind,
    /// The most characters, bytes, items or entries it can have; 0 where it has no size.
    pub(super) max_elements: u64,
    /// The fewest bytes it takes in a request.
    pub(super) min_serialized_size: u64,
}

/// How far the order of lists means anything in a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ListOrder {
    /// Everywhere.
    #[default]
    Significant,
    /// Not in some list within it.
    InsignificantInside,
    /// It may itself be a list of type set or map.
    Insignificant,
}

/// The kinds of declared values.
#[derive(Debug)]
pub(super) enum DeclKind {
    Scalar(CelType),
    /// The list's items, and whether their order means nothing (list types set and map).
    List {
        item: Arc<DeclType>,
        unordered: bool,
    },
    Map(Arc<DeclType>),
    /// Fields by their name in rules.
    Object(BTreeMap<String, Arc<DeclType>>),
}

impl DeclType {
    /// The type of an expression that is this value.
    pub(super) fn to_type(self: &Arc<Self>) -> CelType {
        match &self.kind {
            DeclKind::Scalar(scalar) => scalar.clone(),
            DeclKind::List { item, .. } => CelType::list(item.to_type()),
            DeclKind::Map(value) => CelType::map(CelType::String, value.to_type()),
            DeclKind::Object(_) => CelType::Object(Arc::clone(self)),
        }
    }

    /// How far order means anything in it.
    pub(super) fn list_order(&self) -> ListOrder {
        match &self.kind {
            DeclKind::List {
                unordered: true, ..
            } => ListOrder::Insignificant,
            _ if self.has_unordered_list() => ListOrder::InsignificantInside,
            _ => ListOrder::Significant,
        }
    }

    /// Whether the order of some list in it means nothing.
    pub(super) fn has_unordered_list(&self) -> bool {
        match &self.kind {
            DeclKind::Scalar(_) => false,
            DeclKind::List { item, unordered } => *unordered || item.has_unordered_list(),
            DeclKind::Map(value) => value.has_unordered_list(),
            DeclKind::Object(fields) => fields.values().any(|field| field.has_unordered_list()),
        }
    }
}
