//! What a cluster said of tokens, kept for a moment: a viewer of many logs would
//! have it asked twice for each of them.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lru::LruCache;
use rdd_core::{AuthError, UserIdentity};
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// How long a token stays good that is revoked meanwhile; the default of
/// Kubernetes' own servers.
const GOOD_FOR: Duration = Duration::from_secs(10);

/// How long a token is refused that becomes good meanwhile: long enough to
/// spare the cluster a client that tries again and again, short enough for
/// somebody who has just been granted a role.
const REFUSED_FOR: Duration = Duration::from_secs(3);

/// Tokens that are remembered; the least recently used one goes first. More
/// than the users of one daemon, and some 100 KiB at the most.
const TOKENS: usize = 1024;

/// A token is known by its hash: what is secret is not kept.
type Key = [u8; 32];

/// What the cluster said, and when. Empty while it is being asked.
type Review = Arc<OnceCell<(Instant, Result<UserIdentity, AuthError>)>>;

/// Reviews by token.
pub(super) struct ReviewCache(Mutex<LruCache<Key, Review>>);

impl Default for ReviewCache {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(
            NonZeroUsize::new(TOKENS).unwrap_or(NonZeroUsize::MIN),
        )))
    }
}

impl ReviewCache {
    /// What the cluster said of `token` lately, or else what `ask` finds out.
    /// Of callers who come at once with the same token one asks, and all get
    /// its answer. That the cluster could not be asked is not remembered.
    pub(super) async fn get<F>(
        &self,
        token: &str,
        ask: impl Fn() -> F,
    ) -> Result<UserIdentity, AuthError>
    where
        F: Future<Output = Result<UserIdentity, AuthError>>,
    {
        let review = self.review(Sha256::digest(token).into());
        let (_, outcome) = review
            .get_or_try_init(|| async {
                match ask().await {
                    Err(unavailable @ AuthError::Unavailable(_)) => Err(unavailable),
                    outcome => Ok((Instant::now(), outcome)),
                }
            })
            .await?;
        outcome.clone()
    }

    fn review(&self, key: Key) -> Review {
        // Held for a look-up, never across an await.
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
                Ok(_) => GOOD_FOR,
                Err(_) => REFUSED_FOR,
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

    /// A cluster that says the same each time.
    struct Cluster {
        outcome: Result<UserIdentity, AuthError>,
        asked: AtomicUsize,
        cache: ReviewCache,
    }

    impl Cluster {
        fn new(outcome: Result<UserIdentity, AuthError>) -> Self {
            Self {
                outcome,
                asked: AtomicUsize::new(0),
                cache: ReviewCache::default(),
            }
        }

        async fn get(&self, token: &str) -> Result<UserIdentity, AuthError> {
            let ask = || async {
                self.asked.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(100)).await;
                self.outcome.clone()
            };
            self.cache.get(token, ask).await
        }

        fn asked(&self) -> usize {
            self.asked.swap(0, Ordering::SeqCst)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_good_token_is_asked_about_every_10_s_and_a_refused_one_every_3_s() {
        for (outcome, kept) in [
            (Ok(identity()), GOOD_FOR),
            (
                Err(AuthError::Unauthenticated("no".to_owned())),
                REFUSED_FOR,
            ),
            (Err(AuthError::Forbidden("no".to_owned())), REFUSED_FOR),
        ] {
            let cluster = Cluster::new(outcome.clone());
            for _ in 0..3 {
                assert_eq!(cluster.get("token").await, outcome);
            }
            assert_eq!(cluster.asked(), 1, "{outcome:?}");
            tokio::time::sleep(kept - Duration::from_secs(1)).await;
            assert_eq!(cluster.get("token").await, outcome);
            assert_eq!(cluster.asked(), 0, "{outcome:?}");
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(cluster.get("token").await, outcome);
            assert_eq!(cluster.asked(), 1, "{outcome:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn callers_who_come_at_once_ask_once_and_each_token_is_its_own() {
        let cluster = Cluster::new(Ok(identity()));
        let callers = (0..50).map(|_| cluster.get("token"));
        for outcome in futures::future::join_all(callers).await {
            assert_eq!(outcome, Ok(identity()));
        }
        assert_eq!(cluster.asked(), 1);
        cluster.get("another").await.unwrap();
        assert_eq!(cluster.asked(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn that_the_cluster_could_not_be_asked_is_not_remembered() {
        let cluster = Cluster::new(Err(AuthError::Unavailable("down".to_owned())));
        for _ in 0..3 {
            cluster.get("token").await.unwrap_err();
        }
        assert_eq!(cluster.asked(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_tokens_are_kept_than_there_is_place_for() {
        let cluster = Cluster::new(Err(AuthError::Unauthenticated("no".to_owned())));
        let tokens: Vec<_> = (0..TOKENS * 2).map(|token| token.to_string()).collect();
        futures::future::join_all(tokens.iter().map(|token| cluster.get(token))).await;
        assert_eq!(cluster.cache.0.lock().unwrap().len(), TOKENS);
    }
}
