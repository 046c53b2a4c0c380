//! The engine as the host knows it: events in, changes of mirrors out.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use rdd_core::{BackendInfo, EngineObject, Image, ObjectRef, Volume, WatchEvent};
use tracing::warn;

use crate::desired::Desired;
use crate::key::{Key, Kind};
use crate::names;

/// More objects than any engine holds: a backend that reports so many is
/// broken, and must not take the host's memory.
const MAX_OBJECTS: usize = 200_000;

/// What an event means for a mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The engine has this now.
    Set(Key, Desired),
    /// What the mirror stood for is no more. A `Set` of the same key that
    /// follows is about another object.
    Gone(Key),
}

/// An event that breaks the rules of a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProtocolError {
    #[error("the backend ended a listing that it had not begun")]
    DoneWithoutBegin,
    #[error("the backend reported more than {MAX_OBJECTS} objects")]
    TooMany,
}

enum Held {
    Image(Arc<Image>),
    /// Everything else: which mirror it has.
    Mirror(Key, Desired),
}

/// All objects of one backend's engine.
pub(crate) struct View {
    /// The Kubernetes namespace of the mirrors.
    namespace: Arc<str>,
    info: BackendInfo,
    objects: HashMap<ObjectRef, Held>,
    /// Which image has a tag, by the engine's namespace and the tag: a tag
    /// points at one image, whatever order events come in.
    tags: HashMap<(String, String), ObjectRef>,
    /// Objects of the listing that is in progress.
    listed: Option<HashSet<ObjectRef>>,
    /// Whether a listing was ever whole: only then is absence a fact.
    complete: bool,
}

impl View {
    pub(crate) fn new(namespace: Arc<str>, info: BackendInfo) -> Self {
        Self {
            namespace,
            info,
            objects: HashMap::new(),
            tags: HashMap::new(),
            listed: None,
            complete: false,
        }
    }

    /// Whether what the view does not hold does not exist.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    /// The backend was loaded (again), and says this of itself.
    pub(crate) fn set_info(&mut self, info: BackendInfo) {
        self.info = info;
    }

    /// The namespaces that always exist.
    pub(crate) fn fixed_namespaces(&self) -> Vec<Change> {
        let names = self.info.namespaces.iter();
        names
            .filter_map(|name| self.key(Kind::Namespace, name))
            .map(|key| Change::Set(key, Desired::Namespace))
            .collect()
    }

    /// Whether a listing has begun and is not whole yet.
    pub(crate) fn is_listing(&self) -> bool {
        self.listed.is_some()
    }

    /// A watch ended; the next one begins with a new listing.
    pub(crate) fn interrupted(&mut self) {
        self.listed = None;
    }

    /// Takes in one event.
    pub(crate) fn apply(&mut self, event: WatchEvent) -> Result<Vec<Change>, ProtocolError> {
        let mut changes = Vec::new();
        match event {
            WatchEvent::InitBegin => self.listed = Some(HashSet::new()),
            WatchEvent::Applied(object) => {
                let reference = object.reference();
                if let Some(listed) = &mut self.listed {
                    listed.insert(reference.clone());
                }
                if self.objects.len() >= MAX_OBJECTS && !self.objects.contains_key(&reference) {
                    return Err(ProtocolError::TooMany);
                }
                self.applied(reference, *object, &mut changes);
            }
            WatchEvent::Removed(reference) => {
                if let Some(listed) = &mut self.listed {
                    listed.remove(&reference);
                }
                self.removed(&reference, &mut changes);
            }
            WatchEvent::InitDone => {
                let listed = self.listed.take().ok_or(ProtocolError::DoneWithoutBegin)?;
                let unlisted: BTreeSet<_> = self
                    .objects
                    .keys()
                    .filter(|reference| !listed.contains(*reference))
                    .cloned()
                    .collect();
                for reference in unlisted {
                    self.removed(&reference, &mut changes);
                }
                self.complete = true;
            }
        }
        Ok(changes)
    }

    fn applied(&mut self, reference: ObjectRef, object: EngineObject, changes: &mut Vec<Change>) {
        let (key, desired) = match object {
            EngineObject::Image(image) => return self.image_applied(&reference, image, changes),
            EngineObject::Container(container) => {
                if !self.info.id_format.matches(&container.id) {
                    warn!(
                        backend = self.info.name,
                        "ignoring a container whose ID is not {}", self.info.id_format
                    );
                    return;
                }
                (
                    self.key(Kind::Container, &container.id),
                    Desired::Container(Arc::new(container)),
                )
            }
            EngineObject::Volume(volume) => (
                self.key(Kind::Volume, &names::volume(&volume.name)),
                Desired::Volume(Arc::new(volume)),
            ),
            EngineObject::Namespace(name) => (self.key(Kind::Namespace, &name), Desired::Namespace),
        };
        let Some(key) = key else {
            return;
        };
        match self.objects.get(&reference) {
            Some(Held::Mirror(_, was)) if *was == desired => return,
            Some(Held::Mirror(_, Desired::Volume(was))) if matches!(&desired, Desired::Volume(is) if is_another(was, is)) =>
            {
                changes.push(Change::Gone(key.clone()));
            }
            _ => {}
        }
        self.objects
            .insert(reference, Held::Mirror(key.clone(), desired.clone()));
        changes.push(Change::Set(key, desired));
    }

