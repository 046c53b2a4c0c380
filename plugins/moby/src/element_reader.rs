//! An incremental reader of the elements of a JSON list.
//!
//! An engine may list thousands of objects of a few kilobytes each. The whole
//! list, as bytes and as parsed objects, would exceed a backend's memory.
//! `serde_json::StreamDeserializer` reads one value at a time, but only from a
//! blocking source and only without commas between the values. This reader adds
//! the brackets, the commas, and the wait for the rest of an element.

use std::marker::PhantomData;

use rdd_sdk::types::Error;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::lenient::LenientValue;

/// The maximum size of one element, more than an engine ever sends.
const MAX_ELEMENT_BYTES: usize = 16 << 20;

/// The state before the next byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ParserState {
    /// Before the list or the object that contains it.
    Document,
    /// Before a key of the object.
    Key,
    /// Before the colon after a key; true for the key of the list.
    Colon(bool),
    /// Before the value of a key; true for the list.
    Value(bool),
    /// After a value of the object.
    AfterValue,
    /// Before the first element or the end of the list.
    First,
    /// Before an element.
    Element,
    /// After an element.
    AfterElement,
    /// After the list. The rest is ignored.
    Done,
}

/// A reader of a list that is the whole document or the value of one key of it.
/// It skips elements that do not match their type. A document without such a
/// list is an error, so that it is not mistaken for an empty list.
pub(crate) struct ElementReader<T> {
    /// The key whose value is the list.
    key: Option<&'static str>,
    state: ParserState,
    bytes: Vec<u8>,
    /// The number of bytes of `bytes` that were processed.
    consumed: usize,
    /// The number of bytes at which an incomplete element is parsed again. It
    /// doubles each time, so that no byte is parsed often.
    retry_at: usize,
    is_finished: bool,
    element: PhantomData<T>,
}

impl<T: DeserializeOwned> ElementReader<T> {
    pub(crate) fn new(key: Option<&'static str>) -> Self {
        Self {
            key,
            state: ParserState::Document,
            bytes: Vec::new(),
            consumed: 0,
            retry_at: 0,
            is_finished: false,
            element: PhantomData,
        }
    }

    /// Appends the next bytes of the document.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.state != ParserState::Done {
            self.bytes.drain(..self.consumed);
            self.consumed = 0;
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Marks the end of the document.
    pub(crate) fn finish(&mut self) {
        self.is_finished = true;
    }

    /// Returns the next element, or `None` at the end of the list or if more
    /// bytes are needed.
    pub(crate) fn next(&mut self) -> Result<Option<T>, Error> {
        while self.state != ParserState::Done {
            let Some(byte) = self.peek() else { break };
            self.state = match (self.state, byte) {
                (ParserState::Document, b'[') if self.key.is_none() => {
                    self.advance(ParserState::First)
                }
                (ParserState::Document, b'{') if self.key.is_some() => {
                    self.advance(ParserState::Key)
                }
                (ParserState::Key, b'"') => match self.parse_value::<String>()? {
                    Some(key) => ParserState::Colon(Some(key.as_str()) == self.key),
                    None => break,
                },
                (ParserState::Colon(is_list), b':') => self.advance(ParserState::Value(is_list)),
                (ParserState::Value(true), b'[') => self.advance(ParserState::First),
                // Go encodes a nil slice as null.
                (ParserState::Value(true), b'n') => ParserState::Done,
                (ParserState::Value(false), _) => match self.parse_value::<IgnoredAny>()? {
                    Some(IgnoredAny) => ParserState::AfterValue,
                    None => break,
                },
                (ParserState::AfterValue, b',') => self.advance(ParserState::Key),
                (ParserState::First | ParserState::AfterElement, b']') => ParserState::Done,
                (ParserState::AfterElement, b',') => self.advance(ParserState::Element),
                (ParserState::First | ParserState::Element, _) => {
                    match self.parse_value::<LenientValue<T>>()? {
                        Some(element) => {
                            self.state = ParserState::AfterElement;
                            match element.into_option() {
                                Some(element) => return Ok(Some(element)),
                                None => continue,
                            }
                        }
                        None => break,
                    }
                }
                _ => return Err(Error::internal("the engine's response is not a list")),
            };
        }
        match self.state {
            ParserState::Done => {
                self.bytes = Vec::new();
                self.consumed = 0;
                Ok(None)
            }
            _ if self.is_finished => {
                Err(Error::internal("the engine's response ends within a list"))
            }
            _ => Ok(None),
        }
    }

    /// Skips white space and returns the next byte.
    fn peek(&mut self) -> Option<u8> {
        let rest = self.bytes.get(self.consumed..)?;
        let space = rest.iter().take_while(|b| b.is_ascii_whitespace()).count();
        self.consumed += space;
        self.bytes.get(self.consumed).copied()
    }

    fn advance(&mut self, state: ParserState) -> ParserState {
        self.consumed += 1;
        state
    }

