//! The JSONPath of printer columns, compiled once: fields in dot and bracket
//! form, indices, slices, unions, wildcards, recursive descent and filters.

use std::cmp::Ordering;

use serde_json::{Number, Value};

/// Why a path cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonPathError {
    /// The path does not start where an object starts.
    #[error("path {path:?} must start with a dot or a bracket")]
    InvalidStart {
        /// The whole path.
        path: String,
    },
    /// Something in the path is not of the supported subset.
    #[error("path {path:?} cannot be understood at {rest:?}")]
    InvalidSyntax {
        /// The whole path.
        path: String,
        /// What is left of it where the trouble begins.
        rest: String,
    },
}

/// A compiled path.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonPath {
    steps: Vec<PathStep>,
}

#[derive(Clone, Debug, PartialEq)]
enum PathStep {
    Field(String),
    Wildcard,
    Recursive,
    Slice(ListSlice),
    Union(Vec<ListSlice>),
    Names(Vec<String>),
    Filter(Box<ItemFilter>),
}

/// `start:end:step` of a list; a plain index is the slice of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ListSlice {
    start: Option<i64>,
    end: Option<i64>,
    step: i64,
    single: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct ItemFilter {
    left: FilterOperand,
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

/// In the order in which they must be tried: the longer first.
const COMPARISONS: [(&str, FilterOperator); 6] = [
    ("==", FilterOperator::Equal),
    ("!=", FilterOperator::NotEqual),
    ("<=", FilterOperator::LessOrEqual),
    (">=", FilterOperator::GreaterOrEqual),
    ("<", FilterOperator::Less),
    (">", FilterOperator::Greater),
];

/// The walk met a value that the path cannot go into, such as an index into
/// a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonPathTypeError;

impl JsonPath {
    /// Compiles `path` as a printer column writes it: without braces,
    /// starting with a dot or a bracket.
    pub fn compile(path: &str) -> Result<Self, JsonPathError> {
        if !path.starts_with(['.', '[']) {
            return Err(JsonPathError::InvalidStart { path: path.into() });
        }
        let mut parser = Parser { rest: path };
        parser
            .path(&[])
            .map_err(|Stuck| JsonPathError::InvalidSyntax {
                path: path.into(),
                rest: parser.rest.into(),
            })
    }

    /// The first value that the path finds, none when it finds nothing.
    ///
    /// # Errors
    /// When the path goes into a value of the wrong type on the way.
    pub fn first<'v>(&self, root: &'v Value) -> Result<Option<&'v Value>, JsonPathTypeError> {
        // The common case, a plain chain of fields, needs no list of results.
        let mut value = root;
        for (done, step) in self.steps.iter().enumerate() {
            let PathStep::Field(name) = step else {
                let rest = self.steps.get(done..).unwrap_or_default();
                return Ok(walk(rest, value)?.into_iter().next());
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
}

fn walk<'v>(steps: &[PathStep], root: &'v Value) -> Result<Vec<&'v Value>, JsonPathTypeError> {
    let mut values = vec![root];
    for step in steps {
        let mut next = Vec::new();
        for value in values {
            advance(step, value, &mut next)?;
        }
        values = next;
    }
    Ok(values)
}

