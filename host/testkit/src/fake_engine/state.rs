//! The state of the fake engine, and how each call changes it.

use std::collections::{BTreeMap, VecDeque};

use jiff::SignedDuration;
use rdd_core::{
    Container, ContainerAction, ContainerState, EngineError, EngineObject, ErrorCode, Image,
    ObjectKind, ObjectRef, RemoveRequest, Timestamp, WatchEvent,
};

use super::logs::ContainerLog;
use super::not_found;
use super::script::CallScript;

pub(super) struct EngineState {
    pub(super) namespace: String,
    /// The engine's clock, which advances by a second with each operation, so that
    /// creation times differ and test runs are repeatable.
    clock: Timestamp,
    serial: u64,
    pub(super) objects: BTreeMap<ObjectRef, EngineObject>,
    pub(super) logs: BTreeMap<String, ContainerLog>,
    pub(super) journal: Vec<WatchEvent>,
    pub(super) events_held: bool,
    /// The index in the journal of the first held event.
    pub(super) held_from: usize,
    /// The number of times that the running watches were disconnected.
    pub(super) disconnects: u64,
    pub(super) script: CallScript,
}

/// 2026-01-01T00:00:00Z.
const EPOCH: i64 = 1_767_225_600;

impl EngineState {
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
            disconnects: 0,
            script: CallScript::default(),
        }
    }

    pub(super) fn now(&mut self) -> Timestamp {
        self.clock = self.clock.saturating_add(SignedDuration::from_secs(1));
        self.clock
    }

    pub(super) fn set_serial(&mut self, serial: u64) {
        self.serial = serial;
    }

    pub(super) fn next_id(&mut self) -> String {
        self.serial += 1;
        // Spread over all digits, so that IDs differ in their first digits.
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
            .ok_or_else(|| not_found(kind_name(reference.kind), &reference.id))
    }

    pub(super) fn apply(&mut self, object: EngineObject) {
        self.objects.insert(object.reference(), object.clone());
        self.journal.push(WatchEvent::Applied(Box::new(object)));
    }

    pub(super) fn remove_object(
        &mut self,
        kind: ObjectKind,
        id: &str,
    ) -> Result<EngineObject, EngineError> {
        let reference = reference(kind, id);
        let object = self
            .objects
            .remove(&reference)
            .ok_or_else(|| not_found(kind_name(kind), id))?;
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
                self.remove_object(ObjectKind::Container, id)?;
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
                self.remove_object(ObjectKind::Image, id)?;
            }
            RemoveRequest::Volume { name, created_at } => {
                let found = self.find(&reference(ObjectKind::Volume, name))?;
                if let (EngineObject::Volume(volume), Some(meant)) = (&found, created_at)
                    && volume.created_at.as_ref() != Some(meant)
                {
                    return Err(replaced(name));
                }
                self.remove_object(ObjectKind::Volume, name)?;
            }
        }
        Ok(())
    }

    pub(super) fn take_tag(&mut self, tag: &str, notify: bool) -> Option<Image> {
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

    pub(super) fn untag(&mut self, tag: &str) -> Result<(), EngineError> {
        let image = self
            .images()
            .find(|image| image.repo_tags.iter().any(|t| t == tag))
            .cloned()
            .ok_or_else(|| not_found("image", tag))?;
        if image.repo_tags.len() == 1 {
            self.remove_object(ObjectKind::Image, &image.id)?;
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

pub(super) fn reference(kind: ObjectKind, id: &str) -> ObjectRef {
    let id = id.to_owned();
    ObjectRef { kind, id }
}

fn kind_name(kind: ObjectKind) -> &'static str {
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
        format!("{name} is a different object now"),
    )
}
