//! The compiled form of a rule, which its schema holds.

use crate::cel::CelProgram;
use crate::error::FieldErrorKind;

/// One compiled rule.
#[derive(Debug)]
pub(crate) struct CompiledRule {
    pub(crate) program: CelProgram,
    pub(crate) message_program: Option<CelProgram>,
    /// The message of a failure, unless the message expression returns one.
    pub(crate) message: String,
    /// The kind of the error that is reported if the rule returns false.
    pub(crate) error_kind: FieldErrorKind,
    /// The field that the error is reported at, relative to the rule's own field.
    pub(crate) field_path: Vec<FieldPathSegment>,
    /// Whether `oldSelf` is an optional, so that the rule also applies if there is no old value.
    pub(crate) optional_old_self: bool,
}

/// One segment of a `fieldPath`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum FieldPathSegment {
    /// A field of an object.
    Field(String),
    /// An entry of a map.
    Key(String),
}
