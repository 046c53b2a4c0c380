//! Reading logs and processes in cases.

use std::time::Duration;

use futures::StreamExt;
use rdd_core::{
    ContainerRef, EngineError, EntryBatch, EntryOptions, EntryPosition, EntryStream, GapReason,
    LogOptions, LogStream, OutputChunk, OutputSource,
};
use tokio::time::{Instant, timeout_at};

use crate::case::{CALL_LIMIT, CaseContext, CaseFailure, CaseResult, fault};
use crate::rules::{self, ContractRule};

/// The output that was read from a log or a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OutputRecord {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl OutputRecord {
    pub(crate) fn push(&mut self, chunk: &OutputChunk) {
        match chunk.source {
            OutputSource::Stdout => self.stdout.extend_from_slice(&chunk.bytes),
            OutputSource::Stderr => self.stderr.extend_from_slice(&chunk.bytes),
        }
    }

    pub(crate) fn text(&self) -> (String, String) {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        (text(&self.stdout), text(&self.stderr))
    }
}

/// One entry of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EntryRecord {
    pub(crate) time: i64,
    pub(crate) source: OutputSource,
    pub(crate) is_partial: bool,
    pub(crate) bytes: Vec<u8>,
}

/// The entries that were read from a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EntryList {
    /// Each gap, with the number of entries before it.
    pub(crate) gaps: Vec<(usize, GapReason)>,
    pub(crate) entries: Vec<EntryRecord>,
}

impl EntryList {
    pub(crate) fn push(&mut self, batch: &EntryBatch) {
        if let Some(gap) = batch.gap() {
            self.gaps.push((self.entries.len(), gap));
        }
        self.entries
            .extend(batch.entries().map(|entry| EntryRecord {
                time: entry.header.time,
                source: entry.header.source,
                is_partial: entry.header.is_partial,
                bytes: entry.bytes.to_vec(),
            }));
    }

    /// Returns the entries as text, for messages and comparisons.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.entries
            .iter()
            .map(|entry| String::from_utf8_lossy(&entry.bytes).into_owned())
            .collect()
    }

    /// Returns the position of each entry.
    pub(crate) fn positions(&self) -> Vec<EntryPosition> {
        let mut counts = std::collections::HashMap::new();
        self.entries
            .iter()
            .map(|entry| {
                let count: &mut u32 = counts.entry(entry.time).or_default();
                let position = EntryPosition {
                    time: entry.time,
                    index: *count,
                };
                *count += 1;
                position
            })
            .collect()
    }

    /// Returns the bytes of each source, as the other form has them.
    pub(crate) fn output(&self) -> OutputRecord {
        let mut output = OutputRecord::default();
        for entry in &self.entries {
            let bytes = match entry.source {
                OutputSource::Stdout => &mut output.stdout,
                OutputSource::Stderr => &mut output.stderr,
            };
            bytes.extend_from_slice(&entry.bytes);
            if !entry.is_partial {
                bytes.push(b'\n');
            }
        }
        output
    }
}

/// A stream that is read with a time limit.
pub(crate) struct LimitedStream<T> {
    stream: futures::stream::BoxStream<'static, Result<T, EngineError>>,
    rule: ContractRule,
    what: &'static str,
}

impl<T> LimitedStream<T> {
    pub(crate) fn new(
        stream: futures::stream::BoxStream<'static, Result<T, EngineError>>,
        rule: ContractRule,
        what: &'static str,
    ) -> Self {
        Self { stream, rule, what }
    }

    /// Returns the same stream, whose end violates another rule.
    pub(crate) fn with_rule(self, rule: ContractRule) -> Self {
        Self { rule, ..self }
    }

    /// Returns the next item, or `None` at the end.
    pub(crate) async fn next(&mut self, deadline: Instant) -> CaseResult<Option<T>> {
        match timeout_at(deadline, self.stream.next()).await {
            Ok(Some(Ok(item))) => Ok(Some(item)),
            Ok(None) => Ok(None),
            Ok(Some(Err(error))) => Err(fault(
                self.rule,
                format_args!("{} to go on", self.what),
                format_args!("the error {:?} ({})", error.message, error.code),
            )),
            Err(_) => Err(fault(
                self.rule,
                format_args!("{} to go on or to end", self.what),
                "nothing within the time limit",
            )),
        }
    }

    /// Passes each item to `f` until the end.
    pub(crate) async fn drain(&mut self, mut f: impl FnMut(&T)) -> CaseResult {
        let deadline = deadline();
        while let Some(item) = self.next(deadline).await? {
            f(&item);
        }
        Ok(())
    }

