//! A short-lived cache of token reviews. Without it, a client with many logs
//! would cause two requests to the cluster for each log.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lru::LruCache;
use rdd_core::{AccessScope, AuthError, UserIdentity};
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// How long an accepted token is cached, even if it is revoked in the meantime.
/// The default of Kubernetes' own servers.
const ACCEPTED_TTL: Duration = Duration::from_secs(10);

/// How long a rejected token is cached: long enough to protect the cluster from
/// a client that retries in a loop, short enough for a user who was just granted
/// a role.
const REJECTED_TTL: Duration = Duration::from_secs(3);

/// The maximum number of cached reviews; the least recently used one is evicted.
/// More than one daemon has users and scopes, and about 100 KiB at most.
const MAX_REVIEWS: usize = 1024;

/// The SHA-256 of a token: the cache does not store secrets.
type TokenHash = [u8; 32];

/// The result of a review and its time. Empty while the review is in progress.
type Review = Arc<OnceCell<(Instant, Result<UserIdentity, AuthError>)>>;

/// Token reviews by the hash of the token and what it is used for.
pub(super) struct ReviewCache(Mutex<LruCache<(TokenHash, AccessScope), Review>>);

impl Default for ReviewCache {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(
            NonZeroUsize::new(MAX_REVIEWS).unwrap_or(NonZeroUsize::MIN),
        )))
    }
}

impl ReviewCache {
    /// Returns the cached review of `token` for `scope`, or else the result of
    /// `review`. Concurrent calls with the same token and scope share one review. An unavailable
    /// cluster is not cached.
    pub(super) async fn get_or_review<F>(
        &self,
        token: &str,
        scope: AccessScope,
        review: impl Fn() -> F,
    ) -> Result<UserIdentity, AuthError>
    where
        F: Future<Output = Result<UserIdentity, AuthError>>,
    {
        let entry = self.entry((Sha256::digest(token).into(), scope));
        let (_, outcome) = entry
            .get_or_try_init(|| async {
                match review().await {
                    Err(unavailable @ AuthError::Unavailable(_)) => Err(unavailable),
                    outcome => Ok((Instant::now(), outcome)),
                }
            })
            .await?;
        outcome.clone()
    }

    fn entry(&self, key: (TokenHash, AccessScope)) -> Review {
        // Held for a lookup, never across an await.
        let mut reviews = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(review) = reviews.get(&key).filter(|review| is_fresh(review)) {
            return Arc::clone(review);
        }
        let review = Review::default();
        reviews.put(key, Arc::clone(&review));
        review
    }
}

fn is_fresh(review: &Review) -> bool {
    review.get().is_none_or(|(made, outcome)| {
        made.elapsed()
            < match outcome {
                Ok(_) => ACCEPTED_TTL,
                Err(_) => REJECTED_TTL,
            }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn identity() -> UserIdentity {
        UserIdentity {
            user: "jane".to_owned(),
            groups: Vec::new(),
        }
    }

    /// A cluster that always returns the same outcome.
    struct Cluster {
        outcome: Result<UserIdentity, AuthError>,
        reviews: AtomicUsize,
        cache: ReviewCache,
    }

    impl Cluster {
        fn new(outcome: Result<UserIdentity, AuthError>) -> Self {
            Self {
                outcome,
                reviews: AtomicUsize::new(0),
                cache: ReviewCache::default(),
            }
        }

        async fn get(&self, token: &str) -> Result<UserIdentity, AuthError> {
            self.get_for(token, AccessScope::ContainerLog).await
        }

        async fn get_for(
            &self,
            token: &str,
            scope: AccessScope,
        ) -> Result<UserIdentity, AuthError> {
            let review = || async {
                self.reviews.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(100)).await;
                self.outcome.clone()
            };
            self.cache.get_or_review(token, scope, review).await
        }

        /// Returns the number of reviews since the last call.
        fn take_reviews(&self) -> usize {
            self.reviews.swap(0, Ordering::SeqCst)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_accepted_token_is_cached_for_10_s_and_a_rejected_one_for_3_s() {
        for (outcome, ttl) in [
            (Ok(identity()), ACCEPTED_TTL),
            (
                Err(AuthError::Unauthenticated("no".to_owned())),
                REJECTED_TTL,
            ),
            (Err(AuthError::Forbidden("no".to_owned())), REJECTED_TTL),
        ] {
            let cluster = Cluster::new(outcome.clone());
            for _ in 0..3 {
                assert_eq!(cluster.get("token").await, outcome);
            }
            assert_eq!(cluster.take_reviews(), 1, "{outcome:?}");
            tokio::time::sleep(ttl - Duration::from_secs(1)).await;
            assert_eq!(cluster.get("token").await, outcome);
            assert_eq!(cluster.take_reviews(), 0, "{outcome:?}");
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(cluster.get("token").await, outcome);
            assert_eq!(cluster.take_reviews(), 1, "{outcome:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn concurrent_calls_share_one_review_per_token_and_scope() {
        let cluster = Cluster::new(Ok(identity()));
        let callers = (0..50).map(|_| cluster.get("token"));
        for outcome in futures::future::join_all(callers).await {
            assert_eq!(outcome, Ok(identity()));
        }
        assert_eq!(cluster.take_reviews(), 1);
        cluster.get("another").await.unwrap();
        assert_eq!(cluster.take_reviews(), 1);
        let scope = AccessScope::ContainerExec;
        cluster.get_for("token", scope).await.unwrap();
        assert_eq!(cluster.take_reviews(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_unavailable_cluster_is_not_cached() {
        let cluster = Cluster::new(Err(AuthError::Unavailable("down".to_owned())));
        for _ in 0..3 {
            cluster.get("token").await.unwrap_err();
        }
        assert_eq!(cluster.take_reviews(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_cached_tokens_is_limited() {
        let cluster = Cluster::new(Err(AuthError::Unauthenticated("no".to_owned())));
        let tokens: Vec<_> = (0..MAX_REVIEWS * 2)
            .map(|token| token.to_string())
            .collect();
        futures::future::join_all(tokens.iter().map(|token| cluster.get(token))).await;
        assert_eq!(cluster.cache.0.lock().unwrap().len(), MAX_REVIEWS);
    }
}
