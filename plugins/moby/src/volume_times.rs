//! The creation times of volumes, kept stable while a volume is modified.
//!
//! A volume has no ID, so its creation time distinguishes it from a later volume
//! of the same name. But Docker before 23 returns the modification time of the
//! volume's root directory, which changes with the volume's content. So the
//! first reported time remains the volume's, as long as there is no event and no
//! gap between events in which the volume may have been replaced.
//!
//! Invariant: if a volume may have been replaced, the engine's time is used.

use std::collections::HashMap;

use rdd_sdk::types::Timestamp;

/// The creation times that were reported to the host, by the volume's name.
#[derive(Debug, Default)]
pub(crate) struct VolumeTimes(HashMap<String, VolumeTime>);

#[derive(Debug)]
struct VolumeTime {
    reported: Option<Timestamp>,
    /// The time that the engine returned last.
    latest: Option<Timestamp>,
}

impl VolumeTimes {
    /// Records the engine's time of a volume that may have been replaced, and
    /// returns the time to report.
    pub(crate) fn observe(&mut self, name: &str, engine: Option<Timestamp>) -> Option<Timestamp> {
        if let Some(times) = self.0.get(name)
            && (times.latest == engine || times.reported == engine)
        {
            return times.reported;
        }
        let times = VolumeTime {
            reported: engine,
            latest: engine,
        };
        self.0.insert(name.to_owned(), times);
        engine
    }

    /// Records the engine's time of a volume that was not replaced.
    pub(crate) fn update_latest(&mut self, name: &str, engine: Option<Timestamp>) {
        if let Some(times) = self.0.get_mut(name) {
            times.latest = engine;
        }
    }

    /// Returns the time to report without recording the engine's time.
    pub(crate) fn reported(&self, name: &str, engine: Option<Timestamp>) -> Option<Timestamp> {
        self.0.get(name).map_or(engine, |times| times.reported)
    }

    /// Removes a volume that the engine removed.
    pub(crate) fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Removes the volumes for which `keep` returns false, and returns their
    /// names.
    pub(crate) fn retain(&mut self, keep: impl Fn(&str) -> bool) -> Vec<String> {
        let removed: Vec<String> = self.0.keys().filter(|name| !keep(name)).cloned().collect();
        for name in &removed {
            self.0.remove(name);
        }
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::from_unix_seconds;

    #[test]
    fn a_modified_volume_keeps_its_time() {
        let mut times = VolumeTimes::default();
        assert_eq!(
            times.observe("v", Some(from_unix_seconds(1))),
            Some(from_unix_seconds(1))
        );
        times.update_latest("v", Some(from_unix_seconds(5)));
        assert_eq!(
            times.reported("v", Some(from_unix_seconds(5))),
            Some(from_unix_seconds(1))
        );
        assert_eq!(
            times.observe("v", Some(from_unix_seconds(5))),
            Some(from_unix_seconds(1))
        );
        assert_eq!(
            times.observe("v", Some(from_unix_seconds(1))),
            Some(from_unix_seconds(1))
        );
    }

    #[test]
    fn a_volume_that_may_have_been_replaced_gets_the_engines_time() {
        let mut times = VolumeTimes::default();
        times.observe("v", Some(from_unix_seconds(1)));
        assert_eq!(
            times.observe("v", Some(from_unix_seconds(7))),
            Some(from_unix_seconds(7))
        );
        times.remove("v");
        assert_eq!(
            times.observe("v", Some(from_unix_seconds(9))),
            Some(from_unix_seconds(9))
        );
        assert_eq!(times.retain(|name| name != "v"), ["v"]);
        assert_eq!(
            times.reported("v", Some(from_unix_seconds(3))),
            Some(from_unix_seconds(3))
        );
    }
}
