//! The resource and time limits of a backend.

use std::time::Duration;

const MIB: usize = 1024 * 1024;

/// The resource and time limits of a backend.
///
/// The defaults apply to a backend whose manifest requests nothing else. A
/// manifest may request other sizes, up to
/// [`BackendLimits::MAX_CONTROL_MEMORY_BYTES`] and the other `MAX_` constants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendLimits {
    /// The maximum memory of the control store: its linear memory, in which a whole
    /// listing of the engine is parsed, and the objects and events that the host
    /// holds for it.
    pub control_memory_bytes: usize,
    /// The maximum memory of the store of one log stream, in which a few chunks of
    /// 64 KiB are in flight, with what waits for the reader.
    pub log_memory_bytes: usize,
    /// The maximum linear memory of the stores of all streams together: a bit more
    /// than the log streams of a small component need. Only the part that is
    /// touched takes memory.
    pub total_memory_bytes: usize,
    /// The maximum number of open log streams.
    pub max_log_streams: usize,
    /// The maximum number of processes that run in containers at once.
    pub max_execs: usize,
    /// The maximum number of pulls and pushes at once.
    pub max_transfers: usize,
    /// The maximum number of open connections to the engine: one for each log
    /// stream and each call.
    pub max_connections: usize,
    /// The maximum number of changes that a watch may report within a minute. The
    /// mirror compares some thousands each second; no engine in this project's
    /// benchmarks has more than some hundreds for longer than a burst.
    pub max_changes_per_minute: usize,
    /// How long a guest may run without yielding to the event loop of its store, and
    /// without making progress. One that is slower than the engine and the reader
    /// never has to wait for either, so it may copy a log in a single run.
    /// Parsing a listing of 10,000 containers takes a fifth of a second on an
    /// idle machine; the default allows fifty times as much for a busy one.
    pub yield_timeout: Duration,
    /// The time limit for instantiation and for `describe`. Neither reaches the
    /// engine.
    pub start_timeout: Duration,
    /// How long a call may wait for neither an engine connection nor a timer
    /// before it counts as stalled; also how long a listing may then send
    /// nothing. A call that waits for the engine has no time limit.
    pub stall_timeout: Duration,
    /// The window in which a backend must make progress if it is busy. As long as
    /// the time after which a call counts as stalled.
    pub busy_window: Duration,
    /// How long the engine may send nothing on any connection before it is
    /// pinged.
    pub idle_before_ping: Duration,
    /// How long the engine may take to send something after a ping before it
    /// counts as lost and everything that waits for it fails. Longer than a busy
    /// engine takes; together with `idle_before_ping` less than a minute, after
    /// which users look for a cause.
    pub ping_timeout: Duration,
    /// How long a stream may continue after its `stop` was resolved. The
    /// contract allows one second; the default doubles it for a busy machine.
    pub stop_grace: Duration,
}

impl BackendLimits {
    /// The highest `control_memory_bytes` that a manifest may request.
    pub const MAX_CONTROL_MEMORY_BYTES: usize = 512 * MIB;
    /// The highest `log_memory_bytes` that a manifest may request.
    pub const MAX_LOG_MEMORY_BYTES: usize = 128 * MIB;
    /// The highest `max_log_streams` that a manifest may request.
    pub const MAX_LOG_STREAMS: usize = 4_000;
    /// The highest `max_execs` that a manifest may request.
    pub const MAX_EXECS: usize = 1_000;
    /// The highest `max_transfers` that a manifest may request.
    pub const MAX_TRANSFERS: usize = 64;
    /// The highest `max_connections` that a manifest may request.
    pub const MAX_CONNECTIONS: usize = 4_200;
    /// The maximum number of concurrent reads in one control store. Changes are
    /// counted separately, so that slow ones never delay a read.
    pub const MAX_READS: usize = 64;
    /// The maximum number of concurrent changes in one control store. Each may
    /// wait for the engine for an hour, and needs a connection and a few KiB.
    pub const MAX_CHANGES: usize = 256;
}

impl Default for BackendLimits {
    fn default() -> Self {
        Self {
            control_memory_bytes: 256 * MIB,
            log_memory_bytes: 32 * MIB,
            total_memory_bytes: 2048 * MIB,
            max_log_streams: 1_000,
            max_execs: 100,
            max_transfers: 16,
            max_connections: 1_400,
            max_changes_per_minute: 300_000,
            yield_timeout: Duration::from_secs(10),
            start_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            busy_window: Duration::from_secs(30),
            idle_before_ping: Duration::from_secs(15),
            ping_timeout: Duration::from_secs(30),
            stop_grace: Duration::from_secs(2),
        }
    }
}
