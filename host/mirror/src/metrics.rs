//! What is measured about the mirror controller.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use crate::engine_event::EngineEvent;

/// What is measured about the mirror controller. Clones measure the same one.
#[derive(Clone, Debug, Default)]
pub struct MirrorMetrics {
    /// The queue of the current watch of the engine.
    events: Arc<Mutex<Option<mpsc::WeakSender<EngineEvent>>>>,
}

impl MirrorMetrics {
    /// Returns the number of events of the engine that the controller has not taken.
    pub fn queued_events(&self) -> usize {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = events.as_ref().and_then(mpsc::WeakSender::upgrade);
        sender.map_or(0, |sender| {
            sender.max_capacity().saturating_sub(sender.capacity())
        })
    }

    pub(crate) fn set_events(&self, sender: mpsc::WeakSender<EngineEvent>) {
        // The slot is valid whatever happened while it was locked.
        *self.events.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine_watcher;

    #[tokio::test]
    async fn the_length_is_that_of_the_current_queue() {
        let metrics = MirrorMetrics::default();
        assert_eq!(metrics.queued_events(), 0);
        let (sender, mut events) = engine_watcher::channel(&metrics);
        sender.send(EngineEvent::Relisting).await.unwrap();
        sender.send(EngineEvent::Relisting).await.unwrap();
        events.recv().await.unwrap();
        assert_eq!(metrics.queued_events(), 1);
        drop((sender, events));
        assert_eq!(metrics.queued_events(), 0);
    }
}
