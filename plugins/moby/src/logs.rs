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
use crate::{name, objects, time};

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
    let demux = if is_raw(moby, id, &head).await? {
        Demux::raw()
    } else {
        Demux::multiplexed()
    };
    let mut sink = responder.accept();
    let pumping = pin!(pump(body, demux, &mut sink));
    match options.until.filter(|_| options.follow) {
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
    let nanoseconds = u64::try_from(until.saturating_sub(now)).unwrap_or_default();
    let mut left = Duration::from_nanos(nanoseconds) + UNTIL_GRACE;
    while !left.is_zero() {
        let step = left.min(MAX_SLEEP);
        moby.host.sleep(step).await;
        left -= step;
    }
}

/// Whether the log is a terminal's, without frames.
async fn is_raw(moby: &Moby, id: &str, head: &Head) -> Result<bool, Error> {
    match head
        .headers
        .get("content-type")
        .map(|value| value.as_bytes())
    {
        Some(kind) if kind == MULTIPLEXED.as_bytes() => Ok(false),
        Some(kind) if kind == RAW.as_bytes() => Ok(true),
        // Before API 1.42 only the container tells.
        _ => {
            let (container, _) = objects::container(&moby.api, id).await?;
            Ok(container.config.tty)
        }
    }
}

fn path(id: &str, options: &LogOptions) -> Result<String, Error> {
    let LogOptions {
        follow,
        tail,
        since,
        until,
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
    if let Some(until) = until {
        // The engine sends lines written at `until`, too; the contract does not.
        let last = until.saturating_sub(1);
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
            since: Some(1_500_000_000),
            until: Some(2_000_000_000),
            timestamps: true,
            ..options
        };
        assert_eq!(
            path(&id, &options).unwrap(),
            format!(
                "/containers/{id}/logs?follow=0&tail=0&timestamps=1&stdout=1&stderr=0&since=1.500000000&until=1.999999999"
            )
        );
        assert!(path("../x", &options).is_err());
    }
}
