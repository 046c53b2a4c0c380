//! Finds out what type variables stand for.

use std::sync::Arc;

use super::types::Type;

/// What is known of type variables.
#[derive(Clone, Debug, Default)]
pub(super) struct Unifier {
    found: Vec<Option<Type>>,
}

impl Unifier {
    /// A new variable.
    pub(super) fn fresh(&mut self) -> Type {
        self.found.push(None);
        Type::Var(self.found.len() - 1)
    }

    /// A signature's type with its variables numbered after the known ones; [`Unifier::reserve`] makes room for them.
    pub(super) fn instance(&self, kind: &Type) -> Type {
        let shifted = |kind: &Arc<Type>| Arc::new(self.instance(kind));
        match kind {
            Type::Var(index) => Type::Var(self.found.len() + index),
            Type::List(item) => Type::List(shifted(item)),
            Type::Map(key, value) => Type::Map(shifted(key), shifted(value)),
            Type::Optional(inner) => Type::Optional(shifted(inner)),
            Type::Meta(inner) => Type::Meta(shifted(inner)),
            other => other.clone(),
        }
    }

    pub(super) fn reserve(&mut self, vars: usize) {
        self.found.resize(self.found.len() + vars, None);
    }

    /// The type with its outermost variable replaced.
    pub(super) fn resolve(&self, kind: &Type) -> Type {
        let mut kind = kind;
        while let Type::Var(index) = kind {
            match self.found.get(*index) {
                Some(Some(found)) => kind = found,
                _ => break,
            }
        }
        kind.clone()
    }

    /// The type with all variables replaced, unknown ones by dyn.
    pub(super) fn settle(&self, kind: &Type) -> Type {
        let settled = |kind: &Arc<Type>| Arc::new(self.settle(kind));
        match self.resolve(kind) {
            Type::Var(_) => Type::Dyn,
            Type::List(item) => Type::List(settled(&item)),
            Type::Map(key, value) => Type::Map(settled(&key), settled(&value)),
            Type::Optional(inner) => Type::Optional(settled(&inner)),
            Type::Meta(inner) => Type::Meta(settled(&inner)),
            other => other,
        }
    }

    /// Whether two settled types are the same.
    pub(super) fn same(&self, left: &Type, right: &Type) -> bool {
        match (left, right) {
            (Type::Dyn, Type::Dyn) => true,
            (Type::Dyn, _) | (_, Type::Dyn) => false,
            (Type::List(left), Type::List(right))
            | (Type::Optional(left), Type::Optional(right))
            | (Type::Meta(left), Type::Meta(right)) => self.same(left, right),
            (Type::Map(key, value), Type::Map(other_key, other_value)) => {
                self.same(key, other_key) && self.same(value, other_value)
            }
            (Type::Object(left), Type::Object(right)) => Arc::ptr_eq(left, right),
            (Type::Opaque(left), Type::Opaque(right)) => left == right,
            (left, right) => std::mem::discriminant(left) == std::mem::discriminant(right),
        }
    }

    /// Whether a value of type `given` may stand where `wanted` is expected; learns what variables stand for.
    pub(super) fn assign(&mut self, wanted: &Type, given: &Type) -> bool {
        let (left, right) = (self.resolve(wanted), self.resolve(given));
        match (&left, &right) {
            (Type::Var(left), Type::Var(right)) if left == right => true,
            (Type::Var(index), _) => self.learn(*index, &right),
            (_, Type::Var(index)) => self.learn(*index, &left),
            (Type::Dyn, _) | (_, Type::Dyn) => true,
            (Type::Null, Type::Null) => true,
            (Type::Null, other) => other.takes_null() && self.widen(wanted, other),
            (other, Type::Null) => other.takes_null(),
            (Type::List(left), Type::List(right))
            | (Type::Optional(left), Type::Optional(right)) => self.assign(left, right),
            (Type::Map(key, value), Type::Map(other_key, other_value)) => {
                self.assign(key, other_key) && self.assign(value, other_value)
            }
            // Types compare with each other whatever they are types of.
            (Type::Meta(_), Type::Meta(_)) => true,
            (left, right) => self.same(left, right),
        }
    }

    fn learn(&mut self, index: usize, kind: &Type) -> bool {
        if self.holds(kind, index) {
            return false;
        }
        match self.found.get_mut(index) {
            Some(found) => {
                *found = Some(kind.clone());
                true
            }
            None => false,
        }
    }

    /// A variable that stood for null stands for a type that takes null from now on.
    fn widen(&mut self, wanted: &Type, kind: &Type) -> bool {
        match wanted {
            Type::Var(index) => self.learn(*index, kind),
            _ => true,
        }
    }

    /// Whether a type holds a variable, which it cannot stand for then.
    fn holds(&self, kind: &Type, index: usize) -> bool {
        match self.resolve(kind) {
            Type::Var(other) => other == index,
            Type::List(item) | Type::Optional(item) | Type::Meta(item) => self.holds(&item, index),
            Type::Map(key, value) => self.holds(&key, index) || self.holds(&value, index),
            _ => false,
        }
    }
}
