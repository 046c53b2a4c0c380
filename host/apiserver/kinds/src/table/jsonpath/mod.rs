//! The JSONPath dialect of kubectl, compiled once: fields in dot and bracket notation, indices,
//! slices, unions, wildcards, recursive descent, and filters.
//!
//! Written by hand because `jsonpath-rust` implements RFC 9535, which differs from this dialect:
//! paths begin with `$` there, a dot in a name cannot be escaped with a backslash, and a path that
//! enters a value of the wrong type finds nothing instead of failing.

mod evaluator;
mod parser;

use serde_json::Value;

use self::parser::{PathParser, SyntaxError};

/// Why a path cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonPathError {
    /// The path does not start with a dot or a bracket.
    #[error("path {path:?} must start with a dot or a bracket")]
    InvalidStart {
        /// The whole path.
        path: String,
    },
    /// The path contains a syntax error, or syntax that is not supported.
    #[error("path {path:?} has a syntax error at {rest:?}")]
    InvalidSyntax {
        /// The whole path.
        path: String,
        /// The rest of the path, starting at the error.
        rest: String,
    },
}

/// A path enters a value of the wrong type, such as an index into a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the path enters a value of the wrong type")]
pub struct JsonPathTypeError;

/// A compiled path.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonPath {
    steps: Vec<PathStep>,
}

#[derive(Clone, Debug, PartialEq)]
enum PathStep {
    Field(String),
    Wildcard,
    RecursiveDescent,
    Slice(ListSlice),
    Union(Vec<ListSlice>),
    Fields(Vec<String>),
    Filter(Box<ItemFilter>),
}

/// `start:end:step` of a list, or a single index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ListSlice {
    start: Option<i64>,
    end: Option<i64>,
    step: i64,
    /// Whether this is the single index `start`.
    is_index: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct ItemFilter {
    left: FilterOperand,
    /// `None` tests whether `left` exists.
    test: Option<(FilterOperator, FilterOperand)>,
}

#[derive(Clone, Debug, PartialEq)]
enum FilterOperand {
    Path(JsonPath),
    Literal(Value),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FilterOperator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl JsonPath {
    /// Compiles `path` as it is written in a printer column: without braces, and starting with a dot
    /// or a bracket.
    ///
    /// # Errors
    ///
    /// Fails if the syntax is invalid or not supported.
    ///
    /// # Examples
    ///
    /// ```
    /// use rdd_apiserver_kinds::table::{JsonPath, JsonPathError};
    /// use serde_json::json;
    ///
    /// let path = JsonPath::compile(".spec.ports[0].name")?;
    /// let service = json!({"spec": {"ports": [{"name": "http"}]}});
    /// assert_eq!(path.first(&service), Ok(Some(&json!("http"))));
    /// # Ok::<(), JsonPathError>(())
    /// ```
    pub fn compile(path: &str) -> Result<Self, JsonPathError> {
        if !path.starts_with(['.', '[']) {
            return Err(JsonPathError::InvalidStart { path: path.into() });
        }
        let mut parser = PathParser::new(path);
        parser
            .parse_path(&[])
            .map_err(|SyntaxError| JsonPathError::InvalidSyntax {
                path: path.into(),
                rest: parser.rest().into(),
            })
    }

    /// Returns the first value that the path finds.
    ///
    /// # Errors
    ///
    /// Fails if the path enters a value of the wrong type.
    pub fn first<'v>(&self, root: &'v Value) -> Result<Option<&'v Value>, JsonPathTypeError> {
        evaluator::first(&self.steps, root)
    }
}

#[cfg(test)]
mod tests;
