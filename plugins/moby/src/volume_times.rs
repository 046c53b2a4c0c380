//! When volumes were created, told apart from when they were written to.
//!
//! A volume has no ID, so its creation time is what tells it from a later one
//! of its name. But Docker before 23 reports the time at which the volume's
//! root directory last changed, which moves with the volume's content. So the
//! time that was reported first stays the volume's, for as long as no event
//! and no gap between events leaves room for another volume.
//!
//! Invariant: where a volume may have been replaced, the engine's time counts.

use std::collections::HashMap;

use rdd_sdk::types::Timestamp;

/// Creation times as the host knows them, by the volume's name.
#[derive(Debug, Default)]
pub(crate) struct VolumeTimes(HashMap<String, Times>);

#[derive(Debug)]
struct Times {
    reported: Option<Timestamp>,
    /// What the engine said last.
    latest: Option<Timestamp>,
}

impl VolumeTimes {
    /// Notes what the engine says where it may be another volume by now, and
    /// tells the time to report.
    pub(crate) fn observe(&mut self, name: &str, engine: Option<Timestamp>) -> Option<Timestamp> {
        if let Some(times) = self.0.get(name)
            && (times.latest == engine || times.reported == engine)
        {
            return times.reported;
        }
        let times = Times {
            reported: engine,
            latest: engine,
        };
        self.0.insert(name.to_owned(), times);
        engine
    }

    /// Notes what the engine says of a volume that is known to be the same.
    pub(crate) fn moved(&mut self, name: &str, engine: Option<Timestamp>) {
        if let Some(times) = self.0.get_mut(name) {
            times.latest = engine;
        }
    }

    /// The time to report, where nothing is to be noted.
    pub(crate) fn reported(&self, name: &str, engine: Option<Timestamp>) -> Option<Timestamp> {
        self.0.get(name).map_or(engine, |times| times.reported)
    }

    /// Forgets a volume: it was removed.
    pub(crate) fn forget(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Forgets all but these; tells the names of the others.
    pub(crate) fn retain(&mut self, keep: impl Fn(&str) -> bool) -> Vec<String> {
        let gone: Vec<String> = self.0.keys().filter(|name| !keep(name)).cloned().collect();
        for name in &gone {
            self.0.remove(name);
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::at;

    #[test]
    fn writing_to_a_volume_does_not_make_it_another() {
        let mut times = VolumeTimes::default();
        assert_eq!(times.observe("v", Some(at(1))), Some(at(1)));
        times.moved("v", Some(at(5)));
        assert_eq!(times.reported("v", Some(at(5))), Some(at(1)));
        assert_eq!(times.observe("v", Some(at(5))), Some(at(1)));
        assert_eq!(times.observe("v", Some(at(1))), Some(at(1)));
    }

    #[test]
    fn what_may_be_another_volume_is_one() {
        let mut times = VolumeTimes::default();
        times.observe("v", Some(at(1)));
        assert_eq!(times.observe("v", Some(at(7))), Some(at(7)));
        times.forget("v");
        assert_eq!(times.observe("v", Some(at(9))), Some(at(9)));
        assert_eq!(times.retain(|name| name != "v"), ["v"]);
        assert_eq!(times.reported("v", Some(at(3))), Some(at(3)));
    }
}
