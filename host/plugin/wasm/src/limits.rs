//! The resource and time limits of a backend.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use wasmtime::ResourceLimiter;

const MIB: usize = 1024 * 1024;

/// The maximum size in bytes of what one call or one stream element transfers
/// from a component to the host: twice the 4 MiB that the contract allows for a
/// record, because the host counts its own, larger structures.
pub(crate) const TRANSFER_BYTES: usize = 8 * MIB;

/// The maximum number of core instances in one store. A component built by
/// `wit-component` has about five.
const MAX_INSTANCES: usize = 64;
/// The maximum number of tables in one store, as for instances.
const MAX_TABLES: usize = 64;
/// The maximum number of linear memories in one store. Usually there is one.
const MAX_MEMORIES: usize = 8;
/// The maximum number of elements in all tables of one store. Elements are
/// function pointers, about one for each function that is called indirectly.
const MAX_TABLE_ELEMENTS: usize = 200_000;

/// The resource and time limits of a backend.
///
/// The defaults apply to a backend whose manifest requests nothing else. A
/// manifest may request other sizes, up to
/// [`BackendLimits::MAX_CONTROL_MEMORY_BYTES`] and the other `MAX_` constants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendLimits {
    /// The maximum linear memory of the control store, in which a whole listing
    /// of the engine is parsed.
    pub control_memory_bytes: usize,
    /// The maximum linear memory of the store of one log stream, in which a few
    /// chunks of 64 KiB are in flight.
    pub log_memory_bytes: usize,
    /// The maximum linear memory of all stores of the backend together.
    pub total_memory_bytes: usize,
    /// The maximum number of open log streams.
    pub max_log_streams: usize,
    /// The maximum number of open connections to the engine: one for each log
    /// stream and each call.
    pub max_connections: usize,
    /// The maximum number of open transfers of images.
    pub max_transfers: usize,
    /// The maximum number of open exec sessions.
    pub max_execs: usize,
    /// How long a guest may run without yielding to the event loop of its store.
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
    /// The highest `max_connections` that a manifest may request.
    pub const MAX_CONNECTIONS: usize = 4_200;
    /// The highest `max_transfers` that a manifest may request.
    pub const MAX_TRANSFERS: usize = 64;
    /// The highest `max_execs` that a manifest may request.
    pub const MAX_EXECS: usize = 512;
    /// The maximum number of concurrent reads in one control store. Changes are
    /// counted separately, so that slow ones never delay a read.
    pub(crate) const MAX_READS: usize = 64;
    /// The maximum number of concurrent changes in one control store. Each may
    /// wait for the engine for an hour, and needs a connection and a few KiB.
    pub(crate) const MAX_CHANGES: usize = 256;
}

impl Default for BackendLimits {
    fn default() -> Self {
        Self {
            control_memory_bytes: 128 * MIB,
            log_memory_bytes: 32 * MIB,
            total_memory_bytes: 1024 * MIB,
            max_log_streams: 1_000,
            max_connections: 1_400,
            max_transfers: 16,
            max_execs: 128,
            yield_timeout: Duration::from_secs(10),
            start_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            idle_before_ping: Duration::from_secs(15),
            ping_timeout: Duration::from_secs(30),
            stop_grace: Duration::from_secs(2),
        }
    }
}

/// The linear memory that all stores of one backend share.
#[derive(Debug)]
pub(crate) struct MemoryBudget {
    used_bytes: AtomicUsize,
    max_bytes: usize,
}

impl MemoryBudget {
    pub(crate) fn new(max_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            used_bytes: AtomicUsize::new(0),
            max_bytes,
        })
    }

    fn try_reserve(&self, bytes: usize) -> bool {
        self.used_bytes
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|sum| *sum <= self.max_bytes)
            })
            .is_ok()
    }

    /// Returns the number of bytes in use.
    pub(crate) fn used_bytes(&self) -> usize {
        self.used_bytes.load(Ordering::Relaxed)
    }

    fn release(&self, bytes: usize) {
        self.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The resource limiter of one store. Releases the store's memory when dropped.
#[derive(Debug)]
pub(crate) struct StoreLimiter {
    used_bytes: usize,
    max_bytes: usize,
    table_elements: usize,
    memory: Arc<MemoryBudget>,
    denial: Option<String>,
}

impl StoreLimiter {
    pub(crate) fn new(max_bytes: usize, memory: Arc<MemoryBudget>) -> Self {
        Self {
            used_bytes: 0,
            max_bytes,
            table_elements: 0,
            memory,
            denial: None,
        }
    }

    /// Returns the last denied request, to explain the trap that usually
    /// follows, since an allocator that gets no memory aborts.
    pub(crate) fn denial(&self) -> Option<&str> {
        self.denial.as_deref()
    }
}

impl Drop for StoreLimiter {
    fn drop(&mut self) {
        self.memory.release(self.used_bytes);
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
        let growth = desired.saturating_sub(current);
        let sum = self.used_bytes.saturating_add(growth);
        if sum > self.max_bytes {
            self.denial = Some(format!(
                "ran out of memory: one store may use {} MiB, and it requested {} MiB",
                self.max_bytes / MIB,
                sum.div_ceil(MIB)
            ));
            return Ok(false);
        }
        if !self.memory.try_reserve(growth) {
            self.denial = Some(format!(
                "ran out of memory: all its stores together may use {} MiB",
                self.memory.max_bytes / MIB
            ));
            return Ok(false);
        }
        self.used_bytes = sum;
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
            self.denial = Some(format!(
                "requested {sum} table elements; {MAX_TABLE_ELEMENTS} are allowed"
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
    fn a_store_cannot_exceed_its_own_limit() {
        let budget = MemoryBudget::new(100 * MIB);
        let mut limiter = StoreLimiter::new(10 * MIB, budget);
        assert!(limiter.memory_growing(0, 8 * MIB, None).unwrap());
        assert!(!limiter.memory_growing(8 * MIB, 11 * MIB, None).unwrap());
        assert_eq!(
            limiter.denial(),
            Some("ran out of memory: one store may use 10 MiB, and it requested 11 MiB")
        );
        assert!(limiter.memory_growing(8 * MIB, 10 * MIB, None).unwrap());
    }

    #[test]
    fn all_memories_of_a_store_count_together() {
        let mut limiter = StoreLimiter::new(10 * MIB, MemoryBudget::new(100 * MIB));
        assert!(limiter.memory_growing(0, 6 * MIB, None).unwrap());
        assert!(!limiter.memory_growing(0, 6 * MIB, None).unwrap());
    }

    #[test]
    fn stores_share_a_budget_and_release_it() {
        let budget = MemoryBudget::new(10 * MIB);
        let mut first = StoreLimiter::new(8 * MIB, budget.clone());
        let mut second = StoreLimiter::new(8 * MIB, budget.clone());
        assert!(first.memory_growing(0, 8 * MIB, None).unwrap());
        assert!(!second.memory_growing(0, 4 * MIB, None).unwrap());
        assert!(
            second
                .denial()
                .is_some_and(|denial| denial.contains("all its stores"))
        );
        drop(first);
        assert!(second.memory_growing(0, 4 * MIB, None).unwrap());
        drop(second);
        assert_eq!(budget.used_bytes(), 0);
    }

    #[test]
    fn tables_are_bounded() {
        let mut limiter = StoreLimiter::new(MIB, MemoryBudget::new(MIB));
        assert!(limiter.table_growing(0, 1_000, None).unwrap());
        assert!(!limiter.table_growing(1_000, 1_000_000, None).unwrap());
        assert!(!limiter.table_growing(1_000, 1_002, Some(1_001)).unwrap());
    }
}
