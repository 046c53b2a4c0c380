//! Operations of the user of the engine.

use rdd_testkit::EngineOperation;

use super::ModelRun;
use super::engine_model::EngineTarget;
use super::expected;

/// Few names, so that they are reused.
const VOLUMES: [&str; 2] = ["x", "y"];
const TAGS: [&str; 3] = ["a:1", "a:2", "b:1"];

impl ModelRun {
    /// Performs one random operation.
    pub(super) fn engine_user(&mut self) {
        let engine = self.engine.clone();
        let containers: Vec<String> = self.engine_model.containers.iter().cloned().collect();
        let images: Vec<String> = self.engine_model.images.keys().cloned().collect();
        let (container, image) = (self.rng.choice(containers), self.rng.choice(images));
        let name = VOLUMES[self.rng.usize(..VOLUMES.len())];
        let tag = TAGS[self.rng.usize(..TAGS.len())];
        let serial = self.engine_model.next_serial();
        match (self.rng.u8(..20), container, image) {
            (0 | 13, ..) => {
                let id = engine.create_container(&format!("c{serial}"));
                self.note(format!("create {id:.8}"));
                self.engine_model.containers.insert(id);
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
                self.engine_model.containers.remove(&id);
            }
            (5 | 14 | 15 | 16, ..) => {
                let id = engine.add_image(&[]);
                self.note(format!("build {id:.16}"));
                self.engine_model.images.insert(id, Default::default());
            }
            (6 | 7, _, Some(id)) => {
                self.note(format!("tag {id:.16} {tag}"));
                engine.tag(&id, tag);
                let mut moved = Vec::new();
                for (owner, tags) in &mut self.engine_model.images {
                    let changed = if *owner == id {
                        tags.insert(tag.to_owned())
                    } else {
                        tags.remove(tag)
                    };
                    if changed {
                        moved.extend(
                            [None, Some(tag.to_owned())]
                                .map(|tag| EngineTarget::Image(owner.clone(), tag)),
                        );
                    }
                }
                // A tag that was deleted, moved away, and assigned again may or
                // may not exist.
                for target in moved {
                    self.may_get_new_uid(&target);
                    self.engine_model.may_survive.insert(target);
                }
            }
            (8, ..)
                if self
                    .engine_model
                    .images
                    .values()
                    .any(|tags| tags.contains(tag)) =>
            {
                self.note(format!("rmi {tag}"));
                engine.untag(tag);
                self.engine_model.images.retain(|_, tags| {
                    let last = tags.remove(tag) && tags.is_empty();
                    !last
                });
            }
            (9, _, Some(id)) => {
                self.note(format!("rmi {id:.16}"));
                engine.remove_image(&id);
                self.engine_model.images.remove(&id);
            }
            (10 | 11 | 17..20, ..) => self.volume_user(name),
            (12, ..) if self.engine_model.volumes.contains_key(name) => {
                self.note(format!("write to volume {name}"));
                let at = engine.write_to_volume(name);
                let serial = self.engine_model.volumes[name];
                self.engine_model.volume_time_changed(name, at);
                self.engine_model
                    .may_survive
                    .insert(EngineTarget::Volume(name.to_owned(), serial));
            }
            _ => {}
        }
    }

    /// Allows the mirror to get another UID.
    pub(super) fn may_get_new_uid(&mut self, target: &EngineTarget) {
        self.may_have_new_uid.insert(expected::key(target));
    }

    /// Lets the engine remove what it has refused to remove.
    pub(super) fn stop_refusing(&mut self) {
        for name in std::mem::take(&mut self.engine_model.refused) {
            self.note(format!("stop refusing {name:.16}"));
            self.engine
                .clear_failures(EngineOperation::Remove, Some(&name));
        }
    }

    /// Creates, removes, or replaces a volume.
    fn volume_user(&mut self, name: &str) {
        let engine = self.engine.clone();
        let created_at = engine
            .objects()
            .into_iter()
            .find_map(|object| match object {
                rdd_core::EngineObject::Volume(volume) if volume.name == name => volume.created_at,
                _ => None,
            });
        let Some(created_at) = created_at else {
            self.note(format!("volume create {name}"));
            let at = engine.create_volume(name);
            self.engine_model.volume_created(name, at);
            return;
        };
        // Only the events distinguish such a volume from the old one.
        let same_second = !self.may_lose_events && self.engine_model.is_in_creation_second(name);
        let kind = self.rng.u8(..4);
        engine.remove_volume(name);
        self.engine_model.volumes.remove(name);
        match kind {
            0 => self.note(format!("volume rm {name}")),
            1 | 2 if same_second => {
                self.note(format!(
                    "volume rm {name}, create {name} in the same second"
                ));
                engine.create_volume_at(name, created_at);
                self.engine_model
                    .volume_recreated_in_same_second(name, created_at);
            }
            _ => {
                self.note(format!("volume rm {name}, volume create {name}"));
                let at = engine.create_volume(name);
                self.engine_model.volume_created(name, at);
            }
        }
    }
}
