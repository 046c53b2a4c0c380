//! The `fieldPath` of a rule: the field that errors of the rule are reported at, relative to the rule's own field.

use crate::compiled_rule::FieldPathSegment;
use crate::node::SchemaNode;
use crate::path::PathRef;

/// Parses a path such as `.a.b` or `['a.b'].c`; returns `None` unless the schema declares the field.
pub(super) fn parse(node: &SchemaNode, text: &str) -> Option<Vec<FieldPathSegment>> {
    let mut node = node;
    let mut rest = text;
    let mut segments = Vec::new();
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
            segments.push(FieldPathSegment::Field(name.to_owned()));
        } else {
            node = node.additional_properties.schema()?;
            segments.push(FieldPathSegment::Key(name.to_owned()));
        }
        rest = tail;
    }
    (!segments.is_empty()).then_some(segments)
}

/// Appends the segments to the path of the rule's own field.
pub(super) fn append(path: &PathRef<'_>, segments: &[FieldPathSegment]) -> String {
    match segments.split_first() {
        None => path.to_string(),
        Some((FieldPathSegment::Field(name), rest)) => append(&path.field(name), rest),
        Some((FieldPathSegment::Key(name), rest)) => append(&path.key(name), rest),
    }
}
