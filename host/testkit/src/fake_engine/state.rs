//! What the fake engine holds, and how each operation changes it.

use std::collections::{BTreeMap, VecDeque};

use jiff::SignedDuration;
use rdd_core::{
    Container, ContainerAction, ContainerState, EngineError, EngineObject, ErrorCode, Image,
    ObjectKind, ObjectRef, RemoveRequest, Timestamp, Volume, WatchEvent,
};

use super::logs::Log;
use super::script::Script;
use super::{FakeEngine, not_found};

pub(super) struct State {
    namespace: String,
    /// The engine's clock: a second later with each operation, so that
    /// creation times differ and runs repeat.
    clock: Timestamp,
    serial: u64,
    objects: BTreeMap<ObjectRef, EngineObject>,
    pub(super) logs: BTreeMap<String, Log>,
    pub(super) journal: Vec<WatchEvent>,
    pub(super) events_held: bool,
    /// Where in the journal the events begin that are kept back.
    pub(super) held_from: usize,
    /// Moves with each cut of the running watches.
    pub(super) cuts: u64,
    pub(super) script: Script,
}

/// 2026-01-01T00:00:00Z.
const EPOCH: i64 = 1_767_225_600;

impl State {
    pub(super) fn new(namespace: String) -> Self {
        Self {
            namespace,
            clock: Timestamp::from_seconds(EPOCH),
            serial: 0,
            objects: BTreeMap::new(),
            logs: BTreeMap::new(),
            journal: Vec::new(),
            events_held: false,
            held_from: 0,
            cuts: 0,
            script: Script::default(),
        }
    }

    pub(super) fn now(&mut self) -> Timestamp {
        self.clock = self.clock.saturating_add(SignedDuration::from_secs(1));
        self.clock
    }

    pub(super) fn set_serial(&mut self, serial: u64) {
        self.serial = serial;
    }

    fn hex_id(&mut self) -> String {
        self.serial += 1;
        // Spread over the digits, so that prefixes of IDs differ early.
        format!("{:016x}", self.serial.wrapping_mul(0x9e37_79b9_7f4a_7c15)).repeat(4)
    }

    pub(super) fn init(&self) -> VecDeque<WatchEvent> {
        let mut init = VecDeque::from([WatchEvent::InitBegin]);
        init.extend(
            self.objects
                .values()
                .map(|object| WatchEvent::Applied(Box::new(object.clone()))),
        );
        init.push_back(WatchEvent::InitDone);
        init
    }

    pub(super) fn find(&self, reference: &ObjectRef) -> Result<EngineObject, EngineError> {
        self.objects
            .get(reference)
            .cloned()
            .ok_or_else(|| not_found(word(reference.kind), &reference.id))
    }

    fn apply(&mut self, object: EngineObject) {
        self.objects.insert(object.reference(), object.clone());
        self.journal.push(WatchEvent::Applied(Box::new(object)));
    }

    fn drop_object(&mut self, kind: ObjectKind, id: &str) -> Result<EngineObject, EngineError> {
        let reference = reference(kind, id);
        let object = self
            .objects
            .remove(&reference)
            .ok_or_else(|| not_found(word(kind), id))?;
        self.logs.remove(id);
        self.journal.push(WatchEvent::Removed(reference));
        Ok(object)
    }

    fn images(&self) -> impl Iterator<Item = &Image> {
        self.objects.values().filter_map(|object| match object {
            EngineObject::Image(image) => Some(image),
            _ => None,
        })
    }

    pub(super) fn container(&self, id: &str) -> Result<Container, EngineError> {
        match self.find(&reference(ObjectKind::Container, id))? {
            EngineObject::Container(container) => Ok(container),
            _ => Err(not_found("container", id)),
        }
    }

    pub(super) fn act(&mut self, id: &str, action: ContainerAction) -> Result<(), EngineError> {
        let mut container = self.container(id)?;
        let now = self.now();
        let conflict = |what: &str| EngineError::new(ErrorCode::Conflict, what);
        match action {
            ContainerAction::Start if container.paused => {
                return Err(conflict(
                    "cannot start a paused container, try unpause instead",
                ));
            }
            ContainerAction::Start if container.running => return Ok(()),
            ContainerAction::Stop if !container.running => return Ok(()),
            ContainerAction::Pause if container.paused => return Ok(()),
            ContainerAction::Pause if !container.running => {
                return Err(conflict(&format!("container {id} is not running")));
            }
            ContainerAction::Unpause if !container.paused => {
                return Err(conflict(&format!("container {id} is not paused")));
            }
            ContainerAction::Start => begin(&mut container, now),
            ContainerAction::Stop => end(&mut container, now),
            ContainerAction::Restart => {
                if container.running {
                    end(&mut container, now);
                }
                begin(&mut container, now);
            }
            ContainerAction::Pause => {
                container.paused = true;
                container.state = ContainerState::Paused;
            }
            ContainerAction::Unpause => {
                container.paused = false;
                container.state = ContainerState::Running;
            }
        }
        self.apply(EngineObject::Container(container));
        Ok(())
    }

