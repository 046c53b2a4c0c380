//! The query parameters of a log request.

use jiff::SignedDuration;
use rdd_core::{LogOptions, Timestamp, text};

use crate::entries::cursor::{CursorError, ParsedCursor, SourceSet};
use crate::log_reader::FollowMode;

/// The maximum length of an engine's namespace in bytes, that of the contract
/// with backends.
const MAX_NAMESPACE_BYTES: usize = 76;

/// How many bytes of an invalid value an error message quotes.
const MAX_QUOTED: usize = 80;

/// The names of all parameters, in the order of the documentation.
pub(crate) const PARAMETERS: [&str; 9] = [
    "follow",
    "tail",
    "since",
    "until",
    "timestamps",
    "stdout",
    "stderr",
    "namespace",
    "cursor",
];

/// An invalid query parameter.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParameterError {
    #[error(
        "unknown parameter {}; known parameters are {}",
        text::quote(.0, MAX_QUOTED),
        PARAMETERS.join(", ")
    )]
    Unknown(String),
    #[error("parameter {0:?} is given twice")]
    Duplicate(String),
    #[error("parameter follow={} is neither a Boolean nor 'restart'", text::quote(.0, MAX_QUOTED))]
    InvalidFollow(String),
    #[error("parameter cursor={value:?}: {reason}", value = text::quote(.value, MAX_QUOTED))]
    InvalidCursor { value: String, reason: CursorError },
    #[error("parameter cursor cannot be combined with {0}: a cursor says where the log begins")]
    CursorWithStart(&'static str),
    #[error("parameter cursor: {reason}")]
    OtherCursor { reason: CursorError },
    #[error("parameter timestamps cannot be combined with cursor or follow=restart")]
    TimestampsOfResumable,
    #[error(
        "parameter timestamps is not for the subprotocols with entries, which have times anyway"
    )]
    TimestampsOfEntries,
    #[error(
        "parameter {name}={value} is not a Boolean; use true or false",
        value = text::quote(.value, MAX_QUOTED)
    )]
    InvalidBoolean { name: String, value: String },
    #[error(
        "parameter namespace={} is not a namespace of the engine; see 'kubectl get containernamespaces -A'",
        text::quote(.0, MAX_QUOTED)
    )]
    InvalidNamespace(String),
    #[error(
        "parameter tail={} is neither 'all' nor a whole number of lines",
        text::quote(.0, MAX_QUOTED)
    )]
    InvalidTail(String),
    #[error(
        "parameter {name}={value} is not a time; use RFC 3339 (2026-01-31T12:00:00Z), Unix seconds (1767225600.5), or a duration before now (10m)",
        value = text::quote(.value, MAX_QUOTED)
    )]
    InvalidTime { name: String, value: String },
    #[error("stdout and stderr are both false, so there is nothing to stream")]
    NoStreamSelected,
}

/// The parameters of a log request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LogRequest {
    /// The engine's namespace of the container; `None` for the default one.
    pub(crate) namespace: Option<String>,
    /// `follow` is as in [`Self::follow`].
    pub(crate) options: LogOptions,
    pub(crate) follow: FollowMode,
    pub(crate) cursor: Option<ParsedCursor>,
}

impl LogRequest {
    /// Returns the selected sources.
    pub(crate) fn sources(&self) -> SourceSet {
        SourceSet {
            stdout: self.options.stdout,
            stderr: self.options.stderr,
        }
    }
}

/// Parses a query string. Durations are relative to `now`.
pub(crate) fn parse_log_request(query: &str, now: Timestamp) -> Result<LogRequest, ParameterError> {
    let mut namespace = None;
    let mut options = LogOptions::default();
    let mut follow = FollowMode::default();
    let mut cursor = None;
    let mut seen = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if seen.contains(&name) {
            return Err(ParameterError::Duplicate(name.into_owned()));
        }
        match name.as_ref() {
            "namespace" => namespace = Some(parse_namespace(&value)?),
            "follow" => follow = parse_follow(&value)?,
            "cursor" => cursor = Some(value.clone().into_owned()),
            "tail" => options.tail = parse_tail(&value)?,
            "since" => options.since = Some(parse_time(&name, &value, now)?),
            "until" => options.until = parse_until(&name, &value, now)?,
            "timestamps" => options.timestamps = parse_boolean(&name, &value)?,
            "stdout" => options.stdout = parse_boolean(&name, &value)?,
            "stderr" => options.stderr = parse_boolean(&name, &value)?,
            _ => return Err(ParameterError::Unknown(name.into_owned())),
        }
        seen.push(name);
    }
    if !options.stdout && !options.stderr {
        return Err(ParameterError::NoStreamSelected);
    }
    options.follow = follow != FollowMode::No;
    let mut request = LogRequest {
        namespace,
        options,
        follow,
        cursor: None,
    };
    if let Some(value) = cursor {
        if let Some(start) = ["tail", "since"]
            .into_iter()
            .find(|it| seen.iter().any(|name| name == it))
        {
            return Err(ParameterError::CursorWithStart(start));
        }
        request.cursor = Some(parse_cursor(value, request.sources())?);
    }
    Ok(request)
}

