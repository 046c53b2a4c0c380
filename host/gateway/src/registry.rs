//! Which connections there are, and which one has to go for a new one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::limits::{ConnectionLimits, LOG_EVERY};

/// Counts connections. The lock is held for a look-up, never across an await,
/// and is taken when a connection begins, when it shows its first credentials
/// and when it ends, not for each request.
#[derive(Clone)]
pub(crate) struct ConnectionRegistry {
    limits: ConnectionLimits,
    state: Arc<Mutex<RegistryState>>,
}

#[derive(Default)]
struct RegistryState {
    next_id: u64,
    /// By age: the first one is the oldest.
    anonymous: BTreeMap<u64, CancellationToken>,
    authenticated: usize,
    /// Closed for newer ones since the last line in the log.
    evicted: u64,
    logged: Option<Instant>,
}

/// As many connections with credentials as there may be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooManyConnections {
    pub(crate) limit: usize,
}

impl ConnectionRegistry {
    pub(crate) fn new(limits: ConnectionLimits) -> Self {
        Self {
            limits,
            state: Arc::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, RegistryState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers an anonymous connection; the oldest one goes when there are
    /// too many.
    pub(crate) fn admit(&self) -> ConnectionPermit {
        let mut state = self.state();
        while state.anonymous.len() >= self.limits.anonymous.max(1) {
            Self::evict(&mut state);
        }
        state.next_id += 1;
        let id = state.next_id;
        let evicted = CancellationToken::new();
        state.anonymous.insert(id, evicted.clone());
        ConnectionPermit {
            registry: self.clone(),
            id,
            evicted,
        }
    }

    /// Closes the oldest anonymous connection, for whoever is out of file descriptors.
    pub(crate) fn evict_oldest(&self) {
        Self::evict(&mut self.state());
    }

    fn evict(state: &mut RegistryState) {
        let Some((_, oldest)) = state.anonymous.pop_first() else {
            return;
        };
        oldest.cancel();
        state.evicted += 1;
        if state.logged.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
            tracing::warn!(
                closed = state.evicted,
                "too many connections without credentials; the oldest are closed for new ones"
            );
            state.evicted = 0;
            state.logged = Some(Instant::now());
        }
    }
}

/// A connection's entry, given back when this is dropped.
pub(crate) struct ConnectionPermit {
    registry: ConnectionRegistry,
    id: u64,
    evicted: CancellationToken,
}

impl ConnectionPermit {
    /// Resolves when the connection has to make way for a newer one.
    pub(crate) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }

    /// The connection has shown good credentials. To be called once.
    pub(crate) fn authenticate(&self) -> Result<(), TooManyConnections> {
        let limit = self.registry.limits.authenticated;
        let mut state = self.registry.state();
        if state.authenticated >= limit {
            return Err(TooManyConnections { limit });
        }
        // One that was just evicted is about to end.
        if state.anonymous.remove(&self.id).is_some() {
            state.authenticated += 1;
        }
        Ok(())
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut state = self.registry.state();
        if state.anonymous.remove(&self.id).is_none() && !self.evicted.is_cancelled() {
            state.authenticated -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(anonymous: usize, authenticated: usize) -> ConnectionRegistry {
        ConnectionRegistry::new(ConnectionLimits {
            anonymous,
            authenticated,
            ..ConnectionLimits::default()
        })
    }

    fn counts(registry: &ConnectionRegistry) -> (usize, usize) {
        let state = registry.state();
        (state.anonymous.len(), state.authenticated)
    }

    #[test]
    fn the_oldest_anonymous_connection_makes_way() {
        let registry = registry(2, 2);
        let [first, second, third] = [(); 3].map(|()| registry.admit());
        assert!(first.evicted.is_cancelled());
        assert!(!second.evicted.is_cancelled() && !third.evicted.is_cancelled());
        assert_eq!(counts(&registry), (2, 0));
        drop((first, second, third));
        assert_eq!(counts(&registry), (0, 0));
    }

    #[test]
    fn one_with_credentials_is_never_closed_for_an_anonymous_one() {
        let registry = registry(1, 2);
        let known = registry.admit();
        known.authenticate().unwrap();
        let crowd: Vec<_> = (0..9).map(|_| registry.admit()).collect();
        assert!(!known.evicted.is_cancelled());
        assert_eq!(counts(&registry), (1, 1));
        drop(crowd);
        drop(known);
        assert_eq!(counts(&registry), (0, 0));
    }

    #[test]
    fn those_with_credentials_have_a_limit_of_their_own_and_places_come_back() {
        let registry = registry(4, 1);
        let (first, second) = (registry.admit(), registry.admit());
        first.authenticate().unwrap();
        assert_eq!(second.authenticate(), Err(TooManyConnections { limit: 1 }));
        drop(first);
        second.authenticate().unwrap();
        drop(second);
        assert_eq!(counts(&registry), (0, 0));
    }

    #[test]
    fn one_that_was_evicted_gives_nothing_back_twice() {
        let registry = registry(1, 2);
        let (evicted, other) = (registry.admit(), registry.admit());
        // Its request was under way as it was evicted.
        evicted.authenticate().unwrap();
        other.authenticate().unwrap();
        drop(evicted);
        assert_eq!(counts(&registry), (0, 1));
        drop(other);
        assert_eq!(counts(&registry), (0, 0));
    }
}
