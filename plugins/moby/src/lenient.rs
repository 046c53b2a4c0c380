//! Lenient parsing of JSON in which every value may be missing, null, of another
//! type, or out of range.
//!
//! The models of `bollard-stubs` are not used, since they reject a whole
//! document for one unknown value of an enumeration.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

/// A value that matches its type, or any other value.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum LenientValue<T> {
    Value(T),
    // Matches every value that the type of the first variant does not.
    Mismatch(IgnoredAny),
}

impl<T> LenientValue<T> {
    /// Returns the value if it matches its type.
    pub(crate) fn into_option(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Mismatch(IgnoredAny) => None,
        }
    }
}

/// Deserializes a value, or returns the type's default if the value does not
/// match.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(LenientValue::deserialize(deserializer)?
        .into_option()
        .unwrap_or_default())
}

/// Deserializes a list and skips the elements that do not match their type.
pub(crate) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let list: Option<Vec<LenientValue<T>>> = LenientValue::deserialize(deserializer)?.into_option();
    Ok(list
        .unwrap_or_default()
        .into_iter()
        .filter_map(LenientValue::into_option)
        .collect())
}

/// Deserializes a map and skips the entries that do not match their type.
pub(crate) fn map<'de, D, T>(deserializer: D) -> Result<BTreeMap<String, T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let map: Option<BTreeMap<String, LenientValue<T>>> =
        LenientValue::deserialize(deserializer)?.into_option();
    Ok(map
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(key, value)| Some((key, value.into_option()?)))
        .collect())
}

/// A list that is a whole document. Only its elements are parsed leniently: a
/// document that is not a list is an error, so that it is not mistaken for an
/// empty list.
#[derive(Deserialize)]
#[serde(transparent, bound = "T: Deserialize<'de>")]
pub(crate) struct LenientList<T>(Vec<LenientValue<T>>);

impl<T> LenientList<T> {
    /// Returns the elements that match their type.
    pub(crate) fn into_vec(self) -> Vec<T> {
        self.0
            .into_iter()
            .filter_map(LenientValue::into_option)
            .collect()
    }
}