    pub(super) fn remove(&mut self, target: &RemoveRequest) -> Result<(), EngineError> {
        match target {
            RemoveRequest::Container { id } => {
                self.drop_object(ObjectKind::Container, id)?;
            }
            RemoveRequest::ImageTag { tag, image_id } => {
                let owner = self
                    .images()
                    .find(|image| image.repo_tags.contains(tag))
                    .ok_or_else(|| not_found("image", tag))?;
                if &owner.id != image_id {
                    return Err(replaced(tag));
                }
                self.untag(tag)?;
            }
            RemoveRequest::Image { id } => {
                if self
                    .images()
                    .any(|image| image.id == *id && !image.repo_tags.is_empty())
                {
                    return Err(replaced(id));
                }
                self.drop_object(ObjectKind::Image, id)?;
            }
            RemoveRequest::Volume { name, created_at } => {
                let found = self.find(&reference(ObjectKind::Volume, name))?;
                if let (EngineObject::Volume(volume), Some(meant)) = (&found, created_at)
                    && volume.created_at.as_ref() != Some(meant)
                {
                    return Err(replaced(name));
                }
                self.drop_object(ObjectKind::Volume, name)?;
            }
        }
        Ok(())
    }

    fn take_tag(&mut self, tag: &str, notify: bool) -> Option<Image> {
        let mut image = self
            .images()
            .find(|image| image.repo_tags.iter().any(|t| t == tag))?
            .clone();
        image.repo_tags.retain(|t| t != tag);
        if notify {
            self.apply(EngineObject::Image(image.clone()));
        } else {
            let object = EngineObject::Image(image.clone());
            self.objects.insert(object.reference(), object);
        }
        Some(image)
    }

    fn untag(&mut self, tag: &str) -> Result<(), EngineError> {
        let image = self
            .images()
            .find(|image| image.repo_tags.iter().any(|t| t == tag))
            .cloned()
            .ok_or_else(|| not_found("image", tag))?;
        if image.repo_tags.len() == 1 {
            self.drop_object(ObjectKind::Image, &image.id)?;
        } else {
            self.take_tag(tag, true);
        }
        Ok(())
    }
}

fn begin(container: &mut Container, now: Timestamp) {
    container.running = true;
    container.paused = false;
    container.state = ContainerState::Running;
    container.pid = 4242;
    container.started_at = Some(now);
}

fn end(container: &mut Container, now: Timestamp) {
    container.running = false;
    container.paused = false;
    container.state = ContainerState::Exited;
    container.pid = 0;
    container.finished_at = Some(now);
}

fn reference(kind: ObjectKind, id: &str) -> ObjectRef {
    let id = id.to_owned();
    ObjectRef { kind, id }
}

fn word(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Container => "container",
        ObjectKind::Image => "image",
        ObjectKind::Volume => "volume",
        ObjectKind::Namespace => "namespace",
    }
}

fn replaced(name: &str) -> EngineError {
    EngineError::new(
        ErrorCode::Replaced,
        format!("{name} is another object by now"),
    )
}

/// What the engine's own user does: state, then the event. Failures of the
/// script do not apply; a missing object is the test's mistake and panics.
#[expect(
    clippy::unwrap_used,
    reason = "a test helper's way to fail the test that called it"
)]
impl FakeEngine {
    /// Makes a container of this name, not started; returns its ID.
    pub fn create_container(&self, name: &str) -> String {
        self.create_container_with(name, |_| {})
    }

