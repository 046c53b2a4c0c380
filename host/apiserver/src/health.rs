//! `/healthz`, `/livez`, `/readyz` and `/version`.

use http::Response;
use serde_json::{Value, json};

use crate::body::Body;
use crate::render;
use crate::server::Inner;

/// The Kubernetes minor version whose behaviour is followed.
const MAJOR: &str = "1";
const MINOR: &str = "35";
/// The Kubernetes version that the API follows, with the server's own suffix.
pub const VERSION: &str = concat!("v1.35.4+rdd-", env!("CARGO_PKG_VERSION"));

/// The checks there are; a server that answers has its store.
const CHECKS: [&str; 2] = ["ping", "store"];

/// Answers a health check, one of its parts, or the list of them.
pub(crate) fn health(
    server: &Inner,
    name: &str,
    check: Option<&str>,
    verbose: bool,
) -> Response<Body> {
    let closing = *server.closing.borrow();
    if let Some(check) = check {
        if !CHECKS.contains(&check) {
            return render::text(404, "404 page not found\n");
        }
        return render::text(200, "ok");
    }
    if closing && name != "livez" {
        return render::text(
            503,
            format!("[-]shutdown failed: the server is shutting down\n{name} check failed\n"),
        );
    }
    if !verbose {
        return render::text(200, "ok");
    }
    let mut text = String::new();
    for check in CHECKS {
        text.push_str(&format!("[+]{check} ok\n"));
    }
    text.push_str(&format!("{name} check passed\n"));
    render::text(200, text)
}

/// `/version`.
pub(crate) fn version() -> Value {
    json!({
        "major": MAJOR,
        "minor": MINOR,
        "gitVersion": VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}
