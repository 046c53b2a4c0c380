//! What of a request's URI may be logged.

use http::Uri;

/// The parameters whose values may be logged. Variables of the environment are not
/// among them, and neither is anything that no endpoint has: clients may have put a
/// token there.
const LOGGED_PARAMETERS: [&str; 14] = [
    "follow",
    "tail",
    "since",
    "until",
    "timestamps",
    "stdout",
    "stderr",
    "cursor",
    "namespace",
    "command",
    "stdin",
    "tty",
    "user",
    "workdir",
];

/// Replaces a parameter that is not logged.
const REDACTED: &str = "redacted";

/// Returns the path and the query of a URI, in which every parameter that may contain
/// a secret is replaced by `redacted`.
///
/// ```
/// let uri = "/passthrough/engine/exec/4c0f?command=id&env=PASSWORD%3Dx".parse()?;
/// let logged = rdd_passthrough::redacted_uri(&uri);
/// assert_eq!(logged, "/passthrough/engine/exec/4c0f?command=id&redacted");
/// # Ok::<(), http::uri::InvalidUri>(())
/// ```
pub fn redacted_uri(uri: &Uri) -> String {
    let path = uri.path();
    let Some(query) = uri.query() else {
        return path.to_owned();
    };
    let parameters: Vec<&str> = query
        .split('&')
        .map(|parameter| match parameter.split_once('=') {
            Some((name, _)) if LOGGED_PARAMETERS.contains(&name) => parameter,
            None if parameter.is_empty() => parameter,
            _ => REDACTED,
        })
        .collect();
    format!("{path}?{}", parameters.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_parameters_are_shown() {
        for (uri, logged) in [
            ("/passthrough/engine/logs/a", "/passthrough/engine/logs/a"),
            ("/p?", "/p?"),
            ("/p?&tail=1&x", "/p?&tail=1&redacted"),
            ("/p?tail=10&follow=false", "/p?tail=10&follow=false"),
            ("/p?token=abc&tail=1", "/p?redacted&tail=1"),
            ("/p?abc", "/p?redacted"),
            ("/p?tail", "/p?redacted"),
            (
                "/p?env=A%3Db&env=C&command=x",
                "/p?redacted&redacted&command=x",
            ),
            // A name that is written differently is not the parameter's.
            ("/p?%74ail=1&Tail=1", "/p?redacted&redacted"),
            ("https://host/p?access_token=a=b", "/p?redacted"),
        ] {
            assert_eq!(redacted_uri(&uri.parse().unwrap()), logged);
        }
    }
}
