//! `get-logs`.

use std::pin::pin;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{Either, LocalBoxFuture, ready, select};
use rdd_sdk::demux::Demux;
use rdd_sdk::http::{Body, Head};
use rdd_sdk::types::{Error, LogOptions, MAX_CHUNK, Timestamp};
use rdd_sdk::{Host, LogResponder, LogSink};

use crate::backend::Moby;
use crate::{model, name, objects, time};

/// How engines since API 1.42 announce the two forms of a log.
const MULTIPLEXED: &str = "application/vnd.docker.multiplexed-stream";
const RAW: &str = "application/vnd.docker.raw-stream";

/// How long after `until` a line that was written before may still be on its
/// way into the engine's log.
const LINES_TRAVEL: Duration = Duration::from_millis(500);

/// Where `until` is no further away than this it is waited for, and what was
/// written is then read to its end. Less than the time that a host gives the
/// engine for its first answer.
const SOON: Duration = Duration::from_secs(3);

/// A followed log ends when `until` was reached and the engine had nothing to
/// send for this long: engines look at `until` only when a line comes, and what
/// they still have to send, a long history above all, comes without such pauses.
const UNTIL_QUIET: Duration = Duration::from_secs(2);

/// The longest single wait that the host grants.
const MAX_SLEEP: Duration = Duration::from_secs(3600);

/// Answers `get-logs`.
pub(crate) async fn run(
    moby: &Moby,
    id: &str,
    options: &LogOptions,
    responder: LogResponder,
) -> Result<(), Error> {
    if !options.stdout && !options.stderr {
        return Err(Error::invalid_argument(
            "neither stdout nor stderr is wanted: choose at least one",
        ));
    }
    let mut options = *options;
    let mut until_end = None;
    if let Some(until) = until(&options).filter(|_| options.follow) {
        let left = time_left(moby, until).await?;
        if left <= SOON {
            // Then every line is written, and an engine that does not follow
            // ends the log itself, after the last of them.
            moby.host.sleep(left).await;
            options.follow = false;
        } else {
            until_end = Some(UntilEnd::new(moby.host.clone(), left));
        }
    }
    let (head, body) = moby.api.open(&path(id, &options)?).await?;
    // After the log was opened: that the container is there now proves that it
    // is its log, and not that of one which bears this ID as its name.
    let (container, _) = objects::container(&moby.api, id).await?;
    // Nothing else is asked from here: a kept connection would cost a
    // descriptor as long as the log is open.
    moby.api.trim(0);
    let demux = if is_raw(&container, &head) {
        Demux::raw()
    } else {
        Demux::multiplexed()
    };
    pump(body, demux, responder.accept(), until_end).await
}

/// Moves the log on, as fast as it comes and no faster than it is read.
async fn pump(
    mut body: Body,
    mut demux: Demux,
    mut sink: LogSink,
    mut until_end: Option<UntilEnd>,
) -> Result<(), Error> {
    loop {
        let mut pushed = Ok(());
        let more = {
            let read = body.read_batch(MAX_CHUNK, |bytes| {
                if pushed.is_ok() {
                    pushed = demux.push(&bytes);
                }
            });
            match &mut until_end {
                None => read.await,
                Some(end) => match select(pin!(read), pin!(end.wait())).await {
                    Either::Left((more, _)) => more,
                    Either::Right(((), _)) => return Ok(()),
                },
            }
        };
        if let Some(end) = &mut until_end {
            end.busy = true;
        }
        // What came before a failure is still the container's.
        sink.send(demux.take()).await?;
        pushed?;
        if !more? {
            return demux.finish();
        }
    }
}

/// How long it is until every line that was written before `until` is in the
/// engine's log, by the engine's clock.
async fn time_left(moby: &Moby, until: Timestamp) -> Result<Duration, Error> {
    // Told to the second below, so the time left is never told too short.
    let now = moby.api.negotiate().await?.now;
    let left = time::between(now.unwrap_or_else(|| moby.host.now()), until);
    Ok(match left {
        Duration::ZERO => left,
        left => left.saturating_add(LINES_TRAVEL),
    })
}

/// The end of a followed log that has an `until`.
struct UntilEnd {
    host: Host,
    /// What is left of the time to `until`, beyond `sleep`.
    left: Duration,
    sleep: LocalBoxFuture<'static, ()>,
    /// Whether bytes came since `sleep` began.
    busy: bool,
}

impl UntilEnd {
    fn new(host: Host, left: Duration) -> Self {
        Self {
            host,
            left,
            sleep: ready(()).boxed_local(),
            busy: true,
        }
    }

    /// Returns when `until` was reached and the engine was quiet for
    /// [`UNTIL_QUIET`]. What was waited for is kept when this is dropped.
    async fn wait(&mut self) {
        loop {
            (&mut self.sleep).await;
            let step = if self.left.is_zero() {
                if !self.busy {
                    return;
                }
                self.busy = false;
                UNTIL_QUIET
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

/// Where the log ends; nowhere for the zero time, as with `docker logs`.
fn until(options: &LogOptions) -> Option<Timestamp> {
    options.until.filter(|until| !time::is_zero(*until))
}

/// Whether the log is a terminal's, without frames.
fn is_raw(container: &model::Container, head: &Head) -> bool {
    match head
        .headers
        .get("content-type")
        .map(|value| value.as_bytes())
    {
        Some(kind) if kind == MULTIPLEXED.as_bytes() => false,
        Some(kind) if kind == RAW.as_bytes() => true,
        // Before API 1.42 only the container tells.
        _ => container.config.tty,
    }
}

fn path(id: &str, options: &LogOptions) -> Result<String, Error> {
    let LogOptions {
        follow,
        tail,
        since,
        until: _,
        timestamps,
        stdout,
        stderr,
    } = options;
    let id = name::container(id)?;
    let tail = tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string());
    let mut path = format!(
        "/containers/{id}/logs?follow={}&tail={tail}&timestamps={}&stdout={}&stderr={}",
        u8::from(*follow),
        u8::from(*timestamps),
        u8::from(*stdout),
        u8::from(*stderr)
    );
    if let Some(since) = since {
        path.push_str(&format!("&since={}", time::to_query(*since)));
    }
    if let Some(until) = until(options) {
        // The engine sends lines written at `until`, too; the contract does not.
        let last = time::before(until);
        path.push_str(&format!("&until={}", time::to_query(last)));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_the_engines_query() {
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
            path(&id, &options).unwrap(),
            format!("/containers/{id}/logs?follow=1&tail=all&timestamps=0&stdout=1&stderr=0")
        );
        options = LogOptions {
            follow: false,
            tail: Some(0),
            since: Some(Timestamp {
                seconds: 1,
                nanoseconds: 500_000_000,
            }),
            until: Some(time::at(2)),
            timestamps: true,
            ..options
        };
        assert_eq!(
            path(&id, &options).unwrap(),
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
            let path = path(&id, &options).unwrap();
            path.split_once("&since=").unwrap().1.to_owned()
        };
        assert_eq!(
            years("1066-10-14T09:00:00Z", "9999-12-31T23:59:59Z"),
            "-28502722800.000000000&until=253402300798.999999999"
        );
        // Go's zero time is no time.
        options.until = Some(time::at(-62_135_596_800));
        assert!(!path(&id, &options).unwrap().contains("until"));
        assert!(path("../x", &options).is_err());
    }
}
