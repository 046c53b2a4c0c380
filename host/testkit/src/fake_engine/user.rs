//! The operations of the engine's own user, such as `docker run`.
//!
//! Each works in the namespace of the [`FakeEngine`] it is called on, changes the
//! state, and sends the event. Scripted failures do not apply; a
//! missing object panics, since it is a bug in the test.

use std::collections::BTreeMap;

use rdd_core::{
    Container, ContainerAction, ContainerState, EngineObject, Image, ObjectKind, ObjectRef,
    Timestamp, Volume,
};

use super::container_log::ContainerLog;
use super::state::EngineState;
use super::{FakeEngine, not_found};

#[expect(
    clippy::unwrap_used,
    reason = "a test helper fails its test by panicking"
)]
impl FakeEngine {
    /// Creates a container with this name, without starting it. Returns its ID.
    pub fn create_container(&self, name: &str) -> String {
        self.create_container_with(name, |_| {})
    }

    /// Creates a container that `edit` has modified. Returns its ID.
    pub fn create_container_with(&self, name: &str, edit: impl FnOnce(&mut Container)) -> String {
        self.change(|state| {
            let mut container = Container {
                id: state.next_id(),
                name: name.to_owned(),
                namespace: self.namespace.clone(),
                path: "/bin/sh".to_owned(),
                args: vec!["-c".to_owned(), "sleep inf".to_owned()],
                image_id: format!("sha256:{}", "0".repeat(64)),
                image_name: "busybox:latest".to_owned(),
                labels: BTreeMap::new(),
                state: ContainerState::Created,
                pid: 0,
                exit_code: 0,
                error: String::new(),
                created_at: Some(state.now()),
                started_at: None,
                finished_at: None,
                ports: Vec::new(),
                running: false,
                paused: false,
                restarting: false,
                oom_killed: false,
                dead: false,
                tty: false,
            };
            edit(&mut container);
            let id = container.id.clone();
            state
                .logs
                .insert(container.container_ref(), ContainerLog::default());
            state.apply(EngineObject::Container(container));
            id
        })
    }

    /// Creates and starts a container. Returns its ID.
    pub fn run_container(&self, name: &str) -> String {
        let id = self.create_container(name);
        self.start(&id);
        id
    }

    /// Starts a container.
    pub fn start(&self, id: &str) {
        self.change(|state| state.act(&self.container_ref(id), ContainerAction::Start))
            .unwrap();
    }

    /// Stops a container.
    pub fn stop(&self, id: &str) {
        self.change(|state| state.act(&self.container_ref(id), ContainerAction::Stop))
            .unwrap();
    }

    /// Pauses a container.
    pub fn pause(&self, id: &str) {
        self.change(|state| state.act(&self.container_ref(id), ContainerAction::Pause))
            .unwrap();
    }

    /// Renames a container.
    pub fn rename(&self, id: &str, name: &str) {
        self.edit_container(id, |container| container.name = name.to_owned());
    }

    /// Modifies a container with `edit`.
    pub fn edit_container(&self, id: &str, edit: impl FnOnce(&mut Container)) {
        self.change(|state| {
            let mut container = state.container(&self.container_ref(id)).unwrap();
            edit(&mut container);
            state.apply(EngineObject::Container(container));
        });
    }

    /// Removes a container.
    pub fn remove_container(&self, id: &str) {
        self.change(|state| state.remove_object(self.reference(ObjectKind::Container, id)))
            .unwrap();
    }

    /// Returns the current state of a container.
    pub fn container(&self, id: &str) -> Option<Container> {
        self.lock().container(&self.container_ref(id)).ok()
    }

    /// Creates an image with these tags, which other images lose. Returns its ID.
    pub fn add_image(&self, tags: &[&str]) -> String {
        let id = self.change(|state| format!("sha256:{}", state.next_id()));
        self.add_image_with_id(&id, tags);
        id
    }

