//! The JSONPath of printer columns, compiled once: fields in dot and bracket
//! form, indices, slices, unions, wildcards, recursive descent and filters.

use std::cmp::Ordering;

use serde_json::{Number, Value};

/// Why a path cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The path does not start where an object starts.
    #[error("path {path:?} must start with a dot or a bracket")]
    Start {
        /// The whole path.
        path: String,
    },
    /// Something in the path is not of the supported subset.
    #[error("path {path:?} cannot be understood at {rest:?}")]
    Syntax {
        /// The whole path.
        path: String,
        /// What is left of it where the trouble begins.
        rest: String,
    },
}

/// A compiled path.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonPath {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(String),
    Wildcard,
    Recursive,
    Slice(Slice),
    Union(Vec<Slice>),
    Names(Vec<String>),
    Filter(Box<Filter>),
}

/// `start:end:step` of a list; a plain index is the slice of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slice {
    start: Option<i64>,
    end: Option<i64>,
    step: i64,
    single: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct Filter {
    left: Operand,
    test: Option<(Comparison, Operand)>,
}

#[derive(Clone, Debug, PartialEq)]
enum Operand {
    Path(JsonPath),
    Literal(Value),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// In the order in which they must be tried: the longer first.
const COMPARISONS: [(&str, Comparison); 6] = [
    ("==", Comparison::Equal),
    ("!=", Comparison::NotEqual),
    ("<=", Comparison::LessOrEqual),
    (">=", Comparison::GreaterOrEqual),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
];

/// The walk met a value that the path cannot go into, such as an index into
/// a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch;

impl JsonPath {
    /// Compiles `path` as a printer column writes it: without braces,
    /// starting with a dot or a bracket.
    pub fn compile(path: &str) -> Result<Self, PathError> {
        if !path.starts_with(['.', '[']) {
            return Err(PathError::Start { path: path.into() });
        }
        let mut parser = Parser { rest: path };
        parser.path(&[]).map_err(|Stuck| PathError::Syntax {
            path: path.into(),
            rest: parser.rest.into(),
        })
    }

    /// The first value that the path finds, none when it finds nothing.
    ///
    /// # Errors
    /// When the path goes into a value of the wrong type on the way.
    pub fn first<'v>(&self, root: &'v Value) -> Result<Option<&'v Value>, Mismatch> {
        // The common case, a plain chain of fields, needs no list of results.
        let mut value = root;
        for (done, step) in self.steps.iter().enumerate() {
            let Step::Field(name) = step else {
                let rest = self.steps.get(done..).unwrap_or_default();
                return Ok(walk(rest, value)?.into_iter().next());
            };
            match value {
                Value::Object(map) => match map.get(name) {
                    Some(next) => value = next,
                    None => return Ok(None),
                },
                Value::Null => return Ok(None),
                _ => return Err(Mismatch),
            }
        }
        Ok(Some(value))
    }
}

fn walk<'v>(steps: &[Step], root: &'v Value) -> Result<Vec<&'v Value>, Mismatch> {
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

