//! Opening a container's log, as bytes or with timestamps.

use std::pin::pin;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{Either, LocalBoxFuture, ready, select};
use rdd_sdk::Host;
use rdd_sdk::http::{ResponseBody, ResponseHead};
use rdd_sdk::types::{Error, LogOptions, MAX_CHUNK_BYTES, Timestamp};

use crate::backend::MobyBackend;
use crate::{model, objects, time, url};

/// The content types of the two log formats, since API 1.42.
const MULTIPLEXED: &str = "application/vnd.docker.multiplexed-stream";
const RAW: &str = "application/vnd.docker.raw-stream";

/// The maximum time from when a container writes a line to when it is in the
/// engine's log.
const WRITE_DELAY: Duration = Duration::from_millis(500);

/// If `until` is at most this far away, the log is requested after it, without
/// following. Shorter than the time that the host allows for the engine's first
/// response.
const MAX_UNTIL_WAIT: Duration = Duration::from_secs(3);

/// The idle time after which a followed log ends once `until` has passed. An
/// engine checks `until` only when a line is written. The lines that it still
/// has to send, a long history above all, come without such pauses.
const UNTIL_IDLE_TIMEOUT: Duration = Duration::from_secs(2);

/// The maximum of one `sleep` call.
const MAX_SLEEP: Duration = Duration::from_secs(3600);

/// An open log.
pub(crate) struct LogSource {
    body: ResponseBody,
    timer: Option<UntilTimer>,
    /// Whether it is the log of a terminal, which is not framed.
    pub(crate) is_raw: bool,
}

impl LogSource {
    /// Opens a container's log.
    pub(crate) async fn open(
        moby: &MobyBackend,
        id: &str,
        options: &LogOptions,
    ) -> Result<Self, Error> {
        if !options.stdout && !options.stderr {
            return Err(Error::invalid_argument(
                "neither stdout nor stderr is selected; select at least one",
            ));
        }
        let mut options = *options;
        let mut timer = None;
        if let Some(until) = until(&options).filter(|_| options.follow) {
            let left = time_left(moby, until).await?;
            if left <= MAX_UNTIL_WAIT {
                // All lines before `until` are then in the engine's log. Without
                // following, the engine ends the log after the last of them.
                moby.host.sleep(left).await;
                options.follow = false;
            } else {
                timer = Some(UntilTimer::new(moby.host.clone(), left));
            }
        }
        let (head, body) = moby.client.stream(&log_path(id, &options)?).await?;
        // The container exists after the log was opened. This proves that the log
        // is not that of another container with this ID as its name.
        let (container, _) = objects::inspect_container(&moby.client, id).await?;
        Ok(Self {
            is_raw: is_raw(&container, &head),
            body,
            timer,
        })
    }

    /// Waits for bytes and passes them to `take`, piece by piece. Returns false
    /// at the end of the log. What was passed before an error is valid.
    pub(crate) async fn read(&mut self, take: impl FnMut(bytes::Bytes)) -> Result<bool, Error> {
        let read = self.body.read_batch(MAX_CHUNK_BYTES, take);
        let Some(timer) = &mut self.timer else {
            return read.await;
        };
        let more = match select(pin!(read), pin!(timer.wait())).await {
            Either::Left((more, _)) => more,
            Either::Right(((), _)) => return Ok(false),
        };
        timer.received_bytes = true;
        more
    }
}

/// Returns the time until all lines that are written before `until` are in the
/// engine's log, by the engine's clock.
async fn time_left(moby: &MobyBackend, until: Timestamp) -> Result<Duration, Error> {
    // The clock is rounded down to the second, so the result is never too short.
    let now = moby.client.negotiate().await?.now;
    let left = time::duration_between(now.unwrap_or_else(|| moby.host.now()), until);
    Ok(match left {
        Duration::ZERO => left,
        left => left.saturating_add(WRITE_DELAY),
    })
}

/// A timer that ends a followed log with an `until`.
struct UntilTimer {
    host: Host,
    /// The time from the end of `sleep` to `until`.
    left: Duration,
    sleep: LocalBoxFuture<'static, ()>,
    /// Whether bytes were received since `sleep` began.
    received_bytes: bool,
}

