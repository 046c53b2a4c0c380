//! The queue between requests and the task that writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::AuditLevel;
use super::event::AuditEvent;

/// The maximum number of events that wait: those of a second of heavy load.
const MAX_EVENTS: usize = 8192;
/// The maximum memory of the events that wait, in bytes.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// An event with its share of the memory.
#[derive(Debug)]
pub(super) struct QueuedEvent {
    pub(super) event: AuditEvent,
    _memory: OwnedSemaphorePermit,
}

/// The sending side of the queue.
#[derive(Debug, Clone)]
pub(crate) struct AuditQueue {
    pub(crate) level: AuditLevel,
    sender: mpsc::Sender<QueuedEvent>,
    memory: Arc<Semaphore>,
    lost: Arc<AtomicU64>,
}

/// The receiving side of the queue.
#[derive(Debug)]
pub(crate) struct AuditReceiver {
    pub(super) events: mpsc::Receiver<QueuedEvent>,
    lost: Arc<AtomicU64>,
}

impl AuditQueue {
    /// Creates a queue.
    pub(crate) fn new(level: AuditLevel) -> (Self, AuditReceiver) {
        Self::with_limits(level, MAX_EVENTS, MAX_BYTES)
    }

    fn with_limits(
        level: AuditLevel,
        max_events: usize,
        max_bytes: usize,
    ) -> (Self, AuditReceiver) {
        let (sender, events) = mpsc::channel(max_events);
        let lost = Arc::<AtomicU64>::default();
        let queue = Self {
            level,
            sender,
            memory: Arc::new(Semaphore::new(max_bytes)),
            lost: Arc::clone(&lost),
        };
        (queue, AuditReceiver { events, lost })
    }

    /// Adds an event. Never waits: if the queue is full, the event is counted as
    /// lost.
    pub(crate) fn push(&self, event: AuditEvent) {
        let memory = Arc::clone(&self.memory);
        let queued = memory
            .try_acquire_many_owned(event.weight())
            .ok()
            .is_some_and(|memory| {
                let queued = QueuedEvent {
                    event,
                    _memory: memory,
                };
                self.sender.try_send(queued).is_ok()
            });
        if !queued {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl AuditReceiver {
    /// Returns how many events were lost since the last call.
    pub(super) fn take_lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }

    /// Counts events that could not be written.
    pub(super) fn add_lost(&self, count: u64) {
        self.lost.fetch_add(count, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn event() -> AuditEvent {
        AuditEvent::of_loss(1, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn events_beyond_either_limit_are_counted() {
        let many_bytes = 1024 * 1024;
        let two_events = 2 * event().weight() as usize;
        for (max_events, max_bytes) in [(2, many_bytes), (100, two_events + 100)] {
            let (queue, mut receiver) =
                AuditQueue::with_limits(AuditLevel::Metadata, max_events, max_bytes);
            for _ in 0..5 {
                queue.push(event());
            }
            assert_eq!(receiver.take_lost(), 3, "{max_events} {max_bytes}");
            assert_eq!(receiver.take_lost(), 0);
            // What was taken makes room.
            drop(receiver.events.try_recv().unwrap());
            queue.push(event());
            assert_eq!(receiver.take_lost(), 0);
        }
    }
}