    /// Passes each item to `f` until it returns true. `expected` names what it
    /// waits for.
    pub(crate) async fn until(
        &mut self,
        expected: &str,
        mut f: impl FnMut(&T) -> bool,
    ) -> CaseResult {
        let deadline = deadline();
        loop {
            match timeout_at(deadline, self.stream.next()).await {
                Ok(Some(Ok(item))) if f(&item) => return Ok(()),
                Ok(Some(Ok(_))) => {}
                Ok(Some(Err(error))) => {
                    let seen = format!("the error {:?} ({})", error.message, error.code);
                    return Err(fault(self.rule, expected, seen));
                }
                Ok(None) => {
                    return Err(fault(self.rule, expected, "the end of the stream"));
                }
                Err(_) => return Err(fault(self.rule, expected, "nothing of it in time")),
            }
        }
    }

    /// Waits for an error, and returns it.
    pub(crate) async fn error(&mut self) -> CaseResult<EngineError> {
        let deadline = deadline();
        let expected = format!("{} to end with an error", self.what);
        loop {
            match timeout_at(deadline, self.stream.next()).await {
                Ok(Some(Ok(_))) => {}
                Ok(Some(Err(error))) => return Ok(error),
                Ok(None) => return Err(fault(self.rule, expected, "an end without an error")),
                Err(_) => return Err(fault(self.rule, expected, "that it went on")),
            }
        }
    }
}

pub(crate) fn deadline() -> Instant {
    Instant::now() + CALL_LIMIT
}

impl CaseContext {
    pub(crate) async fn open_log(
        &self,
        rule: ContractRule,
        container: &ContainerRef,
        options: &LogOptions,
    ) -> CaseResult<LimitedStream<OutputChunk>> {
        let call = self.engine.get_logs(container, options);
        let log: LogStream = self.ok(rule, "get-logs", call).await?;
        Ok(LimitedStream::new(log, rule, "the log"))
    }

    pub(crate) async fn open_entries(
        &self,
        rule: ContractRule,
        container: &ContainerRef,
        options: &EntryOptions,
    ) -> CaseResult<LimitedStream<EntryBatch>> {
        let call = self.engine.get_entries(container, options);
        let log: EntryStream = self.ok(rule, "get-entries", call).await?;
        Ok(LimitedStream::new(log, rule, "the log"))
    }

    /// Reads a log as bytes until it ends.
    pub(crate) async fn read_log(
        &self,
        rule: ContractRule,
        container: &ContainerRef,
        options: &LogOptions,
    ) -> CaseResult<OutputRecord> {
        let mut log = self.open_log(rule, container, options).await?;
        let mut output = OutputRecord::default();
        log.drain(|chunk| output.push(chunk)).await?;
        Ok(output)
    }

    /// Reads a log as entries until it ends.
    pub(crate) async fn read_entries(
        &self,
        rule: ContractRule,
        container: &ContainerRef,
        options: &EntryOptions,
    ) -> CaseResult<EntryList> {
        let mut log = self.open_entries(rule, container, options).await?;
        let mut entries = EntryList::default();
        log.drain(|batch| entries.push(batch)).await?;
        Ok(entries)
    }

    /// Waits until what was written to a container is in its log, since engines
    /// record output a little later.
    pub(crate) async fn wait_for_output(
        &self,
        container: &ContainerRef,
        is_complete: impl Fn(&OutputRecord) -> bool,
    ) -> CaseResult<OutputRecord> {
        let end = Instant::now() + self.environment.patience();
        loop {
            let output = self.whole_output(container).await?;
            if is_complete(&output) || Instant::now() > end {
                return Ok(output);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Reads all that a container has written, in the form that the backend has.
    async fn whole_output(&self, container: &ContainerRef) -> CaseResult<OutputRecord> {
        if self.info().capabilities.logs {
            return self.read_log(rules::LOG_END, container, &whole_log()).await;
        }
        if self.info().capabilities.entries {
            let options = whole_entries();
            let entries = self.read_entries(rules::LOG_END, container, &options);
            return Ok(entries.await?.output());
        }
        Err(CaseFailure::Skipped(
            "the backend has no capability for logs".to_owned(),
        ))
    }
}

/// Returns the options for a whole log, not followed.
pub(crate) fn whole_log() -> LogOptions {
    LogOptions {
        follow: false,
        ..LogOptions::default()
    }
}

/// Returns the options for a whole log as entries, not followed.
pub(crate) fn whole_entries() -> EntryOptions {
    EntryOptions {
        follow: false,
        ..EntryOptions::default()
    }
}
