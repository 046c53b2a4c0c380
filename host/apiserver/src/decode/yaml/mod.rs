//! YAML bodies by the rules of YAML 1.1, as in kube-apiserver: `yes` and `on` are
//! booleans, `010` is eight, keys become text.
//!
//! Written by hand on the events of `serde_saphyr`'s parser: its deserializer does not
//! follow go-yaml's rules for scalars and keys, does not report duplicate keys in the
//! words of go-yaml, and does not apply the limits that all bodies share (`limits`).

mod error;

use std::collections::HashMap;

use serde_json::{Map, Number, Value};
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span};

use self::error::ErrorPlace;
pub(crate) use self::error::YamlError;
use crate::json::{self, DecodedBody};
use crate::limits::{self, DocumentBudget};

/// The end of the message for a duplicate key.
pub(super) const DUPLICATE_KEY: &str = " already set in map";

/// The size of a node, which an alias copies.
#[derive(Debug, Clone, Copy, Default)]
struct NodeSize {
    nodes: usize,
    bytes: usize,
}

/// Builds a JSON value from the parser's events.
struct DocumentBuilder<'a> {
    parser: Parser<'a, serde_saphyr::granit_parser::StrInput<'a>>,
    anchors: HashMap<usize, (Value, NodeSize)>,
    duplicates: Vec<String>,
    budget: DocumentBudget,
    /// Bytes of all scalars so far, including copies.
    bytes: usize,
    /// Bytes that were copied for anchors and by aliases.
    copied_bytes: usize,
    /// Bytes of the keys from the root to the current node.
    path_bytes: usize,
    /// The lines at which the open sequences and mappings begin.
    open_lines: Vec<usize>,
    text: &'a str,
}

/// Parses the first document of a YAML text.
///
/// # Errors
/// The document is not YAML, exceeds a limit, or has no JSON form.
pub(crate) fn parse(text: &str) -> Result<DecodedBody, YamlError> {
    let mut builder = DocumentBuilder {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        duplicates: Vec::new(),
        budget: DocumentBudget::default(),
        bytes: 0,
        copied_bytes: 0,
        path_bytes: 0,
        open_lines: Vec::new(),
        text,
    };
    let mut value = Value::Null;
    loop {
        match builder.next_event()? {
            None | Some((Event::StreamEnd | Event::DocumentEnd, _)) => break,
            Some((Event::StreamStart | Event::DocumentStart(..), _)) => {}
            Some((event, span)) => {
                value = builder.build_node(event, span, 0)?;
                break;
            }
        }
    }
    // The rest of the document must be well-formed.
    loop {
        match builder.next_event()? {
            None | Some((Event::StreamEnd | Event::DocumentEnd, _)) => break,
            Some(_) => {}
        }
    }
    Ok(DecodedBody {
        value,
        duplicates: builder.duplicates,
    })
}

