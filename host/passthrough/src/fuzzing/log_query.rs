//! The query of a log request.

use jiff::SignedDuration;
use rdd_core::{ContainerRef, Timestamp};

use super::query_params::{QueryParams, encode};
use crate::entries::cursor::CursorScope;
use crate::log_reader::FollowMode;
use crate::query::{LogRequest, PARAMETERS, parse_log_request};

/// 2026-01-31T12:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_769_860_800);

/// - What is accepted is accepted in any order of the parameters, and in the form in
///   which it is written by [`encode_request`].
/// - A time is in a documented year, and a duration is in the past unless it is
///   negative.
/// - The message of an error names the parameter.
pub fn log_query(data: &[u8]) {
    let Ok(query) = str::from_utf8(data) else {
        return;
    };
    let parse = |query: &str| parse_log_request(query, NOW);
    let pairs = QueryParams::parse(query);
    match parse(query) {
        Ok(request) => {
            assert_eq!(parse(&pairs.sorted()).as_ref(), Ok(&request));
            let encoded = encode_request(&request, pairs.get("cursor"));
            assert_eq!(parse(&encoded).as_ref(), Ok(&request), "{encoded}");
            assert!(request.options.stdout || request.options.stderr);
            assert_eq!(request.options.follow, request.follow != FollowMode::No);
            for (name, time) in [
                ("since", request.options.since),
                ("until", request.options.until),
            ] {
                if let (Some(value), Some(time)) = (pairs.get(name), time) {
                    check_time(value, time);
                }
            }
            if let Some(cursor) = &request.cursor {
                let container = ContainerRef::new("moby", "4c0f");
                let scope = CursorScope::new(&container, None, request.sources());
                // Another container's, most probably, but never another selection's.
                scope.accept(cursor).ok();
            }
        }
        Err(error) => {
            pairs.check_error(&error, &PARAMETERS, parse);
        }
    }
}

/// Checks a time against the documentation of its forms.
fn check_time(value: &str, time: Timestamp) {
    if value.parse::<Timestamp>().is_ok() {
        let last = Timestamp::from_seconds(253_402_300_800);
        assert!(Timestamp::GO_ZERO <= time && time < last, "{value}: {time}");
    } else if value.parse::<SignedDuration>().is_ok() && !value.starts_with('-') {
        assert!(time <= NOW, "{value}: {time} is in the future");
    }
}

/// Returns a query of the documented form that means the same.
fn encode_request(request: &LogRequest, cursor: Option<&str>) -> String {
    let LogRequest {
        namespace, options, ..
    } = request;
    let follow = match request.follow {
        FollowMode::Restart => "restart",
        FollowMode::Yes => "1",
        FollowMode::No => "F",
    };
    let flag = |flag: bool| if flag { "True" } else { "0" }.to_owned();
    let pairs = [
        ("follow", Some(follow.to_owned())),
        ("timestamps", Some(flag(options.timestamps))),
        ("stdout", Some(flag(options.stdout))),
        ("stderr", Some(flag(options.stderr))),
        ("tail", options.tail.map(|lines| lines.to_string())),
        ("since", options.since.map(encode_time)),
        ("until", options.until.map(encode_time)),
        ("namespace", namespace.clone()),
        ("cursor", cursor.map(str::to_owned)),
    ];
    let given = pairs
        .iter()
        .filter_map(|(name, value)| Some((*name, value.as_deref()?)));
    encode(given)
}

fn encode_time(time: Timestamp) -> String {
    if time.seconds() >= 0 {
        return format!("{}.{:09}", time.seconds(), time.nanoseconds());
    }
    if time >= Timestamp::GO_ZERO {
        return time.to_string();
    }
    // Only a duration is so long.
    let since = |time: Timestamp| {
        i128::from(time.seconds()) * 1_000_000_000 + i128::from(time.nanoseconds())
    };
    let before_now = SignedDuration::from_nanos_i128(since(NOW) - since(time));
    format!("{before_now}")
}
