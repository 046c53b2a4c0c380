//! What becomes of changes that were not synced.

use super::random_source::RandomSource;

/// Which of the changes that were not synced survive.
pub(super) struct ChangeFate<'a> {
    pub(super) random: &'a mut RandomSource,
    policy: FatePolicy,
}

enum FatePolicy {
    All,
    None,
    /// Those before the first one that is lost.
    Oldest {
        left: usize,
    },
    Random,
}

impl<'a> ChangeFate<'a> {
    pub(super) fn new(random: &'a mut RandomSource) -> Self {
        let policy = match random.below(6) {
            0 => FatePolicy::All,
            1 => FatePolicy::None,
            2 | 3 => FatePolicy::Oldest {
                left: random.below(20),
            },
            _ => FatePolicy::Random,
        };
        Self { random, policy }
    }

    pub(super) fn is_kept(&mut self) -> bool {
        match &mut self.policy {
            FatePolicy::All => true,
            FatePolicy::None => false,
            FatePolicy::Oldest { left } => {
                let is_kept = *left > 0;
                *left = left.saturating_sub(1);
                is_kept
            }
            FatePolicy::Random => self.random.one_in(2),
        }
    }

    pub(super) fn is_torn(&mut self) -> bool {
        match &mut self.policy {
            FatePolicy::All | FatePolicy::None => false,
            FatePolicy::Oldest { left } => {
                let is_torn = *left == 1;
                if is_torn {
                    *left = 0;
                }
                is_torn
            }
            FatePolicy::Random => self.random.one_in(3),
        }
    }
}
