//! The cost estimator and the cost limits of CEL rules, in Kubernetes' units (one unit is about 50 ns there).
//!
//! A definition whose rules could exceed the limits is rejected, as upstream rejects it, so that a definition that is
//! accepted here is accepted by Kubernetes.

#[cfg(test)]
mod tests;

use super::authorization::CHECK_STEPS;
use super::types::CelType;

/// The maximum estimated cost of one rule, for all values in one object that it applies to.
pub(crate) const MAX_RULE_COST: u64 = 10_000_000;
/// The maximum estimated cost of all rules of a definition together.
pub(crate) const MAX_SCHEMA_COST: u64 = 100_000_000;
/// The cost of traversing a string, per character.
pub(super) const STRING_TRAVERSAL_COST: f64 = 0.1;
/// The cost of a regular expression, per character.
const REGEX_COST: f64 = 0.25;
/// The cost of creating a list.
pub(super) const LIST_CREATION_COST: u64 = 10;
/// The cost of creating a map.
pub(super) const MAP_CREATION_COST: u64 = 30;

/// A lower and an upper bound of a size or a cost. Sums and products saturate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct EstimateRange {
    pub(super) min: u64,
    pub(super) max: u64,
}

impl EstimateRange {
    pub(super) const ZERO: Self = Self::fixed(0);
    pub(super) const ONE: Self = Self::fixed(1);
    pub(super) const UNKNOWN: Self = Self {
        min: 0,
        max: u64::MAX,
    };

    pub(super) const fn fixed(value: u64) -> Self {
        Self {
            min: value,
            max: value,
        }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            min: self.min.saturating_add(other.min),
            max: self.max.saturating_add(other.max),
        }
    }

    pub(super) fn times(self, other: Self) -> Self {
        Self {
            min: self.min.saturating_mul(other.min),
            max: self.max.saturating_mul(other.max),
        }
    }

    pub(super) fn union(self, other: Self) -> Self {
        Self {
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }

    /// Multiplies both bounds by a cost per unit, and rounds up.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "upstream computes in floats too, and casts saturate"
    )]
    pub(super) fn times_factor(self, factor: f64) -> Self {
        let apply = |value: u64| (value as f64 * factor).ceil() as u64;
        Self {
            min: apply(self.min),
            max: apply(self.max),
        }
    }
}

/// The type, size, and cost of an operand.
#[derive(Clone, Debug)]
pub(super) struct OperandEstimate {
    pub(super) cel_type: CelType,
    pub(super) size: Option<EstimateRange>,
    /// The size of the items, if the operand is a list whose items have a known size.
    pub(super) item_size: Option<EstimateRange>,
    pub(super) cost: EstimateRange,
}

impl OperandEstimate {
    fn size_or_unknown(&self) -> EstimateRange {
        self.size.unwrap_or(EstimateRange::UNKNOWN)
    }
}

/// Estimates the cost of a call, including its arguments but not a method's receiver, and the size of its result if
/// it is known.
pub(super) fn estimate_call(
    name: &str,
    target: Option<&OperandEstimate>,
    args: &[OperandEstimate],
) -> (EstimateRange, Option<EstimateRange>) {
    let sum = args
        .iter()
        .fold(EstimateRange::ZERO, |sum, arg| sum.plus(arg.cost));
    let (own_cost, size) = estimate_function(name, target, args);
    match (name, args) {
        ("_&&_" | "_||_", [left, right]) => {
            let both = left.cost.plus(right.cost);
            (
                EstimateRange {
                    min: left.cost.min,
                    max: both.max,
                },
                None,
            )
        }
        ("_?_:_", [condition, yes, no]) => (
            condition.cost.plus(yes.cost.union(no.cost)),
            Some(yes.size_or_unknown().union(no.size_or_unknown())),
        ),
        _ => (sum.plus(own_cost), size),
    }
}

