//! The query parameters of a log request.

use jiff::SignedDuration;
use rdd_core::{LogOptions, Timestamp};

/// The parameters, in the order of the documentation.
const KNOWN: [&str; 7] = [
    "follow",
    "tail",
    "since",
    "until",
    "timestamps",
    "stdout",
    "stderr",
];

/// A parameter that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParamError {
    #[error("unknown parameter {0:?}; known are {known}", known = KNOWN.join(", "))]
    Unknown(String),
    #[error("parameter {0:?} is given twice")]
    Twice(String),
    #[error("parameter {name}={value:?} is not a boolean; use true or false")]
    Boolean { name: String, value: String },
    #[error("parameter tail={0:?} is neither 'all' nor a whole number of lines")]
    Tail(String),
    #[error(
        "parameter {name}={value:?} is no time; use RFC 3339 (2026-01-31T12:00:00Z), Unix seconds (1767225600.5) or a duration back from now (10m)"
    )]
    Time { name: String, value: String },
    #[error("stdout and stderr are both false, so there is nothing to stream")]
    NoStream,
}

/// Reads a query string. `now` is what durations count back from.
pub(crate) fn parse(query: &str, now: Timestamp) -> Result<LogOptions, ParamError> {
    let mut options = LogOptions::default();
    let mut seen = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if seen.contains(&name) {
            return Err(ParamError::Twice(name.into_owned()));
        }
        match name.as_ref() {
            "follow" => options.follow = boolean(&name, &value)?,
            "tail" => options.tail = tail(&value)?,
            "since" => options.since = Some(time(&name, &value, now)?),
            "until" => options.until = until(&name, &value, now)?,
            "timestamps" => options.timestamps = boolean(&name, &value)?,
            "stdout" => options.stdout = boolean(&name, &value)?,
            "stderr" => options.stderr = boolean(&name, &value)?,
            _ => return Err(ParamError::Unknown(name.into_owned())),
        }
        seen.push(name);
    }
    if !options.stdout && !options.stderr {
        return Err(ParamError::NoStream);
    }
    Ok(options)
}

fn boolean(name: &str, value: &str) -> Result<bool, ParamError> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "t" | "1" => Ok(true),
        "false" | "f" | "0" => Ok(false),
        _ => Err(ParamError::Boolean {
            name: name.to_owned(),
            value: value.to_owned(),
        }),
    }
}

fn tail(value: &str) -> Result<Option<u64>, ParamError> {
    if value == "all" {
        return Ok(None);
    }
    // `parse` alone would take a leading plus sign.
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse() {
        Ok(lines) if digits => Ok(Some(lines)),
        _ => Err(ParamError::Tail(value.to_owned())),
    }
}

/// No seconds and Go's zero time are what Docker's clients send for none.
fn until(name: &str, value: &str, now: Timestamp) -> Result<Option<Timestamp>, ParamError> {
    if value == "0" {
        return Ok(None);
    }
    time(name, value, now).map(|time| (time != Timestamp::GO_ZERO).then_some(time))
}

fn time(name: &str, value: &str, now: Timestamp) -> Result<Timestamp, ParamError> {
    unix_seconds(value)
        .or_else(|| value.parse().ok())
        .or_else(|| {
            // A negative one lies ahead, as with docker.
            let back: SignedDuration = value.parse().ok()?;
            Some(now.saturating_sub(back))
        })
        .ok_or_else(|| ParamError::Time {
            name: name.to_owned(),
            value: value.to_owned(),
        })
}

