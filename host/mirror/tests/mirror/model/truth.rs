//! What the engine must hold, and what may go from it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdd_core::Timestamp;
use rdd_core::{EngineObject, Volume};
use rdd_testkit::FakeEngine;

use super::api_user::script_name;

/// A second of the engine. Its clock runs by operations, so this is a matter of
/// taste: a fraction of a volume's youth in these runs, as it is in life.
pub(super) const SECOND: Duration = Duration::from_millis(250);

/// What the deletion of one mirror stands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    Container(String),
    /// An image's ID and a tag of it; `None` for the image while it has none.
    Image(String, Option<String>),
    /// A volume's name, and which of the successive ones of that name.
    Volume(String, u64),
}

/// The model. An object leaves the engine when the engine's user removes it,
/// which the model does itself, or when a user of the API deleted the very
/// mirror that stood for it. Nothing else may ever be missing.
#[derive(Clone, Default)]
pub(super) struct Truth {
    pub(super) containers: BTreeSet<String>,
    pub(super) images: BTreeMap<String, BTreeSet<String>>,
    pub(super) volumes: BTreeMap<String, u64>,
    /// Every creation time that each volume has ever shown.
    stamps: BTreeMap<String, Vec<(u64, Timestamp)>>,
    /// When the second began in which each volume was made.
    born: BTreeMap<String, Instant>,
    /// What users deleted: it may go at any time, and must go in the end.
    pub(super) doomed: BTreeSet<Target>,
    /// What the engine refuses to remove, by what it calls it.
    pub(super) refusing: BTreeSet<String>,
    /// What may stay although it is doomed: it was moved, written to or taken
    /// out of the mirror's hands meanwhile, and staying is the safe side.
    pub(super) excused: BTreeSet<Target>,
    serial: u64,
}

impl Truth {
    pub(super) fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// A new volume of this name.
    pub(super) fn volume_made(&mut self, name: &str, at: Timestamp) {
        self.born.insert(name.to_owned(), Instant::now());
        self.volume_made_again(name, at);
    }

    /// A new volume of this name, made in the same second as the one before.
    pub(super) fn volume_made_again(&mut self, name: &str, at: Timestamp) {
        let serial = self.next_serial();
        self.volumes.insert(name.to_owned(), serial);
        self.volume_stamped(name, at);
    }

    /// Whether the second in which this volume was made is not over, so that
    /// another could be made in it.
    pub(super) fn is_newborn(&self, name: &str) -> bool {
        self.born
            .get(name)
            .is_some_and(|born| born.elapsed() < SECOND)
    }

    /// The volume shows another creation time.
    pub(super) fn volume_stamped(&mut self, name: &str, at: Timestamp) {
        let serial = self.volumes[name];
        let stamps = self.stamps.entry(name.to_owned()).or_default();
        stamps.push((serial, at));
    }

    /// Which of the volumes of this name a status shows that says this time;
    /// `known` is the one that the mirror stood for when all was quiet. `None`
    /// when nobody can tell.
    pub(super) fn volume_shown(&self, name: &str, at: &str, known: Option<u64>) -> Option<u64> {
        let mut shown: BTreeSet<u64> = self
            .stamps
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

    /// Takes in what has gone from the engine; fails when something has gone
    /// that must not.
    pub(super) fn absorb(&mut self, engine: &FakeEngine) -> Result<(), String> {
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
                    let serial = self.volumes.get(&name).copied().expect("a known volume");
                    volumes.insert(name, serial);
                }
                EngineObject::Namespace(_) => {}
            }
        }
        let mut gone: Vec<Target> = Vec::new();
        for id in self.containers.difference(&containers) {
            gone.push(Target::Container(id.clone()));
        }
        for (id, tags) in &self.images {
            match images.get(id) {
                None if tags.is_empty() => gone.push(Target::Image(id.clone(), None)),
                left => gone.extend(
                    tags.iter()
                        .filter(|tag| !left.is_some_and(|left| left.contains(*tag)))
                        .map(|tag| Target::Image(id.clone(), Some(tag.clone()))),
                ),
            }
        }
        for (name, serial) in &self.volumes {
            if !volumes.contains_key(name) {
                gone.push(Target::Volume(name.clone(), *serial));
            }
        }
        for target in gone {
            if !self.doomed.remove(&target) || self.refusing.contains(&script_name(&target)) {
                return Err(format!("gone, and nobody deleted it: {target:?}"));
            }
        }
        self.containers = containers;
        self.images = images;
        self.volumes = volumes;
        Ok(())
    }

    /// Whether the engine has what this names.
    pub(super) fn has(&self, target: &Target) -> bool {
        match target {
            Target::Container(id) => self.containers.contains(id),
            Target::Image(id, None) => self.images.get(id).is_some_and(BTreeSet::is_empty),
            Target::Image(id, Some(tag)) => {
                self.images.get(id).is_some_and(|tags| tags.contains(tag))
            }
            Target::Volume(name, serial) => self.volumes.get(name) == Some(serial),
        }
    }

    /// The volume that the mirror of another engine's volume of that name would
    /// stand for here.
    pub(super) fn named_like(&self, target: &Target) -> Option<Target> {
        let Target::Volume(name, _) = target else {
            return None;
        };
        let serial = self.volumes.get(name)?;
        Some(Target::Volume(name.clone(), *serial))
    }

    /// Everything that the engine has.
    pub(super) fn all(&self) -> Vec<Target> {
        let containers = self.containers.iter().cloned().map(Target::Container);
        let images = self.images.iter().flat_map(|(id, tags)| {
            let none = tags.is_empty().then_some(None);
            let tags = tags.iter().cloned().map(Some).chain(none);
            tags.map(|tag| Target::Image(id.clone(), tag))
        });
        let volumes = self
            .volumes
            .iter()
            .map(|(name, serial)| Target::Volume(name.clone(), *serial));
        containers.chain(images).chain(volumes).collect()
    }
}
