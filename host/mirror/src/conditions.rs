//! Lists of conditions whose transition times change only with the status.

use jiff::Timestamp;
use rdd_api::{Condition, Time};

/// A new list of conditions that takes transition times from a previous one.
pub(crate) struct ConditionSet<'a> {
    previous: &'a [Condition],
    now: Timestamp,
    list: Vec<Condition>,
}

impl<'a> ConditionSet<'a> {
    /// Creates an empty list that will replace `previous`.
    pub(crate) fn replacing(previous: &'a [Condition], now: Timestamp) -> Self {
        Self {
            previous,
            now,
            list: Vec::new(),
        }
    }

    /// Adds a condition. It keeps the previous transition time unless its
    /// status differs.
    pub(crate) fn set(
        &mut self,
        type_: &str,
        is_true: bool,
        reason: &str,
        message: &str,
        observed_generation: Option<i64>,
    ) {
        let status = if is_true { "True" } else { "False" };
        let last_transition_time = self
            .find(type_)
            .filter(|previous| previous.status == status)
            .map_or_else(
                // Cannot fail: truncating a valid timestamp gives a valid one.
                || Time(Timestamp::from_second(self.now.as_second()).unwrap_or(self.now)),
                |previous| previous.last_transition_time.clone(),
            );
        self.list.push(Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: message.to_owned(),
            observed_generation,
            last_transition_time,
        });
    }

    /// Adds the condition as it was in the previous list, if it was there.
    pub(crate) fn keep(&mut self, type_: &str) {
        self.list.extend(self.find(type_).cloned());
    }

    fn find(&self, type_: &str) -> Option<&'a Condition> {
        self.previous
            .iter()
            .find(|condition| condition.type_ == type_)
    }

    pub(crate) fn into_vec(self) -> Vec<Condition> {
        self.list
    }
}
