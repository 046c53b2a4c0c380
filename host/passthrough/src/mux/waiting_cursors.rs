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
