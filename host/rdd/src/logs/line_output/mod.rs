//! From the entries of logs to what is printed.

mod frame_buffer;
mod line_assembler;
mod line_filter;
mod line_format;
mod line_template;
mod time_merge;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::Bytes;

use self::frame_buffer::{FrameBuffer, PrinterGone};
use self::line_assembler::{LineAssembler, LogLine};
pub(crate) use self::line_filter::{LineFilter, parse_pattern};
pub(crate) use self::line_format::{LineForm, LineFormat};
use self::line_format::{LogSource, put_time};
pub(crate) use self::line_template::{LineTemplate, describe_error};
use self::time_merge::{QueuedLine, TimeMerge};
use super::mux_client::{LogEntry, LogEvent, LogId, LogSelection, SubscriptionRef};
use super::print::FrameStream;

/// How long lines of followed logs wait for earlier ones of other containers. Not
/// noticed by a person, and longer than the daemon needs to read the ends of a
/// few logs.
const MERGE_WINDOW: Duration = Duration::from_millis(100);

/// The names and colors that are remembered of containers whose logs have ended.
const MAX_SOURCES: usize = 512;

/// The order of lines of several logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineOrder {
    /// As they arrive: there is one log.
    Arrival,
    /// By time, of logs that end.
    Time,
    /// By time within [`MERGE_WINDOW`], of logs that are followed.
    TimeWindow,
}

/// What a [`LogPrinter`] does.
pub(crate) struct PrinterOptions {
    pub(crate) format: LineFormat,
    pub(crate) filter: LineFilter,
    pub(crate) order: LineOrder,
    /// Whether one container is named, whose error is that of the command.
    pub(crate) is_single: bool,
    /// The maximum number of logs at the same time.
    pub(crate) max_logs: usize,
    /// The names of the containers that are known from the start.
    pub(crate) names: HashMap<LogId, String>,
}

impl PrinterOptions {
    /// Returns whether the bytes of a log are printed as they are, also those of an
    /// incomplete line.
    pub(crate) fn prints_bytes(&self) -> bool {
        self.order == LineOrder::Arrival
            && matches!(self.format.form, LineForm::Default | LineForm::Raw)
            && !self.format.has_prefix
            && self.format.highlight.is_none()
            && self.filter.is_empty()
    }
}

/// Prints the logs of containers.
pub(crate) struct LogPrinter {
    options: PrinterOptions,
    queue: mpsc::Sender<Bytes>,
    sources: HashMap<LogId, LogSource>,
    assemblers: HashMap<LogId, LineAssembler>,
    open: HashSet<LogId>,
    merge: TimeMerge,
    /// When the lines in the window are printed.
    window_end: Option<Instant>,
    name_width: usize,
    /// The number of sources so far, for the colors.
    joined: usize,
    /// Whether a stream is within a line: standard output, and standard error.
    is_within_line: [bool; 2],
    frames: FrameBuffer,
    settled: Vec<(SubscriptionRef, usize)>,
    has_failed: bool,
}

impl LogPrinter {
    /// Creates a printer to the queue of the printing thread.
    pub(crate) fn new(options: PrinterOptions, queue: mpsc::Sender<Bytes>) -> Self {
        let mut merge = TimeMerge::default();
        if options.order == LineOrder::Time {
            for log in options.names.keys() {
                merge.add_log(LogId::clone(log));
            }
        }
        let widths = options.names.values().map(|name| name.chars().count());
        Self {
            name_width: widths.max().unwrap_or(0),
            options,
            queue,
            joined: 0,
            sources: HashMap::new(),
            assemblers: HashMap::new(),
            open: HashSet::new(),
            merge,
            window_end: None,
            is_within_line: [false; 2],
            frames: FrameBuffer::default(),
            settled: Vec::new(),
            has_failed: false,
        }
    }

