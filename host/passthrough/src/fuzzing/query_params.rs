//! What queries for logs and for processes have in common.

use std::fmt::Display;

use form_urlencoded::Serializer;
use rdd_core::text;

/// The maximum length of an error message in bytes: a few sentences, a quoted value
/// of 80 bytes, and a quoted name, in which a byte may take six.
const MAX_MESSAGE_BYTES: usize = 1024;

/// The parameters of a query in order, decoded.
pub(super) struct QueryParams(Vec<(String, String)>);

impl QueryParams {
    pub(super) fn parse(query: &str) -> Self {
        Self(
            form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut pairs = self.0.iter();
        pairs.find_map(|(key, value)| (key == name).then_some(&**value))
    }

    /// Returns the query of the first `count` parameters.
    fn first(&self, count: usize) -> String {
        encode(
            self.0
                .iter()
                .take(count)
                .map(|(name, value)| (&**name, &**value)),
        )
    }

    /// Returns the query with the parameters in another order.
    pub(super) fn sorted(&self) -> String {
        let mut pairs = self.0.clone();
        // Stable, so that the arguments of a command stay in order.
        pairs.sort_by(|(first, _), (second, _)| second.cmp(first));
        encode(pairs.iter().map(|(name, value)| (&**name, &**value)))
    }

    /// Checks that the message of `error` is one sentence of limited length that
    /// names the parameter that causes it, and returns this parameter's name. It is
    /// the last of the shortest query that fails in the same way; `None` is a query
    /// without parameters.
    pub(super) fn check_error<T, E: Display + PartialEq>(
        &self,
        error: &E,
        known: &[&str],
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<&str> {
        let message = error.to_string();
        assert!(message.len() <= MAX_MESSAGE_BYTES, "{message}");
        assert!(!message.contains(char::is_control), "{message:?}");
        let count = (0..=self.0.len())
            .find(|count| parse(&self.first(*count)).err().as_ref() == Some(error))
            .unwrap_or_else(|| panic!("the encoding of a character matters: {message}"));
        let (name, _) = self.0.get(count.checked_sub(1)?)?;
        let shown = match known.contains(&&**name) {
            true => name.clone(),
            false => text::quote(name, 80),
        };
        assert!(message.contains(&shown), "{shown} is not in: {message}");
        Some(name)
    }
}

/// Encodes parameters.
pub(super) fn encode<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    Serializer::new(String::new()).extend_pairs(pairs).finish()
}
