//! What a list, a watch or a collection delete is narrowed down to.

pub(crate) mod field;
pub(crate) mod label;

use crate::limits::MAX_SELECTOR_TERMS;

/// Refuses a selector of too many terms and values.
fn limited(size: usize) -> Result<(), String> {
    if size <= MAX_SELECTOR_TERMS {
        return Ok(());
    }
    Err(format!(
        "the selector has {size} terms and values, the most is {MAX_SELECTOR_TERMS}"
    ))
}
