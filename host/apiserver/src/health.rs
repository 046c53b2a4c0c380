//! `/healthz`, `/livez`, `/readyz` and `/version`.

use http::Response;
use serde_json::{Value, json};

use crate::body::ResponseBody;
use crate::render;
use crate::server::ServerState;
use crate::tasks::ServerTask;

/// The Kubernetes minor version whose behaviour is followed.
const MAJOR: &str = "1";
const MINOR: &str = "35";
/// The Kubernetes version that the API follows, with the server's own suffix.
pub const VERSION: &str = concat!("v1.35.4+rdd-", env!("CARGO_PKG_VERSION"));

/// All that a caller is told of a failure.
const FAILED: &str = "see the server's log";

/// Answers a health check, one of its parts, or the list of them. A check
/// that fails is always listed; why it failed is in the log.
pub(crate) fn health(
    server: &ServerState,
    name: &str,
    check: Option<&str>,
    verbose: bool,
) -> Response<ResponseBody> {
    let mut checks = vec![("ping", None)];
    // A server whose parts have failed will not come back by itself.
    for task in ServerTask::ALL {
        checks.push((task.name(), server.failure(task).map(|_| FAILED)));
    }
    if *server.shutdown.borrow() && name != "livez" {
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
    let healthy = checks.iter().all(|(_, problem)| problem.is_none());
    if healthy && !verbose {
        return render::text(200, "ok");
    }
    let mut text = String::new();
    for (check, problem) in checks {
        text.push_str(&match problem {
            None => format!("[+]{check} ok\n"),
            Some(problem) => format!("[-]{check} failed: {problem}\n"),
        });
    }
    let outcome = if healthy { "passed" } else { "failed" };
    text.push_str(&format!("{name} check {outcome}\n"));
    render::text(if healthy { 200 } else { 503 }, text)
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
