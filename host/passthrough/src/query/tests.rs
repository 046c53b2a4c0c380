//! The forms of each parameter.

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
    let page = include_str!("../../../../docs/passthrough.md");
    for name in PARAMETERS {
        assert!(
            page.contains(&format!("| `{name}` |")),
            "{name} has no row in docs/passthrough.md"
        );
    }
}
