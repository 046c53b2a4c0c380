//! `/healthz`, `/livez`, `/readyz`, and `/version`.

use http::Response;
use serde_json::{Value, json};

use crate::body::ResponseBody;
use crate::render;
use crate::server_state::ServerState;
use crate::tasks::ServerTask;

/// The Kubernetes version whose behavior the server follows.
const MAJOR: &str = "1";
const MINOR: &str = "35";
/// The Kubernetes version whose API the server follows, with the server's own
/// version as a suffix.
pub const VERSION: &str = concat!("v1.35.4+rdd-", env!("CARGO_PKG_VERSION"));

/// The only detail of a failure that callers get.
const SEE_LOG: &str = "see the server's log";

/// Responds to a health check, or to one of its parts if `check` is set. A
/// failed check is always listed; the log has the reason.
pub(crate) fn health(
    server: &ServerState,
    name: &str,
    check: Option<&str>,
    verbose: bool,
) -> Response<ResponseBody> {
    let mut checks = vec![("ping", None)];
    // A server whose tasks have failed does not recover without a restart.
    for task in ServerTask::ALL {
        checks.push((task.name(), server.failure(task).map(|_| SEE_LOG)));
    }
    if server.shutdown.is_cancelled() && name != "livez" {
        checks.push(("shutdown", Some("the server is shutting down")));
    }
    if let Some(check) = check {
        return match checks.into_iter().find(|(name, _)| *name == check) {
            None => render::text(404, "404 page not found\n"),
            Some((_, None)) => render::text(200, "ok"),
            Some((name, Some(problem))) => {
                render::text(503, format!("[-]{name} failed: {problem}\n"))
            }
        };
    }
    let is_healthy = checks.iter().all(|(_, problem)| problem.is_none());
    if is_healthy && !verbose {
        return render::text(200, "ok");
    }
    let mut text = String::new();
    for (check, problem) in checks {
        text.push_str(&match problem {
            None => format!("[+]{check} ok\n"),
            Some(problem) => format!("[-]{check} failed: {problem}\n"),
        });
    }
    let outcome = if is_healthy { "passed" } else { "failed" };
    text.push_str(&format!("{name} check {outcome}\n"));
    render::text(if is_healthy { 200 } else { 503 }, text)
}

/// Returns the document at `/version`.
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
