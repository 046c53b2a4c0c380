//! `/livez`, `/readyz` and `/healthz`: what anybody may ask, and what they are told.

use http::header::RETRY_AFTER;
use http::{Response, StatusCode};

use crate::limits::STARTING_RETRY_AFTER;
use crate::reply::{Body, text};

/// Where the daemon is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DaemonPhase {
    /// Not everything that a client may ask for is there yet.
    #[default]
    Starting,
    /// Every path answers.
    Ready,
    /// It was told to end, or a part of it failed.
    Stopping,
}

impl DaemonPhase {
    /// Why requests are not answered; `None` when they are.
    pub(crate) fn refusal(self) -> Option<&'static str> {
        match self {
            Self::Starting => Some("the daemon is starting"),
            Self::Ready => None,
            Self::Stopping => Some("the daemon is stopping"),
        }
    }
}

/// A part of the daemon, by the name that `/readyz` gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Lower case with dashes, as Kubernetes names its checks.
    pub name: &'static str,
    /// Whether it has failed. Why is in the log: health answers need no
    /// credentials, so they tell no details.
    pub failed: bool,
}

/// The state of the daemon, as `/readyz` tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthReport {
    /// Where the daemon is in its life.
    pub phase: DaemonPhase,
    /// Its parts, in the order of their start.
    pub checks: Vec<HealthCheck>,
}

impl HealthReport {
    fn is_ready(&self) -> bool {
        self.phase == DaemonPhase::Ready && self.checks.iter().all(|check| !check.failed)
    }
}

/// Answers `path` if it is a health path. The form is kube-apiserver's: `ok`,
/// or with `?verbose`, or when a check fails, a line for each check.
pub(crate) fn answer(
    path: &str,
    query: Option<&str>,
    report: &HealthReport,
) -> Option<Response<Body>> {
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
        return Some(text(StatusCode::OK, "ok"));
    }
    let mut lines = String::from("[+]ping ok\n");
    if name != "livez" {
        if let Some(refusal) = report.phase.refusal() {
            lines.push_str(&format!("[-]lifecycle failed: {refusal}\n"));
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
        return Some(text(StatusCode::OK, lines));
    }
    lines.push_str(&format!("{name} check failed\n"));
    let mut response = text(StatusCode::SERVICE_UNAVAILABLE, lines);
    response
        .headers_mut()
        .insert(RETRY_AFTER, STARTING_RETRY_AFTER.into());
    Some(response)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn ask(path: &str, query: Option<&str>, report: &HealthReport) -> (u16, String) {
        let response = answer(path, query, report).unwrap();
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
    async fn ready_is_ok_and_verbose_names_every_check() {
        let ready = report(DaemonPhase::Ready, false);
        assert_eq!(ask("/readyz", None, &ready).await, (200, "ok".to_owned()));
        for query in ["verbose", "verbose=1", "x=y&verbose"] {
            assert_eq!(
                ask("/readyz", Some(query), &ready).await,
                (
                    200,
                    "[+]ping ok\n[+]listener ok\n[+]mirror ok\nreadyz check passed\n".to_owned()
                )
            );
        }
    }

    #[tokio::test]
    async fn a_part_that_failed_is_named_and_the_daemon_still_lives() {
        let failed = report(DaemonPhase::Ready, true);
        let (status, body) = ask("/readyz", None, &failed).await;
        assert_eq!(status, 503);
        assert!(body.contains("[-]mirror failed: "), "{body}");
        assert!(body.contains("[+]listener ok\n"), "{body}");
        assert!(body.ends_with("readyz check failed\n"), "{body}");
        assert_eq!(ask("/livez", None, &failed).await, (200, "ok".to_owned()));
    }

    #[tokio::test]
    async fn a_daemon_that_starts_or_stops_is_not_ready() {
        for (phase, word) in [
            (DaemonPhase::Starting, "starting"),
            (DaemonPhase::Stopping, "stopping"),
        ] {
            for path in ["/readyz", "/healthz"] {
                let (status, body) = ask(path, None, &report(phase, false)).await;
                assert_eq!(status, 503);
                assert!(body.contains(word), "{body}");
            }
        }
        assert!(answer("/readyz/x", None, &HealthReport::default()).is_none());
    }
}
