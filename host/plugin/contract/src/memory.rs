//! The memory of a backend: its own, and what the host holds for it.
//!
//! Both count against the same limit. Otherwise a backend with little memory of
//! its own could fill that of the daemon: with the objects of a listing, or with
//! events that nobody reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const MIB: usize = 1024 * 1024;

/// The memory that several instances of one backend share.
#[derive(Debug)]
pub struct MemoryBudget {
    guest_bytes: AtomicUsize,
    host_bytes: AtomicUsize,
    max_bytes: usize,
}

impl MemoryBudget {
    /// Creates a budget of which nothing is used.
    pub fn new(max_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            guest_bytes: AtomicUsize::new(0),
            host_bytes: AtomicUsize::new(0),
            max_bytes,
        })
    }

    /// Returns the bytes of memory that the instances have.
    pub fn guest_bytes(&self) -> usize {
        self.guest_bytes.load(Ordering::Relaxed)
    }

    /// Returns the bytes of memory that the host holds for the instances.
    pub fn host_bytes(&self) -> usize {
        self.host_bytes.load(Ordering::Relaxed)
    }

    /// Reserves bytes in `used`, one of the two counters.
    fn try_reserve(&self, used: &AtomicUsize, bytes: usize) -> bool {
        // The sum may be exceeded by what two threads reserve at the same moment.
        let sum = self.guest_bytes().saturating_add(self.host_bytes());
        if sum.saturating_add(bytes) > self.max_bytes {
            return false;
        }
        used.fetch_add(bytes, Ordering::Relaxed);
        true
    }
}

/// An instance or the host needs more memory than there is. The message is the
/// end of a sentence that begins with the backend's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemoryError {
    /// The limit of the instance is reached.
    #[error(
        "ran out of memory: one instance may use {} MiB, and it requested {} MiB{}",
        .max_bytes / MIB,
        .requested_bytes.div_ceil(MIB),
        describe_held(*.held_bytes)
    )]
    Instance {
        /// The limit.
        max_bytes: usize,
        /// What it would use.
        requested_bytes: usize,
        /// The part of it that the host holds.
        held_bytes: usize,
    },
    /// The limit of all streams is reached.
    #[error("ran out of memory: all its streams together may use {} MiB; close some and try again", .max_bytes / MIB)]
    Budget {
        /// The limit.
        max_bytes: usize,
    },
}

fn describe_held(bytes: usize) -> String {
    match bytes {
        0 => String::new(),
        _ => format!(
            ", of which the daemon holds {} MiB of objects and events for it",
            bytes.div_ceil(MIB)
        ),
    }
}

/// The memory of one instance.
///
/// ```
/// use rdd_plugin_contract::{InstanceMemory, MemoryBudget};
///
/// let memory = InstanceMemory::new(100, MemoryBudget::new(1_000));
/// memory.grow_guest(60)?;
/// let held = memory.hold(30)?;
/// assert!(memory.grow_guest(20).is_err());
/// drop(held);
/// memory.grow_guest(20)?;
/// # Ok::<(), rdd_plugin_contract::MemoryError>(())
/// ```
#[derive(Debug)]
pub struct InstanceMemory {
    guest_bytes: AtomicUsize,
    held_bytes: AtomicUsize,
    max_bytes: usize,
    budget: Arc<MemoryBudget>,
}

impl InstanceMemory {
    /// Creates the account of an instance that has no memory yet. Its memory is
    /// also part of `budget`.
    pub fn new(max_bytes: usize, budget: Arc<MemoryBudget>) -> Arc<Self> {
        Arc::new(Self {
            guest_bytes: AtomicUsize::new(0),
            held_bytes: AtomicUsize::new(0),
            max_bytes,
            budget,
        })
    }

    /// Adds bytes to the instance's own memory, which it keeps until its end.
    ///
    /// # Errors
    ///
    /// Fails if a limit would be exceeded.
    pub fn grow_guest(&self, bytes: usize) -> Result<(), MemoryError> {
        self.reserve(&self.guest_bytes, &self.budget.guest_bytes, bytes)
    }

    /// Adds bytes to what the host holds for the instance, until the returned
    /// value is dropped.
    ///
    /// # Errors
    ///
    /// Fails if a limit would be exceeded.
    pub fn hold(self: &Arc<Self>, bytes: usize) -> Result<HeldMemory, MemoryError> {
        let mut held = HeldMemory::empty(self.clone());
        held.resize(bytes)?;
        Ok(held)
    }

