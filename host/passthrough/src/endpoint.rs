//! Which paths there are.

use std::collections::BTreeMap;

use crate::refusal::Refusal;

const ENGINE: &str = "engine";
const LOGS: &str = "logs";

/// Every controller with its endpoints, sorted: what discovery announces.
pub fn endpoints() -> BTreeMap<String, Vec<String>> {
    BTreeMap::from([(ENGINE.to_owned(), vec![LOGS.to_owned()])])
}

/// What a path asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target<'a> {
    /// The log of this container. The text is what stood in the path, not yet checked.
    Logs(&'a str),
}

/// Reads `/passthrough/<controller>/<endpoint>/…`, with or without a trailing slash.
pub(crate) fn parse(path: &str) -> Result<Target<'_>, Refusal> {
    let rest = path.strip_prefix("/passthrough").unwrap_or_default();
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let mut segments = rest.split('/').skip(1);
    match (
        segments.next(),
        segments.next(),
        segments.next(),
        segments.next(),
    ) {
        (Some(ENGINE), Some(LOGS), Some(id), None) => Ok(Target::Logs(id)),
        _ => Err(Refusal::NoSuchEndpoint {
            path: path.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_endpoint_is_found_with_and_without_a_trailing_slash() {
        for path in [
            "/passthrough/engine/logs/abc",
            "/passthrough/engine/logs/abc/",
        ] {
            assert_eq!(parse(path).ok(), Some(Target::Logs("abc")), "{path}");
        }
    }

    #[test]
    fn any_other_path_is_not_found() {
        for path in [
            "/passthrough",
            "/passthrough/",
            "/passthrough/engine",
            "/passthrough/engine/logs",
            "/passthrough/engine/logs/",
            "/passthrough/engine/exec/abc",
            "/passthrough/other/logs/abc",
            "/passthrough/engine/logs/abc/def",
            "/passthrough//engine/logs/abc",
        ] {
            assert!(parse(path).is_err(), "{path}");
        }
    }

    #[test]
    fn s6_what_discovery_lists_is_sorted_and_is_what_is_served() {
        for (controller, endpoints) in endpoints() {
            assert!(endpoints.is_sorted(), "{controller}: {endpoints:?}");
            for endpoint in endpoints {
                let path = format!("/passthrough/{controller}/{endpoint}/abc");
                assert!(parse(&path).is_ok(), "{path}");
            }
        }
    }
}
