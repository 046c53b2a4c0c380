//! `get-logs`.

use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};
use rdd_sdk::LogResponder;
use rdd_sdk::LogSink;
use rdd_sdk::demux::Demux;
use rdd_sdk::http::{Body, Head};
use rdd_sdk::types::{Error, LogOptions, MAX_CHUNK, Timestamp};

use crate::backend::Moby;
use crate::{model, name, objects, time};

/// How engines since API 1.42 announce the two forms of a log.
const MULTIPLEXED: &str = "application/vnd.docker.multiplexed-stream";
const RAW: &str = "application/vnd.docker.raw-stream";

/// How long after `until` a followed log still takes lines that were written
/// before: the engine's clock is known to the second, and lines travel.
const UNTIL_GRACE: Duration = Duration::from_secs(2);

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
    let (head, body) = moby.api.open(&path(id, options)?).await?;
    // After the log was opened: that the container is there now proves that it
    // is its log, and not that of one which bears this ID as its name.
    let (container, _) = objects::container(&moby.api, id).await?;
    let demux = if is_raw(&container, &head) {
        Demux::raw()
    } else {
        Demux::multiplexed()
    };
    let mut sink = responder.accept();
    let pumping = pin!(pump(body, demux, &mut sink));
    match until(options).filter(|_| options.follow) {
        None => pumping.await,
        // Engines look at `until` only when a line comes.
        Some(until) => match select(pumping, pin!(wait_until(moby, &head, until))).await {
            Either::Left((result, _)) => result,
            Either::Right(((), _)) => Ok(()),
        },
    }
}

/// Moves the log on, as fast as it comes and no faster than it is read.
async fn pump(mut body: Body, mut demux: Demux, sink: &mut LogSink) -> Result<(), Error> {
    loop {
        let mut pushed = Ok(());
        let more = body
            .read_batch(MAX_CHUNK, |bytes| {
                if pushed.is_ok() {
                    pushed = demux.push(&bytes);
                }
            })
            .await;
        // What came before a failure is still the container's.
        sink.send(demux.take()).await?;
        pushed?;
        if !more? {
            return demux.finish();
        }
    }
}

async fn wait_until(moby: &Moby, head: &Head, until: Timestamp) {
    let engine = head.headers.get("date").and_then(|date| date.to_str().ok());
    let now = engine
        .and_then(time::parse_http_date)
        .unwrap_or_else(|| moby.host.now());
    let mut left = time::between(now, until).saturating_add(UNTIL_GRACE);
    while !left.is_zero() {
        let step = left.min(MAX_SLEEP);
        moby.host.sleep(step).await;
        left -= step;
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
