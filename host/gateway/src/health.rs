//! The health endpoints `/livez`, `/readyz`, and `/healthz`, which need no
//! credentials.

use http::header::RETRY_AFTER;
use http::{Response, StatusCode};

use crate::limits::STARTING_RETRY_AFTER_SECONDS;
use crate::response::{GatewayBody, text_response};

/// The phase of the daemon's lifecycle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DaemonPhase {
    /// Not every part of the daemon is ready to serve yet.
    #[default]
    Starting,
    /// Every path is served.
    Ready,
    /// The daemon is shutting down, on request or because a task failed.
    Stopping,
}

impl DaemonPhase {
    /// Returns why requests are not served, or `None` if they are.
    pub(crate) fn unavailable_reason(self) -> Option<&'static str> {
        match self {
            Self::Starting => Some("the daemon is starting"),
            Self::Ready => None,
            Self::Stopping => Some("the daemon is stopping"),
        }
    }
}

/// One check of `/readyz`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// The name in lower case with dashes, as in Kubernetes.
    pub name: &'static str,
    /// Whether the check fails. The reason is in the log only: health endpoints
    /// need no credentials, so they show no details.
    pub failed: bool,
}

/// The state of the daemon, as served at `/readyz`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthReport {
    /// The phase of the daemon's lifecycle.
    pub phase: DaemonPhase,
    /// The checks, in the order in which their tasks started.
    pub checks: Vec<HealthCheck>,
}

impl HealthReport {
    fn is_ready(&self) -> bool {
        self.phase == DaemonPhase::Ready && self.checks.iter().all(|check| !check.failed)
    }
}

/// Returns the response if `path` is a health endpoint. The format is
/// kube-apiserver's: `ok`, or one line per check with `?verbose` or if a check
/// fails.
pub(crate) fn response(
    path: &str,
    query: Option<&str>,
    report: &HealthReport,
) -> Option<Response<GatewayBody>> {
    let name = match path {
        "/livez" => "livez",
        "/readyz" => "readyz",
        "/healthz" => "healthz",
        _ => return None,
    };
    let healthy = name == "livez" || report.is_ready();
    let verbose = query.is_some_and(|query| {
        query
            .split('&')
            .any(|pair| pair == "verbose" || pair.starts_with("verbose="))
    });
    if healthy && !verbose {
        return Some(text_response(StatusCode::OK, "ok"));
    }
    let mut lines = String::from("[+]ping ok\n");
    if name != "livez" {
        if let Some(reason) = report.phase.unavailable_reason() {
            lines.push_str(&format!("[-]lifecycle failed: {reason}\n"));
        }
        for HealthCheck { name, failed } in &report.checks {
            lines.push_str(&match failed {
                false => format!("[+]{name} ok\n"),
                true => format!("[-]{name} failed: see the daemon's log\n"),
            });
        }
    }
    if healthy {
        lines.push_str(&format!("{name} check passed\n"));
        return Some(text_response(StatusCode::OK, lines));
    }
    lines.push_str(&format!("{name} check failed\n"));
    let mut response = text_response(StatusCode::SERVICE_UNAVAILABLE, lines);
    response
        .headers_mut()
        .insert(RETRY_AFTER, STARTING_RETRY_AFTER_SECONDS.into());
    Some(response)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn get(path: &str, query: Option<&str>, report: &HealthReport) -> (u16, String) {
        let response = response(path, query, report).unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    fn report(phase: DaemonPhase, mirror_failed: bool) -> HealthReport {
        HealthReport {
            phase,
            checks: vec![
                HealthCheck {
                    name: "listener",
                    failed: false,
                },
                HealthCheck {
                    name: "mirror",
                    failed: mirror_failed,
                },
            ],
        }
    }

    #[tokio::test]
    async fn a_ready_daemon_returns_ok_or_every_check_if_verbose() {
        let ready = report(DaemonPhase::Ready, false);
        assert_eq!(get("/readyz", None, &ready).await, (200, "ok".to_owned()));
        for query in ["verbose", "verbose=1", "x=y&verbose"] {
            assert_eq!(
                get("/readyz", Some(query), &ready).await,
                (
                    200,
                    "[+]ping ok\n[+]listener ok\n[+]mirror ok\nreadyz check passed\n".to_owned()
                )
            );
        }
    }

    #[tokio::test]
    async fn a_failed_check_is_named_and_does_not_affect_livez() {
        let failed = report(DaemonPhase::Ready, true);
        let (status, body) = get("/readyz", None, &failed).await;
        assert_eq!(status, 503);
        assert!(body.contains("[-]mirror failed: "), "{body}");
        assert!(body.contains("[+]listener ok\n"), "{body}");
        assert!(body.ends_with("readyz check failed\n"), "{body}");
        assert_eq!(get("/livez", None, &failed).await, (200, "ok".to_owned()));
    }

    #[tokio::test]
    async fn a_starting_or_stopping_daemon_is_not_ready() {
        for (phase, word) in [
            (DaemonPhase::Starting, "starting"),
            (DaemonPhase::Stopping, "stopping"),
        ] {
            for path in ["/readyz", "/healthz"] {
                let (status, body) = get(path, None, &report(phase, false)).await;
                assert_eq!(status, 503);
                assert!(body.contains(word), "{body}");
            }
        }
        assert!(response("/readyz/x", None, &HealthReport::default()).is_none());
    }
}
