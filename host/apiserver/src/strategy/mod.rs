//! What depends on the kind of a resource: the strategies of the built-in kinds and of
//! those that CustomResourceDefinitions define.

mod builtin;
mod custom;

pub(crate) use self::builtin::BuiltinStrategy;
pub(crate) use self::custom::CustomStrategy;

/// What depends on the kind of the resource, as an upstream strategy.
#[derive(Debug)]
pub(crate) enum ResourceStrategy {
    Builtin(BuiltinStrategy),
    Custom(CustomStrategy),
}
