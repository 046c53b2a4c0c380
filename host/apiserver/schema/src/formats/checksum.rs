//! Formats with a check digit: ISBNs and credit card numbers.

use std::sync::LazyLock;

use regex::Regex;

static CREDIT_CARD: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let brands = "^(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|(222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}\
                  |6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])[0-9]{11}\
                  |(?:2131|1800|35[0-9]{3})[0-9]{11}|6[27][0-9]{14})$";
    Regex::new(brands).ok()
});

/// Returns the digits of `text`, ignoring spaces and dashes; `None` if it contains other characters. A character of
/// `last` is allowed at the end and counts as ten.
fn parse_digits(text: &str, last: &str) -> Option<Vec<u32>> {
    let text: String = text
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .collect();
    let count = text.chars().count();
    let digit = |(index, c): (usize, char)| {
        c.to_digit(10)
            .or_else(|| (index + 1 == count && last.contains(c)).then_some(10))
    };
    text.chars().enumerate().map(digit).collect()
}

pub(super) fn is_isbn10(text: &str) -> bool {
    let Some(digits) = parse_digits(text, "X") else {
        return false;
    };
    let sum: u32 = digits
        .iter()
        .zip(1..)
        .map(|(digit, position)| digit * position)
        .sum();
    digits.len() == 10 && sum.is_multiple_of(11)
}

pub(super) fn is_isbn13(text: &str) -> bool {
    let Some(digits) = parse_digits(text, "") else {
        return false;
    };
    let sum: u32 = digits
        .iter()
        .zip([1, 3].into_iter().cycle())
        .map(|(digit, weight)| digit * weight)
        .sum();
    digits.len() == 13 && sum.is_multiple_of(10)
}

pub(super) fn is_isbn(text: &str) -> bool {
    is_isbn10(text) || is_isbn13(text)
}

pub(super) fn is_credit_card(text: &str) -> bool {
    let text: String = text.chars().filter(char::is_ascii_digit).collect();
    let luhn = |(index, digit): (usize, u32)| match digit * 2 {
        _ if index % 2 == 0 => digit,
        doubled if doubled > 9 => doubled - 9,
        doubled => doubled,
    };
    let sum: u32 = text
        .chars()
        .rev()
        .filter_map(|c| c.to_digit(10))
        .enumerate()
        .map(luhn)
        .sum();
    CREDIT_CARD
        .as_ref()
        .is_some_and(|card| card.is_match(&text))
        && sum.is_multiple_of(10)
}