    /// An image has one mirror for each tag, or one without.
    fn image_applied(
        &mut self,
        reference: &ObjectRef,
        mut image: Image,
        changes: &mut Vec<Change>,
    ) {
        image.repo_tags.sort();
        image.repo_tags.dedup();
        let image = Arc::new(image);
        let was = match self.objects.get(reference) {
            Some(Held::Image(was)) if *was == image => return,
            Some(Held::Image(was)) => Some(Arc::clone(was)),
            _ => None,
        };
        for tag in &image.repo_tags {
            self.take_tag(&image.namespace, tag, reference, changes);
        }
        self.image_changed(was.as_ref(), Some(&image), changes);
        self.objects.insert(reference.clone(), Held::Image(image));
    }

    /// Gives a tag to `owner`. Engines say nothing of the image that loses it.
    fn take_tag(
        &mut self,
        namespace: &str,
        tag: &str,
        owner: &ObjectRef,
        changes: &mut Vec<Change>,
    ) {
        let slot = (namespace.to_owned(), tag.to_owned());
        let Some(loser) = self.tags.insert(slot, owner.clone()) else {
            return;
        };
        if loser == *owner {
            return;
        }
        let Some(Held::Image(was)) = self.objects.get_mut(&loser) else {
            return;
        };
        let before = Arc::clone(was);
        let mut after = (*before).clone();
        after.repo_tags.retain(|t| t != tag);
        let after = Arc::new(after);
        *was = Arc::clone(&after);
        self.image_changed(Some(&before), Some(&after), changes);
    }

    fn image_changed(
        &mut self,
        before: Option<&Arc<Image>>,
        after: Option<&Arc<Image>>,
        changes: &mut Vec<Change>,
    ) {
        let old = before
            .map(|image| self.image_mirrors(image))
            .unwrap_or_default();
        let new = after
            .map(|image| self.image_mirrors(image))
            .unwrap_or_default();
        for (key, desired) in old {
            if new.iter().any(|(other, _)| *other == key) {
                continue;
            }
            if let Desired::Image {
                image,
                tag: Some(tag),
            } = &desired
            {
                let slot = (image.namespace.clone(), tag.to_string());
                if self
                    .tags
                    .get(&slot)
                    .is_some_and(|owner| owner.id == image.id)
                {
                    self.tags.remove(&slot);
                }
            }
            changes.push(Change::Gone(key));
        }
        changes.extend(
            new.into_iter()
                .map(|(key, desired)| Change::Set(key, desired)),
        );
    }

    fn image_mirrors(&self, image: &Arc<Image>) -> Vec<(Key, Desired)> {
        let tags: Vec<Option<&str>> = if image.repo_tags.is_empty() {
            vec![None]
        } else {
            image
                .repo_tags
                .iter()
                .map(|tag| Some(tag.as_str()))
                .collect()
        };
        tags.into_iter()
            .filter_map(|tag| {
                let key = self.key(Kind::Image, &names::image(&image.id, tag))?;
                let desired = Desired::Image {
                    image: Arc::clone(image),
                    tag: tag.map(Arc::from),
                };
                Some((key, desired))
            })
            .collect()
    }

    fn removed(&mut self, reference: &ObjectRef, changes: &mut Vec<Change>) {
        match self.objects.remove(reference) {
            Some(Held::Image(image)) => self.image_changed(Some(&image), None, changes),
            Some(Held::Mirror(key, Desired::Namespace))
                if self.info.namespaces.iter().any(|name| **name == *key.name) => {}
            Some(Held::Mirror(key, _)) => changes.push(Change::Gone(key)),
            None => {}
        }
    }

    /// `None`, with a line in the log, for what Kubernetes could not name.
    fn key(&self, kind: Kind, name: &str) -> Option<Key> {
        if !rdd_core::text::is_dns_subdomain(name) {
            warn!(
                backend = self.info.name,
                kind = kind.as_str(),
                "ignoring an object whose name Kubernetes does not take"
            );
            return None;
        }
        Some(Key {
            kind,
            namespace: Arc::clone(&self.namespace),
            name: Arc::from(name),
        })
    }
}

/// Whether two volumes of one name differ in what a volume keeps for life.
///
/// Its creation time is not among that, although nothing tells more: Docker
/// before 23 moves it when the volume is written to, so that after a gap in the
/// events it proves neither the one nor the other. A live mirror follows it,
/// which takes nothing from anybody; what it means for a removal is in `plan`.
fn is_another(was: &Volume, is: &Volume) -> bool {
    was.driver != is.driver
        || was.scope != is.scope
        || was.labels != is.labels
        || was.options != is.options
}

#[cfg(test)]
mod tests;
