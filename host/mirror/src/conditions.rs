//! Lists of conditions in which a time moves only when a status does.

use jiff::Timestamp;
use rdd_api::{Condition, Time};

/// A new list, made with an eye on the old one.
pub(crate) struct Conditions<'a> {
    was: &'a [Condition],
    now: Timestamp,
    list: Vec<Condition>,
}

impl<'a> Conditions<'a> {
    /// An empty list that will stand in for `was`.
    pub(crate) fn over(was: &'a [Condition], now: Timestamp) -> Self {
        Self {
            was,
            now,
            list: Vec::new(),
        }
    }

    /// Adds a condition; its transition time is the old one unless the status
    /// differs.
    pub(crate) fn set(
        &mut self,
        type_: &str,
        holds: bool,
        reason: &str,
        message: &str,
        observed_generation: Option<i64>,
    ) {
        let status = if holds { "True" } else { "False" };
        let last_transition_time = self
            .find(type_)
            .filter(|was| was.status == status)
            .map_or_else(
                // Cannot fail: a second of a timestamp is a timestamp.
                || Time(Timestamp::from_second(self.now.as_second()).unwrap_or(self.now)),
                |was| was.last_transition_time.clone(),
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

    /// Takes a condition over as it was, if it was there.
    pub(crate) fn keep(&mut self, type_: &str) {
        self.list.extend(self.find(type_).cloned());
    }

    fn find(&self, type_: &str) -> Option<&'a Condition> {
        self.was.iter().find(|was| was.type_ == type_)
    }

    pub(crate) fn into_vec(self) -> Vec<Condition> {
        self.list
    }
}
