//! The properties of label selectors. The function panics if the input breaks one.
//!
//! The target in `fuzz` searches for such inputs. The test replays those that are
//! saved there, and random mutations of them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a broken property is reported by panicking"
)]

use std::collections::BTreeMap;

use crate::{LabelSelector, SelectorError};

type Labels = BTreeMap<String, String>;

const KEYS: [&str; 4] = ["app", "a.b/tier", "in", "x_y-z.0"];
const VALUES: [&str; 6] = ["", "web", "notin", "7", "42", "0x7"];

/// The first byte decides whether the others are a selector or describe one.
///
/// - White space around commas and parentheses has no meaning.
/// - Two selectors with a comma between them match what both match.
/// - A described selector matches what its description says.
/// - An error has a message.
pub fn label_selector(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else {
        return;
    };
    match choice & 1 {
        0 => {
            if let Ok(text) = str::from_utf8(rest) {
                check_text(text);
            }
        }
        _ => check_description(rest),
    }
}

fn check_text(text: &str) {
    let selector = match LabelSelector::parse(text) {
        Ok(selector) => selector,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let spaced: String = text
        .chars()
        .map(|character| match character {
            ',' | '(' | ')' => format!("\t{character} \r\n"),
            character => character.to_string(),
        })
        .collect();
    assert_eq!(LabelSelector::parse(&spaced).unwrap(), selector);
    let is_empty = text.trim_matches([' ', '\t', '\r', '\n']).is_empty();
    assert_eq!(selector == LabelSelector::default(), is_empty);
    if is_empty {
        return;
    }
    let other = LabelSelector::parse("app!=web").unwrap();
    for both in [format!("{text},app!=web"), format!("app!=web , {text}")] {
        let both = match LabelSelector::parse(&both) {
            Err(SelectorError::TooLarge { .. }) => continue,
            both => both.unwrap(),
        };
        for labels in all_labels() {
            let is_selected = selector.matches_labels(&labels) && other.matches_labels(&labels);
            assert_eq!(both.matches_labels(&labels), is_selected, "{labels:?}");
        }
    }
}

/// Returns each combination of some values.
fn all_labels() -> impl Iterator<Item = Labels> {
    const CHOICES: [Option<&str>; 3] = [None, Some("web"), Some("42")];
    (0..CHOICES.len().pow(3)).map(|number| {
        let keys = KEYS.iter().zip([1, 3, 9]);
        let labels = keys.filter_map(|(key, place)| {
            let value = CHOICES.get(number / place % 3)?.as_ref()?;
            Some(((*key).to_owned(), (*value).to_owned()))
        });
        labels.collect()
    })
}

/// One requirement of a described selector.
struct DescribedRequirement {
    key: &'static str,
    operator: u8,
    values: Vec<&'static str>,
}

/// Builds a selector and labels of four bytes for each requirement, and compares the
/// result with a simple model.
fn check_description(data: &[u8]) {
    let (labels, data) = data.split_at(KEYS.len().min(data.len()));
    let labels: Labels = KEYS
        .iter()
        .zip(labels)
        .filter_map(|(key, choice)| {
            // None of them is absent.
            let value = VALUES.get(usize::from(choice % 7))?;
            Some(((*key).to_owned(), (*value).to_owned()))
        })
        .collect();
    let (described, _) = data.as_chunks::<4>();
    let mut texts = Vec::new();
    let mut is_selected = true;
    for [key, operator, values, layout] in described.iter().take(20) {
        let requirement = DescribedRequirement {
            key: KEYS.get(usize::from(key % 4)).unwrap(),
            operator: operator % 9,
            values: (0..VALUES.len())
                .filter(|bit| values & 1 << bit != 0)
                .filter_map(|bit| VALUES.get(bit).copied())
                .collect(),
        };
        texts.push(requirement.text(*layout));
        is_selected &= requirement.is_met(labels.get(requirement.key).map(String::as_str));
    }
    let text = texts.join(",");
    let selector = LabelSelector::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(
        selector.matches_labels(&labels),
        is_selected,
        "{text}: {labels:?}"
    );
}

impl DescribedRequirement {
    /// Returns the value of an operator that takes one.
    fn value(&self) -> &'static str {
        self.values.first().copied().unwrap_or("web")
    }

    /// Returns the number of an operator that compares numbers.
    fn number(&self) -> i64 {
        // Around the values that are numbers.
        [6, 7, 8, 41, 42, 43][self.values.len() % 6]
    }

    /// Returns the requirement as text. The bits of `layout` are spaces.
    fn text(&self, layout: u8) -> String {
        let space = |bit: u8| if layout & 1 << bit != 0 { " " } else { "" };
        let key = self.key;
        let list = self.values.join(&format!("{},{}", space(0), space(1)));
        let text = match self.operator {
            0 => key.to_owned(),
            1 => format!("!{}{key}", space(2)),
            2 => format!("{key}{}={}{}", space(2), space(3), self.value()),
            3 => format!("{key}{}=={}{}", space(2), space(3), self.value()),
            4 => format!("{key}{}!={}{}", space(2), space(3), self.value()),
            5 => format!("{key} in{}({}{list})", space(2), space(3)),
            6 => format!("{key} notin{}({}{list})", space(2), space(3)),
            7 => format!("{key}{}>{}{}", space(2), space(3), self.number()),
            _ => format!("{key}{}<{}{}", space(2), space(3), self.number()),
        };
        format!("{}{text}{}", space(4), space(5))
    }

    fn is_met(&self, value: Option<&str>) -> bool {
        // A list without values is one with the empty value.
        let is_listed = |value: &str| match self.values.is_empty() {
            true => value.is_empty(),
            false => self.values.contains(&value),
        };
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        match self.operator {
            0 => value.is_some(),
            1 => value.is_none(),
            2 | 3 => value == Some(self.value()),
            4 => value != Some(self.value()),
            5 => value.is_some_and(is_listed),
            6 => !value.is_some_and(is_listed),
            7 => number().is_some_and(|number| number > self.number()),
            _ => number().is_some_and(|number| number < self.number()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_selectors_keep_their_properties() {
        rdd_testkit::replay_corpus("label_selector", label_selector);
    }
}
