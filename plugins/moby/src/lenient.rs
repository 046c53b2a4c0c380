//! Reading JSON of which every part may be absent, null, of another type or
//! out of range. `bollard-stubs` has the models, but refuses a whole document
//! for one unknown enumeration value.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

/// A value, or something else in its place.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Maybe<T> {
    Value(T),
    // Matches whatever the value's type does not.
    Other(IgnoredAny),
}

impl<T> Maybe<T> {
    /// The value, where there is one.
    pub(crate) fn into_option(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Other(IgnoredAny) => None,
        }
    }
}

/// The value; its type's default where there is none that fits.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Maybe::deserialize(deserializer)?
        .into_option()
        .unwrap_or_default())
}

/// The elements that fit.
pub(crate) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let list: Option<Vec<Maybe<T>>> = Maybe::deserialize(deserializer)?.into_option();
    Ok(list
        .unwrap_or_default()
        .into_iter()
        .filter_map(Maybe::into_option)
        .collect())
}

/// The entries that fit.
pub(crate) fn map<'de, D, T>(deserializer: D) -> Result<BTreeMap<String, T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let map: Option<BTreeMap<String, Maybe<T>>> = Maybe::deserialize(deserializer)?.into_option();
    Ok(map
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(key, value)| Some((key, value.into_option()?)))
        .collect())
}

/// A list as a whole document. Only its elements are read with patience: an
/// answer that is no list must not pass for an empty one.
#[derive(Deserialize)]
#[serde(transparent, bound = "T: Deserialize<'de>")]
pub(crate) struct List<T>(Vec<Maybe<T>>);

impl<T> List<T> {
    /// The elements that fit.
    pub(crate) fn into_vec(self) -> Vec<T> {
        self.0.into_iter().filter_map(Maybe::into_option).collect()
    }
}
