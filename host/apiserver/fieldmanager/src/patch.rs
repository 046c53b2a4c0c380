//! JSON patch (RFC 6902) and merge patch (RFC 7386), with the deviations of Kubernetes.

use json_patch::jsonptr::PointerBuf;
use json_patch::{
    AddOperation, CopyOperation, MoveOperation, PatchOperation, RemoveOperation, ReplaceOperation,
    TestOperation,
};
use serde_json::Value;

/// The maximum number of operations in one JSON patch. Kubernetes' limit.
const MAX_OPERATIONS: usize = 10_000;

/// The maximum that all copy operations of one patch may copy together, in bytes of JSON. Otherwise
/// a short patch could double the document repeatedly. The same as the limit of a request body.
const MAX_COPIED_BYTES: usize = 3 * 1024 * 1024;

/// The maximum that all move operations of one patch may move together, in JSON values. A move does
/// not grow the document, but the moved value is measured each time, and a short patch could move
/// the whole document in every operation. Ten times the values that an object may have.
const MAX_MOVED_VALUES: usize = 1_000_000;

/// The maximum nesting that a patch may create, in levels. JSON parsers stop at 128 levels, and
/// objects are also parsed inside lists and watch events.
const MAX_DEPTH: usize = 100;

/// Why a patch cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The patch does not have the form that its media type requires. Status 400.
    #[error(
        "error decoding patch: json: cannot unmarshal {found} into Go value of type {expected}"
    )]
    Malformed {
        /// The JSON type of what the patch contains.
        found: &'static str,
        /// The Go type that is required.
        expected: &'static str,
    },
    /// A field of an operation has the wrong type. Status 400.
    #[error(
        "error decoding patch: json: cannot unmarshal {found} into Go struct field jsonPatchOp.{field} of type string"
    )]
    MalformedOperation {
        /// The JSON type of the field's value.
        found: &'static str,
        /// The name of the field.
        field: &'static str,
    },
    /// The merge patch is null. Status 400.
    #[error("Invalid JSON Patch")]
    Null,
    /// More than 10,000 operations. Status 413.
    #[error(
        "Request entity too large: The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {0}"
    )]
    TooManyOperations(usize),
    /// An operation failed. Status 422.
    #[error("operation {index} of the JSON patch: {problem}")]
    Failed {
        /// The index of the operation in the patch.
        index: usize,
        /// What is wrong with the operation.
        problem: PatchOperationError,
    },
}

impl PatchError {
    /// Returns the HTTP status code of the response.
    pub fn code(&self) -> u16 {
        match self {
            Self::Malformed { .. } | Self::MalformedOperation { .. } | Self::Null => 400,
            Self::TooManyOperations(_) => 413,
            Self::Failed { .. } => 422,
        }
    }
}

/// Why one operation of a JSON patch failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchOperationError {
    /// `op` is absent or not a string.
    #[error("the operation needs an op: add, remove, replace, move, copy, or test")]
    MissingOp,
    /// `op` is not one of the six operations.
    #[error("unexpected kind: {0}")]
    UnknownOp(String),
    /// `path` or `from` is absent or not a string.
    #[error("the operation needs a {field} that is a JSON pointer")]
    MissingPointer {
        /// The name of the field.
        field: &'static str,
    },
    /// `path` or `from` cannot be parsed.
    #[error("{field} {text:?} is not a JSON pointer: {problem}")]
    InvalidPointer {
        /// The name of the field.
        field: &'static str,
        /// The value of the field.
        text: String,
        /// What is wrong with the value.
        problem: String,
    },
    /// `from` of a copy does not exist, nor does its parent.
    #[error("{0}")]
    Unresolved(String),
    /// The result would be nested too deeply.
    #[error("{path}: the result is nested more than {MAX_DEPTH} levels deep")]
    TooDeep {
        /// The path of the operation.
        path: String,
    },
    /// The move operations together move too many values.
    #[error("the patch moves more than {MAX_MOVED_VALUES} values")]
    TooManyMovedValues,
    /// The copy operations together copy too many bytes.
    #[error("the patch copies more than {MAX_COPIED_BYTES} bytes")]
    TooManyCopiedBytes,
    /// The operation cannot be applied to the document: its path does not exist, or a test failed.
    #[error("{0}")]
    NotApplicable(String),
}

/// Applies a merge patch.
///
/// # Errors
///
/// Fails if the patch is not an object, since it would replace the whole document.
pub fn merge_patch(document: &Value, patch: &Value) -> Result<Value, PatchError> {
    match patch {
        Value::Object(_) => {}
        Value::Null => return Err(PatchError::Null),
        other => return Err(malformed(other, "map[string]interface {}")),
    }
    let mut out = document.clone();
    json_patch::merge(&mut out, patch);
    Ok(out)
}

/// Applies a JSON patch, either completely or not at all.
///
/// Deviates from the RFC as Kubernetes does: `replace` adds a field that does not exist, `test` against
/// null and `copy` treat such a field as null, an operation without `value` has the value null, and
/// anything before the first slash of a pointer is ignored.
///
/// # Errors
///
/// See [`PatchError`].
pub fn json_patch(document: &Value, patch: &Value) -> Result<Value, PatchError> {
    let operations = match patch {
        Value::Array(operations) => operations.as_slice(),
        Value::Null => &[],
        other => return Err(malformed(other, "[]handlers.jsonPatchOp")),
    };
    for operation in operations {
        check_operation(operation)?;
    }
    if operations.len() > MAX_OPERATIONS {
        return Err(PatchError::TooManyOperations(operations.len()));
    }
    let mut out = document.clone();
    let mut cost = PatchCost::default();
    for (index, operation) in operations.iter().enumerate() {
        apply_operation(&mut out, operation, &mut cost)
            .map_err(|problem| PatchError::Failed { index, problem })?;
    }
    Ok(out)
}

