//! The credit of the subscriptions of a connection.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The bytes of entries that may be on their way or wait to be printed, for each
/// subscription.
pub(crate) const CREDIT_WINDOW: u32 = 1024 * 1024;

/// The bytes that are returned to the daemon at once.
const CREDIT_STEP: u32 = CREDIT_WINDOW / 4;

/// The entries that were received and are not printed yet. Written by the
/// connection, which receives them, and by the printing task.
#[derive(Default)]
pub(crate) struct CreditLedger {
    balances: Mutex<HashMap<u32, CreditBalance>>,
    is_due: Notify,
}

#[derive(Default)]
struct CreditBalance {
    /// Received and not printed, in bytes.
    held: u64,
    /// Printed, and not returned to the daemon.
    printed: u64,
}

impl CreditLedger {
    /// Records entries that were received.
    pub(crate) fn receive(&self, id: u32, bytes: usize) {
        self.lock().entry(id).or_default().held += bytes as u64;
    }

    /// Records entries that were printed.
    pub(crate) fn settle(&self, id: u32, bytes: usize) {
        let mut balances = self.lock();
        let balance = balances.entry(id).or_default();
        balance.held = balance.held.saturating_sub(bytes as u64);
        balance.printed += bytes as u64;
        if balance.printed >= u64::from(CREDIT_STEP) {
            drop(balances);
            self.is_due.notify_one();
        }
    }

    /// Returns the credit for a new connection.
    pub(crate) fn begin(&self, id: u32) -> u32 {
        let mut balances = self.lock();
        let balance = balances.entry(id).or_default();
        balance.printed = 0;
        let held = u32::try_from(balance.held).unwrap_or(u32::MAX);
        // What is held comes back as it is printed.
        CREDIT_WINDOW.saturating_sub(held)
    }

    /// Waits until credit is to be returned, and takes it.
    pub(super) async fn due(&self) -> Vec<(u32, u32)> {
        loop {
            let due: Vec<_> = self
                .lock()
                .iter_mut()
                .filter(|(_, balance)| balance.printed >= u64::from(CREDIT_STEP))
                .map(|(id, balance)| {
                    let bytes = u32::try_from(balance.printed).unwrap_or(u32::MAX);
                    balance.printed -= u64::from(bytes);
                    (*id, bytes)
                })
                .collect();
            if !due.is_empty() {
                return due;
            }
            self.is_due.notified().await;
        }
    }

    /// Returns the bytes that are not printed yet.
    #[cfg(test)]
    pub(crate) fn held(&self, id: u32) -> u64 {
        self.lock().get(&id).map_or(0, |balance| balance.held)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u32, CreditBalance>> {
        // Each change is complete before anything could panic.
        self.balances.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    const STEP: usize = CREDIT_STEP as usize;

    #[test]
    fn credit_returns_in_steps_as_entries_are_printed() {
        let ledger = CreditLedger::default();
        assert_eq!(ledger.begin(1), CREDIT_WINDOW);
        ledger.receive(1, 2 * STEP);
        ledger.settle(1, STEP - 1);
        assert_eq!(ledger.due().now_or_never(), None);
        ledger.settle(1, 2);
        assert_eq!(
            ledger.due().now_or_never(),
            Some(vec![(1, CREDIT_STEP + 1)])
        );
        assert_eq!(ledger.due().now_or_never(), None);
    }

    #[test]
    fn a_new_connection_gets_no_credit_for_what_is_not_printed() {
        let ledger = CreditLedger::default();
        ledger.begin(1);
        ledger.receive(1, 3 * STEP);
        ledger.settle(1, STEP);
        // What was printed is part of the new window.
        assert_eq!(ledger.begin(1), 2 * CREDIT_STEP);
        assert_eq!(ledger.due().now_or_never(), None);
        ledger.settle(1, 2 * STEP);
        assert_eq!(
            ledger.due().now_or_never(),
            Some(vec![(1, 2 * CREDIT_STEP)])
        );
    }
}