    fn reserve(
        &self,
        own: &AtomicUsize,
        shared: &AtomicUsize,
        bytes: usize,
    ) -> Result<(), MemoryError> {
        let held_bytes = self.held_bytes.load(Ordering::Relaxed);
        let used = self.guest_bytes.load(Ordering::Relaxed) + held_bytes;
        let requested_bytes = used.saturating_add(bytes);
        if requested_bytes > self.max_bytes {
            return Err(MemoryError::Instance {
                max_bytes: self.max_bytes,
                requested_bytes,
                held_bytes,
            });
        }
        if !self.budget.try_reserve(shared, bytes) {
            return Err(MemoryError::Budget {
                max_bytes: self.budget.max_bytes,
            });
        }
        own.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }
}

impl Drop for InstanceMemory {
    fn drop(&mut self) {
        let guest_bytes = self.guest_bytes.load(Ordering::Relaxed);
        self.budget
            .guest_bytes
            .fetch_sub(guest_bytes, Ordering::Relaxed);
    }
}

/// Memory of the host that counts as that of an instance until this is dropped.
#[derive(Debug)]
pub struct HeldMemory {
    memory: Arc<InstanceMemory>,
    bytes: usize,
}

impl HeldMemory {
    /// Holds nothing yet for an instance.
    pub fn empty(memory: Arc<InstanceMemory>) -> Self {
        Self { memory, bytes: 0 }
    }

    /// Changes the number of bytes.
    ///
    /// # Errors
    ///
    /// Fails if a limit would be exceeded; the number is then unchanged.
    pub fn resize(&mut self, bytes: usize) -> Result<(), MemoryError> {
        let InstanceMemory {
            held_bytes, budget, ..
        } = &*self.memory;
        match bytes.checked_sub(self.bytes) {
            Some(growth) => self
                .memory
                .reserve(held_bytes, &budget.host_bytes, growth)?,
            None => self.release(self.bytes - bytes),
        }
        self.bytes = bytes;
        Ok(())
    }

    fn release(&self, bytes: usize) {
        let InstanceMemory {
            held_bytes, budget, ..
        } = &*self.memory;
        held_bytes.fetch_sub(bytes, Ordering::Relaxed);
        budget.host_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for HeldMemory {
    fn drop(&mut self) {
        self.release(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_cannot_exceed_its_own_limit() {
        let memory = InstanceMemory::new(10 * MIB, MemoryBudget::new(100 * MIB));
        memory.grow_guest(8 * MIB).unwrap();
        let error = memory.grow_guest(3 * MIB).unwrap_err();
        assert_eq!(
            error.to_string(),
            "ran out of memory: one instance may use 10 MiB, and it requested 11 MiB"
        );
        memory.grow_guest(2 * MIB).unwrap();
    }

    #[test]
    fn what_the_host_holds_counts_until_it_is_released() {
        let budget = MemoryBudget::new(100 * MIB);
        let memory = InstanceMemory::new(10 * MIB, budget.clone());
        memory.grow_guest(2 * MIB).unwrap();
        let mut held = memory.hold(7 * MIB).unwrap();
        let error = held.resize(9 * MIB).unwrap_err();
        assert_eq!(
            error.to_string(),
            "ran out of memory: one instance may use 10 MiB, and it requested 11 MiB, of which the daemon holds 7 MiB of objects and events for it"
        );
        assert_eq!(budget.host_bytes(), 7 * MIB);
        held.resize(MIB).unwrap();
        memory.grow_guest(7 * MIB).unwrap();
        drop(held);
        assert_eq!(budget.host_bytes(), 0);
        assert_eq!(budget.guest_bytes(), 9 * MIB);
        drop(memory);
        assert_eq!(budget.guest_bytes(), 0);
    }

    #[test]
    fn instances_share_a_budget_and_release_it() {
        let budget = MemoryBudget::new(10 * MIB);
        let first = InstanceMemory::new(8 * MIB, budget.clone());
        let second = InstanceMemory::new(8 * MIB, budget.clone());
        first.grow_guest(8 * MIB).unwrap();
        let error = second.grow_guest(4 * MIB).unwrap_err();
        assert_eq!(
            error,
            MemoryError::Budget {
                max_bytes: 10 * MIB
            }
        );
        drop(first);
        second.grow_guest(4 * MIB).unwrap();
        drop(second);
        assert_eq!(budget.guest_bytes(), 0);
    }
}
