//! YAML bodies by the rules of YAML 1.1, as the real server reads them: `yes`
//! and `on` are booleans, `010` is eight, keys become text.

use std::collections::HashMap;

use serde_json::{Map, Number, Value};
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span};

use crate::limits::{self, DocumentBudget};

/// A document and the keys that it gave twice, in the real server's words.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) value: Value,
    pub(crate) duplicates: Vec<String>,
}

/// What an alias copies.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    nodes: usize,
    bytes: usize,
}

struct Builder<'a> {
    parser: Parser<'a, serde_saphyr::granit_parser::StrInput<'a>>,
    anchors: HashMap<usize, (Value, Size)>,
    duplicates: Vec<String>,
    budget: DocumentBudget,
    /// Bytes of all scalars so far, copied ones too.
    bytes: usize,
    /// Bytes that were copied for anchors and by aliases.
    copied: usize,
    /// Bytes of the names from the root to here.
    length: usize,
}

/// Parses the first document of a YAML text.
pub(crate) fn parse(text: &str) -> Result<Document, String> {
    let mut builder = Builder {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        duplicates: Vec::new(),
        budget: DocumentBudget::default(),
        bytes: 0,
        copied: 0,
        length: 0,
    };
    let mut value = Value::Null;
    loop {
        match builder.event()? {
            None | Some((Event::StreamEnd | Event::DocumentEnd, _)) => break,
            Some((Event::StreamStart | Event::DocumentStart(..), _)) => {}
            Some((event, span)) => {
                value = builder.node(event, span, 0)?;
                break;
            }
        }
    }
    // What follows must be well-formed up to the end of this document.
    loop {
        match builder.event()? {
            None | Some((Event::StreamEnd | Event::DocumentEnd, _)) => break,
            Some(_) => {}
        }
    }
    Ok(Document {
        value,
        duplicates: builder.duplicates,
    })
}

impl<'a> Builder<'a> {
    fn event(&mut self) -> Result<Option<(Event<'a>, Span)>, String> {
        loop {
            match self.parser.next() {
                None => return Ok(None),
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok(found)) => return Ok(Some(found)),
                Some(Err(error)) => return Err(format!("yaml: {error}")),
            }
        }
    }

    fn required(&mut self) -> Result<(Event<'a>, Span), String> {
        self.event()?
            .ok_or_else(|| "yaml: unexpected end of the document".to_owned())
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Value, String> {
        let before = self.size();
        self.budget
            .charge(depth, self.length)
            .map_err(|why| format!("yaml: {why}"))?;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.bytes += text.len();
                let plain = matches!(style, ScalarStyle::Plain) && tag.is_none();
                let value = if plain {
                    resolve(&text)?
                } else {
                    Value::String(text.into_owned())
                };
                (value, anchor)
            }
            Event::SequenceStart(_, anchor, ..) => {
                let mut items = Vec::new();
                loop {
                    match self.required()? {
                        (Event::SequenceEnd, _) => break,
                        (event, span) => items.push(self.node(event, span, depth + 1)?),
                    }
                }
                (Value::Array(items), anchor)
            }
            Event::MappingStart(_, anchor, ..) => (self.mapping(depth)?, anchor),
            Event::Alias(id) => {
                let size = match self.anchors.get(&id) {
                    Some((_, size)) => *size,
                    None => return Err("yaml: unknown anchor".to_owned()),
                };
                // Before it is copied.
                self.copy(size)?;
                self.bytes += size.bytes;
                let found = self.anchors.get(&id);
                return Ok(found.map(|(value, _)| value.clone()).unwrap_or_default());
            }
            other => {
                return Err(format!(
                    "yaml: line {}: unexpected {other:?}",
                    span.start.line()
                ));
            }
        };
        if anchor != 0 {
            let after = self.size();
            let size = Size {
                nodes: after.nodes - before.nodes,
                bytes: after.bytes - before.bytes,
            };
            self.copy(size)?;
            self.anchors.insert(anchor, (value.clone(), size));
        }
        Ok(value)
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, String> {
        let mut out = Map::new();
        let mut merged = Map::new();
        loop {
            let (event, span) = match self.required()? {
                (Event::MappingEnd, _) => break,
                found => found,
            };
            let line = span.start.line();
            let merge =
                matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<");
            let key = key_text(self.node(event, span, depth + 1)?, line)?;
            let (event, span) = self.required()?;
            self.length += key.len();
            let value = self.node(event, span, depth + 1)?;
            self.length -= key.len();
            if merge {
                merge_into(&mut merged, value, line)?;
                continue;
            }
            if out.contains_key(&key) && self.duplicates.len() < limits::MAX_REPORTED_FIELDS {
                self.duplicates
                    .push(format!("line {line}: key \"{key}\" already set in map"));
            }
            out.insert(key, value);
        }
        for (key, value) in merged {
            out.entry(key).or_insert(value);
        }
        Ok(Value::Object(out))
    }

    fn size(&self) -> Size {
        Size {
            nodes: self.budget.nodes(),
            bytes: self.bytes,
        }
    }

    /// Counts a copy that is about to be made: a small body could otherwise
    /// stand for any amount of memory.
    fn copy(&mut self, size: Size) -> Result<(), String> {
        self.copied += size.bytes;
        if self.copied > limits::MAX_COPIED_BYTES || self.budget.charge_copies(size.nodes).is_err()
        {
            return Err(format!(
                "yaml: document contains excessive aliasing: its aliases stand for more than {} bytes or {} values",
                limits::MAX_COPIED_BYTES,
                limits::MAX_NODES
            ));
        }
        Ok(())
    }
}

