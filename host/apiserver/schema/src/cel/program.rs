//! Expressions, parsed and checked.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cel::Value;
use cel::parser::{Expression, ParseErrors, Parser};

use super::check::{self, Mistake, Scope};
use super::depth;
use super::evaluate::{Evaluation, Fault};
use super::regexes::Regexes;
use super::types::{Decl, Type};

/// An expression ready to be carried out.
#[derive(Debug)]
pub(super) struct Program {
    expression: Expression,
    unordered: HashMap<u64, Arc<Decl>>,
    regexes: Regexes,
    pub(super) kind: Type,
    pub(super) max_cost: u64,
    pub(super) uses_old: bool,
}

impl Program {
    /// Parses and checks an expression; the error is in the words of upstream's compiler.
    pub(super) fn compile(source: &str, scope: &Scope) -> Result<Self, String> {
        depth::check_source(source)?;
        let expression = parse(source)?;
        depth::check_levels(&expression)?;
        let checked =
            check::check(&expression, scope).map_err(|mistakes| explain(source, &mistakes))?;
        let regexes = Regexes::of(&expression)?;
        Ok(Self {
            expression,
            unordered: checked.unordered,
            regexes,
            kind: checked.kind,
            max_cost: checked.max_cost,
            uses_old: checked.uses_old,
        })
    }

    /// The value of the expression; takes the work that it was from the budget.
    pub(super) fn run(
        &self,
        value: Value,
        old: Option<Value>,
        budget: &mut u64,
    ) -> Result<Value, Fault> {
        // The libraries panic on what they do not expect. That must refuse the object and nothing else.
        catch_unwind(AssertUnwindSafe(|| {
            Evaluation {
                value,
                old,
                unordered: &self.unordered,
                regexes: &self.regexes,
                budget,
                locals: Vec::new(),
            }
            .run(&self.expression)
        }))
        .unwrap_or_else(|_| {
            Err(Fault::Failed(
                "internal error: the expression could not be carried out".to_owned(),
            ))
        })
    }
}

fn raw_parse(source: &str) -> Result<Expression, ParseErrors> {
    // The parser panics on some malformed sources; those are no expressions either.
    catch_unwind(|| Parser::default().enable_optional_syntax(true).parse(source))
        .unwrap_or_else(|_| Err(ParseErrors { errors: Vec::new() }))
}

fn parse(source: &str) -> Result<Expression, String> {
    raw_parse(source).map_err(|errors| {
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
fn explain(source: &str, mistakes: &[Mistake]) -> String {
    let spoiled = raw_parse(&format!("{source} )")).err();
    let info = spoiled
        .as_ref()
        .and_then(|errors| errors.errors.first()?.source_info.clone());
    let place = |mistake: &Mistake| {
        let (start, _) = info.as_ref()?.offset_for(mistake.id)?;
        let before: String = source.chars().take(usize::try_from(start).ok()?).collect();
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        Some((isize::try_from(line).ok()?, isize::try_from(column).ok()?))
    };
    let texts = mistakes
        .iter()
        .map(|mistake| located(source, place(mistake).unwrap_or((1, 1)), &mistake.text));
    texts.collect::<Vec<_>>().join("\n")
}
