//! The limits of one request: sizes, depths, and counts. Real objects stay far
//! below all of them.
//!
//! Bodies are checked while they are decoded (`decode`) and again as objects,
//! since patches and defaults enlarge them.

use serde_json::Value;

/// The maximum size of a request body, in bytes, as in kube-apiserver.
pub(crate) const MAX_BODY_BYTES: usize = 3 * 1024 * 1024;

/// The maximum size of a stored object, in bytes: a stored object can be sent
/// back as a body.
pub(crate) const MAX_OBJECT_BYTES: usize = MAX_BODY_BYTES;

/// The maximum nesting of bodies, patches, and stored objects, in levels.
/// Clients in Rust read JSON of up to 127 levels, and lists, events, tables,
/// and `managedFields` add fewer than ten around an object.
pub(crate) const MAX_DEPTH: usize = 100;

/// The maximum number of values in one object, including all items and fields.
/// A value takes about a hundred bytes of memory, and a write holds several
/// copies. The largest known definitions have some 30,000.
pub(crate) const MAX_NODES: usize = 100_000;

/// The maximum size of the names in the path of a field, in bytes. Merging and
/// reporting write the path of each field.
pub(crate) const MAX_PATH_BYTES: usize = 16 * 1024;

/// The maximum size of what YAML aliases copy, in bytes: two whole bodies.
pub(crate) const MAX_COPIED_BYTES: usize = 2 * MAX_BODY_BYTES;

/// The maximum number of unknown and duplicate fields that are reported; people
/// read a few of them.
pub(crate) const MAX_REPORTED_FIELDS: usize = 100;

/// The maximum number of causes in a `Status`. With [`MAX_CAUSE_BYTES`], they
/// take 400 KiB at most.
pub(crate) const MAX_CAUSES: usize = 100;
/// The maximum size of a cause, in bytes.
pub(crate) const MAX_CAUSE_BYTES: usize = 4 * 1024;

/// The maximum size of the message of a `Status`, in bytes. It often repeats
/// the causes.
pub(crate) const MAX_MESSAGE_BYTES: usize = 16 * 1024;

/// The maximum number of `Warning` headers in a response. Python's client fails
/// at a hundred headers of any kind.
pub(crate) const MAX_WARNINGS: usize = 50;

/// The size of all warnings in a response, in bytes, from which they are
/// shortened, as in kube-apiserver. Node's client fails at 16 KiB of headers.
pub(crate) const MAX_WARNINGS_BYTES: usize = 4 * 1024;

/// The maximum size of a shortened warning, in bytes, as in kube-apiserver.
pub(crate) const MAX_SHORTENED_WARNING_BYTES: usize = 256;

/// The maximum size of a query string, in bytes. A label selector with hundreds
/// of terms fits; the whole URI is limited to 64 KiB.
pub(crate) const MAX_QUERY_BYTES: usize = 32 * 1024;

/// The maximum number of terms and values of a selector. Each is compared with
/// all objects of the collection.
pub(crate) const MAX_SELECTOR_TERMS: usize = 1_000;

/// The size of a body or a stored object, in bytes, above which a write runs on
/// a blocking thread. Smaller writes take a millisecond or two.
pub(crate) const LARGE_WRITE_BYTES: usize = 64 * 1024;

/// The size of a collection, in bytes, above which a list runs on a blocking
/// thread. Decoding a megabyte takes some ten milliseconds.
pub(crate) const LARGE_LIST_BYTES: usize = 512 * 1024;

/// The maximum number of large writes that run at a time, and of large lists. A
/// waiting request holds its body, a running one several decoded copies of it.
pub(crate) const MAX_LARGE_REQUESTS: usize = 2;

/// Shortens a text to `max_bytes`, with `...` at the end if it was longer.
pub(crate) fn ellipsize(mut text: String, max_bytes: usize) -> String {
    // ASCII, because it is also used in headers.
    const ELLIPSIS: &str = "...";
    if text.len() > max_bytes {
        text.truncate(text.floor_char_boundary(max_bytes.saturating_sub(ELLIPSIS.len())));
        text.push_str(ELLIPSIS);
    }
    text
}