    /// Prints until all logs have ended, or the printing thread has. Returns
    /// whether all could be read.
    pub(crate) async fn run(mut self, mut events: mpsc::Receiver<LogEvent>) -> Result<bool> {
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                () = sleep_until(self.window_end.unwrap_or_else(Instant::now)),
                    if self.window_end.is_some() =>
                {
                    self.print_window()?;
                    if self.flush().await.is_err() {
                        return Ok(true);
                    }
                    continue;
                }
            };
            let Some(event) = event else { break };
            let handled = self.handle(event);
            // What was received before an error is printed, too.
            if (handled.is_err() || events.is_empty() || self.frames.is_full())
                && self.flush().await.is_err()
            {
                return Ok(true);
            }
            handled?;
        }
        let ids: Vec<_> = self.assemblers.keys().cloned().collect();
        for log in ids {
            self.end_log(&log)?;
        }
        self.print_window()?;
        // Nothing is lost if the reader of the output is gone.
        self.flush().await.ok();
        Ok(!self.has_failed)
    }

    fn handle(&mut self, event: LogEvent) -> Result<()> {
        match event {
            LogEvent::Joined { log, name, labels } => {
                if !self.sources.contains_key(&log) {
                    let source = LogSource::new(LogId::clone(&log), name, labels, self.joined);
                    self.joined += 1;
                    self.name_width = self.name_width.max(source.name.chars().count());
                    self.sources.insert(LogId::clone(&log), source);
                }
                self.open.insert(log);
                if self.open.len() > self.options.max_logs {
                    bail!(
                        "more than {} containers are selected; narrow the selection, or raise the limit with --max-log-requests",
                        self.options.max_logs
                    );
                }
            }
            LogEvent::Entries {
                log,
                subscription,
                entries,
            } => self.receive(&log, &subscription, entries)?,
            LogEvent::Gap {
                log,
                after,
                before,
                reason,
            } => {
                let between = match (after, before) {
                    (Some(after), Some(before)) => format!(" between {after} and {before}"),
                    (Some(after), None) => format!(" after {after}"),
                    (None, Some(before)) => format!(" before {before}"),
                    (None, None) => String::new(),
                };
                self.note_of(&log, &format!("lines are missing{between} ({reason})"))?;
            }
            LogEvent::Stopped { log, exit_code } => {
                self.finish_lines(&log)?;
                let code =
                    exit_code.map_or(String::new(), |code| format!(" with exit code {code}"));
                self.note_of(&log, &format!("the container stopped{code}"))?;
            }
            LogEvent::Started { log } => self.note_of(&log, "the container started")?,
            LogEvent::Left { log, reason } => {
                self.end_log(&log)?;
                if self.options.order == LineOrder::TimeWindow {
                    self.note_of(&log, &reason)?;
                    self.merge.forget_log(&log);
                    if self.sources.len() > MAX_SOURCES {
                        self.sources.remove(&log);
                    }
                }
            }
            LogEvent::Failed { selection, failure } => {
                let name = match &selection {
                    LogSelection::Container(mirror) => {
                        let log = LogId::from(&**mirror);
                        self.end_log(&log)?;
                        self.name(&log)
                    }
                    LogSelection::Selector(text) | LogSelection::Project(text) => text.clone(),
                };
                if self.options.is_single {
                    return Err(failure.into());
                }
                self.has_failed = true;
                self.note(&format!("error: {name}: {failure}"))?;
            }
            LogEvent::Interrupted { reason } => self.note(&format!("{reason}; reconnecting"))?,
        }
        Ok(())
    }

    fn receive(
        &mut self,
        log: &LogId,
        subscription: &SubscriptionRef,
        entries: Vec<LogEntry>,
    ) -> Result<()> {
        if self.options.prints_bytes() {
            let cost = entries.iter().map(LogEntry::cost).sum();
            for entry in entries {
                self.print_bytes(&entry);
            }
            self.settled.push((subscription.clone(), cost));
            return Ok(());
        }
        let mut free = 0;
        for entry in entries {
            let assembler = self.assemblers.entry(LogId::clone(log)).or_default();
            match assembler.push(entry) {
                Ok(line) if self.options.filter.accepts(&line.bytes) => {
                    self.queue_line(QueuedLine {
                        log: LogId::clone(log),
                        line,
                        subscription: Some(subscription.clone()),
                    })?;
                }
                Ok(LogLine { cost, .. }) | Err(cost) => free += cost,
            }
        }
        self.settled.push((subscription.clone(), free));
        Ok(())
    }

    fn print_bytes(&mut self, entry: &LogEntry) {
        let buffer = self.frames.stream(FrameStream::output(entry.is_stderr));
        let is_within_line = &mut self.is_within_line[usize::from(entry.is_stderr)];
        if self.options.format.has_timestamps && !*is_within_line {
            put_time(buffer, entry.time);
        }
        buffer.extend_from_slice(&entry.bytes);
        if !entry.is_partial {
            buffer.push(b'\n');
        }
        *is_within_line = entry.is_partial;
    }

    fn queue_line(&mut self, line: QueuedLine) -> Result<()> {
        match self.options.order {
            LineOrder::Arrival => self.print_line(&line),
            LineOrder::Time => {
                self.merge.push(line);
                self.print_ready()
            }
            LineOrder::TimeWindow => {
                self.merge.push(line);
                self.window_end
                    .get_or_insert_with(|| Instant::now() + MERGE_WINDOW);
                Ok(())
            }
        }
    }

    fn print_ready(&mut self) -> Result<()> {
        while let Some(line) = self.merge.pop_ready() {
            self.print_line(&line)?;
        }
        Ok(())
    }

    /// Prints the lines that wait for others.
    fn print_window(&mut self) -> Result<()> {
        self.window_end = None;
        while let Some(line) = self.merge.pop_first() {
            self.print_line(&line)?;
        }
        Ok(())
    }

    fn print_line(&mut self, queued: &QueuedLine) -> Result<()> {
        let QueuedLine {
            log,
            line,
            subscription,
        } = queued;
        if let Some(subscription) = subscription {
            self.settled.push((subscription.clone(), line.cost));
        }
        let Some(source) = self.sources.get(log) else {
            return Ok(());
        };
        let buffer = self.frames.stream(FrameStream::output(line.is_stderr));
        let put = self
            .options
            .format
            .put(buffer, source, line, self.name_width);
        put.map_err(|error| anyhow!(describe_error(&error)))
    }

    /// Prints the lines of a log that have no end, if it has ended or its container
    /// has stopped.
    fn finish_lines(&mut self, log: &LogId) -> Result<()> {
        let Some(assembler) = self.assemblers.get_mut(log) else {
            return Ok(());
        };
        let rest: Vec<_> = assembler.finish().collect();
        for line in rest {
            if self.options.filter.accepts(&line.bytes) {
                self.queue_line(QueuedLine {
                    log: LogId::clone(log),
                    line,
                    subscription: None,
                })?;
            }
        }
        Ok(())
    }

    fn end_log(&mut self, log: &LogId) -> Result<()> {
        self.finish_lines(log)?;
        self.assemblers.remove(log);
        self.open.remove(log);
        self.merge.end_log(log);
        if self.options.order == LineOrder::Time {
            self.print_ready()?;
        }
        Ok(())
    }

    fn name(&self, log: &LogId) -> String {
        let source = self.sources.get(log).map(|source| &source.name);
        let name = source.or_else(|| self.options.names.get(log));
        name.map_or_else(|| log.to_string(), Clone::clone)
    }

    /// Prints what happened to a log, with the container's name if there are
    /// several.
    fn note_of(&mut self, log: &LogId, text: &str) -> Result<()> {
        if self.options.is_single {
            return self.note(text);
        }
        let name = self.name(log);
        self.note(&format!("{name}: {text}"))
    }

    /// Prints a note to standard error, after the lines before it.
    fn note(&mut self, text: &str) -> Result<()> {
        if self.options.order == LineOrder::TimeWindow {
            self.print_window()?;
        }
        let buffer = self.frames.stream(FrameStream::Note);
        buffer.extend_from_slice(text.as_bytes());
        buffer.push(b'\n');
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), PrinterGone> {
        self.frames.flush(&self.queue).await?;
        for (subscription, bytes) in self.settled.drain(..) {
            subscription.settle(bytes);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
