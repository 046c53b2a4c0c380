//! The errors of Go's JSON decoder, in its words: clients show them, and people
//! search for them.
//!
//! Written by hand: the decoder here is `serde_json`, whose errors differ. A body
//! that it rejects is scanned once more, by the states of Go's scanner.

use serde_json::Value;

/// The maximum nesting of a document in Go's decoder.
const MAX_DEPTH: usize = 10_000;

/// The Go type into which a body's `apiVersion` and `kind` are decoded first.
const TYPE_META_STRUCT: &str = r#"struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }"#;

/// Returns Go's name of a value's JSON type.
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Returns the message for a value that has another type than `go_type`.
pub fn cannot_unmarshal(value: &Value, go_type: &str) -> String {
    format!(
        "json: cannot unmarshal {} into Go value of type {go_type}",
        type_name(value)
    )
}

/// Returns the message for a body whose `apiVersion` and `kind` cannot be read;
/// `None` for an object with texts, and for null, which Go ignores.
pub fn type_meta_error(body: &Value) -> Option<String> {
    let object = match body {
        Value::Null => return None,
        Value::Object(object) => object,
        other => return Some(cannot_unmarshal(other, TYPE_META_STRUCT)),
    };
    ["apiVersion", "kind"].into_iter().find_map(|name| {
        let value = object.get(name)?;
        let is_readable = value.is_string() || value.is_null();
        (!is_readable).then(|| {
            format!(
                "json: cannot unmarshal {} into Go struct field .{name} of type string",
                type_name(value)
            )
        })
    })
}

/// Returns the first syntax error of a document; `None` if its syntax is valid.
pub fn syntax_error(document: &[u8]) -> Option<String> {
    JsonScanner {
        rest: document.iter().copied().peekable(),
        open: Vec::new(),
    }
    .scan_document()
    .err()
}

/// Returns the first number that no `f64` can hold; `None` if there is none. The
/// syntax must be valid.
pub fn number_out_of_range(document: &[u8]) -> Option<String> {
    let (mut is_text, mut is_escaped) = (false, false);
    let is_number = |byte: u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    for (at, &byte) in document.iter().enumerate() {
        if is_text {
            is_text = is_escaped || byte != b'"';
            is_escaped = !is_escaped && byte == b'\\';
            continue;
        }
        is_text = byte == b'"';
        let is_start = matches!(byte, b'0'..=b'9' | b'-')
            && !at
                .checked_sub(1)
                .and_then(|before| document.get(before))
                .is_some_and(|before| is_number(*before));
        if !is_start {
            continue;
        }
        let tail = document.get(at..).unwrap_or_default();
        let length = tail.iter().take_while(|byte| is_number(**byte)).count();
        let number = std::str::from_utf8(tail.get(..length)?).ok()?;
        if number.parse::<f64>().is_ok_and(f64::is_infinite) {
            return Some(number.to_owned());
        }
    }
    None
}

/// Returns a byte as Go's scanner quotes it.
fn quoted(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        b'\\' => r"'\\'".to_owned(),
        0x07 => r"'\a'".to_owned(),
        0x08 => r"'\b'".to_owned(),
        0x0b => r"'\v'".to_owned(),
        0x0c => r"'\f'".to_owned(),
        b'\n' => r"'\n'".to_owned(),
        b'\r' => r"'\r'".to_owned(),
        b'\t' => r"'\t'".to_owned(),
        0x00..=0x1f | 0x7f => format!(r"'\x{byte:02x}'"),
        // A byte is taken for the character of its number. Go escapes those that
        // cannot be printed.
        0x80..=0xa0 | 0xad => format!(r"'\u{:04x}'", u32::from(byte)),
        _ => format!("'{}'", char::from(byte)),
    }
}

fn invalid(byte: u8, context: &str) -> String {
    format!("invalid character {} {context}", quoted(byte))
}

/// A container that is open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OpenContainer {
    Object,
    Array,
}

struct JsonScanner<I: Iterator<Item = u8>> {
    rest: std::iter::Peekable<I>,
    open: Vec<OpenContainer>,
}

type ScanResult<T> = Result<T, String>;

impl<I: Iterator<Item = u8>> JsonScanner<I> {
    fn next(&mut self) -> ScanResult<u8> {
        self.rest
            .next()
            .ok_or_else(|| "unexpected end of JSON input".to_owned())
    }