fn advance<'v>(step: &Step, value: &'v Value, next: &mut Vec<&'v Value>) -> Result<(), Mismatch> {
    match (step, value) {
        (_, Value::Null) => {}
        (Step::Field(name), Value::Object(map)) => next.extend(map.get(name)),
        (Step::Names(names), Value::Object(map)) => {
            next.extend(names.iter().filter_map(|name| map.get(name)));
        }
        (Step::Wildcard, Value::Object(map)) => next.extend(map.values()),
        (Step::Wildcard, Value::Array(list)) => next.extend(list),
        (Step::Wildcard, _) => {}
        (Step::Recursive, value) => descend(value, next),
        (Step::Slice(slice), Value::Array(list)) => slice.take(list, next)?,
        (Step::Union(slices), Value::Array(list)) => {
            for slice in slices {
                slice.take(list, next)?;
            }
        }
        (Step::Filter(filter), Value::Array(list)) => {
            for item in list {
                if filter.matches(item)? {
                    next.push(item);
                }
            }
        }
        (Step::Filter(filter), Value::Object(map)) => {
            for item in map.values() {
                if filter.matches(item)? {
                    next.push(item);
                }
            }
        }
        (
            Step::Field(_) | Step::Names(_) | Step::Slice(_) | Step::Union(_) | Step::Filter(_),
            _,
        ) => {
            return Err(Mismatch);
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

impl Slice {
    fn take<'v>(&self, list: &'v [Value], next: &mut Vec<&'v Value>) -> Result<(), Mismatch> {
        let length = i64::try_from(list.len()).map_err(|_| Mismatch)?;
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

impl Filter {
    fn matches(&self, item: &Value) -> Result<bool, Mismatch> {
        let left = self.left.resolve(item)?;
        let Some((comparison, right)) = &self.test else {
            return Ok(left.is_some());
        };
        let (Some(left), Some(right)) = (left, right.resolve(item)?) else {
            return Ok(false);
        };
        let ordering = compare(left, right);
        Ok(match comparison {
            Comparison::Equal => left == right || ordering == Some(Ordering::Equal),
            Comparison::NotEqual => left != right && ordering != Some(Ordering::Equal),
            Comparison::Less => ordering == Some(Ordering::Less),
            Comparison::LessOrEqual => ordering.is_some_and(Ordering::is_le),
            Comparison::Greater => ordering == Some(Ordering::Greater),
            Comparison::GreaterOrEqual => ordering.is_some_and(Ordering::is_ge),
        })
    }
}

impl Operand {
    fn resolve<'v>(&'v self, item: &'v Value) -> Result<Option<&'v Value>, Mismatch> {
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

    fn dotted(&mut self, stops: &[char], steps: &mut Vec<Step>) -> Result<(), Stuck> {
        self.expect(".")?;
        if self.take(".") {
            steps.push(Step::Recursive);
        }
        if self.take("*") {
            steps.push(Step::Wildcard);
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
            steps.push(Step::Field(name));
        }
        Ok(())
    }

    fn bracket(&mut self) -> Result<Step, Stuck> {
        self.expect("[")?;
        if self.take("?(") {
            return self.filter();
        }
        if self.take("*]") {
            return Ok(Step::Wildcard);
        }
        if self.rest.starts_with(['\'', '"']) {
            let mut names = vec![self.quoted()?];
            while self.take(",") {
                self.spaces();
                names.push(self.quoted()?);
            }
            self.expect("]")?;
            return Ok(match names.pop() {
                Some(only) if names.is_empty() => Step::Field(only),
                Some(last) => {
                    names.push(last);
                    Step::Names(names)
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
            [only] => Ok(Step::Slice(*only)),
            _ => Ok(Step::Union(slices)),
        }
    }

    fn slice(&mut self) -> Result<Slice, Stuck> {
        let start = self.integer()?;
        if !self.take(":") {
            let single = start.is_some();
            return if single {
                Ok(Slice {
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
        Ok(Slice {
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

    fn filter(&mut self) -> Result<Step, Stuck> {
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
        Ok(Step::Filter(Box::new(Filter { left, test })))
    }

    fn operand(&mut self) -> Result<Operand, Stuck> {
        if self.take("@") {
            return self
                .path(&['=', '!', '<', '>', ')', ' '])
                .map(Operand::Path);
        }
        if self.rest.starts_with(['\'', '"']) {
            return Ok(Operand::Literal(Value::String(self.quoted()?)));
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
        Ok(Operand::Literal(value))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn first(path: &str, value: &Value) -> Result<Option<Value>, Mismatch> {
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
            assert_eq!(first(path, &boat), Err(Mismatch), "{path}");
        }
        assert_eq!(first(".spec.gone", &boat), Ok(Some(Value::Null)));
    }

    #[test]
    fn says_where_a_path_stops_making_sense() {
        assert_eq!(
            JsonPath::compile("spec.oars"),
            Err(PathError::Start {
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
                Err(PathError::Syntax {
                    path: path.into(),
                    rest: rest.into()
                })
            );
        }
    }
}