impl UntilTimer {
    fn new(host: Host, left: Duration) -> Self {
        Self {
            host,
            left,
            sleep: ready(()).boxed_local(),
            received_bytes: true,
        }
    }

    /// Returns when `until` has passed and the engine was idle for
    /// [`UNTIL_IDLE_TIMEOUT`]. Cancel-safe: the next call continues the wait.
    async fn wait(&mut self) {
        loop {
            (&mut self.sleep).await;
            let step = if self.left.is_zero() {
                if !self.received_bytes {
                    return;
                }
                self.received_bytes = false;
                UNTIL_IDLE_TIMEOUT
            } else {
                let step = self.left.min(MAX_SLEEP);
                self.left -= step;
                step
            };
            let host = self.host.clone();
            self.sleep = async move { host.sleep(step).await }.boxed_local();
        }
    }
}

/// Returns the end of the log. The zero time is ignored, as by `docker logs`.
fn until(options: &LogOptions) -> Option<Timestamp> {
    options.until.filter(|until| !time::is_zero(*until))
}

/// Returns whether the log is that of a terminal, which is not framed.
fn is_raw(container: &model::ContainerInspectResponse, head: &ResponseHead) -> bool {
    match head
        .headers
        .get("content-type")
        .map(|value| value.as_bytes())
    {
        Some(kind) if kind == MULTIPLEXED.as_bytes() => false,
        Some(kind) if kind == RAW.as_bytes() => true,
        // Before API 1.42, the content type does not identify the format.
        _ => container.config.tty,
    }
}

fn log_path(id: &str, options: &LogOptions) -> Result<String, Error> {
    let LogOptions {
        follow,
        tail,
        since,
        until: _,
        timestamps,
        stdout,
        stderr,
    } = options;
    let id = url::container_id(id)?;
    let flag = |is_set: &bool| u8::from(*is_set).to_string();
    let tail = tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string());
    let since = since.map(time::to_query);
    // For the engine `until` is inclusive, for the contract it is exclusive.
    let until = until(options).map(|until| time::to_query(time::just_before(until)));
    let parameters = [
        ("follow", Some(flag(follow))),
        ("tail", Some(tail)),
        ("timestamps", Some(flag(timestamps))),
        ("stdout", Some(flag(stdout))),
        ("stderr", Some(flag(stderr))),
        ("since", since),
        ("until", until),
    ];
    let parameters = parameters
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)));
    Ok(url::with_query(
        &format!("/containers/{id}/logs"),
        parameters,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_converted_to_query_parameters() {
        let id = "ab".repeat(32);
        let mut options = LogOptions {
            follow: true,
            tail: None,
            since: None,
            until: None,
            timestamps: false,
            stdout: true,
            stderr: false,
        };
        assert_eq!(
            log_path(&id, &options).unwrap(),
            format!("/containers/{id}/logs?follow=1&tail=all&timestamps=0&stdout=1&stderr=0")
        );
        options = LogOptions {
            follow: false,
            tail: Some(0),
            since: Some(Timestamp {
                seconds: 1,
                nanoseconds: 500_000_000,
            }),
            until: Some(time::from_unix_seconds(2)),
            timestamps: true,
            ..options
        };
        assert_eq!(
            log_path(&id, &options).unwrap(),
            format!(
                "/containers/{id}/logs?follow=0&tail=0&timestamps=1&stdout=1&stderr=0&since=1.500000000&until=1.999999999"
            )
        );
        let years = |since: &str, until: &str| {
            let options = LogOptions {
                since: time::parse(since),
                until: time::parse(until),
                ..options
            };
            let path = log_path(&id, &options).unwrap();
            path.split_once("&since=").unwrap().1.to_owned()
        };
        assert_eq!(
            years("1066-10-14T09:00:00Z", "9999-12-31T23:59:59Z"),
            "-28502722800.000000000&until=253402300798.999999999"
        );
        // The zero time is ignored.
        options.until = Some(time::from_unix_seconds(-62_135_596_800));
        assert!(!log_path(&id, &options).unwrap().contains("until"));
        assert!(log_path("../x", &options).is_err());
    }
}