/// The limit that a document exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LimitError {
    /// More than [`MAX_NODES`] values.
    #[error("the document has more than {MAX_NODES} values, the most that one object may have")]
    Nodes,
    /// More than [`MAX_DEPTH`] levels.
    #[error("the document is nested more than {MAX_DEPTH} levels deep, the most that is stored")]
    Depth,
    /// A path of more than [`MAX_PATH_BYTES`].
    #[error("the path of a field has more than {MAX_PATH_BYTES} bytes")]
    Path,
}

/// The budget of a document while it is decoded: its number of values, its
/// depth, and the length of its paths.
#[derive(Debug, Default)]
pub(crate) struct DocumentBudget {
    nodes: usize,
}

impl DocumentBudget {
    /// Charges one value at `depth`, whose path has `path_bytes`.
    ///
    /// # Errors
    /// The limit that the document exceeds.
    pub(crate) fn charge(&mut self, depth: usize, path_bytes: usize) -> Result<(), LimitError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(LimitError::Nodes);
        }
        if depth > MAX_DEPTH {
            return Err(LimitError::Depth);
        }
        if path_bytes > MAX_PATH_BYTES {
            return Err(LimitError::Path);
        }
        Ok(())
    }

    /// Charges values that were copied.
    ///
    /// # Errors
    /// The limit that the document exceeds.
    pub(crate) fn charge_copies(&mut self, nodes: usize) -> Result<(), LimitError> {
        self.nodes += nodes.saturating_sub(1);
        self.charge(0, 0)
    }

    /// Returns the number of values so far.
    pub(crate) fn nodes(&self) -> usize {
        self.nodes
    }
}

/// Checks the limits of an object before it is stored. `managedFields` depend
/// on the other fields and do not count.
///
/// # Errors
/// The limit that the object exceeds.
pub(crate) fn check(object: &Value) -> Result<(), LimitError> {
    measure(object, 0, 0, &mut DocumentBudget::default())
}

fn measure(
    value: &Value,
    depth: usize,
    path_bytes: usize,
    budget: &mut DocumentBudget,
) -> Result<(), LimitError> {
    budget.charge(depth, path_bytes)?;
    match value {
        Value::Object(map) => map.iter().try_for_each(|(name, value)| {
            if depth == 1 && name == "managedFields" {
                return Ok(());
            }
            measure(value, depth + 1, path_bytes + name.len(), budget)
        }),
        Value::Array(items) => items
            .iter()
            .try_for_each(|value| measure(value, depth + 1, path_bytes, budget)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn nested(levels: usize) -> Value {
        (0..levels).fold(json!(1), |inner, _| json!([inner]))
    }

    #[test]
    fn depth_values_and_paths_are_limited() {
        assert!(check(&nested(MAX_DEPTH)).is_ok());
        let error = check(&nested(MAX_DEPTH + 1)).unwrap_err();
        assert!(error.to_string().contains("100 levels"), "{error}");
        assert!(check(&json!(vec![1; MAX_NODES - 1])).is_ok());
        assert!(check(&json!(vec![1; MAX_NODES])).is_err());
        let name = "x".repeat(MAX_PATH_BYTES);
        let below = |inner: Value| json!({name.as_str(): inner});
        assert!(check(&below(json!([1]))).is_ok());
        assert!(check(&below(json!({"y": 1}))).is_err());
        assert!(check(&json!({"metadata": {"managedFields": nested(MAX_DEPTH)}})).is_ok());
    }

    #[test]
    fn a_text_is_shortened_between_characters() {
        assert_eq!(ellipsize("short".to_owned(), 5), "short");
        assert_eq!(ellipsize("ääää".to_owned(), 6), "ä...");
    }
}
