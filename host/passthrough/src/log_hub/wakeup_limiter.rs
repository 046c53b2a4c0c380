//! How often the readers of a followed log are woken.
//!
//! A log that is written line by line wakes each of its readers for each line, and
//! each wakeup costs a message, a TLS record, and a write. With a hundred readers,
//! that is what the processor does. So after a wakeup, the next one waits for a pause
//! that grows with their number; a single reader never waits.

use std::cmp;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::log_ring::LogRing;
use crate::limits;

/// Wakes the readers of a ring after items were added to it without a notification.
#[derive(Debug)]
pub(super) struct WakeupLimiter {
    /// The earliest time of the next wakeup.
    next: Instant,
    /// The bytes that were added since the last wakeup.
    pending_bytes: usize,
    is_pending: bool,
}

impl WakeupLimiter {
    pub(super) fn new() -> Self {
        Self {
            next: Instant::now(),
            pending_bytes: 0,
            is_pending: false,
        }
    }

    /// Records that `bytes` were added, and wakes the readers if the pause is over.
    /// So many bytes that a reader could miss them wake it at once.
    pub(super) fn add(&mut self, bytes: usize, ring: &watch::Sender<LogRing>) {
        self.is_pending = true;
        self.pending_bytes = self.pending_bytes.saturating_add(bytes);
        if self.pending_bytes >= limits::MAX_UNANNOUNCED_BYTES || Instant::now() >= self.next {
            self.wake(ring);
        }
    }

    /// Wakes the readers.
    pub(super) fn wake(&mut self, ring: &watch::Sender<LogRing>) {
        ring.send_modify(|_| {});
        *self = Self {
            next: Instant::now() + pause(ring.receiver_count()),
            pending_bytes: 0,
            is_pending: false,
        };
    }

    /// Returns when the readers are to be woken, if something was added.
    pub(super) fn due(&self) -> Option<Instant> {
        self.is_pending.then_some(self.next)
    }
}

/// Returns the pause between the wakeups of this number of readers.
fn pause(readers: usize) -> Duration {
    let others = u32::try_from(readers.saturating_sub(1)).unwrap_or(u32::MAX);
    let pause = limits::WAKEUP_PAUSE_PER_READER.saturating_mul(others);
    cmp::min(pause, limits::MAX_WAKEUP_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(readers: usize) -> (watch::Sender<LogRing>, Vec<watch::Receiver<LogRing>>) {
        let ring = watch::Sender::new(LogRing::new(true));
        let readers = (0..readers).map(|_| ring.subscribe()).collect();
        (ring, readers)
    }

    /// Adds a line each millisecond for a second, and returns the number of wakeups.
    async fn wakeups_of_a_second(readers: usize) -> usize {
        let (ring, mut readers) = fixture(readers);
        let mut wakeups = WakeupLimiter::new();
        let mut count = 0;
        for _ in 0..1000 {
            wakeups.add(100, &ring);
            tokio::time::advance(Duration::from_millis(1)).await;
            if wakeups.due().is_some_and(|due| due <= Instant::now()) {
                wakeups.wake(&ring);
            }
            let reader = readers.first_mut().unwrap();
            count += usize::from(reader.has_changed().unwrap());
            reader.mark_unchanged();
        }
        count
    }

    #[tokio::test(start_paused = true)]
    async fn a_single_reader_is_woken_for_each_line_and_many_share_wakeups() {
        assert_eq!(wakeups_of_a_second(1).await, 1000);
        // At the beginning, and after each pause.
        assert_eq!(wakeups_of_a_second(21).await, 1 + 100);
        // The pause has a limit.
        assert_eq!(wakeups_of_a_second(101).await, 1 + 20);
        assert_eq!(wakeups_of_a_second(1001).await, 1 + 20);
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_after_a_pause_wakes_at_once() {
        let (ring, readers) = fixture(100);
        let mut wakeups = WakeupLimiter::new();
        wakeups.add(100, &ring);
        assert!(readers.iter().all(|reader| reader.has_changed().unwrap()));
        assert_eq!(wakeups.due(), None, "nothing is left to announce");
    }

    #[tokio::test(start_paused = true)]
    async fn many_bytes_wake_before_the_ring_discards_them() {
        let (ring, mut readers) = fixture(1000);
        let mut wakeups = WakeupLimiter::new();
        wakeups.add(1, &ring);
        let reader = readers.first_mut().unwrap();
        reader.mark_unchanged();
        wakeups.add(limits::MAX_UNANNOUNCED_BYTES - 1, &ring);
        assert!(!reader.has_changed().unwrap());
        assert_eq!(
            wakeups.due(),
            Some(Instant::now() + limits::MAX_WAKEUP_PAUSE)
        );
        wakeups.add(1, &ring);
        assert!(reader.has_changed().unwrap());
    }
}