    /// Returns the next byte that is not white space.
    fn next_token(&mut self) -> ScanResult<u8> {
        while self
            .rest
            .next_if(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
            .is_some()
        {}
        self.next()
    }

    fn scan_document(mut self) -> ScanResult<()> {
        let first = self.next_token()?;
        self.begin_value(first)?;
        while let Some(container) = self.open.last().copied() {
            self.continue_container(container)?;
        }
        match self.next_token() {
            Ok(byte) => Err(invalid(byte, "after top-level value")),
            Err(_) => Ok(()),
        }
    }

    /// Scans a value up to its end, or up to the end of the first value in it that is
    /// no container with items. A loop, since a document may be nested deeply.
    fn begin_value(&mut self, mut byte: u8) -> ScanResult<()> {
        loop {
            byte = match byte {
                b'{' => {
                    self.push(OpenContainer::Object)?;
                    match self.next_token()? {
                        b'}' => break,
                        byte => self.member(byte)?,
                    }
                }
                b'[' => {
                    self.push(OpenContainer::Array)?;
                    match self.next_token()? {
                        b']' => break,
                        byte => byte,
                    }
                }
                b'"' => return self.text(),
                b'-' | b'0'..=b'9' => return self.number(byte),
                b't' => return self.literal("true"),
                b'f' => return self.literal("false"),
                b'n' => return self.literal("null"),
                _ => return Err(invalid(byte, "looking for beginning of value")),
            };
        }
        self.open.pop();
        Ok(())
    }

    fn push(&mut self, container: OpenContainer) -> ScanResult<()> {
        self.open.push(container);
        if self.open.len() > MAX_DEPTH {
            return Err("exceeded max depth".to_owned());
        }
        Ok(())
    }

    /// Scans what follows a value in a container.
    fn continue_container(&mut self, container: OpenContainer) -> ScanResult<()> {
        match (container, self.next_token()?) {
            (OpenContainer::Object, b'}') | (OpenContainer::Array, b']') => {
                self.open.pop();
                Ok(())
            }
            (OpenContainer::Object, b',') => {
                let byte = self.next_token()?;
                let byte = self.member(byte)?;
                self.begin_value(byte)
            }
            (OpenContainer::Array, b',') => {
                let byte = self.next_token()?;
                self.begin_value(byte)
            }
            (OpenContainer::Object, byte) => Err(invalid(byte, "after object key:value pair")),
            (OpenContainer::Array, byte) => Err(invalid(byte, "after array element")),
        }
    }

    /// Scans a key, and returns the first byte of its value.
    fn member(&mut self, byte: u8) -> ScanResult<u8> {
        if byte != b'"' {
            return Err(invalid(byte, "looking for beginning of object key string"));
        }
        self.text()?;
        match self.next_token()? {
            b':' => {}
            byte => return Err(invalid(byte, "after object key")),
        }
        self.next_token()
    }

    fn text(&mut self) -> ScanResult<()> {
        loop {
            match self.next()? {
                b'"' => return Ok(()),
                b'\\' => match self.next()? {
                    b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => {}
                    b'u' => {
                        for _ in 0..4 {
                            let byte = self.next()?;
                            if !byte.is_ascii_hexdigit() {
                                return Err(invalid(byte, r"in \u hexadecimal character escape"));
                            }
                        }
                    }
                    byte => return Err(invalid(byte, "in string escape code")),
                },
                byte if byte < 0x20 => return Err(invalid(byte, "in string literal")),
                _ => {}
            }
        }
    }

    fn digits(&mut self) {
        while self.rest.next_if(u8::is_ascii_digit).is_some() {}
    }

    fn number(&mut self, first: u8) -> ScanResult<()> {
        let first = match first {
            b'-' => match self.next()? {
                byte if byte.is_ascii_digit() => byte,
                byte => return Err(invalid(byte, "in numeric literal")),
            },
            byte => byte,
        };
        if first != b'0' {
            self.digits();
        }
        if self.rest.next_if_eq(&b'.').is_some() {
            match self.next()? {
                byte if byte.is_ascii_digit() => self.digits(),
                byte => {
                    return Err(invalid(byte, "after decimal point in numeric literal"));
                }
            }
        }
        if self
            .rest
            .next_if(|byte| matches!(byte, b'e' | b'E'))
            .is_some()
        {
            let byte = match self.next()? {
                b'+' | b'-' => self.next()?,
                byte => byte,
            };
            if !byte.is_ascii_digit() {
                return Err(invalid(byte, "in exponent of numeric literal"));
            }
            self.digits();
        }
        Ok(())
    }

    /// Scans what follows the first letter of a literal.
    fn literal(&mut self, name: &str) -> ScanResult<()> {
        for expected in name.bytes().skip(1) {
            let byte = self.next()?;
            if byte != expected {
                let expected = char::from(expected);
                return Err(invalid(
                    byte,
                    &format!("in literal {name} (expecting '{expected}')"),
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
