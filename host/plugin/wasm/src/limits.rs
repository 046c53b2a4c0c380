//! The limits of stores: memory, tables, handles, and transfers.

use std::sync::Arc;

use rdd_plugin_contract::{InstanceMemory, MemoryError};
use wasmtime::ResourceLimiter;

const MIB: usize = 1024 * 1024;

/// The maximum size in bytes of what one call or one stream element transfers
/// from a component to the host: twice the 4 MiB that the contract allows for a
/// record, because the host counts its own, larger structures.
pub(crate) const TRANSFER_BYTES: usize = 8 * MIB;

/// The maximum number of handles (streams, futures, tasks) that a guest may hold
/// at once. A call takes about five, a connection four.
pub(crate) const MAX_HANDLES: usize = 20_000;

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

/// The resource limiter of one store.
#[derive(Debug)]
pub(crate) struct StoreLimiter {
    memory: Arc<InstanceMemory>,
    table_elements: usize,
    memory_denial: Option<MemoryError>,
    table_denial: Option<String>,
}

impl StoreLimiter {
    pub(crate) fn new(memory: Arc<InstanceMemory>) -> Self {
        Self {
            memory,
            table_elements: 0,
            memory_denial: None,
            table_denial: None,
        }
    }

    /// Returns the account of the store's memory.
    pub(crate) fn memory(&self) -> &Arc<InstanceMemory> {
        &self.memory
    }

    /// Returns the last denied request for memory, to explain the trap that usually
    /// follows, since an allocator that gets no memory aborts.
    pub(crate) fn memory_denial(&self) -> Option<&MemoryError> {
        self.memory_denial.as_ref()
    }

    /// Returns the last denied request for table elements.
    pub(crate) fn table_denial(&self) -> Option<&str> {
        self.table_denial.as_deref()
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
        match self.memory.grow_guest(desired.saturating_sub(current)) {
            Ok(()) => Ok(true),
            Err(denial) => {
                self.memory_denial = Some(denial);
                Ok(false)
            }
        }
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
            self.table_denial = Some(format!(
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
    use rdd_plugin_contract::MemoryBudget;

    use super::*;

    fn limiter(max_bytes: usize) -> StoreLimiter {
        StoreLimiter::new(InstanceMemory::new(max_bytes, MemoryBudget::new(100 * MIB)))
    }

    #[test]
    fn a_store_cannot_exceed_its_own_limit() {
        let mut limiter = limiter(10 * MIB);
        assert!(limiter.memory_growing(0, 8 * MIB, None).unwrap());
        assert!(!limiter.memory_growing(8 * MIB, 11 * MIB, None).unwrap());
        assert!(matches!(
            limiter.memory_denial(),
            Some(MemoryError::Instance { .. })
        ));
        assert!(limiter.memory_growing(8 * MIB, 10 * MIB, None).unwrap());
    }

    #[test]
    fn all_memories_of_a_store_count_together() {
        let mut limiter = limiter(10 * MIB);
        assert!(limiter.memory_growing(0, 6 * MIB, None).unwrap());
        assert!(!limiter.memory_growing(0, 6 * MIB, None).unwrap());
    }

    #[test]
    fn tables_are_bounded() {
        let mut limiter = limiter(MIB);
        assert!(limiter.table_growing(0, 1_000, None).unwrap());
        assert!(!limiter.table_growing(1_000, 1_000_000, None).unwrap());
        assert!(limiter.table_denial().is_some());
        assert!(!limiter.table_growing(1_000, 1_002, Some(1_001)).unwrap());
    }
}
