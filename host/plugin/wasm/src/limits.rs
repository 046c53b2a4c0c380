//! What a backend may use, and how long it may take.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use wasmtime::ResourceLimiter;

const MIB: usize = 1024 * 1024;

/// Bytes that one call or one stream element may carry from a component to
/// the host: the 4 MiB that the contract allows a record, twice, because the
/// host counts its own wider structures too.
pub(crate) const TRANSFER_BYTES: usize = 8 * MIB;

/// Core instances in one store. A component made by `wit-component` has
/// about five.
const MAX_INSTANCES: usize = 64;
/// Tables in one store, as for instances.
const MAX_TABLES: usize = 64;
/// Linear memories in one store. One is usual.
const MAX_MEMORIES: usize = 8;
/// Elements of all tables in one store: function pointers, about one for each
/// function that is called through a pointer.
const MAX_TABLE_ELEMENTS: usize = 200_000;

/// What a backend may use, and how long it may take.
///
/// The defaults are what a backend gets that asks for nothing; a manifest may
/// ask for other sizes, within [`BackendLimits::MAX_CONTROL_MEMORY`] and its like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendLimits {
    /// Bytes of linear memory of the control store, where a whole listing of
    /// the engine is parsed.
    pub control_memory: usize,
    /// Bytes of linear memory of the store of one log stream, where a few
    /// chunks of 64 KiB are in flight.
    pub log_memory: usize,
    /// Bytes of linear memory of all stores of the backend together.
    pub total_memory: usize,
    /// Log streams that may be open at once.
    pub log_streams: usize,
    /// Connections to the engine that may be open at once: one for each log
    /// stream and each call.
    pub connections: usize,
    /// How long a guest may compute without giving way to its own store.
    /// Parsing a listing of 10,000 containers takes a fifth of a second of an
    /// idle machine; a busy one is given fifty times that.
    pub spin: Duration,
    /// How long making a store ready and `describe` may take: neither
    /// reaches the engine.
    pub start: Duration,
    /// How long a call may wait for neither a connection to the engine nor a
    /// timer before it is taken to hang, and how long a listing may then send
    /// nothing. A call that waits for the engine has all the time it needs.
    pub stall: Duration,
    /// How long the engine may send nothing on any connection before it is
    /// asked for a sign of life.
    pub silence: Duration,
    /// How long the engine has for that sign before all that waits for it is
    /// told that it is lost: more than a busy engine takes, and together with
    /// `silence` less than the minute that people wait before they ask why.
    pub answer: Duration,
    /// How long a stream may go on after its `stop` was resolved. The
    /// contract says one second; the other one is for a loaded machine.
    pub stop_grace: Duration,
}

impl BackendLimits {
    /// The most that a manifest may ask for as `control_memory`.
    pub const MAX_CONTROL_MEMORY: usize = 512 * MIB;
    /// The most that a manifest may ask for as `log_memory`.
    pub const MAX_LOG_MEMORY: usize = 128 * MIB;
    /// The most that a manifest may ask for as `log_streams`.
    pub const MAX_LOG_STREAMS: usize = 4_000;
    /// The most that a manifest may ask for as `connections`.
    pub const MAX_CONNECTIONS: usize = 4_200;
    /// Reads that one control store runs side by side. Changes are counted
    /// apart, so that slow ones never hold up a read.
    pub(crate) const READS: usize = 64;
    /// Changes that one control store runs side by side. Each may wait for
    /// the engine for an hour, and costs a connection and some KiB.
    pub(crate) const CHANGES: usize = 256;
}

impl Default for BackendLimits {
    fn default() -> Self {
        Self {
            control_memory: 128 * MIB,
            log_memory: 32 * MIB,
            total_memory: 1024 * MIB,
            log_streams: 1_000,
            connections: 1_400,
            spin: Duration::from_secs(10),
            start: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            silence: Duration::from_secs(15),
            answer: Duration::from_secs(30),
            stop_grace: Duration::from_secs(2),
        }
    }
}

/// Linear memory that all stores of one backend share.
#[derive(Debug)]
pub(crate) struct MemoryBudget {
    used: AtomicUsize,
    max: usize,
}