fn merge_into(merged: &mut Map<String, Value>, value: Value, line: usize) -> Result<(), String> {
    let maps = match value {
        Value::Array(items) => items,
        one => vec![one],
    };
    for map in maps {
        let Value::Object(map) = map else {
            return Err(format!(
                "yaml: line {line}: map merge requires map or sequence of maps as the value"
            ));
        };
        for (key, value) in map {
            merged.entry(key).or_insert(value);
        }
    }
    Ok(())
}

fn key_text(key: Value, line: usize) -> Result<String, String> {
    match key {
        Value::String(text) => Ok(text),
        Value::Bool(_) | Value::Number(_) => Ok(key.to_string()),
        Value::Null => Ok("null".to_owned()),
        Value::Array(_) | Value::Object(_) => {
            Err(format!("yaml: line {line}: a key must be a scalar"))
        }
    }
}

/// What a plain scalar stands for.
fn resolve(text: &str) -> Result<Value, String> {
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
    let numeric = text
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.'));
    if !numeric {
        return Ok(Value::String(text.to_owned()));
    }
    let digits = text.replace('_', "");
    if let Some(number) = integer(&digits) {
        return Ok(number);
    }
    if looks_like_float(&digits)
        && let Ok(number) = digits.parse::<f64>()
    {
        return Ok(super::whole(number));
    }
    if matches!(
        digits.trim_start_matches(['+', '-']),
        ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN"
    ) {
        return Err(format!("yaml: json: unsupported value: {text}"));
    }
    Ok(Value::String(text.to_owned()))
}

fn integer(digits: &str) -> Option<Value> {
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

fn looks_like_float(text: &str) -> bool {
    let rest = text.trim_start_matches(['+', '-']);
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (rest, None),
    };
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    let mantissa_ok = match mantissa.split_once('.') {
        Some((whole, part)) => {
            digits(whole) && digits(part) && !(whole.is_empty() && part.is_empty())
        }
        None => !mantissa.is_empty() && digits(mantissa),
    };
    mantissa_ok
        && exponent.is_none_or(|e| {
            let e = e.trim_start_matches(['+', '-']);
            !e.is_empty() && digits(e)
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
    fn only_the_first_document_is_read() {
        assert_eq!(parse("a: 1\n---\nb: 2\n").unwrap().value, json!({"a": 1}));
        assert!(parse("a: [").is_err());
    }

    /// Lists of ten, each of the list before.
    fn bomb(innermost: &str, levels: usize) -> String {
        let mut text = format!("a0: &a0 {innermost}\n");
        for level in 1..=levels {
            let inner = vec![format!("*a{}", level - 1); 10].join(",");
            text.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
        }
        text
    }

    #[test]
    fn aliases_cannot_multiply_without_bound() {
        assert!(parse(&bomb("[x,x,x,x,x,x,x,x,x,x]", 2)).is_ok());
        let many_values = bomb("[[],[],[],[],[],[],[],[],[],[]]", 4);
        let many_bytes = bomb(&"x".repeat(10_000), 3);
        for text in [bomb("[x,x,x,x,x,x,x,x,x,x]", 8), many_values, many_bytes] {
            assert!(parse(&text).unwrap_err().contains("aliasing"));
        }
        assert_eq!(
            parse("a: &x {k: 1}\nb: *x\nc:\n  <<: *x\n  j: 2\n")
                .unwrap()
                .value,
            json!({"a": {"k": 1}, "b": {"k": 1}, "c": {"k": 1, "j": 2}})
        );
    }
}
