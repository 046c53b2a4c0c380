//! The subprotocols that a client offers.

use http::HeaderMap;
use http::header::{HeaderValue, SEC_WEBSOCKET_PROTOCOL};

use crate::exec::ExecProtocol;
use crate::log_format::LOG_SUBPROTOCOLS;
use crate::upgrade_request::select_subprotocol;

/// A subprotocol of a browser with its token, which is never selected.
const TOKEN: &str = "base64url.bearer.authorization.k8s.io.YWJj";

/// Each line of the input is a header.
///
/// - What is selected was offered, literally.
/// - The first known subprotocol wins, whatever stands before and after it.
/// - Whether subprotocols are in one header or in many makes no difference.
pub fn subprotocol(data: &[u8]) {
    let lines: Vec<_> = data
        .split(|byte| *byte == b'\n')
        .filter_map(|line| HeaderValue::from_bytes(line).ok())
        .collect();
    let headers = headers(&lines);
    let selected = select(&headers);
    let is_offered = |name: &str| {
        lines.iter().any(|line| {
            let mut parts = line.as_bytes().split(|byte| *byte == b',');
            parts.any(|part| part.trim_ascii() == name.as_bytes())
        })
    };
    for name in selected.into_iter().flatten() {
        assert!(is_offered(name), "{name} was not offered");
    }
    let texts: Vec<_> = lines.iter().filter_map(|line| line.to_str().ok()).collect();
    for (name, of) in known() {
        if texts
            .iter()
            .any(|text| text.split([',', ' ', '\t']).any(|part| part == name))
            && texts.iter().all(|text| !text.contains([' ', '\t']))
        {
            assert!(of(selected).is_some(), "{name} is ignored");
        }
    }
    let joined = HeaderValue::from_str(&texts.join(",")).unwrap();
    assert_eq!(select_all(&[joined]), selected);

    let around = |first: &'static str, last: &'static str| {
        let around = [
            HeaderValue::from_static(first),
            HeaderValue::from_static(last),
        ];
        let [first, last] = around;
        select_all(&[&[first][..], &lines, &[last]].concat())
    };
    assert_eq!(around(TOKEN, "rdd.logs.v9+xml ,, "), selected);
    for (name, of) in known() {
        assert_eq!(of(around(name, TOKEN)), Some(name));
        assert_eq!(of(around(TOKEN, name)), of(selected).or(Some(name)));
    }
}

/// What each endpoint selects: that of one log, and that of processes.
type Selected = [Option<&'static str>; 2];

/// Returns each subprotocol with what its endpoint selects.
fn known() -> impl Iterator<Item = (&'static str, fn(Selected) -> Option<&'static str>)> {
    let of_log = |[log, _]: Selected| log;
    let of_process = |[_, process]: Selected| process;
    let logs = LOG_SUBPROTOCOLS.map(|(name, _)| (name, of_log as fn(_) -> _));
    let processes = ["v5.channel.k8s.io", "v4.channel.k8s.io"];
    logs.into_iter()
        .chain(processes.map(|name| (name, of_process as fn(_) -> _)))
}

fn select(headers: &HeaderMap) -> Selected {
    let log = select_subprotocol(headers, &LOG_SUBPROTOCOLS);
    if let Some((name, format)) = log {
        assert!(LOG_SUBPROTOCOLS.contains(&(name, format)));
    }
    let process = ExecProtocol::select(headers);
    assert_eq!(process.name().is_some(), process.has_channels());
    [log.map(|(name, _)| name), process.name()]
}

fn select_all(lines: &[HeaderValue]) -> Selected {
    select(&headers(lines))
}

fn headers(lines: &[HeaderValue]) -> HeaderMap {
    let lines = lines.iter().cloned();
    lines.map(|line| (SEC_WEBSOCKET_PROTOCOL, line)).collect()
}
