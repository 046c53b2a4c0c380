//! The open connections, and which one is evicted for a new one.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::limits::{ConnectionLimits, LOG_INTERVAL};

/// Counts connections. The lock is held for a lookup, never across an await. It
/// is taken when a connection opens, when it authenticates, and when it closes,
/// but not for each request.
#[derive(Clone)]
pub(crate) struct ConnectionRegistry {
    limits: ConnectionLimits,
    state: Arc<Mutex<RegistryState>>,
}

#[derive(Default)]
struct RegistryState {
    next_id: u64,
    /// Keyed by age: the first entry is the oldest connection.
    anonymous: BTreeMap<u64, CancellationToken>,
    /// The authenticated connections and their users.
    authenticated: HashMap<u64, Arc<str>>,
    /// The number of authenticated connections by user.
    by_user: HashMap<Arc<str>, usize>,
    /// The number of evictions since the last log line.
    evicted: u64,
    logged_at: Option<Instant>,
}

/// The maximum number of authenticated connections is open.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConnectionLimitError {
    /// In total.
    #[error("{0} connections are open; close some, or try again later")]
    Total(usize),
    /// Of the user.
    #[error("{0} connections of this user are open; close some, or try again later")]
    User(usize),
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

    /// Registers an anonymous connection. Evicts the oldest one if there are
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

    /// Evicts the oldest anonymous connection to free a file descriptor.
    pub(crate) fn evict_oldest(&self) {
        Self::evict(&mut self.state());
    }

    fn evict(state: &mut RegistryState) {
        let Some((_, oldest)) = state.anonymous.pop_first() else {
            return;
        };
        oldest.cancel();
        state.evicted += 1;
        if state
            .logged_at
            .is_none_or(|at| at.elapsed() >= LOG_INTERVAL)
        {
            tracing::warn!(
                closed = state.evicted,
                "too many connections without credentials; closing the oldest ones"
            );
            state.evicted = 0;
            state.logged_at = Some(Instant::now());
        }
    }
}

/// The entry of one connection, which is removed on drop.
pub(crate) struct ConnectionPermit {
    registry: ConnectionRegistry,
    id: u64,
    evicted: CancellationToken,
}

impl ConnectionPermit {
    /// Resolves when the connection is evicted.
    pub(crate) async fn evicted(&self) {
        self.evicted.cancelled().await;
    }

    /// Moves the connection to the authenticated ones of `user`. Must be called at
    /// most once.
    pub(crate) fn mark_authenticated(&self, user: &str) -> Result<(), ConnectionLimitError> {
        let limits = &self.registry.limits;
        let mut state = self.registry.state();
        if state.authenticated.len() >= limits.authenticated {
            return Err(ConnectionLimitError::Total(limits.authenticated));
        }
        let of_user = state.by_user.get(user).copied().unwrap_or_default();
        if of_user >= limits.authenticated_per_user() {
            return Err(ConnectionLimitError::User(limits.authenticated_per_user()));
        }
        // A connection that was just evicted closes without being counted.
        if state.anonymous.remove(&self.id).is_some() {
            let user: Arc<str> = user.into();
            state.authenticated.insert(self.id, Arc::clone(&user));
            state.by_user.insert(user, of_user + 1);
        }
        Ok(())
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut state = self.registry.state();
        state.anonymous.remove(&self.id);
        let Some(user) = state.authenticated.remove(&self.id) else {
            return;
        };
        if let Some(count) = state.by_user.get_mut(&user) {
            *count -= 1;
            if *count == 0 {
                state.by_user.remove(&user);
            }
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
        let of_users: usize = state.by_user.values().sum();
        assert_eq!(state.authenticated.len(), of_users);
        (state.anonymous.len(), of_users)
    }

    #[test]
    fn the_oldest_anonymous_connection_is_evicted() {
        let registry = registry(2, 2);
        let [first, second, third] = [(); 3].map(|()| registry.admit());
        assert!(first.evicted.is_cancelled());
        assert!(!second.evicted.is_cancelled() && !third.evicted.is_cancelled());
        assert_eq!(counts(&registry), (2, 0));
        drop((first, second, third));
        assert_eq!(counts(&registry), (0, 0));
    }

    #[test]
    fn an_authenticated_connection_is_never_evicted_for_an_anonymous_one() {
        let registry = registry(1, 2);
        let authenticated = registry.admit();
        authenticated.mark_authenticated("a").unwrap();
        let anonymous: Vec<_> = (0..9).map(|_| registry.admit()).collect();
        assert!(!authenticated.evicted.is_cancelled());
        assert_eq!(counts(&registry), (1, 1));
        drop(anonymous);
        drop(authenticated);
        assert_eq!(counts(&registry), (0, 0));
    }

    #[test]
    fn authenticated_connections_have_their_own_limit_and_release_their_permits() {
        let registry = registry(4, 1);
        let (first, second) = (registry.admit(), registry.admit());
        first.mark_authenticated("a").unwrap();
        assert_eq!(
            second.mark_authenticated("b"),
            Err(ConnectionLimitError::Total(1))
        );
        drop(first);
        second.mark_authenticated("b").unwrap();
        drop(second);
        assert_eq!(counts(&registry), (0, 0));
    }

    #[test]
    fn one_user_cannot_use_all_connections() {
        let registry = registry(8, 4);
        let connections: Vec<_> = (0..3).map(|_| registry.admit()).collect();
        for connection in &connections {
            connection.mark_authenticated("a").unwrap();
        }
        let next = registry.admit();
        assert_eq!(
            next.mark_authenticated("a"),
            Err(ConnectionLimitError::User(3))
        );
        next.mark_authenticated("b").unwrap();
        assert_eq!(counts(&registry), (0, 4));
        drop((connections, next));
        assert_eq!(counts(&registry), (0, 0));
        assert!(registry.state().by_user.is_empty());
    }

    #[test]
    fn an_evicted_connection_releases_its_permit_once() {
        let registry = registry(1, 2);
        let (evicted, other) = (registry.admit(), registry.admit());
        // Its request was in flight when it was evicted.
        evicted.mark_authenticated("a").unwrap();
        other.mark_authenticated("a").unwrap();
        drop(evicted);
        assert_eq!(counts(&registry), (0, 1));
        drop(other);
        assert_eq!(counts(&registry), (0, 0));
    }
}
