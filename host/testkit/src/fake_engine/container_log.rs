//! The recorded output of a container, and its selection by the options of a
//! read.

use std::pin::pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rdd_core::{
    ContainerRef, EngineError, EntryBatch, EntryOptions, EntryPosition, ErrorCode, GapReason,
    LogOptions, OutputSource, Timestamp,
};

use super::logs::LogScript;
use super::{FakeEngine, SharedEngine, not_found};

/// What the engine recorded at once: a line, or a part of one.
#[derive(Clone)]
pub(super) struct LogLine {
    pub(super) source: OutputSource,
    pub(super) at: Timestamp,
    /// With the newline, unless the line is partial.
    pub(super) bytes: Bytes,
    pub(super) is_partial: bool,
    /// Whether this is a part of a line that began earlier.
    pub(super) is_continuation: bool,
}

impl LogLine {
    /// Returns the bytes without the newline.
    pub(super) fn content(&self) -> Bytes {
        let newline = usize::from(!self.is_partial);
        self.bytes.slice(..self.bytes.len() - newline)
    }

    /// Returns the time in nanoseconds since the Unix epoch.
    pub(super) fn time(&self) -> i64 {
        let nanoseconds = i64::from(self.at.nanoseconds());
        self.at
            .seconds()
            .saturating_mul(1_000_000_000)
            .saturating_add(nanoseconds)
    }
}

#[derive(Clone, Default)]
pub(super) struct ContainerLog {
    pub(super) lines: Vec<LogLine>,
    /// The number of lines that were discarded before `lines`.
    discarded: usize,
    pub(super) script: Option<LogScript>,
    /// Whether streams that follow the log end after the last line.
    pub(super) ended: bool,
    failure: Option<EngineError>,
    /// The number of open streams.
    readers: usize,
}

impl ContainerLog {
    /// Records `bytes`, in parts of the size of an entry.
    fn record(&mut self, source: OutputSource, at: Timestamp, mut bytes: Bytes) {
        let newline = usize::from(bytes.ends_with(b"\n"));
        let mut is_continuation = false;
        while bytes.len() - newline > EntryBatch::MAX_BYTES {
            self.lines.push(LogLine {
                source,
                at,
                bytes: bytes.split_to(EntryBatch::MAX_BYTES),
                is_partial: true,
                is_continuation,
            });
            is_continuation = true;
        }
        self.lines.push(LogLine {
            source,
            at,
            bytes,
            is_partial: newline == 0,
            is_continuation,
        });
    }
}

/// The options that both forms of a read have.
#[derive(Clone)]
pub(super) struct LineSelection {
    follow: bool,
    tail: Option<u64>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    after: Option<EntryPosition>,
    stdout: bool,
    stderr: bool,
}

impl From<&LogOptions> for LineSelection {
    fn from(options: &LogOptions) -> Self {
        Self {
            follow: options.follow,
            tail: options.tail,
            since: options.since,
            until: options.until,
            after: None,
            stdout: options.stdout,
            stderr: options.stderr,
        }
    }
}

impl From<&EntryOptions> for LineSelection {
    fn from(options: &EntryOptions) -> Self {
        Self {
            follow: options.follow,
            tail: options.tail,
            since: options.since,
            until: options.until,
            after: options.after,
            stdout: options.stdout,
            stderr: options.stderr,
        }
    }
}

impl LineSelection {
    fn has_source(&self, line: &LogLine) -> bool {
        match line.source {
            OutputSource::Stdout => self.stdout,
            OutputSource::Stderr => self.stderr,
        }
    }

    fn matches(&self, line: &LogLine) -> bool {
        self.has_source(line)
            && self.since.is_none_or(|since| line.at >= since)
            && self.until.is_none_or(|until| line.at < until)
    }

    /// Returns the index of the first line to read, and whether lines are
    /// missing before it.
    fn start(&self, log: &ContainerLog) -> (usize, Option<GapReason>) {
        if let Some(after) = self.after {
            return match self.position(log, after) {
                Some(index) => (index + 1, None),
                None if log.discarded > 0 => (0, Some(GapReason::Rotated)),
                None => (0, Some(GapReason::Unknown)),
            };
        }
        let Some(tail) = self.tail else {
            return (0, None);
        };
        let wanted = usize::try_from(tail).unwrap_or(usize::MAX);
        if wanted == 0 {
            return (log.lines.len(), None);
        }
        let matching = log.lines.iter().enumerate().rev();
        let start = matching
            .filter(|(_, line)| self.matches(line))
            .map(|(index, _)| index)
            .nth(wanted - 1);
        (start.unwrap_or(0), None)
    }

    /// Returns the index of the line at this position.
    fn position(&self, log: &ContainerLog, position: EntryPosition) -> Option<usize> {
        log.lines
            .iter()
            .enumerate()
            .filter(|(_, line)| self.has_source(line) && line.time() == position.time)
            .map(|(index, _)| index)
            .nth(position.index as usize)
    }
}

/// What a reader finds next.
pub(super) enum NextLine {
    /// A line that the options select.
    Line(LogLine),
    /// Lines are missing here.
    Gap(GapReason),
    /// The log ends here.
    End,
    /// The log ends here with an error.
    Failed(EngineError),
    /// The container has written nothing more.
    Pending,
}

/// A read of one log in progress.
pub(super) struct LineReader {
    shared: Arc<SharedEngine>,
    container: ContainerRef,
    selection: LineSelection,
    /// The number of lines that were read, with those discarded.
    read: usize,
    gap: Option<GapReason>,
    /// The number of disconnects before this reader started.
    disconnects: u64,
    ended: bool,
}

