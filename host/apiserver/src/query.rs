//! The query string, decoded once.

use std::borrow::Cow;

/// Decoded `name=value` pairs in the order in which they were sent.
#[derive(Debug, Default)]
pub(crate) struct QueryParams(Vec<(String, String)>);

impl QueryParams {
    pub(crate) fn parse(raw: Option<&str>) -> Self {
        let pairs = raw
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (
                    decode(name, true).into_owned(),
                    decode(value, true).into_owned(),
                )
            })
            .collect();
        Self(pairs)
    }

    /// The first value of a parameter; an empty one counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.raw(name).filter(|value| !value.is_empty())
    }

    /// The first value of a parameter, empty ones too.
    pub(crate) fn raw(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Every value of a parameter.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// A flag: absent is false; `0` and `false` are false; everything else,
    /// the bare name too, is true.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.raw(name)
            .is_some_and(|value| !matches!(value.to_ascii_lowercase().as_str(), "0" | "false"))
    }
}

/// Undoes percent-encoding (and `+` for a space in a query).
pub(crate) fn decode(text: &str, plus: bool) -> Cow<'_, str> {
    let encoded = text.contains('%') || (plus && text.contains('+'));
    if !encoded {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, tail)) = rest.split_first() {
        let hex = |byte: &u8| (*byte as char).to_digit(16);
        match (first, tail) {
            (b'%', [high, low, after @ ..]) => match (hex(high), hex(low)) {
                (Some(high), Some(low)) => {
                    out.push((high * 16 + low) as u8);
                    rest = after;
                }
                _ => {
                    out.push(first);
                    rest = tail;
                }
            },
            (b'+', _) if plus => {
                out.push(b' ');
                rest = tail;
            }
            _ => {
                out.push(first);
                rest = tail;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}
