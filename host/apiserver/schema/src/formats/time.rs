//! Formats of dates, times, and durations.

use std::sync::LazyLock;

use jiff::civil::Date;
use regex::Regex;

static DATE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new("^[0-9]{4}-[0-9]{2}-[0-9]{2}$").ok());
// As in kube-apiserver, any character separates the fraction.
static TIME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new("^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](.[0-9]+)?(z|[+-][0-9]{2}:[0-9]{2})$").ok()
});
static LOOSE_DURATION: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"((?:-\s?)?[0-9]+)\s*([A-Za-zµ]+)").ok());

/// Whether a text is an RFC 3339 full-date.
pub(super) fn is_date(text: &str) -> bool {
    DATE.as_ref().is_some_and(|date| date.is_match(text)) && text.parse::<Date>().is_ok()
}

/// Whether a text is an RFC 3339 date-time, in upper or lower case.
pub(super) fn is_date_time(text: &str) -> bool {
    let lower = text.to_lowercase();
    let Some((date, time)) = lower.split_once('t') else {
        return false;
    };
    is_date(date) && TIME.as_ref().is_some_and(|pattern| pattern.is_match(time))
}

/// Returns the nanoseconds of a unit of the loose syntax: an exact name, or a word that begins with a prefix (`hours`).
fn unit_nanos(unit: &str) -> Option<i64> {
    const SECOND: i64 = 1_000_000_000;
    let unit = unit.to_lowercase();
    let units: [(&[&str], &str, i64); 8] = [
        (&["ns"], "nano", 1),
        (&["us", "µs"], "micro", 1_000),
        (&["ms"], "milli", 1_000_000),
        (&["s"], "sec", SECOND),
        (&["m"], "min", 60 * SECOND),
        (&["h", "hr"], "hour", 3_600 * SECOND),
        (&["d"], "day", 86_400 * SECOND),
        (&["w", "wk"], "week", 604_800 * SECOND),
    ];
    let found = units
        .iter()
        .find(|(exact, prefix, _)| exact.contains(&unit.as_str()) || unit.starts_with(prefix));
    found.map(|(.., nanos)| *nanos)
}

/// Parses a duration and returns it in nanoseconds. The text has Go's syntax (`1h3m`, `1.5s`), or contains numbers with
/// loosely named units (`3 days`).
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    if let Some(nanos) = parse_go_duration(text) {
        return Some(nanos);
    }
    let mut total = None;
    for part in LOOSE_DURATION.as_ref()?.captures_iter(text) {
        let number: i64 = part
            .get(1)?
            .as_str()
            .replace(char::is_whitespace, "")
            .parse()
            .ok()?;
        if let Some(nanos) = unit_nanos(part.get(2)?.as_str()) {
            total = Some(
                total
                    .unwrap_or(0_i64)
                    .saturating_add(number.saturating_mul(nanos)),
            );
        }
    }
    total
}

/// Parses Go's syntax; returns `None` also if the sum does not fit 64 bits.
fn parse_go_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total: i128 = 0;
    while !rest.is_empty() || total == 0 && text.is_empty() {
        let number_end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .filter(|end| *end > 0)?;
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let nanos: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        if !whole.is_empty() {
            total = total.checked_add(whole.parse::<i128>().ok()?.checked_mul(nanos)?)?;
        }
        let mut scale = nanos;
        for digit in fraction.chars().filter_map(|c| c.to_digit(10)) {
            scale /= 10;
            total = total.checked_add(i128::from(digit) * scale)?;
        }
        rest = tail;
        if rest.is_empty() {
            return i64::try_from(if negative { -total } else { total }).ok();
        }
    }
    None
}
