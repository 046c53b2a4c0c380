//! The follower of one container's log: the engine's only following stream of it,
//! however many viewers there are.

use std::future;
use std::pin::pin;
use std::sync::Arc;

use futures::StreamExt as _;
use rdd_core::{
    ContainerEngine, ContainerRef, EngineError, EntryBatch, EntryOptions, EntryStream, GapReason,
};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::engine_stream_limiter::EngineStreamPermit;
use super::log_ring::{LogEnd, LogRing};
use super::ring_writer::RingWriter;
use crate::entries::log_position::PositionCounter;
use crate::entries::positioned_batch::PositionedBatch;
use crate::entries::time_census::count_uncounted;
use crate::limits;

/// A followed log that was opened, before its first entry was read.
pub(super) struct LogFollower {
    engine: Arc<dyn ContainerEngine>,
    container: ContainerRef,
    stream: EntryStream,
    _permit: EngineStreamPermit,
    counter: PositionCounter,
    head: LogHead,
    writer: RingWriter,
    /// The time of the last entry when the log was opened.
    last_time: Option<i64>,
}

/// How far the beginning of the stream was read. The last lines of a log may begin
/// among entries with equal times, or within a line, so the positions of the first
/// ones are not known. They are left out: a viewer who needs them reads them from the
/// engine.
#[derive(Clone, Copy)]
enum LogHead {
    /// Nothing was read.
    Unread,
    /// Only entries whose positions are not known were read. The first one has this
    /// time.
    Within(i64),
    /// The positions of the next entries are known.
    Read,
}

/// What a short read tells about the end of a log.
struct LogCensus {
    entries: usize,
    last_time: Option<i64>,
}

impl LogFollower {
    /// Opens the log, and returns the empty ring for its entries.
    pub(super) async fn open(
        engine: Arc<dyn ContainerEngine>,
        container: ContainerRef,
        permit: EngineStreamPermit,
    ) -> Result<(Self, LogRing), EngineError> {
        let options = EntryOptions {
            follow: true,
            tail: Some(limits::FOLLOWED_TAIL),
            ..EntryOptions::default()
        };
        let stream = engine.get_entries(&container, &options).await?;
        // Read after the stream was opened, so an entry that is missing here comes
        // from the stream.
        let census = LogCensus::read(&*engine, &container).await?;
        let is_whole = census.entries <= limits::FOLLOWED_TAIL as usize;
        let follower = Self {
            engine,
            container,
            stream,
            _permit: permit,
            counter: PositionCounter::from_beginning(),
            head: if is_whole {
                LogHead::Read
            } else {
                LogHead::Unread
            },
            writer: RingWriter::new(),
            last_time: census.last_time,
        };
        Ok((follower, LogRing::new(is_whole)))
    }

    /// Copies the log into the ring until the log ends, or until nobody has read
    /// the ring for [`limits::UNVIEWED_LOG_TIMEOUT`].
    pub(super) async fn run(mut self, ring: &watch::Sender<LogRing>, retire: impl Fn() -> bool) {
        if self.last_time.is_none() {
            self.writer.write(ring, LogRing::set_caught_up);
        }
        let mut unviewed = pin!(unviewed(ring));
        loop {
            let (due, rest) = (self.writer.due(), self.writer.rest());
            tokio::select! {
                next = self.stream.next(), if rest.is_none() => {
                    let end = match next {
                        Some(Ok(batch)) => match self.add(batch, ring).await {
                            Ok(()) => continue,
                            Err(error) => LogEnd::Failed(error),
                        },
                        Some(Err(error)) => LogEnd::Failed(error),
                        None => LogEnd::Ended,
                    };
                    self.writer.write(ring, |ring| ring.set_end(end));
                    return;
                }
                () = wait_for(rest), if rest.is_some() => self.writer.end_rest(),
                () = wait_for(due) => self.writer.flush(ring),
                () = &mut unviewed => {
                    if retire() {
                        return;
                    }
                    unviewed.set(self::unviewed(ring));
                }
            }
        }
    }

    async fn add(
        &mut self,
        batch: EntryBatch,
        ring: &watch::Sender<LogRing>,
    ) -> Result<(), EngineError> {
        let gap = batch.gap();
        let is_caught_up = self
            .last_time
            .is_none_or(|last| batch.headers().iter().any(|header| header.time >= last));
        let batch = self.position(batch, ring).await?;
        match gap {
            Some(reason) => self.writer.add_gap(reason, batch, ring),
            None => self.writer.add(batch, ring),
        }
        if is_caught_up && !ring.borrow().is_caught_up() {
            self.writer.write(ring, LogRing::set_caught_up);
        }
        Ok(())
    }

    /// Finds the positions of the entries, without those whose position is not
    /// known.
    async fn position(
        &mut self,
        mut batch: EntryBatch,
        ring: &watch::Sender<LogRing>,
    ) -> Result<PositionedBatch, EngineError> {
        if let Some(first) = batch.headers().first() {
            let first_time = match self.head {
                LogHead::Unread => {
                    self.counter = PositionCounter::from_tail(first.time);
                    Some(first.time)
                }
                LogHead::Within(time) => Some(time),
                LogHead::Read => None,
            };
            if let Some(first_time) = first_time {
                let known = self.counter.first_known(batch.headers());
                // If no entry is later, the equal ones have to be counted.
                let has_later = self.last_time.is_some_and(|last| last > first_time);
                let unknown = match known {
                    Some((number, _)) => number,
                    None if has_later => batch.headers().len(),
                    None => 0,
                };
                self.head = match known {
                    None if has_later => LogHead::Within(first_time),
                    _ => LogHead::Read,
                };
                for header in batch.headers().iter().take(unknown) {
                    self.counter.count(header);
                }
                batch = batch.skip(unknown);
            }
        }
        if self.counter.uncounted_time(batch.headers()).is_some() {
            // The engine may need long for that.
            self.writer.flush(ring);
            count_uncounted(&*self.engine, &self.container, &mut self.counter, &batch).await?;
        }
        Ok(PositionedBatch::new(batch, &mut self.counter))
    }
}

/// Resolves at the time; never, if there is none.
async fn wait_for(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => future::pending().await,
    }
}

/// Resolves when nobody has read the ring for a while.
async fn unviewed(ring: &watch::Sender<LogRing>) {
    ring.closed().await;
    tokio::time::sleep(limits::UNVIEWED_LOG_TIMEOUT).await;
}

impl LogCensus {
    async fn read(
        engine: &dyn ContainerEngine,
        container: &ContainerRef,
    ) -> Result<Self, EngineError> {
        let options = EntryOptions {
            follow: false,
            tail: Some(limits::FOLLOWED_TAIL + 1),
            ..EntryOptions::default()
        };
        let mut census = Self {
            entries: 0,
            last_time: None,
        };
        let mut stream = engine.get_entries(container, &options).await?;
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            // The stream that is followed begins there, too.
            if batch.gap().is_some_and(|gap| gap != GapReason::Lagged) {
                census.entries = 0;
            }
            census.entries += batch.headers().len();
            if let Some(last) = batch.headers().last() {
                census.last_time = Some(last.time);
            }
        }
        Ok(census)
    }
}
