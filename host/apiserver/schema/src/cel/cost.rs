//! Estimates of what a rule may cost, in Kubernetes' units (one is about 50 ns there).
//!
//! A definition whose rules might cost more than the limits is refused, as upstream refuses it, so that a definition
//! that is taken here is taken there.

use super::types::Type;

/// The most that one rule may cost, over all the values it judges in one object.
pub(crate) const RULE_LIMIT: u64 = 10_000_000;
/// The most that all rules of a definition may cost together.
pub(crate) const TOTAL_LIMIT: u64 = 100_000_000;
/// Going through a string, per character.
pub(super) const TRAVERSAL: f64 = 0.1;
/// A regular expression, per character.
const REGEX: f64 = 0.25;
/// A list in a rule.
pub(super) const LIST: u64 = 10;
/// A map in a rule.
pub(super) const MAP: u64 = 30;

/// A lower and an upper bound, of a size or a cost. Sums and products stop at the largest number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    pub(super) min: u64,
    pub(super) max: u64,
}

impl Range {
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

    /// The range at a price per unit, rounded up.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "upstream computes in floats too, and casts saturate"
    )]
    pub(super) fn priced(self, price: f64) -> Self {
        let apply = |value: u64| (value as f64 * price).ceil() as u64;
        Self {
            min: apply(self.min),
            max: apply(self.max),
        }
    }
}

/// What a call's estimate needs to know of an operand.
#[derive(Clone, Debug)]
pub(super) struct Operand {
    pub(super) kind: Type,
    pub(super) size: Option<Range>,
    /// The size of the items, if the operand is a declared list.
    pub(super) item_size: Option<Range>,
    pub(super) cost: Range,
}

impl Operand {
    fn sized(&self) -> Range {
        self.size.unwrap_or(Range::UNKNOWN)
    }
}

/// What a call costs, operands included but for a method's target; and the size of its result, if it says something.
pub(super) fn call(
    name: &str,
    target: Option<&Operand>,
    args: &[Operand],
) -> (Range, Option<Range>) {
    let sum = args.iter().fold(Range::ZERO, |sum, arg| sum.plus(arg.cost));
    let (own, size) = own_cost(name, target, args);
    match (name, args) {
        ("_&&_" | "_||_", [left, right]) => {
            let both = left.cost.plus(right.cost);
            (
                Range {
                    min: left.cost.min,
                    max: both.max,
                },
                None,
            )
        }
        ("_?_:_", [condition, yes, no]) => (
            condition.cost.plus(yes.cost.union(no.cost)),
            Some(yes.sized().union(no.sized())),
        ),
        _ => (sum.plus(own), size),
    }
}

