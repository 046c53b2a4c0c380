//! The selectors of a list, a watch, or a collection delete.
//!
//! Written by hand: `kube::core::Selector` covers label selectors only, and has
//! no error texts of kube-apiserver, which clients show to their users.

pub(crate) mod field;
pub(crate) mod label;

use crate::limits::MAX_SELECTOR_TERMS;

/// A selector that cannot be parsed, in the words of kube-apiserver.
#[derive(Debug, thiserror::Error)]
pub enum SelectorError {
    /// More terms and values than a selector may have.
    #[error("the selector has {size} terms and values, the most is {MAX_SELECTOR_TERMS}")]
    TooLarge {
        /// The number of both.
        size: usize,
    },
    /// A token of a label selector that is not expected there.
    #[error("found '{found}', expected: {expected}")]
    Unexpected {
        /// The token.
        found: String,
        /// What could stand there.
        expected: &'static str,
    },
    /// Values of a label requirement that do not begin with a parenthesis.
    #[error("found '{found}' expected: '('")]
    NoValues {
        /// The token.
        found: String,
    },
    /// A requirement of a label selector.
    #[error("unable to parse requirement: {0}")]
    Requirement(Box<SelectorError>),
    /// The key of a label requirement.
    #[error("key: Invalid value: \"{key}\": {reason}")]
    Key {
        /// The key.
        key: String,
        /// A sentence.
        reason: String,
    },
    /// A value of a label requirement.
    #[error("values[0][{key}]: Invalid value: \"{value}\": {reason}")]
    Value {
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// A sentence.
        reason: String,
    },
    /// A value of a comparison that is not an integer.
    #[error(
        "values[0]: Invalid value: \"{0}\": for 'Gt', 'Lt' operators, the value must be an integer"
    )]
    Integer(String),
    /// A backslash in a field selector before a character that needs none.
    #[error("invalid field selector: invalid escape sequence: \\{0}")]
    Escape(String),
    /// A comma or an equals sign in a field selector's value without a backslash.
    #[error("invalid field selector: unescaped character in {0:?}")]
    Unescaped(String),
    /// A term of a field selector without an operator.
    #[error("invalid selector: '{selector}'; can't understand '{term}'")]
    NoOperator {
        /// The whole selector.
        selector: String,
        /// The term.
        term: String,
    },
}

/// Checks the number of terms and values of a selector.
fn check_size(size: usize) -> Result<(), SelectorError> {
    if size <= MAX_SELECTOR_TERMS {
        return Ok(());
    }
    Err(SelectorError::TooLarge { size })
}
