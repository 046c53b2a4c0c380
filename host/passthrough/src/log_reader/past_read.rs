//! A bounded read of what a log has now.

use std::sync::Arc;

use futures::StreamExt as _;
use rdd_core::{
    ContainerEngine, ContainerRef, EngineError, EntryOptions, EntryStream, GapReason, Timestamp,
};

use crate::entries::engine_call::with_timeout;
use crate::entries::log_position::{LogPosition, PositionCounter};
use crate::entries::positioned_batch::PositionedBatch;
use crate::entries::time_census::count_uncounted;
use crate::log_hub::{EngineStreamPermit, LogHub, LogOpenError};

/// Where a viewer begins to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogStart {
    /// At the beginning, at the last lines, at a time, or at the last lines since a
    /// time.
    Selected {
        /// The number of lines from the end.
        tail: Option<u64>,
        /// The earliest time.
        since: Option<Timestamp>,
    },
    /// After an entry; with `None`, before the first one.
    After(Option<LogPosition>),
}

impl LogStart {
    /// Returns the options of a read from here.
    pub(super) fn options(self, follow: bool, until: Option<Timestamp>) -> EntryOptions {
        let options = EntryOptions {
            follow,
            until,
            ..EntryOptions::default()
        };
        match self {
            Self::Selected { tail, since } => EntryOptions {
                tail,
                since,
                ..options
            },
            Self::After(position) => EntryOptions {
                after: position.map(|position| position.last),
                ..options
            },
        }
    }

    /// Returns the time of the entry after which the log begins.
    pub(crate) fn last_time(self) -> Option<i64> {
        match self {
            Self::Selected { .. } | Self::After(None) => None,
            Self::After(Some(position)) => Some(position.last.time),
        }
    }

    /// Returns the earliest time that is selected.
    pub(super) fn since(self) -> Option<Timestamp> {
        match self {
            Self::Selected { since, .. } => since,
            Self::After(_) => None,
        }
    }
}

/// Entries of a read, with what is missing before them.
#[derive(Debug)]
pub(super) struct ReadBatch {
    pub(super) gap: Option<GapReason>,
    pub(super) entries: Arc<PositionedBatch>,
}

/// A read of the engine's log in progress.
pub(super) struct PastRead {
    engine: Arc<dyn ContainerEngine>,
    container: ContainerRef,
    stream: EntryStream,
    _permit: EngineStreamPermit,
    start: LogStart,
    counter: Option<PositionCounter>,
}

impl PastRead {
    /// Opens the log.
    pub(super) async fn open(
        hub: &LogHub,
        engine: &Arc<dyn ContainerEngine>,
        container: &ContainerRef,
        start: LogStart,
        options: &EntryOptions,
    ) -> Result<Self, LogOpenError> {
        let permit = hub.limiter().acquire()?;
        let stream = with_timeout(engine.get_entries(container, options)).await?;
        Ok(Self {
            engine: Arc::clone(engine),
            container: container.clone(),
            stream,
            _permit: permit,
            start,
            counter: None,
        })
    }

    /// Returns the next entries.
    pub(super) async fn next(&mut self) -> Result<Option<ReadBatch>, EngineError> {
        let Some(batch) = self.stream.next().await else {
            return Ok(None);
        };
        let batch = batch?;
        let gap = batch.gap();
        if gap.is_some() {
            // What follows begins with the oldest entry that is left.
            self.counter = Some(PositionCounter::from_beginning());
        }
        let start = self.start;
        let counter = self.counter.get_or_insert_with(|| match start {
            LogStart::Selected { tail: Some(_), .. } => {
                let first = batch.headers().first();
                first.map_or_else(PositionCounter::from_beginning, |first| {
                    PositionCounter::from_tail(first.time)
                })
            }
            LogStart::Selected { tail: None, .. } | LogStart::After(None) => {
                PositionCounter::from_beginning()
            }
            LogStart::After(Some(position)) => PositionCounter::after(position),
        });
        count_uncounted(&*self.engine, &self.container, counter, &batch).await?;
        let entries = Arc::new(PositionedBatch::new(batch, counter));
        Ok(Some(ReadBatch { gap, entries }))
    }
}
