//! What the host counts about one backend, whatever its form.
//!
//! The counters are atomics, which a stream updates without a lock or a lookup.
//! Who serves them reads them with the names that the methods and results have
//! here, so the number of series is bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use rdd_core::{EngineError, ErrorCode};

use crate::exit_reason::ExitKind;

/// The upper bounds of the buckets for the duration of calls, in seconds: a
/// cached answer, a usual one, a slow one, and a `stop` with a grace period.
const CALL_SECONDS: [f64; 6] = [0.001, 0.01, 0.1, 1.0, 10.0, 60.0];

/// A method of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallMethod {
    /// `watch`.
    Watch,
    /// `inspect`.
    Inspect,
    /// `get-logs`.
    GetLogs,
    /// `get-entries`.
    GetEntries,
    /// `act`.
    Act,
    /// `remove`.
    Remove,
    /// `create-container`.
    CreateContainer,
    /// `create-volume`.
    CreateVolume,
    /// `exec`.
    Exec,
    /// `pull`.
    Pull,
    /// `push`.
    Push,
}

impl CallMethod {
    /// All methods, with the names that the WIT package gives them.
    pub const ALL: [(Self, &'static str); 11] = [
        (Self::Watch, "watch"),
        (Self::Inspect, "inspect"),
        (Self::GetLogs, "get-logs"),
        (Self::GetEntries, "get-entries"),
        (Self::Act, "act"),
        (Self::Remove, "remove"),
        (Self::CreateContainer, "create-container"),
        (Self::CreateVolume, "create-volume"),
        (Self::Exec, "exec"),
        (Self::Pull, "pull"),
        (Self::Push, "push"),
    ];
}

/// The outcome of a call: success, or the kind of the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallResult {
    /// The call succeeded.
    Ok,
    /// See [`ErrorCode::NotFound`].
    NotFound,
    /// See [`ErrorCode::InvalidArgument`].
    InvalidArgument,
    /// See [`ErrorCode::Conflict`].
    Conflict,
    /// See [`ErrorCode::Replaced`].
    Replaced,
    /// See [`ErrorCode::PermissionDenied`].
    PermissionDenied,
    /// See [`ErrorCode::Unavailable`] and [`ErrorCode::LimitReached`].
    Unavailable,
    /// See [`ErrorCode::Unsupported`].
    Unsupported,
    /// See [`ErrorCode::Timeout`].
    Timeout,
    /// See [`ErrorCode::Cancelled`].
    Cancelled,
    /// See [`ErrorCode::PluginFailed`].
    PluginFailed,
    /// See [`ErrorCode::StreamFailed`].
    StreamFailed,
    /// Any other error.
    Internal,
}

impl CallResult {
    /// All results, with their names.
    pub const ALL: [(Self, &'static str); 13] = [
        (Self::Ok, "ok"),
        (Self::NotFound, "not-found"),
        (Self::InvalidArgument, "invalid-argument"),
        (Self::Conflict, "conflict"),
        (Self::Replaced, "replaced"),
        (Self::PermissionDenied, "permission-denied"),
        (Self::Unavailable, "unavailable"),
        (Self::Unsupported, "unsupported"),
        (Self::Timeout, "timeout"),
        (Self::Cancelled, "cancelled"),
        (Self::PluginFailed, "plugin-failed"),
        (Self::StreamFailed, "stream-failed"),
        (Self::Internal, "internal"),
    ];

    /// Returns the result of a call.
    pub fn of<T>(result: &Result<T, EngineError>) -> Self {
        let Err(error) = result else {
            return Self::Ok;
        };
        match error.code {
            ErrorCode::NotFound => Self::NotFound,
            ErrorCode::InvalidArgument => Self::InvalidArgument,
            ErrorCode::Conflict => Self::Conflict,
            ErrorCode::Replaced => Self::Replaced,
            ErrorCode::PermissionDenied => Self::PermissionDenied,
            ErrorCode::Unavailable | ErrorCode::LimitReached => Self::Unavailable,
            ErrorCode::Unsupported => Self::Unsupported,
            ErrorCode::Timeout => Self::Timeout,
            ErrorCode::Cancelled => Self::Cancelled,
            ErrorCode::PluginFailed => Self::PluginFailed,
            ErrorCode::StreamFailed => Self::StreamFailed,
            _ => Self::Internal,
        }
    }
}

/// The calls of one method.
#[derive(Debug)]
pub struct MethodMetrics {
    /// The calls by [`CallResult`].
    results: [Counter; CallResult::ALL.len()],
    /// The streams that ended with an error, by [`CallResult`].
    failures: [Counter; CallResult::ALL.len()],
    /// The time until the result, or until the stream was opened, in seconds.
    pub duration: Histogram,
}

impl Default for MethodMetrics {
    fn default() -> Self {
        Self {
            results: Default::default(),
            failures: Default::default(),
            duration: Histogram::new(CALL_SECONDS),
        }
    }
}

impl MethodMetrics {
    /// Records a call.
    pub fn record<T>(&self, result: &Result<T, EngineError>, duration: Duration) {
        self.duration.observe(duration.as_secs_f64());
        inc(&self.results, CallResult::of(result) as usize);
    }

    /// Records the error that ended a stream.
    pub fn record_failure(&self, error: &EngineError) {
        let result = CallResult::of::<()>(&Err(error.clone()));
        inc(&self.failures, result as usize);
    }

    /// Returns the numbers of calls with each result, other than zero.
    pub fn results(&self) -> impl Iterator<Item = (&'static str, u64)> {
        nonzero(CallResult::ALL.iter().map(|(_, name)| *name), &self.results)
    }