/// Estimates the cost of the function itself, and the size of its result if it is known.
fn estimate_function(
    name: &str,
    target: Option<&OperandEstimate>,
    args: &[OperandEstimate],
) -> (EstimateRange, Option<EstimateRange>) {
    let unsized_result = |cost: EstimateRange| (cost, None);
    match (name, target, args) {
        ("isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf", Some(target), _) => {
            unsized_result(traversal_cost(target))
        }
        ("lowerAscii" | "upperAscii" | "substring" | "trim", Some(target), _) => (
            target.size_or_unknown().times_factor(STRING_TRAVERSAL_COST),
            Some(target.size_or_unknown()),
        ),
        ("replace", Some(target), [from, to, ..]) => (
            target
                .size_or_unknown()
                .times_factor(2.0 * STRING_TRAVERSAL_COST),
            Some(replaced_size(
                target.size_or_unknown(),
                from.size_or_unknown(),
                to.size_or_unknown(),
            )),
        ),
        ("split", Some(target), _) => {
            let size = target.size_or_unknown();
            (
                size.times_factor(2.0 * STRING_TRAVERSAL_COST),
                Some(EstimateRange {
                    min: 0,
                    max: size.max,
                }),
            )
        }
        ("join", Some(target), _) => {
            let (list, item) = (
                target.size_or_unknown(),
                target.item_size.unwrap_or(EstimateRange::UNKNOWN),
            );
            let separators = EstimateRange {
                min: list.min.saturating_sub(1),
                max: list.max.saturating_sub(1),
            };
            let between = args.first().map_or(EstimateRange::ZERO, |separator| {
                separator.size_or_unknown().times(separators)
            });
            let size = list.times(item).plus(between);
            (size.times_factor(STRING_TRAVERSAL_COST), Some(size))
        }
        ("find" | "findAll", Some(target), [regex, ..]) => (
            regex_cost(target.size_or_unknown(), regex.size_or_unknown()),
            Some(EstimateRange {
                min: 0,
                max: target.size_or_unknown().max,
            }),
        ),
        ("matches", Some(text), [regex]) | ("matches", None, [text, regex]) => {
            unsized_result(regex_cost(text.size_or_unknown(), regex.size_or_unknown()))
        }
        (
            "url" | "isURL" | "ip" | "isIP" | "cidr" | "isCIDR" | "quantity" | "isQuantity"
            | "semver" | "isSemver",
            None,
            [text],
        ) => unsized_result(text.size_or_unknown().times_factor(STRING_TRAVERSAL_COST)),
        ("ip.isCanonical", _, [text]) => unsized_result(
            text.size_or_unknown()
                .times_factor(2.0 * STRING_TRAVERSAL_COST),
        ),
        ("containsIP" | "containsCIDR", Some(_), [other]) => {
            let address = EstimateRange { min: 4, max: 16 };
            let compared = address.plus(address).times_factor(STRING_TRAVERSAL_COST);
            let masked = if name == "containsCIDR" {
                address
                    .times_factor(STRING_TRAVERSAL_COST)
                    .plus(EstimateRange::ONE)
            } else {
                EstimateRange::ZERO
            };
            let parsed = if matches!(other.cel_type, CelType::String) {
                other.size_or_unknown().times_factor(STRING_TRAVERSAL_COST)
            } else {
                EstimateRange::ZERO
            };
            unsized_result(compared.plus(masked).plus(parsed))
        }
        ("check", Some(_), [_]) => unsized_result(EstimateRange::fixed(CHECK_STEPS)),
        ("validate", Some(_), [text]) => {
            unsized_result(text.size_or_unknown().times_factor(STRING_TRAVERSAL_COST))
        }
        ("bytes", _, [text]) if matches!(text.cel_type, CelType::String) => {
            let size = text.size_or_unknown();
            (
                size.times_factor(STRING_TRAVERSAL_COST),
                Some(EstimateRange {
                    min: size.min,
                    max: size.max.saturating_mul(4),
                }),
            )
        }
        ("string", _, [bytes]) if matches!(bytes.cel_type, CelType::Bytes) => {
            let size = bytes.size_or_unknown();
            (
                size.times_factor(STRING_TRAVERSAL_COST),
                Some(EstimateRange {
                    min: size.min / 4,
                    max: size.max,
                }),
            )
        }
        ("startsWith" | "endsWith", _, [part]) => {
            unsized_result(part.size_or_unknown().times_factor(STRING_TRAVERSAL_COST))
        }
        ("contains", Some(text), [part]) => unsized_result(
            text.size_or_unknown()
                .times_factor(STRING_TRAVERSAL_COST)
                .times(part.size_or_unknown().times_factor(STRING_TRAVERSAL_COST)),
        ),
        ("@in", _, [_, list]) if matches!(list.cel_type, CelType::List(_)) => {
            unsized_result(list.size_or_unknown())
        }
        ("_+_", _, [left, right]) => match left.cel_type {
            CelType::String | CelType::Bytes => {
                let size = left.size_or_unknown().plus(right.size_or_unknown());
                (size.times_factor(STRING_TRAVERSAL_COST), Some(size))
            }
            CelType::List(_) => (
                EstimateRange::ONE,
                Some(left.size_or_unknown().plus(right.size_or_unknown())),
            ),
            _ => unsized_result(EstimateRange::ONE),
        },
        ("_==_" | "_!=_", _, [left, right]) => unsized_result(comparison_cost(left, right)),
        ("_<_" | "_<=_" | "_>_" | "_>=_", _, [left, right])
            if matches!(left.cel_type, CelType::String | CelType::Bytes) =>
        {
            unsized_result(comparison_cost(left, right))
        }
        ("sets.contains" | "sets.intersects" | "sets.equivalent", None, [left, right]) => {
            let pairs = left.size_or_unknown().times(right.size_or_unknown());
            unsized_result(
                if name == "sets.equivalent" {
                    pairs.times(EstimateRange::fixed(2))
                } else {
                    pairs
                }
                .plus(EstimateRange::ONE),
            )
        }
        _ => unsized_result(EstimateRange::ONE),
    }
}

