//! Whether an instance that is busy makes progress.
//!
//! A backend that waits in a loop without letting time pass, such as with
//! `sleep(0)`, returns to the host again and again, so it never runs for long at
//! once. But it uses a processor. See `docs/adr/030-busy-backends.md`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The share of a window in which an instance must run to count as busy: one in
/// this many parts. On a busy machine, an endless loop gets less than a whole
/// processor.
const BUSY_SHARE: u32 = 2;
/// The number of times per second that an instance must run to count as busy. A
/// backend that polls as often as the contract allows, every 10 ms, runs a few
/// hundred times.
const BUSY_RUNS_PER_SECOND: u32 = 400;
/// The number of steps in a window that count as progress. The ping of an engine
/// takes about five, and there are at most two pings in the default window.
const MIN_STEPS: u64 = 15;

/// Counts the steps of progress of one instance: bytes that were read from or
/// written to the engine, items that were delivered, calls that were completed.
#[derive(Debug, Default)]
pub struct ProgressCounter(AtomicU64);

impl ProgressCounter {
    /// Counts one step.
    pub fn record(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of steps.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Measures how long an instance runs, and detects one that is busy for a whole
/// window without progress.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use rdd_plugin_contract::{BusyWatchdog, ProgressCounter};
///
/// let (progress, start) = (ProgressCounter::default(), Instant::now());
/// let mut watchdog = BusyWatchdog::new(Duration::from_secs(30), start);
/// let (ran, now) = (Duration::from_secs(20), start + Duration::from_secs(31));
/// let error = watchdog.record_run(ran, now, &progress).unwrap_err();
/// assert!(error.to_string().starts_with("used the processor for 20.000 s of 31 s"));
/// ```
#[derive(Debug)]
pub struct BusyWatchdog {
    window: Duration,
    started_at: Instant,
    ran: Duration,
    runs: u32,
    steps_before: u64,
}

/// An instance was busy without progress. The message is the end of a sentence
/// that begins with the backend's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "used the processor for {:.3} s of {:.0} s, in {runs} runs, without making progress: it exchanged almost nothing with the engine, delivered nothing, and completed no call; wait for the engine, or sleep for at least 10 ms",
    .ran.as_secs_f64(),
    .window.as_secs_f64()
)]
pub struct BusyError {
    /// How long the window was.
    pub window: Duration,
    /// How long the instance ran in it.
    pub ran: Duration,
    /// How often.
    pub runs: u32,
}

impl BusyWatchdog {
    /// Creates a watchdog whose first window begins at `now`.
    pub fn new(window: Duration, now: Instant) -> Self {
        Self {
            window,
            started_at: now,
            ran: Duration::ZERO,
            runs: 0,
            steps_before: 0,
        }
    }

    /// Records that the instance ran for `ran`, until `now`.
    ///
    /// # Errors
    ///
    /// Fails if a window ends in which the instance was busy without progress.
    pub fn record_run(
        &mut self,
        ran: Duration,
        now: Instant,
        progress: &ProgressCounter,
    ) -> Result<(), BusyError> {
        self.ran += ran;
        self.runs = self.runs.saturating_add(1);
        let window = now.saturating_duration_since(self.started_at);
        if window < self.window {
            return Ok(());
        }
        let steps = progress.get();
        let is_progress = steps - self.steps_before >= MIN_STEPS;
        let is_busy = self.ran * BUSY_SHARE >= window
            || f64::from(self.runs) >= window.as_secs_f64() * f64::from(BUSY_RUNS_PER_SECOND);
        let error = BusyError {
            window,
            ran: self.ran,
            runs: self.runs,
        };
        *self = Self::new(self.window, now);
        self.steps_before = steps;
        match is_busy && !is_progress {
            true => Err(error),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(30);

    /// Lets an instance run for `ran` in each `interval`, with the steps of
    /// progress in each second, and returns when the watchdog reports it.
    fn reported_after(ran: Duration, interval: Duration, steps_per_second: f64) -> Option<u64> {
        const TEN_MINUTES: Duration = Duration::from_secs(600);
        let (progress, start) = (ProgressCounter::default(), Instant::now());
        let mut watchdog = BusyWatchdog::new(WINDOW, start);
        let (mut elapsed, mut steps) = (Duration::ZERO, 0.0);
        while elapsed < TEN_MINUTES {
            elapsed += interval;
            steps += interval.as_secs_f64() * steps_per_second;
            while steps >= 1.0 {
                progress.record();
                steps -= 1.0;
            }
            if watchdog
                .record_run(ran, start + elapsed, &progress)
                .is_err()
            {
                return Some(elapsed.as_secs());
            }
        }
        None
    }

    const fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    #[test]
    fn an_instance_that_runs_all_the_time_without_progress_is_reported() {
        assert_eq!(
            reported_after(micros(10_000), micros(10_000), 0.0),
            Some(30)
        );
        // On a machine on which it gets half of a processor.
        assert_eq!(
            reported_after(micros(10_000), micros(20_000), 0.0),
            Some(30)
        );
    }

    #[test]
    fn an_instance_that_hardly_sleeps_is_reported() {
        assert_eq!(reported_after(micros(20), micros(1_200), 0.0), Some(30));
    }

    #[test]
    fn the_ping_of_the_engine_hides_no_endless_loop() {
        let steps_per_ping = 5.0;
        let steps = steps_per_ping / 15.0;
        assert_eq!(
            reported_after(micros(10_000), micros(10_000), steps),
            Some(30)
        );
    }

    #[test]
    fn an_instance_that_delivers_something_is_never_reported() {
        assert_eq!(reported_after(micros(10_000), micros(10_000), 1.0), None);
        assert_eq!(reported_after(micros(500), micros(500), 1_000.0), None);
    }

    #[test]
    fn an_instance_that_polls_as_often_as_it_may_is_never_reported() {
        // A few runs for each timer.
        assert_eq!(reported_after(micros(100), micros(3_000), 0.0), None);
    }

    #[test]
    fn an_idle_time_before_does_not_count() {
        let (progress, start) = (ProgressCounter::default(), Instant::now());
        let mut watchdog = BusyWatchdog::new(WINDOW, start);
        let hour = start + Duration::from_secs(3600);
        watchdog.record_run(WINDOW, hour, &progress).unwrap();
        watchdog
            .record_run(WINDOW, hour + WINDOW, &progress)
            .unwrap_err();
    }
}
