//! The functions that match regular expressions. Patterns in the text of a rule are compiled with the rule.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use cel::Value;
use cel::common::ast::{CallExpr, Expr, LiteralValue};
use cel::parser::Expression;
use regex::Regex;

use super::evaluator::{EvaluationError, EvaluationResult, failure};
use super::visit::visit;
use crate::pattern;

/// The patterns of an expression, compiled.
#[derive(Debug, Default)]
pub(super) struct PatternSet {
    compiled: HashMap<String, Regex>,
}

impl PatternSet {
    /// Compiles the patterns that stand in an expression; one that is malformed refuses it.
    pub(super) fn compile_literals(expression: &Expression) -> Result<Self, String> {
        let mut regexes = Self::default();
        let mut problem = None;
        visit(expression, &mut |expression| {
            let Some(text) = literal_pattern(expression) else {
                return;
            };
            match pattern::compile(text) {
                Ok(regex) => {
                    regexes.compiled.insert(text.to_owned(), regex);
                }
                Err(error) => problem = Some(error),
            }
        });
        problem.map_or(Ok(regexes), Err)
    }

    /// Carries out a call if it is one of these functions.
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
            // A negative limit is none.
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
            None => pattern::compile(pattern).map(Cow::Owned).map_err(failure),
        }
    }
}

/// The pattern of a call, if it stands in the text of the rule.
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
