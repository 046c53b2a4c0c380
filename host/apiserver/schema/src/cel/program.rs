//! Expressions, parsed and checked.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cel::Value;
use cel::parser::{Expression, ParseErrors, Parser};

use super::evaluator::{EvaluationError, Evaluator};
use super::limits;
use super::pattern_set::PatternSet;
use super::type_checker::{self, CheckError, RuleEnvironment};
use super::types::{CelType, DeclType};

/// An expression ready to be carried out.
#[derive(Debug)]
pub(super) struct CelProgram {
    expression: Expression,
    unordered_comparisons: HashMap<u64, Arc<DeclType>>,
    patterns: PatternSet,
    pub(super) result_type: CelType,
    pub(super) max_cost: u64,
    pub(super) uses_old_self: bool,
}

impl CelProgram {
    /// Parses and checks an expression; the error is in the words of upstream's compiler.
    pub(super) fn compile(source: &str, scope: &RuleEnvironment) -> Result<Self, String> {
        limits::check_source(source)?;
        let expression = parse(source)?;
        limits::check_nesting(&expression)?;
        let checked = type_checker::check_expression(&expression, scope)
            .map_err(|mistakes| explain(source, &mistakes))?;
        let regexes = PatternSet::compile_literals(&expression)?;
        Ok(Self {
            expression,
            unordered_comparisons: checked.unordered_comparisons,
            patterns: regexes,
            result_type: checked.result_type,
            max_cost: checked.max_cost,
            uses_old_self: checked.uses_old_self,
        })
    }

    /// The value of the expression; takes the work that it was from the budget.
    pub(super) fn run(
        &self,
        value: Value,
        old: Option<Value>,
        budget: &mut u64,
    ) -> Result<Value, EvaluationError> {
        // The libraries panic on what they do not expect. That must refuse the object and nothing else.
        catch_unwind(AssertUnwindSafe(|| {
            Evaluator {
                self_value: value,
                old_self: old,
                unordered_comparisons: &self.unordered_comparisons,
                patterns: &self.patterns,
                budget,
                locals: Vec::new(),
            }
            .evaluate(&self.expression)
        }))
        .unwrap_or_else(|_| {
            Err(EvaluationError::Failed(
                "internal error: the expression could not be carried out".to_owned(),
            ))
        })
    }
}

fn parse_raw(source: &str) -> Result<Expression, ParseErrors> {
    // The parser panics on some malformed sources; those are no expressions either.
    catch_unwind(|| Parser::default().enable_optional_syntax(true).parse(source))
        .unwrap_or_else(|_| Err(ParseErrors { errors: Vec::new() }))
}

fn parse(source: &str) -> Result<Expression, String> {
    parse_raw(source).map_err(|errors| {
        if errors.errors.is_empty() {
            return "ERROR: <input>:1:1: Syntax error: the expression cannot be read".to_owned();
        }
        let texts = errors
            .errors
            .iter()
            .map(|error| located(source, error.pos, &error.msg));
        texts.collect::<Vec<_>>().join("\n")
    })
}

/// A compiler's message with its place: line and column, both from one, and the line with the column marked.
fn located(source: &str, (line, column): (isize, isize), text: &str) -> String {
    let shown = usize::try_from(line - 1)
        .ok()
        .and_then(|line| source.lines().nth(line))
        .unwrap_or_default();
    let dots = ".".repeat(usize::try_from(column - 1).unwrap_or_default());
    format!("ERROR: <input>:{line}:{column}: {text}\n | {shown}\n | {dots}^")
}

/// Mistakes with their places. The parser tells places only together with an error of its own, so that it is given
/// the source once more with one at the end, which leaves the ids of the expressions as they are.
fn explain(source: &str, mistakes: &[CheckError]) -> String {
    let spoiled = parse_raw(&format!("{source} )")).err();
    let info = spoiled
        .as_ref()
        .and_then(|errors| errors.errors.first()?.source_info.clone());
    let place = |mistake: &CheckError| {
        let (start, _) = info.as_ref()?.offset_for(mistake.expression_id)?;
        let before: String = source.chars().take(usize::try_from(start).ok()?).collect();
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        Some((isize::try_from(line).ok()?, isize::try_from(column).ok()?))
    };
    let texts = mistakes
        .iter()
        .map(|mistake| located(source, place(mistake).unwrap_or((1, 1)), &mistake.message));
    texts.collect::<Vec<_>>().join("\n")
}
