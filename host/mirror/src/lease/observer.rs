//! Decides the next step for a Lease from what has been observed of it.
//!
//! Whether the Lease of another instance has expired depends only on our own
//! clock: it has if it has not changed for its duration since we first observed
//! this version. The clocks of two machines need not agree.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// Upper limit for the duration in a Lease: a mistyped number must not lock out
/// all instances.
const MAX_DURATION: Duration = Duration::from_secs(60 * 60);

/// A Lease as the API has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LeaseRecord {
    /// `None` if the Lease has no holder.
    pub(super) holder: Option<Arc<str>>,
    /// Resource version, which changes with each renewal.
    pub(super) version: String,
    /// How long the Lease is valid after a renewal.
    pub(super) duration: Duration,
    /// Number of changes of the holder.
    pub(super) transitions: i32,
}

/// The next step for a Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LeaseAction {
    /// It does not exist: create it.
    Create,
    /// It is ours, has no holder, or has expired: update the observed version.
    Write { transitions: i32 },
    /// Another instance holds it.
    Wait { holder: Arc<str> },
}

/// Observes one Lease repeatedly.
pub(super) struct LeaseObserver {
    identity: Arc<str>,
    /// The last record of another holder, and when it was first observed.
    other: Option<(LeaseRecord, Instant)>,
}

impl LeaseObserver {
    pub(super) fn new(identity: Arc<str>) -> Self {
        Self {
            identity,
            other: None,
        }
    }

    /// Decides from the record that the API has now.
    pub(super) fn decide(&mut self, current: Option<LeaseRecord>, now: Instant) -> LeaseAction {
        let Some(current) = current else {
            return match &self.other {
                // It was deleted, but its holder may not have noticed yet.
                Some((last, since)) if !is_expired(last, *since, now) => LeaseAction::Wait {
                    holder: last.holder.clone().unwrap_or_default(),
                },
                _ => LeaseAction::Create,
            };
        };
        let holder = match &current.holder {
            Some(holder) if *holder == self.identity => {
                self.other = None;
                return LeaseAction::Write {
                    transitions: current.transitions,
                };
            }
            Some(holder) => Arc::clone(holder),
            None => {
                self.other = None;
                return LeaseAction::Write {
                    transitions: current.transitions.saturating_add(1),
                };
            }
        };
        let since = match &self.other {
            Some((last, since)) if *last == current => *since,
            _ => now,
        };
        let step = if is_expired(&current, since, now) {
            LeaseAction::Write {
                transitions: current.transitions.saturating_add(1),
            }
        } else {
            LeaseAction::Wait { holder }
        };
        self.other = Some((current, since));
        step
    }
}

fn is_expired(record: &LeaseRecord, since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) >= record.duration.min(MAX_DURATION)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(holder: Option<&str>, version: &str) -> Option<LeaseRecord> {
        Some(LeaseRecord {
            holder: holder.map(Into::into),
            version: version.to_owned(),
            duration: Duration::from_secs(30),
            transitions: 4,
        })
    }

    fn wait() -> LeaseAction {
        LeaseAction::Wait {
            holder: "other".into(),
        }
    }

    fn write(transitions: i32) -> LeaseAction {
        LeaseAction::Write { transitions }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_is_free_or_ours_is_acquired_at_once() {
        let now = Instant::now();
        let mut observer = LeaseObserver::new("me".into());
        assert_eq!(observer.decide(None, now), LeaseAction::Create);
        assert_eq!(observer.decide(record(None, "1"), now), write(5));
        assert_eq!(observer.decide(record(Some("me"), "1"), now), write(4));
    }

    #[tokio::test(start_paused = true)]
    async fn the_lease_of_another_instance_is_taken_over_when_it_has_expired() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut observer = LeaseObserver::new("me".into());
        assert_eq!(observer.decide(record(Some("other"), "1"), start), wait());
        assert_eq!(
            observer.decide(record(Some("other"), "1"), after(29)),
            wait()
        );
        // A renewal restarts the duration.
        assert_eq!(
            observer.decide(record(Some("other"), "2"), after(29)),
            wait()
        );
        assert_eq!(
            observer.decide(record(Some("other"), "2"), after(58)),
            wait()
        );
        assert_eq!(
            observer.decide(record(Some("other"), "2"), after(59)),
            write(5)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_deleted_lease_is_created_only_after_the_duration_of_its_last_holder() {
        let start = Instant::now();
        let mut observer = LeaseObserver::new("me".into());
        assert_eq!(observer.decide(record(Some("other"), "1"), start), wait());
        assert_eq!(observer.decide(None, start), wait());
        let later = start + Duration::from_secs(30);
        assert_eq!(observer.decide(None, later), LeaseAction::Create);
    }

    #[tokio::test(start_paused = true)]
    async fn an_excessive_lease_duration_is_limited() {
        let start = Instant::now();
        let mut observer = LeaseObserver::new("me".into());
        let unlimited = || {
            record(Some("other"), "1").map(|record| LeaseRecord {
                duration: Duration::MAX,
                ..record
            })
        };
        assert_eq!(observer.decide(unlimited(), start), wait());
        assert_eq!(observer.decide(unlimited(), start + MAX_DURATION), write(5));
    }
}
