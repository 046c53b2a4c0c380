//! The engine's lines: fields with tabs between them.

use rdd_sdk::types::Error;

/// A request: a line with a verb, and a line for each option.
pub(crate) struct EngineRequest(String);

impl EngineRequest {
    pub(crate) fn new(verb: &str, arguments: &[&str]) -> Self {
        Self(String::new()).with(verb, arguments)
    }

    /// Adds a line.
    pub(crate) fn with(mut self, word: &str, values: &[&str]) -> Self {
        self.0.push_str(word);
        for value in values {
            self.0.push('\t');
            for character in value.chars() {
                match character {
                    '\\' => self.0.push_str(r"\\"),
                    '\t' => self.0.push_str(r"\t"),
                    '\n' => self.0.push_str(r"\n"),
                    '\r' => self.0.push_str(r"\r"),
                    plain => self.0.push(plain),
                }
            }
        }
        self.0.push('\n');
        self
    }

    /// Adds a line if there is a value.
    pub(crate) fn with_some(self, word: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.with(word, &[&value.to_string()]),
            None => self,
        }
    }

    /// Returns the bytes to send, with the empty line at the end.
    pub(crate) fn into_bytes(mut self) -> Vec<u8> {
        self.0.push('\n');
        self.0.into_bytes()
    }
}

/// A line of a response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ResponseLine(Vec<String>);

impl ResponseLine {
    /// Splits a line, without its newline, into fields.
    pub(crate) fn parse(line: &[u8]) -> Result<Self, Error> {
        let line = std::str::from_utf8(line)
            .map_err(|_| Error::internal("the engine sent a line that is not UTF-8"))?;
        line.split('\t')
            .map(unescape)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Returns the fields, at least one.
    pub(crate) fn words(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).collect()
    }
}

fn unescape(field: &str) -> Result<String, Error> {
    let mut text = String::with_capacity(field.len());
    let mut characters = field.chars();
    while let Some(character) = characters.next() {
        text.push(match character {
            '\\' => match characters.next() {
                Some('\\') => '\\',
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                _ => return Err(Error::internal("the engine sent an unknown escape")),
            },
            plain => plain,
        });
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_survives_a_line() {
        for field in ["", "a\tb\\t\r\n", "\\", "ü", "\\\\n"] {
            let bytes = EngineRequest::new("word", &[field, "end"]).into_bytes();
            let line = bytes.strip_suffix(b"\n\n").unwrap();
            assert_eq!(
                ResponseLine::parse(line).unwrap().words(),
                ["word", field, "end"]
            );
        }
    }

    #[test]
    fn a_line_that_is_not_one_of_the_protocol_is_an_error() {
        for line in [b"a\\x".as_slice(), b"a\\", b"\xff"] {
            ResponseLine::parse(line).unwrap_err();
        }
    }
}
