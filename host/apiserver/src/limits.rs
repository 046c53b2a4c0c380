//! What one request may cost: every budget of bytes, depth and counts in one
//! place. Real objects stay far below each of them.
//!
//! Bodies are measured while they are read (`decode`), and once more as the
//! objects that they became, since patches and defaults add to them.

use serde_json::Value;

use crate::status::ApiError;

/// Bytes of a request body, as kube-apiserver has it.
pub(crate) const MAX_BODY_BYTES: usize = 3 * 1024 * 1024;

/// Bytes of a stored object: what was stored can be sent back as a body.
pub(crate) const MAX_OBJECT_BYTES: usize = MAX_BODY_BYTES;

/// Levels of nesting of an object, the one budget of bodies, patches and
/// stored objects. Clients in Rust read JSON of up to 127 levels, and an
/// object lies within lists, events, tables and `managedFields`, which add
/// less than ten.
pub(crate) const MAX_DEPTH: usize = 100;

/// Values in one object, counted with every item and field: one takes about
/// a hundred bytes of memory, and a write holds several copies. The largest
/// known definitions have some 30,000.
pub(crate) const MAX_NODES: usize = 100_000;

/// Bytes of the names on the way to a field. Whoever reports or merges fields
/// writes that path for each of them.
pub(crate) const MAX_PATH_BYTES: usize = 16 * 1024;

/// Bytes that YAML aliases and anchors may copy: what two whole bodies have.
pub(crate) const MAX_COPIED_BYTES: usize = 2 * MAX_BODY_BYTES;

/// Unknown and duplicate fields that are named; a person reads a few.
pub(crate) const MAX_REPORTED_FIELDS: usize = 100;

/// Causes in one `Status`, and bytes of each: 400 KiB at most.
pub(crate) const MAX_CAUSES: usize = 100;
/// See [`CAUSES_MAX`].
pub(crate) const MAX_CAUSE_BYTES: usize = 4 * 1024;

/// Bytes of the message of a `Status`, which often repeats its causes.
pub(crate) const MAX_MESSAGE_BYTES: usize = 16 * 1024;

/// `Warning` headers of one response. Python's client gives up at a hundred
/// headers of any kind.
pub(crate) const MAX_WARNINGS: usize = 50;

/// Bytes of all warnings of one response, as kube-apiserver has it; Node's
/// client gives up at 16 KiB of headers.
pub(crate) const MAX_WARNINGS_BYTES: usize = 4 * 1024;

/// Bytes of one warning once that is exceeded, as kube-apiserver has it.
pub(crate) const MAX_SHORTENED_WARNING_BYTES: usize = 256;

/// Bytes of a query string. A label selector of hundreds of terms fits; the
/// URI as a whole cannot have more than 64 KiB.
pub(crate) const MAX_QUERY_BYTES: usize = 32 * 1024;

/// Terms and values of a selector: each is compared with every object of the
/// collection.
pub(crate) const MAX_SELECTOR_TERMS: usize = 1_000;

/// Bytes of a body or of the stored object from which a write leaves the
/// threads that serve everybody: below, it takes a millisecond or two.
pub(crate) const LARGE_WRITE_BYTES: usize = 64 * 1024;

/// Bytes of a collection from which a list leaves the threads that serve
/// everybody: read as values, a megabyte takes some ten milliseconds.
pub(crate) const LARGE_LIST_BYTES: usize = 512 * 1024;

/// Large writes at work at a time, and as many large lists. What waits holds its body, what works
/// holds several copies of it as values.
pub(crate) const MAX_LARGE_REQUESTS: usize = 2;

/// A text that is cut to so many bytes, with a sign that it was.
pub(crate) fn ellipsize(text: String, most: usize) -> String {
    if text.len() <= most {
        return text;
    }
    // Also in headers, which take no other characters.
    const SIGN: &str = "...";
    let mut end = most.saturating_sub(SIGN.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut text = text;
    text.truncate(end);
    text.push_str(SIGN);
    text
}

/// Depth, number of values and length of paths of a document, counted as far
/// as it is known.
#[derive(Debug, Default)]
pub(crate) struct DocumentBudget {
    nodes: usize,
}

impl DocumentBudget {
    /// Counts one value at that depth, below names of so many bytes.
    ///
    /// # Errors
    /// The sentence that says what there is too much of.
    pub(crate) fn charge(&mut self, depth: usize, path: usize) -> Result<(), String> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(format!(
                "the document has more than {MAX_NODES} values, the most that one object may have"
            ));
        }
        if depth > MAX_DEPTH {
            return Err(format!(
                "the document is nested more than {MAX_DEPTH} levels deep, the most that is stored"
            ));
        }
        if path > MAX_PATH_BYTES {
            return Err(format!(
                "the names on the way to a field have more than {MAX_PATH_BYTES} bytes together"
            ));
        }
        Ok(())
    }

    /// Counts so many values that were copied.
    pub(crate) fn charge_copies(&mut self, nodes: usize) -> Result<(), String> {
        self.nodes += nodes.saturating_sub(1);
        self.charge(0, 0)
    }

    pub(crate) fn nodes(&self) -> usize {
        self.nodes
    }
}

/// Measures an object that is about to be stored. `managedFields` follow from
/// the rest and do not count.
///
/// # Errors
/// 400 with the budget that it exceeds.
pub(crate) fn check(object: &Value) -> Result<(), ApiError> {
    measure(object, 0, 0, &mut DocumentBudget::default())
        .map_err(|why| ApiError::bad_request(format!("the object cannot be stored: {why}")))
}

fn measure(
    value: &Value,
    depth: usize,
    path: usize,
    budget: &mut DocumentBudget,
) -> Result<(), String> {
    budget.charge(depth, path)?;
    match value {
        Value::Object(map) => map.iter().try_for_each(|(name, value)| {
            if depth == 1 && name == "managedFields" {
                return Ok(());
            }
            measure(value, depth + 1, path + name.len(), budget)
        }),
        Value::Array(items) => items
            .iter()
            .try_for_each(|value| measure(value, depth + 1, path, budget)),
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
    fn depth_nodes_and_paths_are_counted() {
        assert!(check(&nested(MAX_DEPTH)).is_ok());
        let error = check(&nested(MAX_DEPTH + 1)).unwrap_err();
        assert!(error.message().contains("100 levels"), "{error:?}");
        assert!(check(&json!(vec![1; MAX_NODES - 1])).is_ok());
        assert_eq!(check(&json!(vec![1; MAX_NODES])).unwrap_err().code(), 400);
        let name = "x".repeat(MAX_PATH_BYTES);
        let below = |inner: Value| json!({name.as_str(): inner});
        assert!(check(&below(json!([1]))).is_ok());
        assert!(check(&below(json!({"y": 1}))).is_err());
        assert!(check(&json!({"metadata": {"managedFields": nested(MAX_DEPTH)}})).is_ok());
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(ellipsize("short".to_owned(), 5), "short");
        assert_eq!(ellipsize("ääää".to_owned(), 6), "ä...");
    }
}
