//! Compiled expressions: parsed, type-checked, and ready to be evaluated.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cel::Value;
use cel::common::ast::{Expr, LiteralValue};
use cel::parser::{Expression, ParseErrors, Parser};

use super::compile_error::{CompileError, SourceError};
use super::environment::VariableEnvironment;
use super::evaluator::{EvaluationError, Evaluator, VariableSource};
use super::limits;
use super::pattern_set::PatternSet;
use super::type_checker::{self, CheckError};
use super::types::{CelType, DeclType};
use super::visit::visit;

/// A compiled expression.
#[derive(Debug)]
pub(crate) struct CelProgram {
    expression: Expression,
    unordered_comparisons: HashMap<u64, Arc<DeclType>>,
    patterns: PatternSet,
    pub(crate) result_type: CelType,
    /// The maximum estimated cost of one evaluation.
    pub(crate) max_cost: u64,
    pub(crate) uses_old_self: bool,
    /// How deeply the expression is nested.
    pub(super) nesting: usize,
}

impl CelProgram {
    /// Parses and checks an expression.
    pub(crate) fn compile(
        source: &str,
        environment: &VariableEnvironment,
    ) -> Result<Self, CompileError> {
        limits::check_source(source)?;
        let expression = parse(source)?;
        let nesting = limits::check_nesting(&expression)?;
        let checked = type_checker::check_expression(&expression, environment)
            .map_err(|errors| CompileError::Source(locate(source, &errors)))?;
        let patterns = PatternSet::compile_literals(&expression)?;
        Ok(Self {
            expression,
            unordered_comparisons: checked.unordered_comparisons,
            patterns,
            result_type: checked.result_type,
            max_cost: checked.max_cost,
            uses_old_self: checked.uses_old_self,
            nesting,
        })
    }

    /// Returns the fields of a variable that the expression selects by name.
    pub(super) fn selected_fields(&self, variable: &str) -> Vec<&str> {
        let mut fields = Vec::new();
        let is_variable =
            |operand: &Expression| matches!(&operand.expr, Expr::Ident(name) if name == variable);
        visit(&self.expression, &mut |expression| match &expression.expr {
            Expr::Select(select) if is_variable(&select.operand) => {
                fields.push(select.field.as_str());
            }
            Expr::Call(call) if call.func_name == "_?._" => {
                if let [operand, field] = call.args.as_slice()
                    && is_variable(operand)
                    && let Expr::Literal(LiteralValue::String(field)) = &field.expr
                {
                    fields.push(field.inner());
                }
            }
            _ => {}
        });
        fields
    }

    /// Evaluates the expression; subtracts the steps that this takes from `budget`.
    pub(crate) fn evaluate(
        &self,
        variables: &dyn VariableSource,
        budget: &mut u64,
    ) -> Result<Value, EvaluationError> {
        // The libraries may panic on unexpected input. That must be an error on this object only.
        catch_unwind(AssertUnwindSafe(|| {
            Evaluator {
                variables,
                unordered_comparisons: &self.unordered_comparisons,
                patterns: &self.patterns,
                budget,
                locals: Vec::new(),
            }
            .evaluate(&self.expression)
        }))
        .unwrap_or_else(|_| {
            Err(EvaluationError::Failed(
                "internal error: evaluating the expression failed".to_owned(),
            ))
        })
    }
}

/// Parses an expression; a panic of the parser, which some malformed sources cause, is an error without a message.
fn parse_raw(source: &str) -> Result<Expression, ParseErrors> {
    catch_unwind(|| Parser::default().enable_optional_syntax(true).parse(source))
        .unwrap_or_else(|_| Err(ParseErrors { errors: Vec::new() }))
}

fn parse(source: &str) -> Result<Expression, CompileError> {
    parse_raw(source).map_err(|errors| {
        if errors.errors.is_empty() {
            return CompileError::Unparsable;
        }
        let located = errors
            .errors
            .iter()
            .map(|error| SourceError::new(source, error.pos, &error.msg));
        CompileError::Source(located.collect())
    })
}

/// Adds positions to the type checker's errors.
///
/// The parser returns the positions of expressions only together with a syntax error. The source is therefore parsed
/// again with a syntax error at its end, which does not change the expressions' IDs.
fn locate(source: &str, errors: &[CheckError]) -> Vec<SourceError> {
    let parse_errors = parse_raw(&format!("{source} )")).err();
    let source_info = parse_errors
        .as_ref()
        .and_then(|errors| errors.errors.first()?.source_info.clone());
    let position = |error: &CheckError| {
        let (start, _) = source_info.as_ref()?.offset_for(error.expression_id)?;
        let before: String = source.chars().take(usize::try_from(start).ok()?).collect();
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        Some((isize::try_from(line).ok()?, isize::try_from(column).ok()?))
    };
    errors
        .iter()
        .map(|error| SourceError::new(source, position(error).unwrap_or((1, 1)), &error.message))
        .collect()
}
