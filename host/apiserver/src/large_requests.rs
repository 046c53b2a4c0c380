//! Large requests, kept from the threads that serve everybody.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::limits;
use crate::status::ApiError;

/// Runs what takes much of a processor, a few at a time.
#[derive(Debug)]
pub(crate) struct LargeRequestLimiter(Arc<Semaphore>);

impl Default for LargeRequestLimiter {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(limits::MAX_LARGE_REQUESTS)))
    }
}

impl LargeRequestLimiter {
    /// Runs `work` on a thread of its own as soon as there is a permit. Once
    /// begun it runs to its end, also when the client has gone.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, ApiError> {
        let permit = Arc::clone(&self.0)
            .acquire_owned()
            .await
            .map_err(|_| ApiError::unavailable("the server is shutting down"))?;
        let runtime = tokio::runtime::Handle::current();
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            runtime.block_on(work)
        })
        .await
        .map_err(|error| {
            tracing::error!(%error, "a large request failed");
            ApiError::internal("the request failed in the server")
        })
    }
}