fn parse_cursor(value: String, sources: SourceSet) -> Result<ParsedCursor, ParameterError> {
    ParsedCursor::parse(&value, sources)
        .map_err(|reason| ParameterError::InvalidCursor { value, reason })
}

fn parse_follow(value: &str) -> Result<FollowMode, ParameterError> {
    if value == "restart" {
        return Ok(FollowMode::Restart);
    }
    match parse_boolean("follow", value) {
        Ok(true) => Ok(FollowMode::Yes),
        Ok(false) => Ok(FollowMode::No),
        Err(_) => Err(ParameterError::InvalidFollow(value.to_owned())),
    }
}

pub(crate) fn parse_namespace(value: &str) -> Result<String, ParameterError> {
    if text::is_identifier(value, MAX_NAMESPACE_BYTES) {
        Ok(value.to_owned())
    } else {
        Err(ParameterError::InvalidNamespace(value.to_owned()))
    }
}

pub(crate) fn parse_boolean(name: &str, value: &str) -> Result<bool, ParameterError> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "t" | "1" => Ok(true),
        "false" | "f" | "0" => Ok(false),
        _ => Err(ParameterError::InvalidBoolean {
            name: name.to_owned(),
            value: value.to_owned(),
        }),
    }
}

pub(crate) fn parse_tail(value: &str) -> Result<Option<u64>, ParameterError> {
    if value == "all" {
        return Ok(None);
    }
    // `str::parse` accepts a leading plus sign.
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse() {
        Ok(lines) if digits => Ok(Some(lines)),
        _ => Err(ParameterError::InvalidTail(value.to_owned())),
    }
}

/// Parses `until`. Docker clients send `0` or Go's zero time if there is no
/// limit.
pub(crate) fn parse_until(
    name: &str,
    value: &str,
    now: Timestamp,
) -> Result<Option<Timestamp>, ParameterError> {
    if value == "0" {
        return Ok(None);
    }
    parse_time(name, value, now).map(|time| (time != Timestamp::GO_ZERO).then_some(time))
}

pub(crate) fn parse_time(
    name: &str,
    value: &str,
    now: Timestamp,
) -> Result<Timestamp, ParameterError> {
    parse_unix_seconds(value)
        // Texts can also have years before 1.
        .or_else(|| {
            value
                .parse()
                .ok()
                .filter(|time| *time >= Timestamp::GO_ZERO)
        })
        .or_else(|| parse_duration(value).map(|before_now| now.saturating_sub(before_now)))
        .ok_or_else(|| ParameterError::InvalidTime {
            name: name.to_owned(),
            value: value.to_owned(),
        })
}

/// Parses `10m`. A negative duration is in the future, as with docker.
fn parse_duration(value: &str) -> Option<SignedDuration> {
    let duration: SignedDuration = value.parse().ok()?;
    // `10m ago` is negative, too, and would mean the opposite.
    (duration.is_negative() == value.starts_with('-') || duration.is_zero()).then_some(duration)
}