impl Drop for LineReader {
    fn drop(&mut self) {
        if let Some(log) = self.shared.lock().logs.get_mut(&self.container) {
            log.readers -= 1;
        }
        self.shared.changed.notify_waiters();
    }
}

impl LineReader {
    /// Opens the log. Returns the script too if its output is generated.
    pub(super) fn open(
        shared: Arc<SharedEngine>,
        container: ContainerRef,
        selection: LineSelection,
    ) -> Result<(Self, Option<LogScript>), EngineError> {
        let (script, start, gap, disconnects) = {
            let mut state = shared.lock();
            let disconnects = state.log_disconnects;
            let log = state
                .logs
                .get_mut(&container)
                .ok_or_else(|| not_found("container", &container.id))?;
            log.readers += 1;
            let (start, gap) = selection.start(log);
            (log.script, log.discarded + start, gap, disconnects)
        };
        let reader = Self {
            shared,
            container,
            selection,
            read: start,
            gap,
            disconnects,
            ended: false,
        };
        Ok((reader, script))
    }

    /// Returns what is there now.
    pub(super) fn poll(&mut self) -> NextLine {
        if self.ended {
            return NextLine::End;
        }
        let state = self.shared.lock();
        if let Some(error) = state.script.offline() {
            self.ended = true;
            return NextLine::Failed(error.clone());
        }
        if state.log_disconnects != self.disconnects {
            self.ended = true;
            let message = "the log was disconnected";
            return NextLine::Failed(EngineError::new(ErrorCode::Unavailable, message));
        }
        if let Some(reason) = self.gap.take() {
            return NextLine::Gap(reason);
        }
        // The log of a removed container ends.
        let Some(log) = state.logs.get(&self.container) else {
            return NextLine::End;
        };
        if self.read < log.discarded {
            self.read = log.discarded;
            return NextLine::Gap(GapReason::Lagged);
        }
        while let Some(line) = log.lines.get(self.read - log.discarded) {
            self.read += 1;
            if self.selection.matches(line) {
                return NextLine::Line(line.clone());
            }
        }
        if let Some(error) = &log.failure {
            self.ended = true;
            return NextLine::Failed(error.clone());
        }
        let is_over = |until| state.time() >= until;
        if log.ended || !self.selection.follow || self.selection.until.is_some_and(is_over) {
            return NextLine::End;
        }
        NextLine::Pending
    }

    /// Waits until there is something other than [`NextLine::Pending`].
    pub(super) async fn next(&mut self) -> NextLine {
        let shared = Arc::clone(&self.shared);
        loop {
            let mut changed = pin!(shared.changed.notified());
            changed.as_mut().enable();
            match self.poll() {
                NextLine::Pending => changed.await,
                next => return next,
            }
        }
    }
}

/// The methods that write output. A missing container panics, since it is a bug in
/// the test.
impl FakeEngine {
    /// Writes `bytes` as one line. Without a newline at its end, it is a part of
    /// a line.
    pub fn write_log(&self, id: &str, source: OutputSource, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        self.change(|state| {
            let at = state.now();
            state.log(&self.container_ref(id)).record(source, at, bytes);
        });
    }

    /// Writes `bytes` as one line with this time, so that times may be equal or
    /// run backward.
    pub fn write_log_at(
        &self,
        id: &str,
        at: Timestamp,
        source: OutputSource,
        bytes: impl Into<Bytes>,
    ) {
        let bytes = bytes.into();
        self.change(|state| {
            state.log(&self.container_ref(id)).record(source, at, bytes);
        });
    }

    /// Discards all but the last `kept` lines, as an engine does that limits the
    /// size of a log.
    pub fn rotate_log(&self, id: &str, kept: usize) {
        self.change(|state| {
            let log = state.log(&self.container_ref(id));
            let discarded = log.lines.len().saturating_sub(kept);
            log.lines.drain(..discarded);
            log.discarded += discarded;
        });
    }

    /// Ends the output: streams that follow it end after the last line.
    pub fn end_log(&self, id: &str) {
        self.change(|state| state.log(&self.container_ref(id)).ended = true);
    }

    /// Ends every stream with this error after the last line.
    pub fn break_log(&self, id: &str, error: EngineError) {
        self.change(|state| state.log(&self.container_ref(id)).failure = Some(error));
    }

    /// Generates the output. The options of a stream are ignored except for
    /// `follow`.
    pub fn generate_log(&self, id: &str, script: LogScript) {
        self.change(|state| state.log(&self.container_ref(id)).script = Some(script));
    }

    /// Returns the number of open log streams of this container, of both forms.
    pub fn log_readers(&self, id: &str) -> usize {
        let container = self.container_ref(id);
        self.lock()
            .logs
            .get(&container)
            .map_or(0, |log| log.readers)
    }
}

impl super::EngineState {
    #[expect(
        clippy::expect_used,
        reason = "a test helper fails its test by panicking"
    )]
    fn log(&mut self, container: &ContainerRef) -> &mut ContainerLog {
        self.logs
            .get_mut(container)
            .expect("there is no container with this ID")
    }
}

/// Returns the line with its timestamp in front, unless it continues a line.
pub(super) fn with_timestamp(line: &LogLine) -> Bytes {
    if line.is_continuation {
        return line.bytes.clone();
    }
    let mut bytes = BytesMut::new();
    bytes.extend_from_slice(format!("{:.9} ", line.at).as_bytes());
    bytes.extend_from_slice(&line.bytes);
    bytes.freeze()
}
