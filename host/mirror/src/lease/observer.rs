//! What to do next about a Lease: a pure function of what was seen of it.
//!
//! Whether a Lease of somebody else has expired is told by our own clock alone:
//! it has when it has not changed for as long as it says, since we first saw it
//! like this. Clocks of two machines need not agree.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// A Lease that says it lasts longer than this is taken to last this long: a
/// mistyped number must not lock everybody out.
const MAX_DURATION: Duration = Duration::from_secs(60 * 60);

/// A Lease as the API has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LeaseRecord {
    /// `None` when nobody holds it.
    pub(super) holder: Option<Arc<str>>,
    /// The resource version: it moves with each renewal.
    pub(super) version: String,
    /// How long the holder may be silent.
    pub(super) duration: Duration,
    /// How often it has changed hands.
    pub(super) transitions: i32,
}

/// What to do about a Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LeaseStep {
    /// There is none: make it.
    Create,
    /// It is ours, nobody's or expired: write it in the version that was seen.
    Write { transitions: i32 },
    /// Somebody else holds it.
    Wait { holder: Arc<str> },
}

/// Looks at one Lease, again and again.
pub(super) struct LeaseObserver {
    identity: Arc<str>,
    /// What was seen of another holder's, and since when it has looked so.
    other: Option<(LeaseRecord, Instant)>,
}

impl LeaseObserver {
    pub(super) fn new(identity: Arc<str>) -> Self {
        Self {
            identity,
            other: None,
        }
    }

    /// Decides upon what the API has now.
    pub(super) fn decide(&mut self, found: Option<LeaseRecord>, now: Instant) -> LeaseStep {
        let Some(found) = found else {
            return match &self.other {
                // Somebody deleted it, which tells its holder nothing yet.
                Some((last, since)) if !is_over(last, *since, now) => LeaseStep::Wait {
                    holder: last.holder.clone().unwrap_or_default(),
                },
                _ => LeaseStep::Create,
            };
        };
        let holder = match &found.holder {
            Some(holder) if *holder == self.identity => {
                self.other = None;
                return LeaseStep::Write {
                    transitions: found.transitions,
                };
            }
            Some(holder) => Arc::clone(holder),
            None => {
                self.other = None;
                return LeaseStep::Write {
                    transitions: found.transitions.saturating_add(1),
                };
            }
        };
        let since = match &self.other {
            Some((last, since)) if *last == found => *since,
            _ => now,
        };
        let step = if is_over(&found, since, now) {
            LeaseStep::Write {
                transitions: found.transitions.saturating_add(1),
            }
        } else {
            LeaseStep::Wait { holder }
        };
        self.other = Some((found, since));
        step
    }
}

fn is_over(record: &LeaseRecord, since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) >= record.duration.min(MAX_DURATION)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(holder: Option<&str>, version: &str) -> Option<LeaseRecord> {
        Some(LeaseRecord {
            holder: holder.map(Into::into),
            version: version.to_owned(),
            duration: Duration::from_secs(30),
            transitions: 4,
        })
    }

    fn wait() -> LeaseStep {
        LeaseStep::Wait {
            holder: "other".into(),
        }
    }

    fn write(transitions: i32) -> LeaseStep {
        LeaseStep::Write { transitions }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_free_or_ours_is_taken_at_once() {
        let now = Instant::now();
        let mut observer = LeaseObserver::new("me".into());
        assert_eq!(observer.decide(None, now), LeaseStep::Create);
        assert_eq!(observer.decide(of(None, "1"), now), write(5));
        assert_eq!(observer.decide(of(Some("me"), "1"), now), write(4));
    }

    #[tokio::test(start_paused = true)]
    async fn anothers_is_taken_over_when_it_was_silent_for_as_long_as_it_says() {
        let begun = Instant::now();
        let after = |seconds| begun + Duration::from_secs(seconds);
        let mut observer = LeaseObserver::new("me".into());
        assert_eq!(observer.decide(of(Some("other"), "1"), begun), wait());
        assert_eq!(observer.decide(of(Some("other"), "1"), after(29)), wait());
        // A renewal begins it anew.
        assert_eq!(observer.decide(of(Some("other"), "2"), after(29)), wait());
        assert_eq!(observer.decide(of(Some("other"), "2"), after(58)), wait());
        assert_eq!(observer.decide(of(Some("other"), "2"), after(59)), write(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deleted_lease_is_not_taken_from_a_holder_who_does_not_know_yet() {
        let begun = Instant::now();
        let mut observer = LeaseObserver::new("me".into());
        assert_eq!(observer.decide(of(Some("other"), "1"), begun), wait());
        assert_eq!(observer.decide(None, begun), wait());
        let later = begun + Duration::from_secs(30);
        assert_eq!(observer.decide(None, later), LeaseStep::Create);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_for_ever_is_none() {
        let begun = Instant::now();
        let mut observer = LeaseObserver::new("me".into());
        let forever = || {
            of(Some("other"), "1").map(|record| LeaseRecord {
                duration: Duration::MAX,
                ..record
            })
        };
        assert_eq!(observer.decide(forever(), begun), wait());
        assert_eq!(observer.decide(forever(), begun + MAX_DURATION), write(5));
    }
}
