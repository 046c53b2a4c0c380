//! The graph of owners and dependents, built from the events of the store. It
//! holds only objects that have an owner reference or one of the collector's
//! finalizers.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock};

use memchr::memmem;
use serde::Deserialize;

use super::owner::OwnerReference;
use crate::meta;

/// One object of the graph.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct GraphNode {
    pub(super) uid: String,
    pub(super) owners: Vec<OwnerReference>,
    pub(super) terminating: bool,
    /// Whether it has the finalizer `foregroundDeletion`.
    pub(super) foreground: bool,
    /// Whether it has the finalizer `orphan`.
    pub(super) orphan: bool,
}

#[derive(Deserialize)]
struct Object {
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    uid: String,
    #[serde(default)]
    owner_references: Vec<OwnerReference>,
    #[serde(default)]
    finalizers: Vec<String>,
    deletion_timestamp: Option<String>,
}

impl GraphNode {
    /// Reads the relevant fields of a stored object.
    pub(super) fn read(stored: &[u8]) -> Result<Self, serde_json::Error> {
        let Object { metadata } = serde_json::from_slice(stored)?;
        let has = |name: &str| metadata.finalizers.iter().any(|f| f == name);
        Ok(Self {
            foreground: has(meta::FOREGROUND),
            orphan: has(meta::ORPHAN),
            terminating: metadata.deletion_timestamp.is_some(),
            uid: metadata.uid,
            owners: metadata.owner_references,
        })
    }

    /// Returns whether it waits until its dependents are deleted.
    pub(super) fn is_deleting_dependents(&self) -> bool {
        self.terminating && self.foreground
    }

    /// Returns whether its dependents lose their reference before it is deleted.
    pub(super) fn is_orphaning_dependents(&self) -> bool {
        self.terminating && self.orphan
    }
}

/// Returns whether a stored object may belong in the graph. Searches the bytes
/// without parsing them, since most objects do not.
fn may_be_relevant(stored: &[u8]) -> bool {
    /// Built once: a search costs less than its preparation.
    static WORDS: LazyLock<[memmem::Finder<'static>; 3]> = LazyLock::new(|| {
        [
            "\"ownerReferences\"",
            "\"foregroundDeletion\"",
            "\"orphan\"",
        ]
        .map(memmem::Finder::new)
    });
    WORDS.iter().any(|word| word.find(stored).is_some())
}

/// All nodes, and the dependents of each UID.
#[derive(Debug, Default)]
pub(super) struct OwnerGraph {
    nodes: HashMap<Arc<str>, GraphNode>,
    /// The keys of the objects that have an owner of this UID.
    dependents: HashMap<String, BTreeSet<Arc<str>>>,
    /// The keys of the terminating owners that wait for their dependents or
    /// orphan them, by UID.
    deleting_owners: HashMap<String, Arc<str>>,
}

impl OwnerGraph {
    pub(super) fn get(&self, key: &str) -> Option<&GraphNode> {
        self.nodes.get(key)
    }

    pub(super) fn keys(&self) -> Vec<Arc<str>> {
        self.nodes.keys().cloned().collect()
    }

    pub(super) fn dependents(&self, uid: &str) -> Vec<Arc<str>> {
        self.dependents
            .get(uid)
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }

    /// Returns whether no object has an owner.
    pub(super) fn has_no_dependents(&self) -> bool {
        self.dependents.is_empty()
    }

    /// Returns whether a node waits for dependents that, directly or not, wait
    /// for it.
    pub(super) fn is_in_cycle(&self, node: &GraphNode) -> bool {
        let mut seen: BTreeSet<Arc<str>> = BTreeSet::new();
        let mut next = self.dependents(&node.uid);
        while let Some(key) = next.pop() {
            let Some(dependent) = self
                .nodes
                .get(&key)
                .filter(|found| found.is_deleting_dependents())
            else {
                continue;
            };
            if dependent.uid == node.uid {
                return true;
            }
            if seen.insert(key) {
                next.extend(self.dependents(&dependent.uid));
            }
        }
        false
    }

    /// Returns the terminating owners of a node.
    fn terminating_owners(&self, node: &GraphNode) -> Vec<Arc<str>> {
        node.owners
            .iter()
            .filter_map(|owner| self.deleting_owners.get(&owner.uid))
            .cloned()
            .collect()
    }

