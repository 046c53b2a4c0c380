//! The model of an engine: what it must contain, and what may be removed from
//! it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdd_core::Timestamp;
use rdd_core::{EngineObject, Volume};
use rdd_testkit::FakeEngine;

use super::api_user::fake_engine_key;

/// One second on the engine's clock. That clock advances with operations, so
/// the value is arbitrary: a fraction of the settle time in these runs, as in
/// reality.
pub(super) const SECOND: Duration = Duration::from_millis(250);

/// What the deletion of one mirror removes from the engine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum EngineTarget {
    Container(String),
    /// ID of an image and a tag of it; `None` for the image itself while it has
    /// no tag.
    Image(String, Option<String>),
    /// Name of a volume, and its serial number among the volumes of that name.
    Volume(String, u64),
}

/// The model of one engine. An object is removed from the engine by the user of
/// the engine, which the model simulates, or because a user of the API deleted
/// the mirror that represents it. No other object may ever be missing.
#[derive(Clone, Default)]
pub(super) struct EngineModel {
    pub(super) containers: BTreeSet<String>,
    pub(super) images: BTreeMap<String, BTreeSet<String>>,
    pub(super) volumes: BTreeMap<String, u64>,
    /// All creation times that the volumes of each name have had, with their
    /// serial numbers.
    creation_times: BTreeMap<String, Vec<(u64, Timestamp)>>,
    /// The start of the second in which each volume was created.
    creation_seconds: BTreeMap<String, Instant>,
    /// What users of the API deleted: it may be removed at any time, and must
    /// be removed in the end.
    pub(super) deleted: BTreeSet<EngineTarget>,
    /// What the engine refuses to remove, by its key in the fake engine.
    pub(super) refused: BTreeSet<String>,
    /// What may survive its deletion: a tag that moved, a volume that was
    /// written to, or a mirror that was relabeled in the meantime. Not removing
    /// it is safe.
    pub(super) may_survive: BTreeSet<EngineTarget>,
    serial: u64,
}

impl EngineModel {
    pub(super) fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// Records a new volume of this name.
    pub(super) fn volume_created(&mut self, name: &str, at: Timestamp) {
        self.creation_seconds
            .insert(name.to_owned(), Instant::now());
        self.volume_recreated_in_same_second(name, at);
    }

    /// Records a new volume of this name, created in the same second as the
    /// previous one.
    pub(super) fn volume_recreated_in_same_second(&mut self, name: &str, at: Timestamp) {
        let serial = self.next_serial();
        self.volumes.insert(name.to_owned(), serial);
        self.volume_time_changed(name, at);
    }

    /// Returns whether the second in which this volume was created is not over,
    /// so that another volume can be created in it.
    pub(super) fn is_in_creation_second(&self, name: &str) -> bool {
        self.creation_seconds
            .get(name)
            .is_some_and(|start| start.elapsed() < SECOND)
    }

    /// Records a change of the creation time of the volume.
    pub(super) fn volume_time_changed(&mut self, name: &str, at: Timestamp) {
        let serial = self.volumes[name];
        let stamps = self.creation_times.entry(name.to_owned()).or_default();
        stamps.push((serial, at));
    }

    /// Returns the serial number of the volume of this name that had this
    /// creation time. `known` is the one that the mirror represented when it
    /// last agreed with the model. Returns `None` if it is ambiguous.
    pub(super) fn volume_with_time(&self, name: &str, at: &str, known: Option<u64>) -> Option<u64> {
        let mut shown: BTreeSet<u64> = self
            .creation_times
            .get(name)
            .into_iter()
            .flatten()
            .filter(|(_, stamp)| super::expected::time(*stamp) == at)
            .map(|(serial, _)| *serial)
            .collect();
        match known {
            Some(known) if shown.contains(&known) => Some(known),
            _ if shown.len() == 1 => shown.pop_first(),
            _ => None,
        }
    }

    /// Updates the model from the engine. Fails if an object is missing that
    /// must not be.
    pub(super) fn sync_with(&mut self, engine: &FakeEngine) -> Result<(), String> {
        let mut containers = BTreeSet::new();
        let mut images = BTreeMap::new();
        let mut volumes = BTreeMap::new();
        for object in engine.objects() {
            match object {
                EngineObject::Container(container) => {
                    containers.insert(container.id);
                }
                EngineObject::Image(image) => {
                    let tags: BTreeSet<String> = image.repo_tags.into_iter().collect();
                    images.insert(image.id, tags);
                }
                EngineObject::Volume(Volume { name, .. }) => {
                    let serial = self
                        .volumes
                        .get(&name)
                        .copied()
                        .expect("the volume must be known");
                    volumes.insert(name, serial);
                }
                EngineObject::Namespace(_) => {}
            }
        }
        let mut removed: Vec<EngineTarget> = Vec::new();
        for id in self.containers.difference(&containers) {
            removed.push(EngineTarget::Container(id.clone()));
        }
        for (id, tags) in &self.images {
            match images.get(id) {
                None if tags.is_empty() => removed.push(EngineTarget::Image(id.clone(), None)),
                left => removed.extend(
                    tags.iter()
                        .filter(|tag| !left.is_some_and(|left| left.contains(*tag)))
                        .map(|tag| EngineTarget::Image(id.clone(), Some(tag.clone()))),
                ),
            }
        }
        for (name, serial) in &self.volumes {
            if !volumes.contains_key(name) {
                removed.push(EngineTarget::Volume(name.clone(), *serial));
            }
        }
        for target in removed {
            if !self.deleted.remove(&target) || self.refused.contains(&fake_engine_key(&target)) {
                return Err(format!("removed without a deletion: {target:?}"));
            }
        }
        self.containers = containers;
        self.images = images;
        self.volumes = volumes;
        Ok(())
    }

    /// Returns whether the engine has this object.
    pub(super) fn has(&self, target: &EngineTarget) -> bool {
        match target {
            EngineTarget::Container(id) => self.containers.contains(id),
            EngineTarget::Image(id, None) => self.images.get(id).is_some_and(BTreeSet::is_empty),
            EngineTarget::Image(id, Some(tag)) => {
                self.images.get(id).is_some_and(|tags| tags.contains(tag))
            }
            EngineTarget::Volume(name, serial) => self.volumes.get(name) == Some(serial),
        }
    }

    /// Returns the volume of this engine with the same name as a volume of
    /// another engine.
    pub(super) fn same_named_volume(&self, target: &EngineTarget) -> Option<EngineTarget> {
        let EngineTarget::Volume(name, _) = target else {
            return None;
        };
        let serial = self.volumes.get(name)?;
        Some(EngineTarget::Volume(name.clone(), *serial))
    }

    /// Returns everything that the engine has.
    pub(super) fn all(&self) -> Vec<EngineTarget> {
        let containers = self.containers.iter().cloned().map(EngineTarget::Container);
        let images = self.images.iter().flat_map(|(id, tags)| {
            let none = tags.is_empty().then_some(None);
            let tags = tags.iter().cloned().map(Some).chain(none);
            tags.map(|tag| EngineTarget::Image(id.clone(), tag))
        });
        let volumes = self
            .volumes
            .iter()
            .map(|(name, serial)| EngineTarget::Volume(name.clone(), *serial));
        containers.chain(images).chain(volumes).collect()
    }
}