/// Returns the cost of traversing a list or a string once.
fn traversal_cost(target: &OperandEstimate) -> EstimateRange {
    match &target.cel_type {
        CelType::List(item) if matches!(**item, CelType::String | CelType::Bytes) => {
            let item = target.item_size.unwrap_or(EstimateRange::UNKNOWN);
            target
                .size_or_unknown()
                .times(EstimateRange::ONE.plus(item.times_factor(STRING_TRAVERSAL_COST)))
        }
        CelType::List(_) => target.size_or_unknown(),
        _ => target.size_or_unknown().times_factor(STRING_TRAVERSAL_COST),
    }
}

/// Returns the cost of matching a text with a regular expression.
fn regex_cost(text: EstimateRange, regex: EstimateRange) -> EstimateRange {
    text.plus(EstimateRange::ONE)
        .times_factor(STRING_TRAVERSAL_COST)
        .times(regex.times_factor(REGEX_COST))
}

/// Returns the cost of comparing two values, up to the length of the shorter one.
fn comparison_cost(left: &OperandEstimate, right: &OperandEstimate) -> EstimateRange {
    let max = left.size_or_unknown().max.min(right.size_or_unknown().max);
    EstimateRange {
        min: u64::from(max > 0),
        max,
    }
    .times_factor(STRING_TRAVERSAL_COST)
}

/// Returns the size of a string after `replace`. The bounds of the number of replacements follow from the sizes.
fn replaced_size(text: EstimateRange, from: EstimateRange, to: EstimateRange) -> EstimateRange {
    let (max_count, max_kept) = match () {
        () if from.min == 0 => (text.max.saturating_add(1), text.max),
        () if to.max <= from.min => (0, text.max),
        () => (text.max.div_ceil(from.min), 0),
    };
    let (min_count, min_kept) = match () {
        () if from.max == 0 => (text.min.saturating_add(1), text.min),
        () if from.max <= to.min => (0, text.min),
        () => (text.min.div_ceil(from.max), 0),
    };
    EstimateRange {
        min: min_count,
        max: max_count,
    }
    .times(to)
    .plus(EstimateRange {
        min: min_kept,
        max: max_kept,
    })
}
