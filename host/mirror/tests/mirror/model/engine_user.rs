//! What the engine's own user does.

use rdd_testkit::EngineOperation;

use super::Run;
use super::expected;
use super::truth::Target;

/// Few names, so that they come back.
const VOLUMES: [&str; 2] = ["x", "y"];
const TAGS: [&str; 3] = ["a:1", "a:2", "b:1"];

impl Run {
    /// One step of the engine's own user.
    pub(super) fn engine_user(&mut self) {
        let engine = self.engine.clone();
        let containers: Vec<String> = self.truth.containers.iter().cloned().collect();
        let images: Vec<String> = self.truth.images.keys().cloned().collect();
        let (container, image) = (self.rng.choice(containers), self.rng.choice(images));
        let name = VOLUMES[self.rng.usize(..VOLUMES.len())];
        let tag = TAGS[self.rng.usize(..TAGS.len())];
        let serial = self.truth.next_serial();
        match (self.rng.u8(..20), container, image) {
            (0 | 13, ..) => {
                let id = engine.create_container(&format!("c{serial}"));
                self.note(format!("create {id:.8}"));
                self.truth.containers.insert(id);
            }
            (1, Some(id), _) if !engine.container(&id).unwrap().paused => {
                self.note(format!("start {id:.8}"));
                engine.start(&id);
            }
            (2, Some(id), _) => {
                self.note(format!("stop {id:.8}"));
                engine.stop(&id);
            }
            (3, Some(id), _) => {
                self.note(format!("rename {id:.8}"));
                engine.rename(&id, &format!("r{serial}"));
            }
            (4, Some(id), _) => {
                self.note(format!("rm {id:.8}"));
                engine.remove_container(&id);
                self.truth.containers.remove(&id);
            }
            (5 | 14 | 15 | 16, ..) => {
                let id = engine.add_image(&[]);
                self.note(format!("build {id:.16}"));
                self.truth.images.insert(id, Default::default());
            }
            (6 | 7, _, Some(id)) => {
                self.note(format!("tag {id:.16} {tag}"));
                engine.tag(&id, tag);
                let mut moved = Vec::new();
                for (owner, tags) in &mut self.truth.images {
                    let changed = if *owner == id {
                        tags.insert(tag.to_owned())
                    } else {
                        tags.remove(tag)
                    };
                    if changed {
                        moved.extend(
                            [None, Some(tag.to_owned())]
                                .map(|tag| Target::Image(owner.clone(), tag)),
                        );
                    }
                }
                // What was deleted, lost and given again may be either.
                for target in moved {
                    self.moved(&target);
                    self.truth.excused.insert(target);
                }
            }
            (8, ..) if self.truth.images.values().any(|tags| tags.contains(tag)) => {
                self.note(format!("rmi {tag}"));
                engine.untag(tag);
                self.truth.images.retain(|_, tags| {
                    let last = tags.remove(tag) && tags.is_empty();
                    !last
                });
            }
            (9, _, Some(id)) => {
                self.note(format!("rmi {id:.16}"));
                engine.remove_image(&id);
                self.truth.images.remove(&id);
            }
            (10 | 11 | 17..20, ..) => self.volume_user(name),
            (12, ..) if self.truth.volumes.contains_key(name) => {
                self.note(format!("write to volume {name}"));
                let at = engine.write_to_volume(name);
                let serial = self.truth.volumes[name];
                self.truth.volume_stamped(name, at);
                self.truth
                    .excused
                    .insert(Target::Volume(name.to_owned(), serial));
            }
            _ => {}
        }
    }

    /// Its mirror may have another uid than before.
    pub(super) fn moved(&mut self, target: &Target) {
        self.moved.insert(expected::key(target));
    }

    /// The engine does not refuse anything any more.
    pub(super) fn relent(&mut self) {
        for name in std::mem::take(&mut self.truth.refusing) {
            self.note(format!("relent on {name:.16}"));
            self.engine
                .clear_failures(EngineOperation::Remove, Some(&name));
        }
    }

    /// Makes, removes or replaces a volume.
    fn volume_user(&mut self, name: &str) {
        let engine = self.engine.clone();
        let made_at = engine
            .objects()
            .into_iter()
            .find_map(|object| match object {
                rdd_core::EngineObject::Volume(volume) if volume.name == name => volume.created_at,
                _ => None,
            });
        let Some(made_at) = made_at else {
            self.note(format!("volume create {name}"));
            let at = engine.create_volume(name);
            self.truth.volume_made(name, at);
            return;
        };
        // Nobody could tell it from the old one but by the events.
        let same_second = !self.may_lose_events && self.truth.is_newborn(name);
        let kind = self.rng.u8(..4);
        engine.remove_volume(name);
        self.truth.volumes.remove(name);
        match kind {
            0 => self.note(format!("volume rm {name}")),
            1 | 2 if same_second => {
                self.note(format!(
                    "volume rm {name}, create {name} in the same second"
                ));
                engine.create_volume_at(name, made_at);
                self.truth.volume_made_again(name, made_at);
            }
            _ => {
                self.note(format!("volume rm {name}, volume create {name}"));
                let at = engine.create_volume(name);
                self.truth.volume_made(name, at);
            }
        }
    }
}