/// `1767225600`, or with a fraction of up to nine digits. Not by way of a
/// floating-point number, which would lose the nanoseconds.
fn unix_seconds(value: &str) -> Option<Timestamp> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let nanoseconds = format!("{fraction:0<9}").parse().ok()?;
    Timestamp::new(whole.parse().ok()?, nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-01-31T12:00:00Z".parse().unwrap()
    }

    fn ok(query: &str) -> LogOptions {
        parse(query, now()).unwrap_or_else(|error| panic!("{query}: {error}"))
    }

    #[test]
    fn nothing_given_means_the_whole_log_followed() {
        assert_eq!(ok(""), LogOptions::default());
        assert!(ok("").follow);
    }

    #[test]
    fn every_documented_form_is_taken() {
        for (text, value) in [
            ("true", true),
            ("T", true),
            ("1", true),
            ("False", false),
            ("f", false),
            ("0", false),
        ] {
            assert_eq!(ok(&format!("follow={text}")).follow, value, "{text}");
            assert_eq!(
                ok(&format!("timestamps={text}")).timestamps,
                value,
                "{text}"
            );
        }
        assert_eq!(ok("tail=all").tail, None);
        assert_eq!(ok("tail=0").tail, Some(0));
        assert_eq!(ok("tail=5").tail, Some(5));
        assert!(!ok("stderr=false").stderr);
        assert!(!ok("stdout=0").stdout);
        let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        assert_eq!(ok("since=10m").since, at("2026-01-31T11:50:00Z"));
        assert_eq!(ok("since=1h30m").since, at("2026-01-31T10:30:00Z"));
        assert_eq!(
            ok("until=2026-01-01T00:00:00.5%2B01:00").until,
            at("2025-12-31T23:00:00.5Z")
        );
        assert_eq!(ok("since=1767225600").since, at("2026-01-01T00:00:00Z"));
        assert_eq!(
            ok("since=1767225600.000000001").since,
            at("2026-01-01T00:00:00.000000001Z")
        );
    }

    #[test]
    fn times_of_any_age_are_taken() {
        for text in [
            "0001-01-01T00:00:00Z",
            "1066-10-14T09:00:00Z",
            "1677-09-21T00:12:43Z",
            "1969-12-31T23:59:59Z",
            "2263-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
        ] {
            let time = Some(text.parse::<Timestamp>().unwrap());
            assert_eq!(ok(&format!("since={text}")).since, time, "{text}");
            let until = time.filter(|time| *time != Timestamp::GO_ZERO);
            assert_eq!(ok(&format!("until={text}")).until, until, "{text}");
        }
        let far = Some(Timestamp::from_seconds(999_999_999_999));
        assert_eq!(ok("until=999999999999").until, far);
        assert!(ok("since=2000000000h").since.unwrap() < Timestamp::GO_ZERO);
    }

    #[test]
    fn a_negative_duration_lies_ahead() {
        let ahead = "2026-01-31T12:10:00Z".parse().unwrap();
        assert_eq!(ok("until=-10m").until, Some(ahead));
        assert_eq!(ok("since=-10m").since, Some(ahead));
        assert_eq!(ok("until=0s").until, Some(now()));
        assert_eq!(ok("until=-0s").until, Some(now()));
    }

    #[test]
    fn what_docker_sends_for_no_until_is_none() {
        for value in ["0", "0001-01-01T00:00:00Z"] {
            assert_eq!(ok(&format!("until={value}")).until, None, "{value}");
        }
        // Which leaves other ways to write 1970.
        let epoch = Some(Timestamp::from_seconds(0));
        assert_eq!(ok("until=0.0").until, epoch);
        assert_eq!(ok("until=1970-01-01T00:00:00Z").until, epoch);
        assert_eq!(ok("since=0").since, epoch);
    }

    #[test]
    fn every_bad_value_is_refused_by_name() {
        for query in [
            "follow=yes",
            "follow=",
            "tail=-1",
            "tail=+1",
            "tail=1.5",
            "tail=",
            "tail=ALL",
            "tail=99999999999999999999",
            "since=yesterday",
            "since=",
            "since=-5",
            "since=99999999999999999999",
            "since=10000-01-01T00:00:00Z",
            "until=9999-12-31",
            "until=9999-13-31T23:59:59Z",
            "since=1.",
            "since=.5",
            "since=1e3",
            "until=2026-13-01T00:00:00Z",
            "timestamps=2",
            "stdout=no",
            "stderr=no",
            "stdout=false&stderr=false",
        ] {
            let error = parse(query, now()).expect_err(query).to_string();
            let name = query.split('=').next().unwrap();
            assert!(error.contains(name), "{query}: {error}");
        }
    }

    #[test]
    fn unknown_and_repeated_parameters_are_refused() {
        assert_eq!(
            parse("tails=5", now()),
            Err(ParamError::Unknown("tails".to_owned()))
        );
        assert_eq!(
            parse("tail=5&tail=6", now()),
            Err(ParamError::Twice("tail".to_owned()))
        );
    }

    #[test]
    fn s5_every_parameter_stands_in_the_documentation() {
        let page = include_str!("../../../docs/passthrough.md");
        for name in KNOWN {
            assert!(
                page.contains(&format!("| `{name}` |")),
                "{name} has no row in docs/passthrough.md"
            );
        }
    }
}