impl MemoryBudget {
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            used: AtomicUsize::new(0),
            max,
        })
    }

    fn take(&self, bytes: usize) -> bool {
        self.used
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|sum| *sum <= self.max)
            })
            .is_ok()
    }

    /// Bytes that are in use.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The limiter of one store. Gives its memory back to the budget when the
/// store goes.
#[derive(Debug)]
pub(crate) struct StoreLimiter {
    used: usize,
    max: usize,
    table_elements: usize,
    budget: Arc<MemoryBudget>,
    denied: Option<String>,
}

impl StoreLimiter {
    pub(crate) fn new(max: usize, budget: Arc<MemoryBudget>) -> Self {
        Self {
            used: 0,
            max,
            table_elements: 0,
            budget,
            denied: None,
        }
    }

    /// What was last denied, for the sentence about the trap that usually
    /// follows: an allocator that gets no memory aborts.
    pub(crate) fn denied(&self) -> Option<&str> {
        self.denied.as_deref()
    }
}

impl Drop for StoreLimiter {
    fn drop(&mut self) {
        self.budget.give_back(self.used);
    }
}

impl ResourceLimiter for StoreLimiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let more = desired.saturating_sub(current);
        let sum = self.used.saturating_add(more);
        if sum > self.max {
            self.denied = Some(format!(
                "ran out of memory: it may use {} MiB in one store and asked for {} MiB",
                self.max / MIB,
                sum.div_ceil(MIB)
            ));
            return Ok(false);
        }
        if !self.budget.take(more) {
            self.denied = Some(format!(
                "ran out of memory: all its stores together may use {} MiB",
                self.budget.max / MIB
            ));
            return Ok(false);
        }
        self.used = sum;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let sum = self
            .table_elements
            .saturating_add(desired.saturating_sub(current));
        if sum > MAX_TABLE_ELEMENTS {
            self.denied = Some(format!(
                "asked for {sum} table elements; {MAX_TABLE_ELEMENTS} are allowed"
            ));
            return Ok(false);
        }
        self.table_elements = sum;
        Ok(true)
    }

    fn instances(&self) -> usize {
        MAX_INSTANCES
    }

    fn tables(&self) -> usize {
        MAX_TABLES
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_stays_within_its_own_limit_and_says_which() {
        let budget = MemoryBudget::new(100 * MIB);
        let mut limiter = StoreLimiter::new(10 * MIB, budget);
        assert!(limiter.memory_growing(0, 8 * MIB, None).unwrap());
        assert!(!limiter.memory_growing(8 * MIB, 11 * MIB, None).unwrap());
        assert_eq!(
            limiter.denied(),
            Some("ran out of memory: it may use 10 MiB in one store and asked for 11 MiB")
        );
        assert!(limiter.memory_growing(8 * MIB, 10 * MIB, None).unwrap());
    }

    #[test]
    fn memories_of_one_store_count_together() {
        let mut limiter = StoreLimiter::new(10 * MIB, MemoryBudget::new(100 * MIB));
        assert!(limiter.memory_growing(0, 6 * MIB, None).unwrap());
        assert!(!limiter.memory_growing(0, 6 * MIB, None).unwrap());
    }

    #[test]
    fn stores_share_a_budget_and_give_it_back() {
        let budget = MemoryBudget::new(10 * MIB);
        let mut first = StoreLimiter::new(8 * MIB, budget.clone());
        let mut second = StoreLimiter::new(8 * MIB, budget.clone());
        assert!(first.memory_growing(0, 8 * MIB, None).unwrap());
        assert!(!second.memory_growing(0, 4 * MIB, None).unwrap());
        assert!(
            second
                .denied()
                .is_some_and(|why| why.contains("all its stores"))
        );
        drop(first);
        assert!(second.memory_growing(0, 4 * MIB, None).unwrap());
        drop(second);
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn tables_are_bounded() {
        let mut limiter = StoreLimiter::new(MIB, MemoryBudget::new(MIB));
        assert!(limiter.table_growing(0, 1_000, None).unwrap());
        assert!(!limiter.table_growing(1_000, 1_000_000, None).unwrap());
        assert!(!limiter.table_growing(1_000, 1_002, Some(1_001)).unwrap());
    }
}
