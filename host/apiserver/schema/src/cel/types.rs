//! The types of CEL expressions, and the declarations of schemas.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::cost::EstimateRange;

/// The size of a library's value in cost estimates: the bytes of an IP address, or a few numbers.
const OPAQUE_SIZE: EstimateRange = EstimateRange { min: 4, max: 16 };

/// The type of an expression.
#[derive(Clone, Debug)]
pub(crate) enum CelType {
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
    /// An object that a schema declares. Each declaration is a type that equals no other.
    Object(Arc<DeclType>),
    Optional(Arc<CelType>),
    /// A value of a library, which only the library's functions accept.
    Opaque(&'static str),
    /// The type of types.
    Meta(Arc<CelType>),
    /// A type variable, which is bound while a call is resolved.
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

    /// Returns the size of a value, if it depends on the type only.
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

/// The declaration of a value in a schema; upstream's `DeclType`.
#[derive(Debug)]
pub(crate) struct DeclType {
    /// The kind of the value.
    pub(crate) kind: DeclKind,
    /// The maximum number of characters, bytes, items, or entries; 0 if the value has no size.
    pub(crate) max_elements: u64,
    /// The minimum size of the value in a request, in bytes.
    pub(crate) min_serialized_size: u64,
}

/// How far equality of a value depends on the order of lists. Lists of type set and map have no order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ListOrder {
    /// The order of every list is significant.
    #[default]
    Significant,
    /// The value contains a list whose order is not significant.
    InsignificantInside,
    /// The value may itself be a list whose order is not significant.
    Insignificant,
}

/// The kind of a declared value.
#[derive(Debug)]
pub(crate) enum DeclKind {
    Scalar(CelType),
    /// A list, with its items and whether their order is not significant (list types set and map).
    List {
        item: Arc<DeclType>,
        unordered: bool,
    },
    Map(Arc<DeclType>),
    /// An object, with its fields by their names in rules.
    Object(BTreeMap<String, Arc<DeclType>>),
}

impl DeclType {
    /// Returns the type of an expression that evaluates to this value.
    pub(super) fn to_type(self: &Arc<Self>) -> CelType {
        match &self.kind {
            DeclKind::Scalar(scalar) => scalar.clone(),
            DeclKind::List { item, .. } => CelType::list(item.to_type()),
            DeclKind::Map(value) => CelType::map(CelType::String, value.to_type()),
            DeclKind::Object(_) => CelType::Object(Arc::clone(self)),
        }
    }

    /// Returns how far equality of the value depends on the order of lists.
    pub(super) fn list_order(&self) -> ListOrder {
        match &self.kind {
            DeclKind::List {
                unordered: true, ..
            } => ListOrder::Insignificant,
            _ if self.has_unordered_list() => ListOrder::InsignificantInside,
            _ => ListOrder::Significant,
        }
    }

    /// Whether the value is or contains a list whose order is not significant.
    pub(super) fn has_unordered_list(&self) -> bool {
        match &self.kind {
            DeclKind::Scalar(_) => false,
            DeclKind::List { item, unordered } => *unordered || item.has_unordered_list(),
            DeclKind::Map(value) => value.has_unordered_list(),
            DeclKind::Object(fields) => fields.values().any(|field| field.has_unordered_list()),
        }
    }
}