fn own_cost(name: &str, target: Option<&Operand>, args: &[Operand]) -> (Range, Option<Range>) {
    let plain = |cost: Range| (cost, None);
    match (name, target, args) {
        ("isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf", Some(target), _) => {
            plain(scan(target))
        }
        ("lowerAscii" | "upperAscii" | "substring" | "trim", Some(target), _) => {
            (target.sized().priced(TRAVERSAL), Some(target.sized()))
        }
        ("replace", Some(target), [from, to, ..]) => (
            target.sized().priced(2.0 * TRAVERSAL),
            Some(replaced(target.sized(), from.sized(), to.sized())),
        ),
        ("split", Some(target), _) => {
            let size = target.sized();
            (
                size.priced(2.0 * TRAVERSAL),
                Some(Range {
                    min: 0,
                    max: size.max,
                }),
            )
        }
        ("join", Some(target), _) => {
            let (list, item) = (target.sized(), target.item_size.unwrap_or(Range::UNKNOWN));
            let separators = Range {
                min: list.min.saturating_sub(1),
                max: list.max.saturating_sub(1),
            };
            let between = args
                .first()
                .map_or(Range::ZERO, |separator| separator.sized().times(separators));
            let size = list.times(item).plus(between);
            (size.priced(TRAVERSAL), Some(size))
        }
        ("find" | "findAll", Some(target), [regex, ..]) => (
            matching(target.sized(), regex.sized()),
            Some(Range {
                min: 0,
                max: target.sized().max,
            }),
        ),
        ("matches", Some(text), [regex]) | ("matches", None, [text, regex]) => {
            plain(matching(text.sized(), regex.sized()))
        }
        (
            "url" | "isURL" | "ip" | "isIP" | "cidr" | "isCIDR" | "quantity" | "isQuantity"
            | "semver" | "isSemver",
            None,
            [text],
        ) => plain(text.sized().priced(TRAVERSAL)),
        ("ip.isCanonical", _, [text]) => plain(text.sized().priced(2.0 * TRAVERSAL)),
        ("containsIP" | "containsCIDR", Some(_), [other]) => {
            let address = Range { min: 4, max: 16 };
            let compared = address.plus(address).priced(TRAVERSAL);
            let masked = if name == "containsCIDR" {
                address.priced(TRAVERSAL).plus(Range::ONE)
            } else {
                Range::ZERO
            };
            let parsed = if matches!(other.kind, Type::String) {
                other.sized().priced(TRAVERSAL)
            } else {
                Range::ZERO
            };
            plain(compared.plus(masked).plus(parsed))
        }
        ("validate", Some(_), [text]) => plain(text.sized().priced(TRAVERSAL)),
        ("bytes", _, [text]) if matches!(text.kind, Type::String) => {
            let size = text.sized();
            (
                size.priced(TRAVERSAL),
                Some(Range {
                    min: size.min,
                    max: size.max.saturating_mul(4),
                }),
            )
        }
        ("string", _, [bytes]) if matches!(bytes.kind, Type::Bytes) => {
            let size = bytes.sized();
            (
                size.priced(TRAVERSAL),
                Some(Range {
                    min: size.min / 4,
                    max: size.max,
                }),
            )
        }
        ("startsWith" | "endsWith", _, [part]) => plain(part.sized().priced(TRAVERSAL)),
        ("contains", Some(text), [part]) => plain(
            text.sized()
                .priced(TRAVERSAL)
                .times(part.sized().priced(TRAVERSAL)),
        ),
        ("@in", _, [_, list]) if matches!(list.kind, Type::List(_)) => plain(list.sized()),
        ("_+_", _, [left, right]) => match left.kind {
            Type::String | Type::Bytes => {
                let size = left.sized().plus(right.sized());
                (size.priced(TRAVERSAL), Some(size))
            }
            Type::List(_) => (Range::ONE, Some(left.sized().plus(right.sized()))),
            _ => plain(Range::ONE),
        },
        ("_==_" | "_!=_", _, [left, right]) => plain(compared(left, right)),
        ("_<_" | "_<=_" | "_>_" | "_>=_", _, [left, right])
            if matches!(left.kind, Type::String | Type::Bytes) =>
        {
            plain(compared(left, right))
        }
        ("sets.contains" | "sets.intersects" | "sets.equivalent", None, [left, right]) => {
            let pairs = left.sized().times(right.sized());
            plain(
                if name == "sets.equivalent" {
                    pairs.times(Range::fixed(2))
                } else {
                    pairs
                }
                .plus(Range::ONE),
            )
        }
        _ => plain(Range::ONE),
    }
}

/// Going once through a list or a string.
fn scan(target: &Operand) -> Range {
    match &target.kind {
        Type::List(item) if matches!(**item, Type::String | Type::Bytes) => {
            let item = target.item_size.unwrap_or(Range::UNKNOWN);
            target
                .sized()
                .times(Range::ONE.plus(item.priced(TRAVERSAL)))
        }
        Type::List(_) => target.sized(),
        _ => target.sized().priced(TRAVERSAL),
    }
}

fn matching(text: Range, regex: Range) -> Range {
    text.plus(Range::ONE)
        .priced(TRAVERSAL)
        .times(regex.priced(REGEX))
}

/// Two values are compared up to the length of the shorter one.
fn compared(left: &Operand, right: &Operand) -> Range {
    let max = left.sized().max.min(right.sized().max);
    Range {
        min: u64::from(max > 0),
        max,
    }
    .priced(TRAVERSAL)
}

/// The size of a text after replacing; the bounds of the number of replacements follow from the sizes.
fn replaced(text: Range, from: Range, to: Range) -> Range {
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
    Range {
        min: min_count,
        max: max_count,
    }
    .times(to)
    .plus(Range {
        min: min_kept,
        max: max_kept,
    })
}
