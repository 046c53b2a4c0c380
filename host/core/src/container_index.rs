//! The containers of the selected backend, as the mirror knows them.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use tokio::sync::watch;

use crate::{Container, ContainerRef};

/// A container and the name of its mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexedContainer {
    /// The name of the Kubernetes object, which is unique among all namespaces
    /// of the engine.
    pub mirror_name: Arc<str>,
    /// The container, as of the engine's last event.
    pub container: Arc<Container>,
}

impl IndexedContainer {
    /// Returns the reference that identifies the container to its engine.
    pub fn reference(&self) -> ContainerRef {
        ContainerRef::new(&*self.container.namespace, &*self.container.id)
    }
}

/// All containers of the selected backend at one moment. Clones are cheap and
/// share their content, so a reader keeps a snapshot for as long as it needs it.
///
/// The mirror alone writes it, through the sender of the watch channel. It is
/// empty until the engine was listed for the first time, and after another
/// backend was selected.
///
/// ```
/// use std::sync::Arc;
/// use rdd_core::{Container, ContainerIndex, ContainerLookup};
///
/// let (mirror, handler) = ContainerIndex::channel();
/// let container = Container {
///     id: "4c0f".to_owned(),
///     namespace: "k8s.io".to_owned(),
///     ..Container::default()
/// };
/// mirror.send_modify(|index| index.insert("ctr-21ab".into(), Arc::new(container)));
///
/// // Both the name of the mirror and the engine's ID lead to it.
/// let snapshot = handler.borrow().clone();
/// for text in ["ctr-21ab", "4c0f"] {
///     let ContainerLookup::Found(reference) = snapshot.find(text, None) else {
///         panic!("{text} is in the index");
///     };
///     assert_eq!((&*reference.namespace, &*reference.id), ("k8s.io", "4c0f"));
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerIndex {
    by_mirror: OrdMap<Arc<str>, IndexedContainer>,
    /// The names of the mirrors by ID. Containers of several namespaces may have
    /// the same one.
    by_id: OrdMap<Arc<str>, OrdSet<Arc<str>>>,
}

/// The result of [`ContainerIndex::find`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContainerLookup {
    /// The only container of this name or ID.
    Found(ContainerRef),
    /// Containers of these namespaces have the ID; sorted.
    Ambiguous {
        /// The engine's namespaces.
        namespaces: Vec<String>,
    },
    /// The index has no such container. The engine may have one that it has not
    /// reported yet.
    NotFound,
}

impl ContainerIndex {
    /// Creates the channel between the mirror and its readers, with an empty
    /// index.
    pub fn channel() -> (watch::Sender<Self>, watch::Receiver<Self>) {
        watch::channel(Self::default())
    }

    /// Adds or replaces the container whose mirror has this name.
    pub fn insert(&mut self, mirror_name: Arc<str>, container: Arc<Container>) {
        let id: Arc<str> = Arc::from(&*container.id);
        let entry = IndexedContainer {
            mirror_name: Arc::clone(&mirror_name),
            container,
        };
        let previous = self.by_mirror.insert(Arc::clone(&mirror_name), entry);
        if let Some(previous) = previous
            && *previous.container.id != *id
        {
            self.remove_id(&previous);
        }
        self.by_id.entry(id).or_default().insert(mirror_name);
    }

    /// Removes the container whose mirror has this name, if there is one.
    pub fn remove(&mut self, mirror_name: &str) {
        if let Some(previous) = self.by_mirror.remove(mirror_name) {
            self.remove_id(&previous);
        }
    }

    fn remove_id(&mut self, entry: &IndexedContainer) {
        let id = &*entry.container.id;
        let is_empty = self.by_id.get_mut(id).is_some_and(|names| {
            names.remove(&entry.mirror_name);
            names.is_empty()
        });
        if is_empty {
            self.by_id.remove(id);
        }
    }

    /// Removes all containers.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Returns the number of containers.
    pub fn len(&self) -> usize {
        self.by_mirror.len()
    }

    /// Returns whether there are no containers.
    pub fn is_empty(&self) -> bool {
        self.by_mirror.is_empty()
    }

    /// Returns the container whose mirror has this name.
    pub fn get(&self, mirror_name: &str) -> Option<&IndexedContainer> {
        self.by_mirror.get(mirror_name)
    }