    /// Parses the next value, or returns `None` if it is incomplete.
    fn parse_value<V: DeserializeOwned>(&mut self) -> Result<Option<V>, Error> {
        let rest = self.bytes.get(self.consumed..).unwrap_or_default();
        if rest.len() < self.retry_at && !self.is_finished {
            return Ok(None);
        }
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<V>();
        match values.next() {
            // A number or keyword at the end of the bytes may be incomplete.
            Some(Ok(value))
                if values.byte_offset() < rest.len()
                    || matches!(rest.last(), Some(b'}' | b']' | b'"')) =>
            {
                self.consumed += values.byte_offset();
                self.retry_at = 0;
                Ok(Some(value))
            }
            Some(Err(error)) if !error.is_eof() && !ends_within_number(rest) => Err(
                Error::internal(format!("cannot parse the engine's response: {error}")),
            ),
            _ if rest.len() > MAX_ELEMENT_BYTES => Err(Error::internal(format!(
                "an element of the engine's response is larger than {MAX_ELEMENT_BYTES} bytes"
            ))),
            _ => {
                self.retry_at = rest.len() * 2;
                Ok(None)
            }
        }
    }
}

/// Returns whether the last byte may be followed by a digit. For a value that is
/// skipped, `serde_json` then reports an invalid number instead of the end.
fn ends_within_number(bytes: &[u8]) -> bool {
    matches!(bytes.last(), Some(b'-' | b'+' | b'.' | b'e' | b'E'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a document in pieces of this size. Returns the elements and the
    /// maximum number of buffered bytes.
    fn read(
        key: Option<&'static str>,
        document: &str,
        piece: usize,
    ) -> (Result<Vec<u32>, Error>, usize) {
        let mut elements = ElementReader::new(key);
        let mut found = Vec::new();
        let mut buffered = 0;
        let mut pieces = document.as_bytes().chunks(piece);
        loop {
            match pieces.next() {
                Some(piece) => elements.push(piece),
                None => elements.finish(),
            }
            buffered = buffered.max(elements.bytes.len());
            loop {
                match elements.next() {
                    Ok(Some(element)) => found.push(element),
                    Ok(None) => break,
                    Err(error) => return (Err(error), buffered),
                }
            }
            if elements.is_finished {
                return (Ok(found), buffered);
            }
        }
    }

    #[test]
    fn an_element_without_an_end_is_an_error_before_the_memory_is_exhausted() {
        let mut elements = ElementReader::<u32>::new(None);
        elements.push(b"[\"");
        let piece = vec![b'x'; 1 << 20];
        let mut pushed = 0;
        let error = loop {
            elements.push(&piece);
            pushed += piece.len();
            match elements.next() {
                Ok(element) => assert_eq!(element, None),
                Err(error) => break error,
            }
            // It is looked at when the bytes have doubled.
            assert!(pushed <= 2 * MAX_ELEMENT_BYTES, "{pushed} bytes are kept");
        };
        assert!(error.message.contains("is larger than 16777216 bytes"));
    }

    #[test]
    fn a_list_may_arrive_in_pieces_of_any_size() {
        for (key, document, expected) in [
            (None, "[]", vec![]),
            (None, " [ 1 , 22,\n333 ] ", vec![1, 22, 333]),
            (
                None,
                r#"[1, "x", null, {"a": [2, "]"]}, -5, 4]"#,
                vec![1, 4],
            ),
            (Some("V"), r#"{"V":[1,2],"W":null}"#, vec![1, 2]),
            (
                Some("V"),
                r#"{"W": {"V": [9]}, "X": 12, "V" : [ 3 ]}"#,
                vec![3],
            ),
            (Some("V"), r#"{"V":null}"#, vec![]),
            (
                Some("V"),
                r#"{"W": -1, "X": [1.5, {"Y": -2.5E+3}], "V": [4]}"#,
                vec![4],
            ),
        ] {
            for piece in 1..=document.len() {
                let (found, _) = read(key, document, piece);
                assert_eq!(found.unwrap(), expected, "{document} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn a_document_without_a_list_is_an_error() {
        for (key, document) in [
            (None, ""),
            (None, "null"),
            (None, "{}"),
            (None, "5"),
            (None, "[1, 2"),
            (None, "[1 2]"),
            (None, "[1,, 2]"),
            (None, "[{]}"),
            (Some("V"), "[]"),
            (Some("V"), "{}"),
            (Some("V"), r#"{"W":[]}"#),
            (Some("V"), r#"{"V":5}"#),
            (Some("V"), r#"{"V":[1"#),
        ] {
            for piece in [1, 100] {
                let (found, _) = read(key, document, piece);
                assert!(found.is_err(), "{document}");
            }
        }
    }

    #[test]
    fn at_most_one_element_is_buffered() {
        let document = format!("[{}1]", "1234567,".repeat(100_000));
        let (found, buffered) = read(None, &document, 1_000);
        assert_eq!(found.unwrap().len(), 100_001);
        assert!(buffered < 3_000, "{buffered} bytes were buffered");

        let huge = format!("[\"{}\"]", "x".repeat(MAX_ELEMENT_BYTES * 3));
        let (found, buffered) = read(None, &huge, 64 * 1024);
        assert!(found.is_err());
        assert!(
            buffered <= MAX_ELEMENT_BYTES * 2 + 64 * 1024,
            "{buffered} bytes were buffered"
        );
    }
}
