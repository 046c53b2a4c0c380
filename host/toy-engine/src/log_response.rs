//! The response to `logs`.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use rdd_core::{ContainerRef, EngineError, GapReason};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::sleep;

use crate::clock;
use crate::connection_input::ConnectionError;
use crate::container_log::{ContainerLog, LogPart, LogSelection};
use crate::protocol::{put_line, source_word};
use crate::state::SharedEngine;

/// A read of a log in progress.
pub(crate) struct LogResponse {
    log: Arc<ContainerLog>,
    selection: LogSelection,
    next: u64,
    gap: Option<GapReason>,
}

impl LogResponse {
    pub(crate) fn open(
        shared: &SharedEngine,
        container: &ContainerRef,
        selection: LogSelection,
    ) -> Result<Self, EngineError> {
        let log = Arc::clone(&shared.lock().record(container)?.log);
        let (next, gap) = log.start(&selection);
        Ok(Self {
            log,
            selection,
            next,
            gap,
        })
    }

    /// Sends the entries until the log ends.
    pub(crate) async fn run<W: AsyncWrite + Unpin>(
        mut self,
        writer: &mut W,
    ) -> Result<(), ConnectionError> {
        if let Some(gap) = self.gap.take() {
            let mut line = BytesMut::new();
            put_line(&mut line, &[&"gap", &gap_word(gap)]);
            writer.write_all(&line).await?;
        }
        let log = Arc::clone(&self.log);
        loop {
            let mut changed = pin!(log.changed.notified());
            changed.as_mut().enable();
            let until = self.selection.until;
            let is_past = until.is_some_and(|until| clock::now() >= until);
            let part = log.read(&self.selection, &mut self.next);
            writer.write_all(&encode(&part)).await?;
            if part.has_more {
                continue;
            }
            if !self.selection.follow || part.is_over || is_past {
                return Ok(());
            }
            tokio::select! {
                () = changed => {}
                () = wait_until(until) => {}
            }
        }
    }
}

/// Waits until this time, or without an end if there is none.
async fn wait_until(time: Option<i64>) {
    let Some(time) = time else {
        return pending().await;
    };
    let nanoseconds = time.saturating_sub(clock::now());
    sleep(Duration::from_nanos(
        u64::try_from(nanoseconds).unwrap_or(0),
    ))
    .await;
}

fn encode(part: &LogPart) -> BytesMut {
    let mut buffer = BytesMut::new();
    if let Some(gap) = part.gap {
        put_line(&mut buffer, &[&"gap", &gap_word(gap)]);
    }
    for record in &part.records {
        put_line(
            &mut buffer,
            &[
                &"entry",
                &record.time,
                &source_word(record.source),
                if record.is_partial { &"part" } else { &"line" },
                &record.bytes.len(),
            ],
        );
        buffer.put_slice(&record.bytes);
    }
    buffer
}

fn gap_word(gap: GapReason) -> &'static str {
    match gap {
        GapReason::Rotated => "rotated",
        GapReason::Replaced => "replaced",
        GapReason::Lagged => "lagged",
        GapReason::Unknown => "unknown",
    }
}
