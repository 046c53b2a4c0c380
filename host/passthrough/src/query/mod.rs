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
mod tests;
