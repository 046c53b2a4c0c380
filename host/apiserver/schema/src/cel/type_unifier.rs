//! Unification: binds type variables to types.

use std::sync::Arc;

use super::types::CelType;

/// The type variables of an expression, and the types that they are bound to.
#[derive(Clone, Debug, Default)]
pub(super) struct TypeUnifier {
    bindings: Vec<Option<CelType>>,
}

impl TypeUnifier {
    /// Creates a variable.
    pub(super) fn fresh_variable(&mut self) -> CelType {
        self.bindings.push(None);
        CelType::Var(self.bindings.len() - 1)
    }

    /// Returns a type of a signature with its variables renumbered to follow the existing ones, which
    /// [`TypeUnifier::reserve`] then creates.
    pub(super) fn instantiate(&self, ty: &CelType) -> CelType {
        let instantiated = |ty: &Arc<CelType>| Arc::new(self.instantiate(ty));
        match ty {
            CelType::Var(index) => CelType::Var(self.bindings.len() + index),
            CelType::List(item) => CelType::List(instantiated(item)),
            CelType::Map(key, value) => CelType::Map(instantiated(key), instantiated(value)),
            CelType::Optional(inner) => CelType::Optional(instantiated(inner)),
            CelType::Meta(inner) => CelType::Meta(instantiated(inner)),
            other => other.clone(),
        }
    }

    /// Creates the variables of an instantiated signature.
    pub(super) fn reserve(&mut self, count: usize) {
        self.bindings.resize(self.bindings.len() + count, None);
    }

    /// Returns the type that a variable is bound to; any other type, and an unbound variable, unchanged.
    pub(super) fn resolve(&self, ty: &CelType) -> CelType {
        let mut ty = ty;
        while let CelType::Var(index) = ty {
            match self.bindings.get(*index) {
                Some(Some(bound)) => ty = bound,
                _ => break,
            }
        }
        ty.clone()
    }

    /// Returns the type with all variables replaced, unbound ones by dyn.
    pub(super) fn substitute(&self, ty: &CelType) -> CelType {
        let substituted = |ty: &Arc<CelType>| Arc::new(self.substitute(ty));
        match self.resolve(ty) {
            CelType::Var(_) => CelType::Dyn,
            CelType::List(item) => CelType::List(substituted(&item)),
            CelType::Map(key, value) => CelType::Map(substituted(&key), substituted(&value)),
            CelType::Optional(inner) => CelType::Optional(substituted(&inner)),
            CelType::Meta(inner) => CelType::Meta(substituted(&inner)),
            other => other,
        }
    }

    /// Whether two types without variables are the same.
    pub(super) fn is_same(&self, left: &CelType, right: &CelType) -> bool {
        match (left, right) {
            (CelType::Dyn, CelType::Dyn) => true,
            (CelType::Dyn, _) | (_, CelType::Dyn) => false,
            (CelType::List(left), CelType::List(right))
            | (CelType::Optional(left), CelType::Optional(right))
            | (CelType::Meta(left), CelType::Meta(right)) => self.is_same(left, right),
            (CelType::Map(key, value), CelType::Map(other_key, other_value)) => {
                self.is_same(key, other_key) && self.is_same(value, other_value)
            }
            (CelType::Object(left), CelType::Object(right)) => Arc::ptr_eq(left, right),
            (CelType::Opaque(left), CelType::Opaque(right)) => left == right,
            (left, right) => std::mem::discriminant(left) == std::mem::discriminant(right),
        }
    }

    /// Unifies two types, binding variables; returns whether a value of type `actual` may be used where `expected` is
    /// expected.
    pub(super) fn unify(&mut self, expected: &CelType, actual: &CelType) -> bool {
        let (left, right) = (self.resolve(expected), self.resolve(actual));
        match (&left, &right) {
            (CelType::Var(left), CelType::Var(right)) if left == right => true,
            (CelType::Var(index), _) => self.bind(*index, &right),
            (_, CelType::Var(index)) => self.bind(*index, &left),
            (CelType::Dyn, _) | (_, CelType::Dyn) => true,
            (CelType::Null, CelType::Null) => true,
            (CelType::Null, other) => other.is_nullable() && self.widen(expected, other),
            (other, CelType::Null) => other.is_nullable(),
            (CelType::List(left), CelType::List(right))
            | (CelType::Optional(left), CelType::Optional(right)) => self.unify(left, right),
            (CelType::Map(key, value), CelType::Map(other_key, other_value)) => {
                self.unify(key, other_key) && self.unify(value, other_value)
            }
            // Any two types can be compared with each other.
            (CelType::Meta(_), CelType::Meta(_)) => true,
            (left, right) => self.is_same(left, right),
        }
    }

    fn bind(&mut self, index: usize, ty: &CelType) -> bool {
        if self.occurs_in(ty, index) {
            return false;
        }
        match self.bindings.get_mut(index) {
            Some(binding) => {
                *binding = Some(ty.clone());
                true
            }
            None => false,
        }
    }

    /// Binds a variable that was bound to null to a nullable type instead.
    fn widen(&mut self, expected: &CelType, ty: &CelType) -> bool {
        match expected {
            CelType::Var(index) => self.bind(*index, ty),
            _ => true,
        }
    }

    /// Whether a variable occurs in a type, which it therefore cannot be bound to.
    fn occurs_in(&self, ty: &CelType, index: usize) -> bool {
        match self.resolve(ty) {
            CelType::Var(other) => other == index,
            CelType::List(item) | CelType::Optional(item) | CelType::Meta(item) => {
                self.occurs_in(&item, index)
            }
            CelType::Map(key, value) => {
                self.occurs_in(&key, index) || self.occurs_in(&value, index)
            }
            _ => false,
        }
    }
}