fn advance<'v>(
    step: &PathStep,
    value: &'v Value,
    next: &mut Vec<&'v Value>,
) -> Result<(), JsonPathTypeError> {
    match (step, value) {
        (_, Value::Null) => {}
        (PathStep::Field(name), Value::Object(map)) => next.extend(map.get(name)),
        (PathStep::Names(names), Value::Object(map)) => {
            next.extend(names.iter().filter_map(|name| map.get(name)));
        }
        (PathStep::Wildcard, Value::Object(map)) => next.extend(map.values()),
        (PathStep::Wildcard, Value::Array(list)) => next.extend(list),
        (PathStep::Wildcard, _) => {}
        (PathStep::Recursive, value) => descend(value, next),
        (PathStep::Slice(slice), Value::Array(list)) => slice.take(list, next)?,
        (PathStep::Union(slices), Value::Array(list)) => {
            for slice in slices {
                slice.take(list, next)?;
            }
        }
        (PathStep::Filter(filter), Value::Array(list)) => {
            for item in list {
                if filter.matches(item)? {
                    next.push(item);
                }
            }
        }
        (PathStep::Filter(filter), Value::Object(map)) => {
            for item in map.values() {
                if filter.matches(item)? {
                    next.push(item);
                }
            }
        }
        (
            PathStep::Field(_)
            | PathStep::Names(_)
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

/// Every object and list below a value, itself first; a field that follows
/// must not stumble over the scalars between.
fn descend<'v>(value: &'v Value, next: &mut Vec<&'v Value>) {
    match value {
        Value::Object(map) => {
            next.push(value);
            map.values().for_each(|v| descend(v, next));
        }
        Value::Array(list) => list.iter().for_each(|v| descend(v, next)),
        _ => {}
    }
}

impl ListSlice {
    fn take<'v>(
        &self,
        list: &'v [Value],
        next: &mut Vec<&'v Value>,
    ) -> Result<(), JsonPathTypeError> {
        let length = i64::try_from(list.len()).map_err(|_| JsonPathTypeError)?;
        let absolute = |at: i64| {
            if at < 0 {
                at.saturating_add(length)
            } else {
                at
            }
        };
        let start = absolute(self.start.unwrap_or(0));
        if self.single {
            next.extend(usize::try_from(start).ok().and_then(|at| list.get(at)));
            return Ok(());
        }
        let end = absolute(self.end.unwrap_or(length)).min(length);
        let mut at = start.max(0);
        while at < end {
            next.extend(usize::try_from(at).ok().and_then(|at| list.get(at)));
            at = at.saturating_add(self.step);
        }
        Ok(())
    }
}

impl ItemFilter {
    fn matches(&self, item: &Value) -> Result<bool, JsonPathTypeError> {
        let left = self.left.resolve(item)?;
        let Some((comparison, right)) = &self.test else {
            return Ok(left.is_some());
        };
        let (Some(left), Some(right)) = (left, right.resolve(item)?) else {
            return Ok(false);
        };
        let ordering = compare(left, right);
        Ok(match comparison {
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
    fn resolve<'v>(&'v self, item: &'v Value) -> Result<Option<&'v Value>, JsonPathTypeError> {
        match self {
            Self::Path(path) => path.first(item),
            Self::Literal(value) => Ok(Some(value)),
        }
    }
}

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

/// The parser met something that it does not know; what is left tells where.
struct Stuck;

struct Parser<'p> {
    rest: &'p str,
}

impl Parser<'_> {
    fn take(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Result<(), Stuck> {
        if self.take(token) { Ok(()) } else { Err(Stuck) }
    }

    fn spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// A path up to the end of the text or one of `stops`.
    fn path(&mut self, stops: &[char]) -> Result<JsonPath, Stuck> {
        let mut steps = Vec::new();
        while let Some(next) = self.rest.chars().next() {
            if stops.contains(&next) {
                break;
            }
            match next {
                '.' => self.dotted(stops, &mut steps)?,
                '[' => steps.push(self.bracket()?),
                _ => return Err(Stuck),
            }
        }
        Ok(JsonPath { steps })
    }

    fn dotted(&mut self, stops: &[char], steps: &mut Vec<PathStep>) -> Result<(), Stuck> {
        self.expect(".")?;
        if self.take(".") {
            steps.push(PathStep::Recursive);
        }
        if self.take("*") {
            steps.push(PathStep::Wildcard);
            return Ok(());
        }
        let mut name = String::new();
        let mut chars = self.rest.char_indices();
        let mut end = self.rest.len();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => name.push(chars.next().ok_or(Stuck)?.1),
                '.' | '[' => {
                    end = at;
                    break;
                }
                c if stops.contains(&c) => {
                    end = at;
                    break;
                }
                c => name.push(c),
            }
        }
        self.rest = self.rest.get(end..).ok_or(Stuck)?;
        // A lone dot stands for the value itself, as in `.[0]`.
        if !name.is_empty() {
            steps.push(PathStep::Field(name));
        }
        Ok(())
    }

    fn bracket(&mut self) -> Result<PathStep, Stuck> {
        self.expect("[")?;
        if self.take("?(") {
            return self.filter();
        }
        if self.take("*]") {
            return Ok(PathStep::Wildcard);
        }
        if self.rest.starts_with(['\'', '"']) {
            let mut names = vec![self.quoted()?];
            while self.take(",") {
                self.spaces();
                names.push(self.quoted()?);
            }
            self.expect("]")?;
            return Ok(match names.pop() {
                Some(only) if names.is_empty() => PathStep::Field(only),
                Some(last) => {
                    names.push(last);
                    PathStep::Names(names)
                }
                None => return Err(Stuck),
            });
        }
        let mut slices = vec![self.slice()?];
        while self.take(",") {
            self.spaces();
            slices.push(self.slice()?);
        }
        self.expect("]")?;
        match slices.as_slice() {
            [only] => Ok(PathStep::Slice(*only)),
            _ => Ok(PathStep::Union(slices)),
        }
    }

    fn slice(&mut self) -> Result<ListSlice, Stuck> {
        let start = self.integer()?;
        if !self.take(":") {
            let single = start.is_some();
            return if single {
                Ok(ListSlice {
                    start,
                    end: None,
                    step: 1,
                    single,
                })
            } else {
                Err(Stuck)
            };
        }
        let end = self.integer()?;
        let step = if self.take(":") {
            self.integer()?.unwrap_or(1)
        } else {
            1
        };
        if step < 1 {
            return Err(Stuck);
        }
        Ok(ListSlice {
            start,
            end,
            step,
            single: false,
        })
    }

    fn integer(&mut self) -> Result<Option<i64>, Stuck> {
        let end = self
            .rest
            .find(|c: char| !c.is_ascii_digit() && c != '-')
            .unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        if digits.is_empty() {
            return Ok(None);
        }
        let number = digits.parse().map_err(|_| Stuck)?;
        self.rest = rest;
        Ok(Some(number))
    }

    fn quoted(&mut self) -> Result<String, Stuck> {
        let quote = self
            .rest
            .chars()
            .next()
            .filter(|c| matches!(c, '\'' | '"'))
            .ok_or(Stuck)?;
        let body = self.rest.get(1..).ok_or(Stuck)?;
        let mut text = String::new();
        let mut chars = body.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => text.push(chars.next().ok_or(Stuck)?.1),
                c if c == quote => {
                    self.rest = body.get(at + 1..).ok_or(Stuck)?;
                    return Ok(text);
                }
                c => text.push(c),
            }
        }
        Err(Stuck)
    }

    fn filter(&mut self) -> Result<PathStep, Stuck> {
        self.spaces();
        let left = self.operand()?;
        self.spaces();
        let mut test = None;
        for (token, comparison) in COMPARISONS {
            if self.take(token) {
                self.spaces();
                test = Some((comparison, self.operand()?));
                self.spaces();
                break;
            }
        }
        self.expect(")]")?;
        Ok(PathStep::Filter(Box::new(ItemFilter { left, test })))
    }

    fn operand(&mut self) -> Result<FilterOperand, Stuck> {
        if self.take("@") {
            return self
                .path(&['=', '!', '<', '>', ')', ' '])
                .map(FilterOperand::Path);
        }
        if self.rest.starts_with(['\'', '"']) {
            return Ok(FilterOperand::Literal(Value::String(self.quoted()?)));
        }
        let end = self
            .rest
            .find([')', ' ', '=', '!', '<', '>'])
            .ok_or(Stuck)?;
        let (word, rest) = self.rest.split_at(end);
        let value = match word {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            word => word
                .parse::<i64>()
                .map(Number::from)
                .ok()
                .or_else(|| word.parse::<f64>().ok().and_then(Number::from_f64))
                .map(Value::Number)
                .ok_or(Stuck)?,
        };
        self.rest = rest;
        Ok(FilterOperand::Literal(value))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn first(path: &str, value: &Value) -> Result<Option<Value>, JsonPathTypeError> {
        JsonPath::compile(path)
            .unwrap()
            .first(value)
            .map(Option::<&Value>::cloned)
    }

    #[test]
    fn finds_what_a_printer_column_points_at() {
        let boat = json!({
            "metadata": {"annotations": {"crew.example.com/head.count": "7"}},
            "spec": {"oars": [{"side": "port", "length": 3}, {"side": "starboard", "length": 4.5}], "hull": {"a": 1, "b": 2}},
            "status": {"conditions": [{"type": "Afloat", "status": "True"}, {"type": "Ready", "status": "False"}]},
        });
        for (path, expected) in [
            (".spec.hull.b", json!(2)),
            (".spec['hull']['b']", json!(2)),
            (".spec[\"hull\"].b", json!(2)),
            (
                ".metadata.annotations.crew\\.example\\.com/head\\.count",
                json!("7"),
            ),
            (
                ".metadata.annotations['crew\\.example\\.com/head\\.count']",
                json!("7"),
            ),
            (".spec.oars[1].side", json!("starboard")),
            (".spec.oars[-1].side", json!("starboard")),
            (".spec.oars[*].side", json!("port")),
            (".spec.oars[1:].side", json!("starboard")),
            (".spec.oars[0,1].side", json!("port")),
            (".spec.hull.*", json!(1)),
            ("..side", json!("port")),
            (".spec.oars[?(@.length>3)].side", json!("starboard")),
            (".spec.oars[?(@.length <= 3)].side", json!("port")),
            (
                ".status.conditions[?(@.type==\"Ready\")].status",
                json!("False"),
            ),
            (
                ".status.conditions[?(@.type=='Ready')].status",
                json!("False"),
            ),
            (
                ".status.conditions[?(@.type!='Afloat')].type",
                json!("Ready"),
            ),
            (".status.conditions[?(@.status)].type", json!("Afloat")),
        ] {
            assert_eq!(first(path, &boat), Ok(Some(expected)), "{path}");
        }
    }

    #[test]
    fn a_gap_is_nothing_and_a_wrong_type_is_an_error() {
        let boat = json!({"spec": {"oars": "none", "list": [], "gone": null}});
        for path in [
            ".spec.mast",
            ".status.x.y",
            ".spec.list[0]",
            ".spec.gone.further",
            ".spec.list[?(@.a==1)]",
        ] {
            assert_eq!(first(path, &boat), Ok(None), "{path}");
        }
        for path in [".spec.oars[0]", ".spec.oars.side", ".spec.list.x"] {
            assert_eq!(first(path, &boat), Err(JsonPathTypeError), "{path}");
        }
        assert_eq!(first(".spec.gone", &boat), Ok(Some(Value::Null)));
    }

    #[test]
    fn says_where_a_path_stops_making_sense() {
        assert_eq!(
            JsonPath::compile("spec.oars"),
            Err(JsonPathError::InvalidStart {
                path: "spec.oars".into()
            })
        );
        for (path, rest) in [
            (".a[", ""),
            (".a[x]", "x]"),
            (".a[?(@.b==)]", ")]"),
            (".a['b]", "'b]"),
            (".a[1", ""),
        ] {
            assert_eq!(
                JsonPath::compile(path),
                Err(JsonPathError::InvalidSyntax {
                    path: path.into(),
                    rest: rest.into()
                })
            );
        }
    }
}
