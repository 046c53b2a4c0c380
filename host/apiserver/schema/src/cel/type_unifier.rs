//! Finds out what type variables stand for.

use std::sync::Arc;

use super::types::CelType;

/// What is known of type variables.
#[derive(Clone, Debug, Default)]
pub(super) struct TypeUnifier {
    bindings: Vec<Option<CelType>>,
}

impl TypeUnifier {
    /// A new variable.
    pub(super) fn fresh_variable(&mut self) -> CelType {
        self.bindings.push(None);
        CelType::Var(self.bindings.len() - 1)
    }

    /// A signature's type with its variables numbered after the known ones; [`Unifier::reserve`] makes room for them.
    pub(super) fn instantiate(&self, kind: &CelType) -> CelType {
        let shifted = |kind: &Arc<CelType>| Arc::new(self.instantiate(kind));
        match kind {
            CelType::Var(index) => CelType::Var(self.bindings.len() + index),
            CelType::List(item) => CelType::List(shifted(item)),
            CelType::Map(key, value) => CelType::Map(shifted(key), shifted(value)),
            CelType::Optional(inner) => CelType::Optional(shifted(inner)),
            CelType::Meta(inner) => CelType::Meta(shifted(inner)),
            other => other.clone(),
        }
    }

    pub(super) fn reserve(&mut self, vars: usize) {
        self.bindings.resize(self.bindings.len() + vars, None);
    }

    /// The type with its outermost variable replaced.
    pub(super) fn resolve(&self, kind: &CelType) -> CelType {
        let mut kind = kind;
        while let CelType::Var(index) = kind {
            match self.bindings.get(*index) {
                Some(Some(found)) => kind = found,
                _ => break,
            }
        }
        kind.clone()
    }

    /// The type with all variables replaced, unknown ones by dyn.
    pub(super) fn substitute(&self, kind: &CelType) -> CelType {
        let settled = |kind: &Arc<CelType>| Arc::new(self.substitute(kind));
        match self.resolve(kind) {
            CelType::Var(_) => CelType::Dyn,
            CelType::List(item) => CelType::List(settled(&item)),
            CelType::Map(key, value) => CelType::Map(settled(&key), settled(&value)),
            CelType::Optional(inner) => CelType::Optional(settled(&inner)),
            CelType::Meta(inner) => CelType::Meta(settled(&inner)),
            other => other,
        }
    }

    /// Whether two settled types are the same.
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

    /// Whether a value of type `given` may stand where `wanted` is expected; learns what variables stand for.
    pub(super) fn unify(&mut self, wanted: &CelType, given: &CelType) -> bool {
        let (left, right) = (self.resolve(wanted), self.resolve(given));
        match (&left, &right) {
            (CelType::Var(left), CelType::Var(right)) if left == right => true,
            (CelType::Var(index), _) => self.bind(*index, &right),
            (_, CelType::Var(index)) => self.bind(*index, &left),
            (CelType::Dyn, _) | (_, CelType::Dyn) => true,
            (CelType::Null, CelType::Null) => true,
            (CelType::Null, other) => other.is_nullable() && self.widen(wanted, other),
            (other, CelType::Null) => other.is_nullable(),
            (CelType::List(left), CelType::List(right))
            | (CelType::Optional(left), CelType::Optional(right)) => self.unify(left, right),
            (CelType::Map(key, value), CelType::Map(other_key, other_value)) => {
                self.unify(key, other_key) && self.unify(value, other_value)
            }
            // Types compare with each other whatever they are types of.
            (CelType::Meta(_), CelType::Meta(_)) => true,
            (left, right) => self.is_same(left, right),
        }
    }

    fn bind(&mut self, index: usize, kind: &CelType) -> bool {
        if self.is_occurring_in(kind, index) {
            return false;
        }
        match self.bindings.get_mut(index) {
            Some(found) => {
                *found = Some(kind.clone());
                true
            }
            None => false,
        }
    }

    /// A variable that stood for null stands for a type that takes null from now on.
    fn widen(&mut self, wanted: &CelType, kind: &CelType) -> bool {
        match wanted {
            CelType::Var(index) => self.bind(*index, kind),
            _ => true,
        }
    }

    /// Whether a type holds a variable, which it cannot stand for then.
    fn is_occurring_in(&self, kind: &CelType, index: usize) -> bool {
        match self.resolve(kind) {
            CelType::Var(other) => other == index,
            CelType::List(item) | CelType::Optional(item) | CelType::Meta(item) => {
                self.is_occurring_in(&item, index)
            }
            CelType::Map(key, value) => {
                self.is_occurring_in(&key, index) || self.is_occurring_in(&value, index)
            }
            _ => false,
        }
    }
}