    /// Returns the numbers of streams that ended with each error, other than zero.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, u64)> {
        nonzero(
            CallResult::ALL.iter().map(|(_, name)| *name),
            &self.failures,
        )
    }
}

/// What the host counts about one backend, across its restarts.
#[derive(Debug, Default)]
pub struct BackendMetrics {
    methods: [MethodMetrics; CallMethod::ALL.len()],
    exits: [Counter; ExitKind::ALL.len()],
    restarts: [Counter; ExitKind::ALL.len()],
    /// The plugin was read, checked, and compiled or linked.
    pub loads: Counter,
    /// The plugin could not be loaded.
    pub load_failures: Counter,
    /// How long the latest load took, in nanoseconds.
    load_nanos: AtomicU64,
    /// Bytes that the engine sent.
    pub received_bytes: Counter,
    /// Bytes that the engine was sent.
    pub sent_bytes: Counter,
    /// Bytes of logs that the backend delivered.
    pub log_bytes: Counter,
    /// Bytes of the output of processes that the backend delivered.
    pub exec_bytes: Counter,
    /// Events that watches delivered.
    pub watch_events: Counter,
    /// The time for which code of the backend ran, in nanoseconds.
    guest_nanos: Counter,
    /// Events of watches that have not been taken.
    pub queued_events: QueueCounter,
    /// Reads that wait for a permit.
    pub waiting_reads: QueueCounter,
    /// Changes that wait for a permit.
    pub waiting_changes: QueueCounter,
}

impl BackendMetrics {
    /// Returns the metrics of a method.
    pub fn method(&self, method: CallMethod) -> &MethodMetrics {
        // The order of the methods is that of the indexes.
        #[allow(clippy::indexing_slicing, reason = "there is one for each method")]
        &self.methods[method as usize]
    }

    /// Records how long the load took.
    pub fn set_load_duration(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.load_nanos.store(nanos, Ordering::Relaxed);
    }

    /// Returns how long the latest load took.
    pub fn load_duration(&self) -> Duration {
        Duration::from_nanos(self.load_nanos.load(Ordering::Relaxed))
    }

    /// Records that code of the backend ran.
    pub fn record_guest_time(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.guest_nanos.inc_by(nanos);
    }

    /// Returns for how long code of the backend ran.
    pub fn guest_time(&self) -> Duration {
        Duration::from_nanos(self.guest_nanos.get())
    }

    /// Records the end of a control instance.
    pub fn record_exit(&self, kind: ExitKind) {
        inc(&self.exits, kind as usize);
    }

    /// Records that the backend is started again after such an end.
    pub fn record_restart(&self, kind: ExitKind) {
        inc(&self.restarts, kind as usize);
    }

    /// Returns the numbers of ends by their kind, other than zero.
    pub fn exits(&self) -> impl Iterator<Item = (&'static str, u64)> {
        nonzero(ExitKind::ALL.iter().map(|(_, name)| *name), &self.exits)
    }

    /// Returns the numbers of restarts by their kind, other than zero.
    pub fn restarts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        nonzero(ExitKind::ALL.iter().map(|(_, name)| *name), &self.restarts)
    }
}

fn inc(counters: &[Counter], index: usize) {
    if let Some(counter) = counters.get(index) {
        counter.inc();
    }
}

fn nonzero<'a>(
    names: impl Iterator<Item = &'static str> + 'a,
    counters: &'a [Counter],
) -> impl Iterator<Item = (&'static str, u64)> + 'a {
    names
        .zip(counters.iter().map(|counter| counter.get()))
        .filter(|(_, count)| *count > 0)
}

/// The length of a queue.
#[derive(Clone, Debug, Default)]
pub struct QueueCounter(Arc<AtomicUsize>);

impl QueueCounter {
    /// Counts `count` items until the returned guard is dropped.
    pub fn enter(&self, count: usize) -> QueueGuard {
        self.0.fetch_add(count, Ordering::Relaxed);
        QueueGuard {
            counter: self.clone(),
            count,
        }
    }

    /// Returns the number of items.
    pub fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Items in a queue.
#[derive(Debug)]
pub struct QueueGuard {
    counter: QueueCounter,
    count: usize,
}

impl QueueGuard {
    /// Takes one item out of the queue.
    pub fn leave_one(&mut self) {
        if let Some(count) = self.count.checked_sub(1) {
            self.count = count;
            self.counter.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for QueueGuard {
    fn drop(&mut self) {
        self.counter.0.fetch_sub(self.count, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_and_result_has_its_own_counter() {
        for (index, (method, _)) in CallMethod::ALL.iter().enumerate() {
            assert_eq!(*method as usize, index);
        }
        for (index, (result, _)) in CallResult::ALL.iter().enumerate() {
            assert_eq!(*result as usize, index);
        }
        for (index, (kind, _)) in ExitKind::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, index);
        }
    }

    #[test]
    fn results_that_never_occurred_are_left_out() {
        let metrics = BackendMetrics::default();
        let inspect = metrics.method(CallMethod::Inspect);
        inspect.record(&Ok(()), Duration::from_millis(1));
        inspect.record(&Ok(()), Duration::from_millis(1));
        let missing = EngineError::new(ErrorCode::NotFound, "no such container");
        inspect.record::<()>(&Err(missing), Duration::from_millis(1));
        let results: Vec<_> = inspect.results().collect();
        assert_eq!(results, [("ok", 2), ("not-found", 1)]);
        assert_eq!(metrics.method(CallMethod::Act).results().count(), 0);
    }

    #[test]
    fn items_of_a_queue_count_until_they_leave_it() {
        let queue = QueueCounter::default();
        let mut batch = queue.enter(3);
        batch.leave_one();
        assert_eq!(queue.get(), 2);
        drop(batch);
        assert_eq!(queue.get(), 0);
    }
}
