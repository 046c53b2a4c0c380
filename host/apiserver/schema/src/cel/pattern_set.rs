//! The functions that match regular expressions. Patterns that are string literals are compiled with the rule.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use cel::Value;
use cel::common::ast::{CallExpr, Expr, LiteralValue};
use cel::parser::Expression;
use regex::Regex;

use super::evaluator::{EvaluationError, EvaluationResult, failure};
use super::visit::visit;
use crate::pattern::{self, PatternError};

/// The compiled patterns of one expression, by their source texts.
#[derive(Debug, Default)]
pub(super) struct PatternSet {
    compiled: HashMap<String, Regex>,
}

impl PatternSet {
    /// Compiles the patterns that are string literals in an expression. Fails if one is malformed.
    pub(super) fn compile_literals(expression: &Expression) -> Result<Self, PatternError> {
        let mut patterns = Self::default();
        let mut failure = None;
        visit(expression, &mut |expression| {
            let Some(text) = literal_pattern(expression) else {
                return;
            };
            match pattern::compile(text) {
                Ok(regex) => {
                    patterns.compiled.insert(text.to_owned(), regex);
                }
                Err(error) => failure = Some(error),
            }
        });
        failure.map_or(Ok(patterns), Err)
    }

    /// Evaluates a call of one of these functions; returns `None` for any other function.
    pub(super) fn call(
        &self,
        name: &str,
        target: Option<&Value>,
        args: &[Value],
    ) -> Option<EvaluationResult> {
        let (text, rest) = match (target, args) {
            (Some(Value::String(text)), rest) => (text, rest),
            (None, [Value::String(text), rest @ ..]) if name == "matches" => (text, rest),
            _ => return None,
        };
        match (name, rest) {
            ("matches", [Value::String(pattern)]) => Some(
                self.get(pattern)
                    .map(|regex| Value::Bool(regex.is_match(text))),
            ),
            ("find", [Value::String(pattern)]) => Some(self.get(pattern).map(|regex| {
                let found = regex.find(text).map_or("", |found| found.as_str());
                Value::String(Arc::new(found.to_owned()))
            })),
            ("findAll", [Value::String(pattern)]) => Some(self.find_all(pattern, text, usize::MAX)),
            // A negative limit means no limit.
            ("findAll", [Value::String(pattern), Value::Int(limit)]) => {
                Some(self.find_all(pattern, text, usize::try_from(*limit).unwrap_or(usize::MAX)))
            }
            _ => None,
        }
    }

    fn find_all(&self, pattern: &str, text: &str, limit: usize) -> EvaluationResult {
        let regex = self.get(pattern)?;
        let found = regex
            .find_iter(text)
            .take(limit)
            .map(|found| Value::String(Arc::new(found.as_str().to_owned())));
        Ok(Value::List(Arc::new(found.collect())))
    }

    fn get(&self, pattern: &str) -> Result<Cow<'_, Regex>, EvaluationError> {
        match self.compiled.get(pattern) {
            Some(regex) => Ok(Cow::Borrowed(regex)),
            None => pattern::compile(pattern)
                .map(Cow::Owned)
                .map_err(|error| failure(error.to_string())),
        }
    }
}

/// Returns the pattern of a call, if it is a string literal.
fn literal_pattern(expression: &Expression) -> Option<&str> {
    let Expr::Call(CallExpr {
        func_name,
        target,
        args,
    }) = &expression.expr
    else {
        return None;
    };
    let position = match (func_name.as_str(), target) {
        ("matches", None) => 1,
        ("matches" | "find" | "findAll", Some(_)) => 0,
        _ => return None,
    };
    match &args.get(position)?.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}
