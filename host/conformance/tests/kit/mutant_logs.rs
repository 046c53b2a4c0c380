//! How logs with one fault each are read.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use jiff::SignedDuration;
use rdd_core::*;

use crate::altered_stream::{double_last, keep_open, map_entries};
use crate::mutant_engine::{MutantEngine, error, instead};
use crate::mutation::Mutation::*;

impl MutantEngine {
    pub(crate) async fn open_log(
        &self,
        container: &ContainerRef,
        options: &LogOptions,
    ) -> Result<LogStream, EngineError> {
        let mut wanted = options.clone();
        let is_plain = options.tail.is_none() && options.since.is_none() && options.until.is_none();
        match self.mutation {
            CountsTheTailWrong if options.tail == Some(3) => wanted.tail = Some(4),
            ExcludesSince => {
                let nanosecond = SignedDuration::from_nanos(1);
                wanted.since = options.since.map(|time| time.saturating_add(nanosecond));
            }
            IgnoresUntil
                if !options.follow
                    && options.since.is_none()
                    && options.stdout
                    && options.stderr =>
            {
                wanted.until = None;
            }
            FollowsBeyondUntil if options.follow => wanted.until = None,
            MixesSources if is_plain && !options.timestamps => {
                (wanted.stdout, wanted.stderr) = (true, true);
            }
            IgnoresSinceWithTail if options.tail.is_some() => wanted.since = None,
            _ => {}
        }
        let permit = match self.mutation {
            LimitsLogsWithInternal => {
                let permit = Arc::clone(&self.open_logs).try_acquire_owned();
                Some(permit.map_err(|_| error(ErrorCode::Internal))?)
            }
            _ => None,
        };
        let log = self.inner.get_logs(container, &wanted).await;
        let log = match self.mutation {
            FailsUnknownLogsWithInternal => instead(log, &ErrorCode::NotFound, ErrorCode::Internal),
            _ => log,
        }?;
        let mutation = self.mutation;
        Ok(match mutation {
            LimitsLogsWithInternal => log
                .inspect(move |_| {
                    let _held = &permit;
                })
                .boxed(),
            DoublesTheLastLineOfAFollowedLog if options.follow => double_last(log),
            FollowsAfterStop if options.follow => keep_open(log),
            EndsACutLogSilently => log
                .take_while(|chunk| std::future::ready(chunk.is_ok()))
                .boxed(),
            JoinsChunks if !options.follow => {
                let chunks: Vec<_> = log.collect().await;
                let mut joined: Vec<Result<OutputChunk, EngineError>> = Vec::new();
                for chunk in chunks {
                    match (joined.last_mut(), chunk) {
                        (Some(Ok(last)), Ok(chunk)) if last.source == chunk.source => {
                            last.bytes = [last.bytes.clone(), chunk.bytes].concat().into();
                        }
                        (_, chunk) => joined.push(chunk),
                    }
                }
                stream::iter(joined).boxed()
            }
            LosesALine
            | ReplacesInvalidBytes
            | DelaysOutput
            | SplitsATerminal
            | WritesOtherTimestamps => {
                let timestamps = options.timestamps;
                log.filter_map(move |chunk| async move {
                    let Ok(mut chunk) = chunk else {
                        return Some(chunk);
                    };
                    let text = String::from_utf8_lossy(&chunk.bytes).into_owned();
                    match mutation {
                        LosesALine if text == "19 49\n" => return None,
                        ReplacesInvalidBytes => chunk.bytes = text.into(),
                        DelaysOutput if text == "x\n" => {
                            // Longer than output may take to arrive.
                            tokio::time::sleep(Duration::from_secs(3)).await;
                        }
                        SplitsATerminal if text.starts_with("second line") => {
                            chunk.source = OutputSource::Stderr;
                        }
                        WritesOtherTimestamps if timestamps => {
                            chunk.bytes = text.replace('T', " ").into();
                        }
                        _ => {}
                    }
                    Some(Ok(chunk))
                })
                .boxed()
            }
            _ => log,
        })
    }

    pub(crate) async fn open_entries(
        &self,
        container: &ContainerRef,
        options: &EntryOptions,
    ) -> Result<EntryStream, EngineError> {
        let mut wanted = options.clone();
        match self.mutation {
            CountsTheTailOfEntriesWrong if options.tail == Some(4) => wanted.tail = Some(5),
            ExcludesSinceInEntries => {
                let nanosecond = SignedDuration::from_nanos(1);
                wanted.since = options.since.map(|time| time.saturating_add(nanosecond));
            }
            MixesSourcesOfEntries if options.after.is_none() => {
                (wanted.stdout, wanted.stderr) = (true, true);
            }
            CountsPositionsAmongAllSources => (wanted.stdout, wanted.stderr) = (true, true),
            DoesNotFollowOnResume if options.after.is_some() => wanted.follow = false,
            _ => {}
        }
        let log = self.inner.get_entries(container, &wanted).await;
        let log = match self.mutation {
            FailsUnknownEntriesWithInternal => {
                instead(log, &ErrorCode::NotFound, ErrorCode::Internal)
            }
            _ => log,
        }?;
        let swaps = self.calls.fetch_add(1, Ordering::Relaxed) % 2 == 1;
        let (mutation, options) = (self.mutation, options.clone());
        let mut held: Option<(EntryHeader, Bytes)> = None;
        Ok(match mutation {
            DoublesTheLastEntryOfAFollowedLog if options.follow => double_last(log),
            FollowsEntriesAfterStop if options.follow => keep_open(log),
            HidesGaps => log
                .map(|batch| {
                    let batch = batch?;
                    let headers = batch.headers().to_vec();
                    Ok(EntryBatch::new(None, headers, batch.bytes().clone()).unwrap())
                })
                .boxed(),
            _ => map_entries(log, move |mut header, mut bytes| {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let mut entries = Vec::new();
                match mutation {
                    MarksAnEntryPartial if text == "13" => header.is_partial = true,
                    ReplacesInvalidBytesInEntries => bytes = text.clone().into(),
                    ForgetsThatPartsArePartial if bytes.len() == 65_536 => {
                        header.is_partial = false
                    }
                    DoublesAnEntryOnResume if options.after.is_some() && text == "5 5" => {
                        entries.push((header, bytes.clone()));
                    }
                    SkipsEarlierTimesOnResume
                        if options.after.is_some_and(|after| header.time < after.time) =>
                    {
                        return entries;
                    }
                    CountsPositionsAmongAllSources => {
                        let is_wanted = match header.source {
                            OutputSource::Stdout => options.stdout,
                            OutputSource::Stderr => options.stderr,
                        };
                        if !is_wanted {
                            return entries;
                        }
                    }
                    ReordersTheSourcesOfEntries if text == "17" => {
                        held = Some((header, bytes));
                        return entries;
                    }
                    ReadsInAnotherOrderEachTime if swaps && text == "3 3" => {
                        held = Some((header, bytes));
                        return entries;
                    }
                    _ => {}
                }
                entries.push((header, bytes));
                entries.extend(held.take());
                entries
            }),
        })
    }
}
