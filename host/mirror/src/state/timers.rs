//! The timers about single mirrors.

use super::MirrorState;
use crate::entry::{NextAttempt, RemovalStage};
use crate::key::MirrorKey;

/// A timer about one mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MirrorTimer {
    /// A failed write may be retried. Carries the number of failures.
    Write(MirrorKey, u32),
    /// A refused removal may be retried. Carries the number of refusals.
    Removal(MirrorKey, u32),
    /// The cool-down of a refused removal is over. Carries the number of
    /// refusals.
    RemovalCooldown(MirrorKey, u32),
    /// The engine should have reported a removal that it carried out for us.
    /// Carries the incarnation.
    RemovalEvent(MirrorKey, u64),
    /// A volume is no longer new. Carries the number of this timer.
    VolumeSettle(MirrorKey, u64),
    /// A claim for an action was lost to a newer state of the mirror, which
    /// must be reconciled.
    Claim(MirrorKey),
}

impl MirrorState {
    /// Handles a timer that fired.
    pub(crate) fn on_timer(&mut self, timer: MirrorTimer) {
        let (MirrorTimer::Write(key, _)
        | MirrorTimer::Removal(key, _)
        | MirrorTimer::RemovalCooldown(key, _)
        | MirrorTimer::RemovalEvent(key, _)
        | MirrorTimer::VolumeSettle(key, _)
        | MirrorTimer::Claim(key)) = &timer;
        let key = key.clone();
        let is_listing = self.is_engine_listing();
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        match timer {
            MirrorTimer::Write(_, failures) => {
                if entry.write_failures == failures {
                    entry.backing_off = false;
                }
            }
            MirrorTimer::Removal(_, of) => {
                if let RemovalStage::Refused { attempts, next, .. } = &mut entry.removal
                    && *attempts == of
                    && matches!(next, NextAttempt::Waiting { .. })
                {
                    *next = NextAttempt::Due;
                }
            }
            MirrorTimer::RemovalCooldown(_, of) => {
                if let RemovalStage::Refused { attempts, next, .. } = &mut entry.removal
                    && *attempts == of
                    && let NextAttempt::Waiting {
                        cooled_down,
                        blocker_removed,
                    } = next
                {
                    *cooled_down = true;
                    if *blocker_removed {
                        *next = NextAttempt::Due;
                    }
                }
            }
            MirrorTimer::RemovalEvent(_, incarnation) => {
                if entry.incarnation == incarnation && entry.removed_in_listing.is_some() {
                    // The event was lost, and others may have been. A listing
                    // in progress may be older than the removal.
                    if is_listing {
                        self.requests.timers.push(timer);
                    } else {
                        self.requests.resync = true;
                    }
                }
            }
            MirrorTimer::VolumeSettle(_, number) => {
                entry.settling.take_if(|settling| *settling == number);
            }
            MirrorTimer::Claim(_) => {}
        }
        self.queue.add(key);
    }
}
