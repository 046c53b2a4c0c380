//! What a list, a watch or a collection delete is narrowed down to.

pub(crate) mod field;
pub(crate) mod label;

use crate::limits::SELECTOR_MAX;

/// Refuses a selector of too many terms and values.
fn check_size(size: usize) -> Result<(), String> {
    if size <= SELECTOR_MAX {
        return Ok(());
    }
    Err(format!(
        "the selector has {size} terms and values, the most is {SELECTOR_MAX}"
    ))
}