/// Parses `1767225600`, with an optional fraction of up to nine digits. A
/// floating-point number would lose the nanoseconds.
fn parse_unix_seconds(value: &str) -> Option<Timestamp> {
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
    use crate::entries::cursor::CursorScope;

    fn now() -> Timestamp {
        "2026-01-31T12:00:00Z".parse().unwrap()
    }

    fn ok(query: &str) -> LogOptions {
        parse_log_request(query, now())
            .unwrap_or_else(|error| panic!("{query}: {error}"))
            .options
    }

    #[test]
    fn an_empty_query_follows_the_whole_log() {
        assert_eq!(ok(""), LogOptions::default());
        assert!(ok("").follow);
    }

    #[test]
    fn every_documented_form_is_accepted() {
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
    fn a_log_is_followed_over_restarts_on_request() {
        for (text, follow) in [
            ("follow=restart", FollowMode::Restart),
            ("follow=true", FollowMode::Yes),
            ("follow=0", FollowMode::No),
            ("", FollowMode::Yes),
        ] {
            let request = parse_log_request(text, now()).unwrap();
            assert_eq!(request.follow, follow, "{text}");
            assert_eq!(request.options.follow, follow != FollowMode::No, "{text}");
        }
    }

    #[test]
    fn a_cursor_excludes_another_start() {
        let container = rdd_core::ContainerRef::new("moby", "4c0f");
        let scope = CursorScope::new(&container, None, SourceSet::ALL);
        let cursor = scope.encode(None);
        let parse = |query: &str| parse_log_request(&format!("cursor={cursor}{query}"), now());
        assert!(parse("").unwrap().cursor.is_some());
        assert_eq!(
            parse("&tail=1"),
            Err(ParameterError::CursorWithStart("tail"))
        );
        assert_eq!(
            parse("&tail=all"),
            Err(ParameterError::CursorWithStart("tail"))
        );
        assert_eq!(
            parse("&since=1m"),
            Err(ParameterError::CursorWithStart("since"))
        );
        assert!(matches!(
            parse("&stdout=false"),
            Err(ParameterError::InvalidCursor {
                reason: CursorError::OtherSources,
                ..
            })
        ));
    }

    #[test]
    fn a_namespace_is_optional() {
        let namespace = |query: &str| parse_log_request(query, now()).unwrap().namespace;
        assert_eq!(namespace("tail=1"), None);
        assert_eq!(namespace("namespace=k8s.io"), Some("k8s.io".to_owned()));
        let longest = "n".repeat(MAX_NAMESPACE_BYTES);
        let query = format!("namespace={longest}");
        assert_eq!(namespace(&query), Some(longest));
        assert!(parse_log_request(&format!("{query}n"), now()).is_err());
    }

    #[test]
    fn times_of_any_age_are_accepted() {
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
        let far_future = Some(Timestamp::from_seconds(999_999_999_999));
        assert_eq!(ok("until=999999999999").until, far_future);
        assert!(ok("since=2000000000h").since.unwrap() < Timestamp::GO_ZERO);
    }

    #[test]
    fn a_negative_duration_is_in_the_future() {
        let future = "2026-01-31T12:10:00Z".parse().unwrap();
        assert_eq!(ok("until=-10m").until, Some(future));
        assert_eq!(ok("since=-10m").since, Some(future));
        assert_eq!(ok("until=0s").until, Some(now()));
        assert_eq!(ok("until=-0s").until, Some(now()));
    }

    #[test]
    fn the_values_that_docker_clients_send_for_no_until_are_ignored() {
        for value in ["0", "0001-01-01T00:00:00Z"] {
            assert_eq!(ok(&format!("until={value}")).until, None, "{value}");
        }
        // Other forms still mean 1970.
        let epoch = Some(Timestamp::from_seconds(0));
        assert_eq!(ok("until=0.0").until, epoch);
        assert_eq!(ok("until=1970-01-01T00:00:00Z").until, epoch);
        assert_eq!(ok("since=0").since, epoch);
    }

    #[test]
    fn every_invalid_value_is_rejected_and_named() {
        for query in [
            "namespace=",
            "namespace=a/b",
            "follow=yes",
            "follow=Restart",
            "cursor=",
            "cursor=xyz",
            "follow=",
            "tail=-1",
            "tail=%2B1",
            "tail=1.5",
            "tail=",
            "tail=ALL",
            "tail=99999999999999999999",
            "since=yesterday",
            "since=",
            "since=-5",
            "since=99999999999999999999",
            "since=10000-01-01T00:00:00Z",
            "since=0000-12-31T23:59:59Z",
            "until=-000001-01-01T00:00:00Z",
            "since=10m ago",
            "until=9999-12-31",
            "until=9999-13-31T23:59:59Z",
            "since=1.",
            "since=.5",
            "since=1e3",
            "since=1.0000000001",
            "until=2026-13-01T00:00:00Z",
            "timestamps=2",
            "stdout=no",
            "stderr=no",
            "stdout=false&stderr=false",
        ] {
            let error = parse_log_request(query, now())
                .expect_err(query)
                .to_string();
            let name = query.split('=').next().unwrap();
            assert!(error.contains(name), "{query}: {error}");
        }
    }

    #[test]
    fn a_long_value_is_quoted_in_part() {
        let long = "\u{1}".repeat(1000);
        for name in PARAMETERS.into_iter().chain([&*long]) {
            let error = parse_log_request(&format!("{name}={long}"), now()).unwrap_err();
            let message = error.to_string();
            assert!(message.len() < 1000 && message.contains('…'), "{message}");
        }
    }

    #[test]
    fn unknown_and_duplicate_parameters_are_rejected() {
        assert_eq!(
            parse_log_request("tails=5", now()),
            Err(ParameterError::Unknown("tails".to_owned()))
        );
        assert_eq!(
            parse_log_request("tail=5&tail=6", now()),
            Err(ParameterError::Duplicate("tail".to_owned()))
        );
    }

    #[test]
    fn every_parameter_is_documented() {
        let page = include_str!("../../../docs/passthrough.md");
        for name in PARAMETERS {
            assert!(
                page.contains(&format!("| `{name}` |")),
                "{name} has no row in docs/passthrough.md"
            );
        }
    }
}