    /// Creates an image with this ID and these tags, which other images lose.
    pub fn add_image_with_id(&self, id: &str, tags: &[&str]) {
        self.change(|state| {
            let image = Image {
                id: id.to_owned(),
                namespace: self.namespace.clone(),
                repo_tags: Vec::new(),
                repo_digests: Vec::new(),
                created_at: Some(state.now()),
                architecture: "amd64".to_owned(),
                os: "linux".to_owned(),
                size: 1_234_567,
                labels: BTreeMap::new(),
            };
            let object = EngineObject::Image(image);
            if tags.is_empty() {
                state.apply(object);
            } else {
                // The first event comes with the first tag, as with
                // `docker build -t`.
                state.objects.insert(object.reference(), object);
            }
        });
        for tag in tags {
            self.tag(id, tag);
        }
    }

    /// Tags an image. As with dockerd, there is no event for an image that loses
    /// the tag.
    pub fn tag(&self, image_id: &str, tag: &str) {
        self.change(|state| {
            state.take_tag(&self.namespace, tag, false);
            let Ok(EngineObject::Image(mut image)) =
                state.find(&self.reference(ObjectKind::Image, image_id))
            else {
                return Err(not_found("image", image_id));
            };
            image.repo_tags.push(tag.to_owned());
            image.repo_tags.sort();
            state.apply(EngineObject::Image(image));
            Ok(())
        })
        .unwrap();
    }

    /// Removes a tag, and with its last tag the image.
    pub fn untag(&self, tag: &str) {
        self.change(|state| state.untag(&self.namespace, tag))
            .unwrap();
    }

    /// Removes an image with all its tags.
    pub fn remove_image(&self, id: &str) {
        self.change(|state| state.remove_object(self.reference(ObjectKind::Image, id)))
            .unwrap();
    }

    /// Creates a volume. Returns its creation time.
    pub fn create_volume(&self, name: &str) -> Timestamp {
        let now = self.change(EngineState::now);
        self.create_volume_at(name, now);
        now
    }

    /// Creates a volume with this creation time.
    pub fn create_volume_at(&self, name: &str, created_at: Timestamp) {
        self.change(|state| {
            state.apply(EngineObject::Volume(Volume {
                name: name.to_owned(),
                namespace: self.namespace.clone(),
                created_at: Some(created_at),
                driver: "local".to_owned(),
                mountpoint: format!("/var/lib/docker/volumes/{name}/_data"),
                labels: BTreeMap::new(),
                scope: "local".to_owned(),
                options: BTreeMap::new(),
            }));
        });
    }

    /// Changes a volume's creation time, as Docker before version 23 does when the
    /// volume is written to. Returns the new time.
    pub fn write_to_volume(&self, name: &str) -> Timestamp {
        self.change(|state| {
            let now = state.now();
            let EngineObject::Volume(volume) =
                state.find(&self.reference(ObjectKind::Volume, name))?
            else {
                return Err(not_found("volume", name));
            };
            state.apply(EngineObject::Volume(Volume {
                created_at: Some(now),
                ..volume
            }));
            Ok(now)
        })
        .unwrap()
    }

    /// Removes a volume.
    pub fn remove_volume(&self, name: &str) {
        self.change(|state| state.remove_object(self.reference(ObjectKind::Volume, name)))
            .unwrap();
    }

    /// Creates a namespace.
    pub fn create_namespace(&self, name: &str) {
        self.change(|state| state.apply(EngineObject::Namespace(name.to_owned())));
    }

    /// Removes a namespace.
    pub fn remove_namespace(&self, name: &str) {
        let reference = ObjectRef::new(ObjectKind::Namespace, name, name);
        self.change(|state| state.remove_object(reference)).unwrap();
    }

    /// Returns every object of all namespaces, ordered by kind, namespace, and ID.
    pub fn objects(&self) -> Vec<EngineObject> {
        self.lock().objects.values().cloned().collect()
    }
}