fn malformed(value: &Value, expected: &'static str) -> PatchError {
    PatchError::Malformed {
        found: json_type(value),
        expected,
    }
}

fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Checks the types of an operation's fields. Null is an absent value, as in Go.
fn check_operation(operation: &Value) -> Result<(), PatchError> {
    if !operation.is_object() && !operation.is_null() {
        return Err(malformed(operation, "handlers.jsonPatchOp"));
    }
    for field in ["op", "from", "path"] {
        if let Some(value) = operation.get(field)
            && !value.is_string()
            && !value.is_null()
        {
            return Err(PatchError::MalformedOperation {
                found: json_type(value),
                field,
            });
        }
    }
    Ok(())
}

/// The cost of the operations that have been applied so far.
#[derive(Default)]
struct PatchCost {
    /// Limited by [`MAX_COPIED_BYTES`].
    copied_bytes: usize,
    /// Limited by [`MAX_MOVED_VALUES`].
    moved_values: usize,
}

fn apply_operation(
    document: &mut Value,
    operation: &Value,
    cost: &mut PatchCost,
) -> Result<(), PatchOperationError> {
    let path = parse_pointer(operation, "path")?;
    let value = || operation.get("value").cloned().unwrap_or(Value::Null);
    // Returns the number of values in `value`, which is about to be placed at `path`.
    let check_depth = |value: &Value| {
        let ValueSize { depth, values } = ValueSize::of_value(value);
        if path.tokens().count() + depth > MAX_DEPTH {
            return Err(PatchOperationError::TooDeep {
                path: path.to_string(),
            });
        }
        Ok(values)
    };
    let is_new_field = || {
        let parent = path
            .parent()
            .and_then(|parent| parent.resolve(document).ok());
        parent.is_some_and(Value::is_object) && path.resolve(document).is_err()
    };
    let operation = match operation.get("op").and_then(Value::as_str) {
        Some("add") => {
            let value = value();
            check_depth(&value)?;
            PatchOperation::Add(AddOperation { path, value })
        }
        Some("remove") => PatchOperation::Remove(RemoveOperation { path }),
        Some("replace") => {
            let value = value();
            check_depth(&value)?;
            if is_new_field() {
                PatchOperation::Add(AddOperation { path, value })
            } else {
                PatchOperation::Replace(ReplaceOperation { path, value })
            }
        }
        Some("move") => {
            let from = parse_pointer(operation, "from")?;
            if let Ok(value) = from.resolve(document) {
                cost.moved_values = cost.moved_values.saturating_add(check_depth(value)?);
                if cost.moved_values > MAX_MOVED_VALUES {
                    return Err(PatchOperationError::TooManyMovedValues);
                }
            }
            PatchOperation::Move(MoveOperation { from, path })
        }
        Some("copy") => {
            let from = parse_pointer(operation, "from")?;
            match from.resolve(document) {
                Ok(value) => {
                    check_depth(value)?;
                    cost.copied_bytes = cost.copied_bytes.saturating_add(value.to_string().len());
                    if cost.copied_bytes > MAX_COPIED_BYTES {
                        return Err(PatchOperationError::TooManyCopiedBytes);
                    }
                    PatchOperation::Copy(CopyOperation { from, path })
                }
                Err(_)
                    if from
                        .parent()
                        .and_then(|p| p.resolve(document).ok())
                        .is_some_and(Value::is_object) =>
                {
                    PatchOperation::Add(AddOperation {
                        path,
                        value: Value::Null,
                    })
                }
                Err(error) => return Err(PatchOperationError::Unresolved(error.to_string())),
            }
        }
        Some("test") => {
            let value = value();
            if value.is_null() && is_new_field() {
                return Ok(());
            }
            PatchOperation::Test(TestOperation { path, value })
        }
        Some(unknown) => return Err(PatchOperationError::UnknownOp(unknown.to_owned())),
        None => return Err(PatchOperationError::MissingOp),
    };
    // No rollback is needed: the document is a copy that is dropped if any operation fails.
    json_patch::patch_unsafe(document, &[operation])
        .map_err(|error| PatchOperationError::NotApplicable(error.kind.to_string()))
}

fn parse_pointer(
    operation: &Value,
    field: &'static str,
) -> Result<PointerBuf, PatchOperationError> {
    let text = operation
        .get(field)
        .and_then(Value::as_str)
        .ok_or(PatchOperationError::MissingPointer { field })?;
    let invalid = |problem: String| PatchOperationError::InvalidPointer {
        field,
        text: text.to_owned(),
        problem,
    };
    let from_first_slash = match text.find('/') {
        _ if text.is_empty() => "",
        Some(index) => text.get(index..).unwrap_or_default(),
        None => return Err(invalid("it must start with a slash".to_owned())),
    };
    PointerBuf::parse(from_first_slash).map_err(|error| invalid(error.to_string()))
}

/// The nesting of a value, and the number of values that it consists of, including itself.
struct ValueSize {
    depth: usize,
    values: usize,
}

impl ValueSize {
    fn of_value(value: &Value) -> Self {
        let sum = |inner: &mut dyn Iterator<Item = &Value>| {
            inner.map(Self::of_value).fold(
                Self {
                    depth: 1,
                    values: 1,
                },
                |all, one| Self {
                    depth: all.depth.max(1 + one.depth),
                    values: all.values + one.values,
                },
            )
        };
        match value {
            Value::Array(items) => sum(&mut items.iter()),
            Value::Object(fields) => sum(&mut fields.values()),
            _ => Self {
                depth: 0,
                values: 1,
            },
        }
    }
}