    /// Makes a container after `edit` has had its way with it; returns its ID.
    pub fn create_container_with(&self, name: &str, edit: impl FnOnce(&mut Container)) -> String {
        self.change(|state| {
            let mut container = Container {
                id: state.hex_id(),
                name: name.to_owned(),
                namespace: state.namespace.clone(),
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
            state.logs.insert(id.clone(), Log::default());
            state.apply(EngineObject::Container(container));
            id
        })
    }

    /// Makes a container and starts it; returns its ID.
    pub fn run_container(&self, name: &str) -> String {
        let id = self.create_container(name);
        self.start(&id);
        id
    }

    /// Starts a container.
    pub fn start(&self, id: &str) {
        self.change(|state| state.act(id, ContainerAction::Start))
            .unwrap();
    }

    /// Stops a container.
    pub fn stop(&self, id: &str) {
        self.change(|state| state.act(id, ContainerAction::Stop))
            .unwrap();
    }

    /// Pauses a container.
    pub fn pause(&self, id: &str) {
        self.change(|state| state.act(id, ContainerAction::Pause))
            .unwrap();
    }

    /// Renames a container.
    pub fn rename(&self, id: &str, name: &str) {
        self.edit_container(id, |container| container.name = name.to_owned());
    }

    /// Changes a container in any way.
    pub fn edit_container(&self, id: &str, edit: impl FnOnce(&mut Container)) {
        self.change(|state| {
            let mut container = state.container(id).unwrap();
            edit(&mut container);
            state.apply(EngineObject::Container(container));
        });
    }

    /// Removes a container.
    pub fn remove_container(&self, id: &str) {
        self.change(|state| state.drop_object(ObjectKind::Container, id))
            .unwrap();
    }

    /// The container as the engine has it now.
    pub fn container(&self, id: &str) -> Option<Container> {
        self.lock().container(id).ok()
    }

    /// Makes an image with these tags (taken from whoever had them); returns
    /// its ID.
    pub fn add_image(&self, tags: &[&str]) -> String {
        let id = self.change(|state| {
            let image = Image {
                id: format!("sha256:{}", state.hex_id()),
                namespace: state.namespace.clone(),
                repo_tags: Vec::new(),
                repo_digests: Vec::new(),
                created_at: Some(state.now()),
                architecture: "amd64".to_owned(),
                os: "linux".to_owned(),
                size: 1_234_567,
                labels: BTreeMap::new(),
            };
            let id = image.id.clone();
            let object = EngineObject::Image(image);
            if tags.is_empty() {
                state.apply(object);
            } else {
                // Heard of with its first tag only, as from `docker build -t`.
                state.objects.insert(object.reference(), object);
            }
            id
        });
        for tag in tags {
            self.tag(&id, tag);
        }
        id
    }

    /// Tags an image. As with dockerd, an image that loses the tag by this is
    /// not heard of.
    pub fn tag(&self, image_id: &str, tag: &str) {
        self.change(|state| {
            state.take_tag(tag, false);
            let Ok(EngineObject::Image(mut image)) =
                state.find(&reference(ObjectKind::Image, image_id))
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

    /// Removes a tag, and with the last one the image.
    pub fn untag(&self, tag: &str) {
        self.change(|state| state.untag(tag)).unwrap();
    }

    /// Removes an image with all its tags.
    pub fn remove_image(&self, id: &str) {
        self.change(|state| state.drop_object(ObjectKind::Image, id))
            .unwrap();
    }

    /// Makes a volume; returns its creation time.
    pub fn create_volume(&self, name: &str) -> Timestamp {
        let now = self.change(State::now);
        self.create_volume_at(name, now);
        now
    }

    /// Makes a volume at a time of the test's choice.
    pub fn create_volume_at(&self, name: &str, created_at: Timestamp) {
        self.change(|state| {
            let namespace = state.namespace.clone();
            state.apply(EngineObject::Volume(Volume {
                name: name.to_owned(),
                namespace,
                created_at: Some(created_at),
                driver: "local".to_owned(),
                mountpoint: format!("/var/lib/docker/volumes/{name}/_data"),
                labels: BTreeMap::new(),
                scope: "local".to_owned(),
                options: BTreeMap::new(),
            }));
        });
    }

    /// Moves a volume's creation time, as Docker before 23 does when the volume
    /// is written to; returns the new one.
    pub fn write_to_volume(&self, name: &str) -> Timestamp {
        self.change(|state| {
            let now = state.now();
            let EngineObject::Volume(volume) = state.find(&reference(ObjectKind::Volume, name))?
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
        self.change(|state| state.drop_object(ObjectKind::Volume, name))
            .unwrap();
    }

    /// Makes a namespace.
    pub fn create_namespace(&self, name: &str) {
        self.change(|state| state.apply(EngineObject::Namespace(name.to_owned())));
    }

    /// Removes a namespace.
    pub fn remove_namespace(&self, name: &str) {
        self.change(|state| state.drop_object(ObjectKind::Namespace, name))
            .unwrap();
    }

    /// Every object, in order of kind and ID.
    pub fn objects(&self) -> Vec<EngineObject> {
        self.lock().objects.values().cloned().collect()
    }
}
