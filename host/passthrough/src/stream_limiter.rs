//! Limits the number of open streams, in total and per user.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::limits;
use crate::request_error::StreamRequestError;

/// Counts open streams. The lock is held for a lookup and an addition only,
/// never across an await, and no reconciler takes it.
///
/// Written by hand: a semaphore has no limit per user.
#[derive(Clone)]
pub(crate) struct StreamLimiter {
    max_streams: usize,
    /// The number of open streams by user.
    open: Arc<Mutex<HashMap<String, usize>>>,
}

impl StreamLimiter {
    /// Allows `max_streams` streams, but at most [`limits::MAX_STREAMS`].
    pub(crate) fn new(max_streams: usize) -> Self {
        Self {
            max_streams: max_streams.min(limits::MAX_STREAMS),
            open: Arc::default(),
        }
    }

    /// Returns the limit per user, which is less than the total even if that is
    /// small.
    fn max_per_user(&self) -> usize {
        (self.max_streams * limits::MAX_STREAMS_PER_USER / limits::MAX_STREAMS).max(1)
    }

    /// Acquires a permit for a stream of `user`, which is released on drop.
    pub(crate) fn acquire(&self, user: &str) -> Result<StreamPermit, StreamRequestError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.values().sum::<usize>() >= self.max_streams {
            return Err(StreamRequestError::TooManyStreams {
                limit: self.max_streams,
            });
        }
        let of_user = open.entry(user.to_owned()).or_default();
        if *of_user >= self.max_per_user() {
            return Err(StreamRequestError::TooManyStreams {
                limit: self.max_per_user(),
            });
        }
        *of_user += 1;
        Ok(StreamPermit {
            limiter: self.clone(),
            user: user.to_owned(),
        })
    }
}

/// The permit of one open stream.
pub(crate) struct StreamPermit {
    limiter: StreamLimiter,
    user: String,
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        let mut open = self
            .limiter
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_cannot_take_all_permits_and_permits_are_released() {
        let limiter = StreamLimiter::new(limits::MAX_STREAMS);
        let mut permits: Vec<_> = (0..limits::MAX_STREAMS_PER_USER)
            .map(|_| limiter.acquire("a").unwrap())
            .collect();
        assert!(limiter.acquire("a").is_err());
        let others: Vec<_> = (limits::MAX_STREAMS_PER_USER..limits::MAX_STREAMS)
            .map(|_| limiter.acquire("b").unwrap())
            .collect();
        assert!(limiter.acquire("c").is_err(), "the total limit");
        permits.pop();
        assert!(limiter.acquire("c").is_ok());
        drop((permits, others));
        assert!(limiter.open.lock().unwrap().is_empty());
    }

    #[test]
    fn one_user_cannot_take_all_permits_of_a_small_total() {
        let limiter = StreamLimiter::new(8);
        let permits: Vec<_> = (0..6).map(|_| limiter.acquire("a").unwrap()).collect();
        assert!(limiter.acquire("a").is_err());
        let others: Vec<_> = (0..2).map(|_| limiter.acquire("b").unwrap()).collect();
        assert!(limiter.acquire("c").is_err());
        drop((permits, others));
        assert!(limiter.open.lock().unwrap().is_empty());
        assert!(StreamLimiter::new(1).acquire("a").is_ok());
        assert_eq!(
            StreamLimiter::new(usize::MAX).max_streams,
            limits::MAX_STREAMS
        );
    }
}
