//! What a list, a watch or a collection delete is narrowed down to.

pub(crate) mod field;
pub(crate) mod label;
