//! The limits of stores: memory, tables, and transfers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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

/// The linear memory that several stores of one backend share.
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
    /// Whether the last denied request was within the store's own limit.
    is_budget_exhausted: bool,
}

impl StoreLimiter {
    pub(crate) fn new(max_bytes: usize, memory: Arc<MemoryBudget>) -> Self {
        Self {
            used_bytes: 0,
            max_bytes,
            table_elements: 0,
            memory,
            denial: None,
            is_budget_exhausted: false,
        }
    }

    /// Returns the last denied request, to explain the trap that usually
    /// follows, since an allocator that gets no memory aborts.
    pub(crate) fn denial(&self) -> Option<&str> {
        self.denial.as_deref()
    }

    /// Returns whether a request was denied because other stores use the memory.
    pub(crate) fn is_budget_exhausted(&self) -> bool {
        self.is_budget_exhausted
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
            self.is_budget_exhausted = true;
            self.denial = Some(format!(
                "ran out of memory: all its streams together may use {} MiB",
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
                .is_some_and(|denial| denial.contains("all its streams"))
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
