//! Limits the streams of entries that are read from the engine.

use std::sync::Arc;

use rdd_core::{EngineError, ErrorCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A log that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogOpenError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("too many logs are read from the engine ({limit}); close some, then try again")]
    TooManyStreams { limit: usize },
}

/// The error of a log that was open already and needs another stream.
impl From<LogOpenError> for EngineError {
    fn from(error: LogOpenError) -> Self {
        match error {
            LogOpenError::Engine(error) => error,
            LogOpenError::TooManyStreams { .. } => {
                Self::new(ErrorCode::LimitReached, error.to_string())
            }
        }
    }
}

/// Counts the streams of entries. A subscription has many containers, so the limit
/// of client connections does not limit them.
#[derive(Clone)]
pub(crate) struct EngineStreamLimiter {
    permits: Arc<Semaphore>,
    limit: usize,
}

/// The permit of one stream, which is released on drop.
pub(crate) struct EngineStreamPermit {
    _permit: OwnedSemaphorePermit,
}

impl EngineStreamLimiter {
    /// Allows `limit` streams.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(limit)),
            limit,
        }
    }

    /// Acquires the permit of a stream.
    ///
    /// # Errors
    ///
    /// Fails if there are as many streams as are allowed.
    pub(crate) fn acquire(&self) -> Result<EngineStreamPermit, LogOpenError> {
        match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => Ok(EngineStreamPermit { _permit: permit }),
            Err(_) => Err(LogOpenError::TooManyStreams { limit: self.limit }),
        }
    }

    /// Returns the number of permits that are left.
    #[cfg(test)]
    pub(super) fn available(&self) -> usize {
        self.permits.available_permits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_is_given_back_on_drop() {
        let limiter = EngineStreamLimiter::new(2);
        let permits = (limiter.acquire().unwrap(), limiter.acquire().unwrap());
        assert!(matches!(
            limiter.acquire(),
            Err(LogOpenError::TooManyStreams { limit: 2 })
        ));
        drop(permits);
        limiter.acquire().unwrap();
    }
}