impl<'a> DocumentBuilder<'a> {
    fn next_event(&mut self) -> Result<Option<(Event<'a>, Span)>, YamlError> {
        loop {
            match self.parser.next() {
                None => return Ok(None),
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok(event)) => return Ok(Some(event)),
                Some(Err(error)) => {
                    let place = ErrorPlace {
                        text: self.text,
                        collection_line: self.open_lines.last().copied(),
                    };
                    return Err(YamlError::from_parser(&error, place));
                }
            }
        }
    }

    fn expect_event(&mut self) -> Result<(Event<'a>, Span), YamlError> {
        self.next_event()?.ok_or(YamlError::UnexpectedEnd)
    }

    fn build_node(
        &mut self,
        event: Event<'a>,
        span: Span,
        depth: usize,
    ) -> Result<Value, YamlError> {
        let before = self.size();
        self.budget
            .charge(depth, self.path_bytes)
            .map_err(|error| YamlError::Limit(error.to_string()))?;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.bytes += text.len();
                let is_plain = matches!(style, ScalarStyle::Plain) && tag.is_none();
                let value = if is_plain {
                    resolve_scalar(&text)?
                } else {
                    Value::String(text.into_owned())
                };
                (value, anchor)
            }
            Event::SequenceStart(_, anchor, ..) => {
                self.open_lines.push(span.start.line());
                let mut items = Vec::new();
                loop {
                    match self.expect_event()? {
                        (Event::SequenceEnd, _) => break,
                        (event, span) => items.push(self.build_node(event, span, depth + 1)?),
                    }
                }
                self.open_lines.pop();
                (Value::Array(items), anchor)
            }
            Event::MappingStart(_, anchor, ..) => {
                self.open_lines.push(span.start.line());
                let mapping = self.build_mapping(depth)?;
                self.open_lines.pop();
                (mapping, anchor)
            }
            Event::Alias(id) => {
                let size = match self.anchors.get(&id) {
                    Some((_, size)) => *size,
                    None => return Err(YamlError::UnknownAnchor),
                };
                // Counted before it is copied.
                self.spend_copy(size)?;
                self.bytes += size.bytes;
                let anchored = self.anchors.get(&id);
                return Ok(anchored.map(|(value, _)| value.clone()).unwrap_or_default());
            }
            other => {
                return Err(YamlError::UnexpectedEvent {
                    line: span.start.line(),
                    event: format!("{other:?}"),
                });
            }
        };
        if anchor != 0 {
            let after = self.size();
            let size = NodeSize {
                nodes: after.nodes - before.nodes,
                bytes: after.bytes - before.bytes,
            };
            self.spend_copy(size)?;
            self.anchors.insert(anchor, (value.clone(), size));
        }
        Ok(value)
    }

    fn build_mapping(&mut self, depth: usize) -> Result<Value, YamlError> {
        let mut out = Map::new();
        let mut merged = Map::new();
        loop {
            let (event, span) = match self.expect_event()? {
                (Event::MappingEnd, _) => break,
                event => event,
            };
            let line = span.start.line();
            let is_merge =
                matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<");
            let key = key_text(self.build_node(event, span, depth + 1)?, line)?;
            let (event, span) = self.expect_event()?;
            self.path_bytes += key.len();
            let value = self.build_node(event, span, depth + 1)?;
            self.path_bytes -= key.len();
            if is_merge {
                merge_into(&mut merged, value, line)?;
                continue;
            }
            if out.contains_key(&key) && self.duplicates.len() < limits::MAX_REPORTED_FIELDS {
                self.duplicates
                    .push(format!("line {line}: key \"{key}\"{DUPLICATE_KEY}"));
            }
            out.insert(key, value);
        }
        for (key, value) in merged {
            out.entry(key).or_insert(value);
        }
        Ok(Value::Object(out))
    }

    fn size(&self) -> NodeSize {
        NodeSize {
            nodes: self.budget.nodes(),
            bytes: self.bytes,
        }
    }

    /// Counts a copy before it is made: otherwise a small body could expand to any
    /// amount of memory.
    fn spend_copy(&mut self, size: NodeSize) -> Result<(), YamlError> {
        self.copied_bytes += size.bytes;
        if self.copied_bytes > limits::MAX_COPIED_BYTES
            || self.budget.charge_copies(size.nodes).is_err()
        {
            return Err(YamlError::Aliasing);
        }
        Ok(())
    }
}

fn merge_into(merged: &mut Map<String, Value>, value: Value, line: usize) -> Result<(), YamlError> {
    let maps = match value {
        Value::Array(items) => items,
        map => vec![map],
    };
    for map in maps {
        let Value::Object(map) = map else {
            return Err(YamlError::MergeValue { line });
        };
        for (key, value) in map {
            merged.entry(key).or_insert(value);
        }
    }
    Ok(())
}

fn key_text(key: Value, line: usize) -> Result<String, YamlError> {
    match key {
        Value::String(text) => Ok(text),
        Value::Bool(_) | Value::Number(_) => Ok(key.to_string()),
        Value::Null => Ok("null".to_owned()),
        Value::Array(_) | Value::Object(_) => Err(YamlError::Key { line }),
    }
}

