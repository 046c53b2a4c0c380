//! Cursors that arrived before their subscription.
//!
//! A message of a client has at most 4 KiB, about twenty cursors. A client that
//! resumes the logs of a selector may have hundreds.

use std::collections::{BTreeMap, HashMap};

use super::subscription::SubscriptionError;
use crate::limits;

/// The cursors of subscriptions that do not exist yet, by the ID of the
/// subscription. As many as a connection can have sources.
#[derive(Default)]
pub(super) struct WaitingCursors {
    by_subscription: HashMap<u32, BTreeMap<String, String>>,
}

impl WaitingCursors {
    /// Adds cursors. Of several for one container, the last one counts.
    pub(super) fn add(
        &mut self,
        id: u32,
        cursors: BTreeMap<String, String>,
    ) -> Result<(), SubscriptionError> {
        let waiting: usize = self.by_subscription.values().map(BTreeMap::len).sum();
        if waiting + cursors.len() > limits::MAX_MUX_SOURCES {
            return Err(SubscriptionError {
                code: 429,
                message: format!(
                    "at most {} cursors wait for their subscriptions; subscribe, or open another connection",
                    limits::MAX_MUX_SOURCES
                ),
            });
        }
        if !cursors.is_empty() {
            self.by_subscription.entry(id).or_default().extend(cursors);
        }
        Ok(())
    }

    /// Removes and returns the cursors of a subscription.
    pub(super) fn take(&mut self, id: u32) -> BTreeMap<String, String> {
        self.by_subscription.remove(&id).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(container: impl ToString, text: &str) -> BTreeMap<String, String> {
        [(container.to_string(), text.to_owned())].into()
    }

    #[test]
    fn the_last_cursor_of_a_container_counts_once() {
        let mut waiting = WaitingCursors::default();
        for text in ["first", "last"] {
            waiting.add(1, cursor("a", text)).unwrap();
        }
        assert_eq!(waiting.take(1), cursor("a", "last"));
        assert_eq!(waiting.take(1), BTreeMap::new());
    }

    #[test]
    fn cursors_are_limited_for_all_subscriptions_together() {
        let mut waiting = WaitingCursors::default();
        for number in 0..limits::MAX_MUX_SOURCES {
            let id = u32::try_from(number % 2).unwrap();
            waiting.add(id, cursor(number, "x")).unwrap();
        }
        assert_eq!(waiting.add(2, cursor("a", "x")).unwrap_err().code, 429);
        // Nothing does not need memory.
        waiting.add(3, BTreeMap::new()).unwrap();
        assert_eq!(waiting.by_subscription.len(), 2);
        assert_eq!(waiting.take(0).len(), limits::MAX_MUX_SOURCES / 2);
        waiting.add(2, cursor("a", "x")).unwrap();
    }
}
