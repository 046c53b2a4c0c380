//! JSON patch (RFC 6902) and merge patch (RFC 7386), with the few liberties that Kubernetes takes.

use json_patch::jsonptr::PointerBuf;
use json_patch::{
    AddOperation, CopyOperation, MoveOperation, PatchOperation, RemoveOperation, ReplaceOperation,
    TestOperation,
};
use serde_json::Value;

/// The most operations in one JSON patch. Kubernetes' limit.
const MAX_OPERATIONS: usize = 10_000;

/// The most that all copy operations of a patch may copy together, in bytes of JSON: a few lines of patch could double the
/// document again and again. As much as a request body may have.
const MAX_COPIED_BYTES: usize = 3 * 1024 * 1024;

/// The most that all move operations of a patch may move together, in values. A move adds nothing to the document, but what is
/// moved is measured each time, and a few bytes of patch may move all of it: ten times the values that an object may have.
const MAX_MOVED_VALUES: usize = 1_000_000;

/// The deepest nesting that a patch may make. JSON readers stop at 128 levels, and an object is read inside of envelopes.
const MAX_DEPTH: usize = 100;

/// Why a patch was not applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The patch is not of the form that its media type asks for. Status 400.
    #[error("error decoding patch: {0}")]
    Malformed(String),
    /// More than 10,000 operations. Status 413.
    #[error("the allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {0}")]
    TooManyOperations(usize),
    /// An operation cannot be done: no such path, a failed test, an unknown operation, a result beyond the limits. Status 422.
    #[error("operation {index} of the JSON patch: {problem}")]
    Failed {
        /// The place of the operation in the patch, from 0.
        index: usize,
        /// What is wrong with it.
        problem: String,
    },
}

impl PatchError {
    /// The HTTP status that answers it.
    pub fn code(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::TooManyOperations(_) => 413,
            Self::Failed { .. } => 422,
        }
    }
}

/// Applies a merge patch. The patch must be an object, or it would replace the document.
pub fn merge_patch(document: &Value, patch: &Value) -> Result<Value, PatchError> {
    if !patch.is_object() {
        return Err(PatchError::Malformed(
            "a merge patch must be a JSON object".to_owned(),
        ));
    }
    let mut out = document.clone();
    json_patch::merge(&mut out, patch);
    Ok(out)
}

/// Applies a JSON patch, all of it or nothing.
///
/// As in Kubernetes, and other than the RFC says: `replace` of a field that is not there adds it, `test` against null and
/// `copy` take such a field for null, an operation without `value` has the value null, and what precedes the first slash of a
/// pointer is passed over.
pub fn json_patch(document: &Value, patch: &Value) -> Result<Value, PatchError> {
    let operations = match patch {
        Value::Array(operations) => operations,
        _ => {
            return Err(PatchError::Malformed(
                "a JSON patch must be a list of operations".to_owned(),
            ));
        }
    };
    if !operations.iter().all(Value::is_object) {
        return Err(PatchError::Malformed(
            "an operation of a JSON patch must be an object".to_owned(),
        ));
    }
    if operations.len() > MAX_OPERATIONS {
        return Err(PatchError::TooManyOperations(operations.len()));
    }
    let mut out = document.clone();
    let mut spent = PatchCost::default();
    for (index, operation) in operations.iter().enumerate() {
        apply_operation(&mut out, operation, &mut spent)
            .map_err(|problem| PatchError::Failed { index, problem })?;
    }
    Ok(out)
}

/// What the operations of a patch have cost so far.
#[derive(Default)]
struct PatchCost {
    /// Bytes of JSON, see [`MAX_COPIED`].
    copied_bytes: usize,
    /// Values, see [`MAX_MOVED`].
    moved_values: usize,
}

fn apply_operation(document: &mut Value, operation: &Value, spent: &mut PatchCost) -> Result<(), String> {
    let path = parse_pointer(operation, "path")?;
    let value = || operation.get("value").cloned().unwrap_or(Value::Null);
    // Gives the number of values that are placed.
    let place = |value: &Value| {
        let ValueSize { depth, values } = ValueSize::of(value);
        (path.tokens().count() + depth <= MAX_DEPTH)
            .then_some(values)
            .ok_or_else(|| {
                format!("{path}: the result is nested more than {MAX_DEPTH} levels deep")
            })
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
            place(&value)?;
            PatchOperation::Add(AddOperation { path, value })
        }
        Some("remove") => PatchOperation::Remove(RemoveOperation { path }),
        Some("replace") => {
            let value = value();
            place(&value)?;
            if is_new_field() {
                PatchOperation::Add(AddOperation { path, value })
            } else {
                PatchOperation::Replace(ReplaceOperation { path, value })
            }
        }
        Some("move") => {
            let from = parse_pointer(operation, "from")?;
            if let Ok(value) = from.resolve(document) {
                spent.moved_values = spent.moved_values.saturating_add(place(value)?);
                if spent.moved_values > MAX_MOVED_VALUES {
                    return Err(format!("the patch moves more than {MAX_MOVED} values"));
                }
            }
            PatchOperation::Move(MoveOperation { from, path })
        }
        Some("copy") => {
            let from = parse_pointer(operation, "from")?;
            match from.resolve(document) {
                Ok(value) => {
                    place(value)?;
                    spent.copied_bytes = spent.copied_bytes.saturating_add(value.to_string().len());
                    if spent.copied_bytes > MAX_COPIED_BYTES {
                        return Err(format!("the patch copies more than {MAX_COPIED} bytes"));
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
                Err(problem) => return Err(problem.to_string()),
            }
        }
        Some("test") => {
            let value = value();
            if value.is_null() && is_new_field() {
                return Ok(());
            }
            PatchOperation::Test(TestOperation { path, value })
        }
        Some(unknown) => return Err(format!("unexpected kind: {unknown}")),
        None => {
            return Err(
                "the operation needs an op: add, remove, replace, move, copy or test".to_owned(),
            );
        }
    };
    // One by one on a copy: the whole patch fails with any of them.
    json_patch::patch_unsafe(document, &[operation]).map_err(|problem| problem.kind.to_string())
}

fn parse_pointer(operation: &Value, field: &str) -> Result<PointerBuf, String> {
    let text = operation
        .get(field)
        .and_then(Value::as_str)
        .ok_or_else(|| format!("the operation needs a {field} that is a JSON pointer"))?;
    let from_first_slash = match text.find('/') {
        _ if text.is_empty() => "",
        Some(at) => text.get(at..).unwrap_or_default(),
        None => {
            return Err(format!(
                "{field} {text:?} is no JSON pointer: begin it with a slash"
            ));
        }
    };
    PointerBuf::parse(from_first_slash)
        .map_err(|problem| format!("{field} {text:?} is no JSON pointer: {problem}"))
}

/// How deep a value is nested, and how many values it is made of.
struct ValueSize {
    depth: usize,
    values: usize,
}

impl ValueSize {
    fn of(value: &Value) -> Self {
        let of_all = |inner: &mut dyn Iterator<Item = &Value>| {
            inner.map(Self::of).fold(
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
            Value::Array(items) => of_all(&mut items.iter()),
            Value::Object(fields) => of_all(&mut fields.values()),
            _ => Self {
                depth: 0,
                values: 1,
            },
        }
    }
}