/// Returns the value of a plain scalar.
fn resolve_scalar(text: &str) -> Result<Value, YamlError> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Ok(Value::Bool(true));
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Ok(Value::Bool(false));
        }
        _ => {}
    }
    let may_be_number = text
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.'));
    if !may_be_number {
        return Ok(Value::String(text.to_owned()));
    }
    let digits = text.replace('_', "");
    if let Some(number) = parse_integer(&digits) {
        return Ok(number);
    }
    if is_float(&digits)
        && let Ok(number) = digits.parse::<f64>()
    {
        return Ok(json::number_from_f64(number));
    }
    if matches!(
        digits.trim_start_matches(['+', '-']),
        ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN"
    ) {
        return Err(YamlError::Number(text.to_owned()));
    }
    Ok(Value::String(text.to_owned()))
}

fn parse_integer(digits: &str) -> Option<Value> {
    let (negative, rest) = match digits.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, digits.strip_prefix('+').unwrap_or(digits)),
    };
    let (radix, rest) = match rest.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, rest.get(2..)?),
        [b'0', b'b' | b'B', ..] => (2, rest.get(2..)?),
        [b'0', b'o' | b'O', ..] => (8, rest.get(2..)?),
        [b'0', _, ..] => (8, rest.get(1..)?),
        _ => (10, rest),
    };
    if rest.is_empty() || !rest.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let magnitude = i128::from_str_radix(rest, radix).ok()?;
    let value = if negative { -magnitude } else { magnitude };
    Some(match i64::try_from(value) {
        Ok(small) => small.into(),
        Err(_) => Number::from_f64(value as f64).map_or(Value::Null, Value::Number),
    })
}

fn is_float(text: &str) -> bool {
    let rest = text.trim_start_matches(['+', '-']);
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (rest, None),
    };
    let has_digits_only = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let is_mantissa = match mantissa.split_once('.') {
        Some((whole, part)) => {
            has_digits_only(whole)
                && has_digits_only(part)
                && !(whole.is_empty() && part.is_empty())
        }
        None => !mantissa.is_empty() && has_digits_only(mantissa),
    };
    is_mantissa
        && exponent.is_none_or(|exponent| {
            let exponent = exponent.trim_start_matches(['+', '-']);
            !exponent.is_empty() && has_digits_only(exponent)
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scalars_follow_yaml_1_1() {
        let text = "on: \"yes\"\nnum: 010\nyes: yes\nnul: ~\ndate: 2024-01-02\nlist: [1, 2.0, '3', 0x10, 1e3, .5]\nv: 1.2.3\n";
        let document = parse(text).unwrap();
        assert_eq!(
            document.value,
            json!({"true": true, "num": 8, "nul": null, "date": "2024-01-02",
                   "list": [1, 2, "3", 16, 1000, 0.5], "v": "1.2.3"})
        );
        assert_eq!(
            document.duplicates,
            ["line 3: key \"true\" already set in map"]
        );
    }

    #[test]
    fn only_the_first_document_is_parsed() {
        assert_eq!(parse("a: 1\n---\nb: 2\n").unwrap().value, json!({"a": 1}));
        assert!(parse("a: [").is_err());
    }

    /// Returns a document of lists, each with ten aliases of the list before it.
    fn bomb(innermost: &str, levels: usize) -> String {
        let mut text = format!("a0: &a0 {innermost}\n");
        for level in 1..=levels {
            let inner = vec![format!("*a{}", level - 1); 10].join(",");
            text.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
        }
        text
    }

    #[test]
    fn aliases_cannot_expand_without_bound() {
        assert!(parse(&bomb("[x,x,x,x,x,x,x,x,x,x]", 2)).is_ok());
        let many_values = bomb("[[],[],[],[],[],[],[],[],[],[]]", 4);
        let many_bytes = bomb(&"x".repeat(10_000), 3);
        for text in [bomb("[x,x,x,x,x,x,x,x,x,x]", 8), many_values, many_bytes] {
            assert!(matches!(parse(&text), Err(YamlError::Aliasing)));
        }
        assert_eq!(
            parse("a: &x {k: 1}\nb: *x\nc:\n  <<: *x\n  j: 2\n")
                .unwrap()
                .value,
            json!({"a": {"k": 1}, "b": {"k": 1}, "c": {"k": 1, "j": 2}})
        );
    }
}
