//! `fieldPath` of rules: the field below the rule's own to which a failure is reported.

use crate::node::SchemaNode;
use crate::path::PathRef;

/// One step of a path.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum FieldPathSegment {
    /// A field of an object.
    Field(String),
    /// An entry of a map.
    Key(String),
}

/// Reads a path such as `.a.b` or `['a.b'].c`, which must lead to something that the schema declares.
pub(super) fn parse(node: &SchemaNode, text: &str) -> Option<Vec<FieldPathSegment>> {
    let mut node = node;
    let mut rest = text;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let (name, tail) = if let Some(quoted) = rest.strip_prefix("['") {
            quoted.split_once("']")?
        } else {
            let plain = rest.strip_prefix('.')?;
            plain.split_at(plain.find(['.', '[']).unwrap_or(plain.len()))
        };
        if name.is_empty() {
            return None;
        }
        if let Some(property) = node.properties.get(name) {
            node = property;
            steps.push(FieldPathSegment::Field(name.to_owned()));
        } else {
            node = node.additional_properties.schema()?;
            steps.push(FieldPathSegment::Key(name.to_owned()));
        }
        rest = tail;
    }
    (!steps.is_empty()).then_some(steps)
}

/// The path of the field, below the rule's own.
pub(super) fn append(path: &PathRef<'_>, steps: &[FieldPathSegment]) -> String {
    match steps.split_first() {
        None => path.to_string(),
        Some((FieldPathSegment::Field(name), rest)) => append(&path.field(name), rest),
        Some((FieldPathSegment::Key(name), rest)) => append(&path.key(name), rest),
    }
}
