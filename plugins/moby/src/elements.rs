//! The elements of a JSON list, one by one as their bytes come.
//!
//! An engine may list thousands of objects of some kilobytes each; the list as
//! a whole, its bytes and what is made of them, would not fit into a backend's
//! memory. `serde_json` reads one value of many, but only from a source that
//! blocks, and only values without commas between them; this adds no more than
//! the brackets, the commas, and the waiting for the rest of an element.

use std::marker::PhantomData;

use rdd_sdk::types::Error;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::lenient::Maybe;

/// The largest element that is read: no engine says more of one object.
const MAX_ELEMENT: usize = 16 << 20;

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The list, or the object that holds it.
    Document,
    /// A key of the object.
    Key,
    /// The colon after a key; true for the list's.
    Colon(bool),
    /// The value of a key; true for the list's.
    Value(bool),
    /// What follows a value.
    AfterValue,
    /// The first element, or the end of the list.
    First,
    /// An element.
    Element,
    /// What follows an element.
    AfterElement,
    /// What follows the list, which is not read.
    Done,
}

/// Reads a list that is the whole document, or the value of one key of it.
/// Elements that do not fit their type are left out; a document that is no
/// such list must not pass for an empty one.
pub(crate) struct Elements<T> {
    /// The key whose value is the list.
    key: Option<&'static str>,
    place: Place,
    bytes: Vec<u8>,
    /// How many of them are dealt with.
    used: usize,
    /// An element was cut short: it is tried again when there are so many
    /// bytes, twice as many as before, so that no byte is read often.
    enough: usize,
    ended: bool,
    element: PhantomData<T>,
}

impl<T: DeserializeOwned> Elements<T> {
    pub(crate) fn new(key: Option<&'static str>) -> Self {
        Self {
            key,
            place: Place::Document,
            bytes: Vec::new(),
            used: 0,
            enough: 0,
            ended: false,
            element: PhantomData,
        }
    }

    /// Takes the next bytes of the document.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.place != Place::Done {
            self.bytes.drain(..self.used);
            self.used = 0;
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// There are no more bytes.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    /// The next element; `None` where bytes are missing, or at the end.
    pub(crate) fn next(&mut self) -> Result<Option<T>, Error> {
        while self.place != Place::Done {
            let Some(byte) = self.peek() else { break };
            self.place = match (self.place, byte) {
                (Place::Document, b'[') if self.key.is_none() => self.step(Place::First),
                (Place::Document, b'{') if self.key.is_some() => self.step(Place::Key),
                (Place::Key, b'"') => match self.value::<String>()? {
                    Some(key) => Place::Colon(Some(key.as_str()) == self.key),
                    None => break,
                },
                (Place::Colon(is_list), b':') => self.step(Place::Value(is_list)),
                (Place::Value(true), b'[') => self.step(Place::First),
                // How Go writes a list of none.
                (Place::Value(true), b'n') => Place::Done,
                (Place::Value(false), _) => match self.value::<IgnoredAny>()? {
                    Some(IgnoredAny) => Place::AfterValue,
                    None => break,
                },
                (Place::AfterValue, b',') => self.step(Place::Key),
                (Place::First | Place::AfterElement, b']') => Place::Done,
                (Place::AfterElement, b',') => self.step(Place::Element),
                (Place::First | Place::Element, _) => match self.value::<Maybe<T>>()? {
                    Some(element) => {
                        self.place = Place::AfterElement;
                        match element.into_option() {
                            Some(element) => return Ok(Some(element)),
                            None => continue,
                        }
                    }
                    None => break,
                },
                _ => return Err(Error::internal("the engine's answer is no list")),
            };
        }
        match self.place {
            Place::Done => {
                self.bytes = Vec::new();
                self.used = 0;
                Ok(None)
            }
            _ if self.ended => Err(Error::internal(
                "the engine's answer ends in the middle of a list",
            )),
            _ => Ok(None),
        }
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        let rest = self.bytes.get(self.used..)?;
        let space = rest.iter().take_while(|b| b.is_ascii_whitespace()).count();
        self.used += space;
        self.bytes.get(self.used).copied()
    }

    fn step(&mut self, place: Place) -> Place {
        self.used += 1;
        place
    }

    /// The value that begins here; `None` where its end is missing.
    fn value<V: DeserializeOwned>(&mut self) -> Result<Option<V>, Error> {
        let rest = self.bytes.get(self.used..).unwrap_or_default();
        if rest.len() < self.enough && !self.ended {
            return Ok(None);
        }
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<V>();
        match values.next() {
            // A number or a word at the end may go on.
            Some(Ok(value))
                if values.byte_offset() < rest.len()
                    || matches!(rest.last(), Some(b'}' | b']' | b'"')) =>
            {
                self.used += values.byte_offset();
                self.enough = 0;
                Ok(Some(value))
            }
            Some(Err(error)) if !error.is_eof() => Err(Error::internal(format!(
                "the engine's answer is not understood: {error}"
            ))),
            _ if rest.len() > MAX_ELEMENT => Err(Error::internal(format!(
                "an element of the engine's answer is larger than {MAX_ELEMENT} bytes"
            ))),
            _ => {
                self.enough = rest.len() * 2;
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The elements of a document that comes in pieces of this size, and how
    /// many bytes were held at most.
    fn read(
        key: Option<&'static str>,
        document: &str,
        piece: usize,
    ) -> (Result<Vec<u32>, Error>, usize) {
        let mut elements = Elements::new(key);
        let mut found = Vec::new();
        let mut held = 0;
        let mut pieces = document.as_bytes().chunks(piece);
        loop {
            match pieces.next() {
                Some(piece) => elements.push(piece),
                None => elements.end(),
            }
            held = held.max(elements.bytes.len());
            loop {
                match elements.next() {
                    Ok(Some(element)) => found.push(element),
                    Ok(None) => break,
                    Err(error) => return (Err(error), held),
                }
            }
            if elements.ended {
                return (Ok(found), held);
            }
        }
    }

    #[test]
    fn a_list_may_come_in_any_pieces() {
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
        ] {
            for piece in 1..=document.len() {
                let (found, _) = read(key, document, piece);
                assert_eq!(found.unwrap(), expected, "{document} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn what_is_no_list_is_no_empty_list() {
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
    fn no_more_is_held_than_an_element() {
        let document = format!("[{}1]", "1234567,".repeat(100_000));
        let (found, held) = read(None, &document, 1_000);
        assert_eq!(found.unwrap().len(), 100_001);
        assert!(held < 3_000, "{held} bytes were held");

        let huge = format!("[\"{}\"]", "x".repeat(MAX_ELEMENT * 3));
        let (found, held) = read(None, &huge, 64 * 1024);
        assert!(found.is_err());
        assert!(
            held <= MAX_ELEMENT * 2 + 64 * 1024,
            "{held} bytes were held"
        );
    }
}