    /// Returns the container that an engine identifies by this reference.
    pub fn by_reference(&self, reference: &ContainerRef) -> Option<IndexedContainer> {
        let names = self.by_id.get(&*reference.id).into_iter().flatten();
        let mut found = names.filter_map(|name| self.get(name));
        found
            .find(|entry| entry.container.namespace == reference.namespace)
            .cloned()
    }

    /// Returns all containers, ordered by the names of their mirrors.
    pub fn iter(&self) -> impl Iterator<Item = &IndexedContainer> {
        self.by_mirror.values()
    }

    /// Finds a container by the name of its mirror or by the engine's ID, in
    /// this order. With a `namespace`, only a container of this namespace of the
    /// engine is found.
    pub fn find(&self, text: &str, namespace: Option<&str>) -> ContainerLookup {
        let is_wanted = |entry: &&IndexedContainer| {
            namespace.is_none_or(|namespace| entry.container.namespace == namespace)
        };
        if let Some(entry) = self.get(text).filter(is_wanted) {
            return ContainerLookup::Found(entry.reference());
        }
        let names = self.by_id.get(text).into_iter().flatten();
        let mut found: Vec<_> = names
            .filter_map(|name| self.get(name))
            .filter(is_wanted)
            .collect();
        match found.as_slice() {
            [] => ContainerLookup::NotFound,
            [only] => ContainerLookup::Found(only.reference()),
            _ => {
                found.sort_by(|a, b| a.container.namespace.cmp(&b.container.namespace));
                let namespaces = found.iter().map(|entry| entry.container.namespace.clone());
                ContainerLookup::Ambiguous {
                    namespaces: namespaces.collect(),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(namespace: &str, id: &str) -> Arc<Container> {
        Arc::new(Container {
            id: id.to_owned(),
            namespace: namespace.to_owned(),
            ..Container::default()
        })
    }

    fn found(namespace: &str, id: &str) -> ContainerLookup {
        ContainerLookup::Found(ContainerRef::new(namespace, id))
    }

    #[test]
    fn the_name_of_a_mirror_takes_precedence_over_an_id() {
        let mut index = ContainerIndex::default();
        index.insert("web".into(), container("default", "web"));
        index.insert("ctr-1".into(), container("other", "web"));
        index.insert("ctr-2".into(), container("other", "db"));
        assert_eq!(index.find("web", None), found("default", "web"));
        assert_eq!(index.find("web", Some("other")), found("other", "web"));
        assert_eq!(index.find("ctr-1", None), found("other", "web"));
        assert_eq!(index.find("db", None), found("other", "db"));
        let nothing = [("ctr-1", Some("default")), ("db", Some("x")), ("x", None)];
        for (text, namespace) in nothing {
            let lookup = index.find(text, namespace);
            assert_eq!(lookup, ContainerLookup::NotFound, "{text} {namespace:?}");
        }
    }

    #[test]
    fn an_id_of_several_namespaces_is_ambiguous() {
        let mut index = ContainerIndex::default();
        index.insert("ctr-1".into(), container("zeta", "web"));
        index.insert("ctr-2".into(), container("alpha", "web"));
        let namespaces = vec!["alpha".to_owned(), "zeta".to_owned()];
        let ambiguous = ContainerLookup::Ambiguous { namespaces };
        assert_eq!(index.find("web", None), ambiguous);
        assert_eq!(index.find("web", Some("zeta")), found("zeta", "web"));
        index.remove("ctr-2");
        assert_eq!(index.find("web", None), found("zeta", "web"));
    }

    #[test]
    fn nothing_is_left_of_a_container_that_was_removed_or_replaced() {
        let mut index = ContainerIndex::default();
        index.insert("one".into(), container("default", "a"));
        let before = index.clone();
        index.insert("one".into(), container("default", "b"));
        assert_eq!(index.find("a", None), ContainerLookup::NotFound);
        assert_eq!(index.find("b", None), found("default", "b"));
        assert_eq!(before.find("a", None), found("default", "a"), "a snapshot");
        index.remove("one");
        index.remove("one");
        assert_eq!(index, ContainerIndex::default());
    }
}
