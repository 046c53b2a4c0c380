//! The parser of paths.

use serde_json::{Number, Value};

use super::{FilterOperand, FilterOperator, ItemFilter, JsonPath, ListSlice, PathStep};

/// The operators in the order in which they are tried: longer ones first.
const OPERATORS: [(&str, FilterOperator); 6] = [
    ("==", FilterOperator::Equal),
    ("!=", FilterOperator::NotEqual),
    ("<=", FilterOperator::LessOrEqual),
    (">=", FilterOperator::GreaterOrEqual),
    ("<", FilterOperator::Less),
    (">", FilterOperator::Greater),
];

/// The parser found a syntax error, which is at the start of [`PathParser::rest`].
pub(super) struct SyntaxError;

/// A recursive-descent parser.
pub(super) struct PathParser<'p> {
    rest: &'p str,
}

impl<'p> PathParser<'p> {
    pub(super) fn new(path: &'p str) -> Self {
        Self { rest: path }
    }

    /// Returns the part of the path that is not parsed yet.
    pub(super) fn rest(&self) -> &'p str {
        self.rest
    }

    /// Consumes `token` if it comes next. Returns whether it did.
    fn consume(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Result<(), SyntaxError> {
        if self.consume(token) {
            Ok(())
        } else {
            Err(SyntaxError)
        }
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Parses a path up to the end of the text or one of `stops`.
    pub(super) fn parse_path(&mut self, stops: &[char]) -> Result<JsonPath, SyntaxError> {
        let mut steps = Vec::new();
        while let Some(next) = self.rest.chars().next() {
            if stops.contains(&next) {
                break;
            }
            match next {
                '.' => self.parse_dotted(stops, &mut steps)?,
                '[' => steps.push(self.parse_bracket()?),
                _ => return Err(SyntaxError),
            }
        }
        Ok(JsonPath { steps })
    }

    fn parse_dotted(
        &mut self,
        stops: &[char],
        steps: &mut Vec<PathStep>,
    ) -> Result<(), SyntaxError> {
        self.expect(".")?;
        if self.consume(".") {
            steps.push(PathStep::RecursiveDescent);
        }
        if self.consume("*") {
            steps.push(PathStep::Wildcard);
            return Ok(());
        }
        let mut name = String::new();
        let mut chars = self.rest.char_indices();
        let mut end = self.rest.len();
        while let Some((index, c)) = chars.next() {
            match c {
                '\\' => name.push(chars.next().ok_or(SyntaxError)?.1),
                '.' | '[' => {
                    end = index;
                    break;
                }
                c if stops.contains(&c) => {
                    end = index;
                    break;
                }
                c => name.push(c),
            }
        }
        self.rest = self.rest.get(end..).ok_or(SyntaxError)?;
        // A dot without a name is the value itself, as in `.[0]`.
        if !name.is_empty() {
            steps.push(PathStep::Field(name));
        }
        Ok(())
    }

    fn parse_bracket(&mut self) -> Result<PathStep, SyntaxError> {
        self.expect("[")?;
        if self.consume("?(") {
            return self.parse_filter();
        }
        if self.consume("*]") {
            return Ok(PathStep::Wildcard);
        }
        if self.rest.starts_with(['\'', '"']) {
            let mut names = vec![self.parse_quoted()?];
            while self.consume(",") {
                self.skip_spaces();
                names.push(self.parse_quoted()?);
            }
            self.expect("]")?;
            return Ok(match names.pop() {
                Some(only) if names.is_empty() => PathStep::Field(only),
                Some(last) => {
                    names.push(last);
                    PathStep::Fields(names)
                }
                None => return Err(SyntaxError),
            });
        }
        let mut slices = vec![self.parse_slice()?];
        while self.consume(",") {
            self.skip_spaces();
            slices.push(self.parse_slice()?);
        }
        self.expect("]")?;
        match slices.as_slice() {
            [only] => Ok(PathStep::Slice(*only)),
            _ => Ok(PathStep::Union(slices)),
        }
    }

    fn parse_slice(&mut self) -> Result<ListSlice, SyntaxError> {
        let start = self.parse_integer()?;
        if !self.consume(":") {
            let is_index = start.is_some();
            return if is_index {
                Ok(ListSlice {
                    start,
                    end: None,
                    step: 1,
                    is_index,
                })
            } else {
                Err(SyntaxError)
            };
        }
        let end = self.parse_integer()?;
        let step = if self.consume(":") {
            self.parse_integer()?.unwrap_or(1)
        } else {
            1
        };
        if step < 1 {
            return Err(SyntaxError);
        }
        Ok(ListSlice {
            start,
            end,
            step,
            is_index: false,
        })
    }

    fn parse_integer(&mut self) -> Result<Option<i64>, SyntaxError> {
        let end = self
            .rest
            .find(|c: char| !c.is_ascii_digit() && c != '-')
            .unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        if digits.is_empty() {
            return Ok(None);
        }
        let number = digits.parse().map_err(|_| SyntaxError)?;
        self.rest = rest;
        Ok(Some(number))
    }

    fn parse_quoted(&mut self) -> Result<String, SyntaxError> {
        let quote = self
            .rest
            .chars()
            .next()
            .filter(|c| matches!(c, '\'' | '"'))
            .ok_or(SyntaxError)?;
        let body = self.rest.get(1..).ok_or(SyntaxError)?;
        let mut text = String::new();
        let mut chars = body.char_indices();
        while let Some((index, c)) = chars.next() {
            match c {
                '\\' => text.push(chars.next().ok_or(SyntaxError)?.1),
                c if c == quote => {
                    self.rest = body.get(index + 1..).ok_or(SyntaxError)?;
                    return Ok(text);
                }
                c => text.push(c),
            }
        }
        Err(SyntaxError)
    }

    fn parse_filter(&mut self) -> Result<PathStep, SyntaxError> {
        self.skip_spaces();
        let left = self.parse_operand()?;
        self.skip_spaces();
        let mut test = None;
        for (token, operator) in OPERATORS {
            if self.consume(token) {
                self.skip_spaces();
                test = Some((operator, self.parse_operand()?));
                self.skip_spaces();
                break;
            }
        }
        self.expect(")]")?;
        Ok(PathStep::Filter(Box::new(ItemFilter { left, test })))
    }

    fn parse_operand(&mut self) -> Result<FilterOperand, SyntaxError> {
        if self.consume("@") {
            return self
                .parse_path(&['=', '!', '<', '>', ')', ' '])
                .map(FilterOperand::Path);
        }
        if self.rest.starts_with(['\'', '"']) {
            return Ok(FilterOperand::Literal(Value::String(self.parse_quoted()?)));
        }
        let end = self
            .rest
            .find([')', ' ', '=', '!', '<', '>'])
            .ok_or(SyntaxError)?;
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
                .ok_or(SyntaxError)?,
        };
        self.rest = rest;
        Ok(FilterOperand::Literal(value))
    }
}