    /// Updates an object. Returns the keys of the affected objects.
    pub(super) fn put(
        &mut self,
        key: &Arc<str>,
        stored: &[u8],
    ) -> Result<Vec<Arc<str>>, serde_json::Error> {
        if !self.nodes.contains_key(key) && !may_be_relevant(stored) {
            return Ok(Vec::new());
        }
        let node = GraphNode::read(stored)?;
        let mut affected = self.remove(key);
        let is_relevant = !node.owners.is_empty() || node.foreground || node.orphan;
        if !is_relevant {
            return Ok(affected);
        }
        for owner in &node.owners {
            self.dependents
                .entry(owner.uid.clone())
                .or_default()
                .insert(Arc::clone(key));
        }
        if node.is_deleting_dependents() || node.is_orphaning_dependents() {
            self.deleting_owners
                .insert(node.uid.clone(), Arc::clone(key));
            // The dependents of a terminating owner are deleted or orphaned.
            affected.extend(self.dependents(&node.uid));
        }
        affected.extend(self.terminating_owners(&node));
        affected.push(Arc::clone(key));
        self.nodes.insert(Arc::clone(key), node);
        Ok(affected)
    }

    /// Removes an object. Returns the keys of its terminating owners.
    pub(super) fn remove(&mut self, key: &Arc<str>) -> Vec<Arc<str>> {
        let Some(node) = self.nodes.remove(key) else {
            return Vec::new();
        };
        for owner in &node.owners {
            if let Some(list) = self.dependents.get_mut(&owner.uid) {
                list.remove(key);
                if list.is_empty() {
                    self.dependents.remove(&owner.uid);
                }
            }
        }
        self.deleting_owners.remove(&node.uid);
        self.terminating_owners(&node)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stored(uid: &str, owners: &[&str], finalizers: &[&str], terminating: bool) -> Vec<u8> {
        let owners: Vec<_> = owners
            .iter()
            .map(|uid| json!({"apiVersion": "v1", "kind": "ConfigMap", "name": uid, "uid": uid}))
            .collect();
        let mut object =
            json!({"metadata": {"uid": uid, "ownerReferences": owners, "finalizers": finalizers}});
        if terminating {
            object["metadata"]["deletionTimestamp"] = "2024-01-01T00:00:00Z".into();
        }
        object.to_string().into_bytes()
    }

    fn keys(list: &[Arc<str>]) -> Vec<&str> {
        list.iter().map(|key| &**key).collect()
    }

    #[test]
    fn a_waiting_owner_is_affected_when_a_dependent_is_removed() {
        let mut graph = OwnerGraph::default();
        let (owner, child): (Arc<str>, Arc<str>) = ("cm/o".into(), "cm/c".into());
        assert_eq!(
            keys(&graph.put(&child, &stored("c", &["o"], &[], false)).unwrap()),
            ["cm/c"]
        );
        let waits = stored("o", &[], &["foregroundDeletion"], true);
        assert_eq!(keys(&graph.put(&owner, &waits).unwrap()), ["cm/c", "cm/o"]);
        assert_eq!(keys(&graph.remove(&child)), ["cm/o"]);
        assert!(graph.has_no_dependents());
        graph.remove(&owner);
        assert!(graph.nodes.is_empty() && graph.deleting_owners.is_empty());
    }

    #[test]
    fn an_object_without_owners_is_not_in_the_graph() {
        let mut graph = OwnerGraph::default();
        let key: Arc<str> = "cm/a".into();
        graph.put(&key, b"{\"metadata\":{\"uid\":\"a\"}}").unwrap();
        // The words alone do not make it relevant.
        graph
            .put(
                &key,
                b"{\"metadata\":{\"uid\":\"a\"},\"data\":{\"orphan\":\"ownerReferences\"}}",
            )
            .unwrap();
        assert!(graph.nodes.is_empty());
        graph.put(&key, &stored("a", &["o"], &[], false)).unwrap();
        assert_eq!(keys(&graph.dependents("o")), ["cm/a"]);
        graph.put(&key, &stored("a", &[], &[], false)).unwrap();
        assert!(graph.nodes.is_empty() && graph.has_no_dependents());
    }
}
