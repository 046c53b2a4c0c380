//! Evaluation of compiled paths.

use std::cmp::Ordering;

use serde_json::Value;

use super::{FilterOperand, FilterOperator, ItemFilter, JsonPathTypeError, ListSlice, PathStep};

/// Returns the first value that the steps find.
pub(super) fn first<'v>(
    steps: &[PathStep],
    root: &'v Value,
) -> Result<Option<&'v Value>, JsonPathTypeError> {
    // The common case, a plain sequence of fields, needs no list of results.
    let mut value = root;
    for (done, step) in steps.iter().enumerate() {
        let PathStep::Field(name) = step else {
            let rest = steps.get(done..).unwrap_or_default();
            return Ok(evaluate(rest, value)?.into_iter().next());
        };
        match value {
            Value::Object(map) => match map.get(name) {
                Some(next) => value = next,
                None => return Ok(None),
            },
            Value::Null => return Ok(None),
            _ => return Err(JsonPathTypeError),
        }
    }
    Ok(Some(value))
}

fn evaluate<'v>(steps: &[PathStep], root: &'v Value) -> Result<Vec<&'v Value>, JsonPathTypeError> {
    let mut values = vec![root];
    for step in steps {
        let mut next = Vec::new();
        for value in values {
            evaluate_step(step, value, &mut next)?;
        }
        values = next;
    }
    Ok(values)
}

/// Appends the values that a step finds in `value` to `next`.
fn evaluate_step<'v>(
    step: &PathStep,
    value: &'v Value,
    next: &mut Vec<&'v Value>,
) -> Result<(), JsonPathTypeError> {
    match (step, value) {
        (_, Value::Null) => {}
        (PathStep::Field(name), Value::Object(map)) => next.extend(map.get(name)),
        (PathStep::Fields(names), Value::Object(map)) => {
            next.extend(names.iter().filter_map(|name| map.get(name)));
        }
        (PathStep::Wildcard, Value::Object(map)) => next.extend(map.values()),
        (PathStep::Wildcard, Value::Array(list)) => next.extend(list),
        (PathStep::Wildcard, _) => {}
        (PathStep::RecursiveDescent, value) => collect_descendants(value, next),
        (PathStep::Slice(slice), Value::Array(list)) => slice.collect_items(list, next)?,
        (PathStep::Union(slices), Value::Array(list)) => {
            for slice in slices {
                slice.collect_items(list, next)?;
            }
        }
        (PathStep::Filter(filter), Value::Array(list)) => {
            for item in list {
                if filter.is_match(item)? {
                    next.push(item);
                }
            }
        }
        (PathStep::Filter(filter), Value::Object(map)) => {
            for item in map.values() {
                if filter.is_match(item)? {
                    next.push(item);
                }
            }
        }
        (
            PathStep::Field(_)
            | PathStep::Fields(_)
            | PathStep::Slice(_)
            | PathStep::Union(_)
            | PathStep::Filter(_),
            _,
        ) => {
            return Err(JsonPathTypeError);
        }
    }
    Ok(())
}

/// Collects a value and all objects below it. Lists and scalars are skipped, because a field that
/// follows would fail on them.
fn collect_descendants<'v>(value: &'v Value, next: &mut Vec<&'v Value>) {
    match value {
        Value::Object(map) => {
            next.push(value);
            map.values().for_each(|v| collect_descendants(v, next));
        }
        Value::Array(list) => list.iter().for_each(|v| collect_descendants(v, next)),
        _ => {}
    }
}

impl ListSlice {
    fn collect_items<'v>(
        &self,
        list: &'v [Value],
        next: &mut Vec<&'v Value>,
    ) -> Result<(), JsonPathTypeError> {
        let length = i64::try_from(list.len()).map_err(|_| JsonPathTypeError)?;
        let absolute = |index: i64| {
            if index < 0 {
                index.saturating_add(length)
            } else {
                index
            }
        };
        let start = absolute(self.start.unwrap_or(0));
        if self.is_index {
            next.extend(
                usize::try_from(start)
                    .ok()
                    .and_then(|index| list.get(index)),
            );
            return Ok(());
        }
        let end = absolute(self.end.unwrap_or(length)).min(length);
        let mut index = start.max(0);
        while index < end {
            next.extend(
                usize::try_from(index)
                    .ok()
                    .and_then(|index| list.get(index)),
            );
            index = index.saturating_add(self.step);
        }
        Ok(())
    }
}

impl ItemFilter {
    fn is_match(&self, item: &Value) -> Result<bool, JsonPathTypeError> {
        let left = self.left.evaluate(item)?;
        let Some((operator, right)) = &self.test else {
            return Ok(left.is_some());
        };
        let (Some(left), Some(right)) = (left, right.evaluate(item)?) else {
            return Ok(false);
        };
        let ordering = compare(left, right);
        Ok(match operator {
            FilterOperator::Equal => left == right || ordering == Some(Ordering::Equal),
            FilterOperator::NotEqual => left != right && ordering != Some(Ordering::Equal),
            FilterOperator::Less => ordering == Some(Ordering::Less),
            FilterOperator::LessOrEqual => ordering.is_some_and(Ordering::is_le),
            FilterOperator::Greater => ordering == Some(Ordering::Greater),
            FilterOperator::GreaterOrEqual => ordering.is_some_and(Ordering::is_ge),
        })
    }
}

impl FilterOperand {
    fn evaluate<'v>(&'v self, item: &'v Value) -> Result<Option<&'v Value>, JsonPathTypeError> {
        match self {
            Self::Path(path) => path.first(item),
            Self::Literal(value) => Ok(Some(value)),
        }
    }
}

/// Compares two numbers or two strings. Returns `None` for all other values.
fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
        },
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    }
}
