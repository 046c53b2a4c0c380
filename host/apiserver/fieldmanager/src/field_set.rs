//! Sets of field paths: the tree behind `fieldsV1`, and its set operations.

use std::cmp::Ordering;

use crate::path::{FieldPath, PathElement};

/// A set of field paths. A parent is a separate member: owning `.spec.a` is not owning `.spec`.
///
/// The tree is sorted and has no empty branches, so two sets are equal exactly when they have the
/// same members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet {
    nodes: Vec<(PathElement, SetNode)>,
}

/// One path element of a set: whether the path that ends here is a member, and the members below
/// it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SetNode {
    pub(crate) is_member: bool,
    pub(crate) children: FieldSet,
}

impl SetNode {
    /// Returns a member with no members below it.
    pub(crate) fn leaf() -> Self {
        Self {
            is_member: true,
            children: FieldSet::default(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.is_member && self.children.is_empty()
    }
}

impl FieldSet {
    /// Returns whether the set has no members.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Returns the set of these paths.
    pub fn from_paths(paths: &[FieldPath]) -> Self {
        let mut set = Self::default();
        for path in paths {
            set.insert(path);
        }
        set
    }

    /// Adds a path, but not its parents. The empty path is never a member: no manager owns the whole
    /// object.
    pub fn insert(&mut self, path: &FieldPath) {
        let Some((last, parents)) = path.0.split_last() else {
            return;
        };
        let mut set = self;
        for element in parents {
            set = &mut set.node_mut(element.clone()).children;
        }
        set.node_mut(last.clone()).is_member = true;
    }

    /// Returns whether the path is a member.
    pub fn contains(&self, path: &FieldPath) -> bool {
        let Some((last, parents)) = path.0.split_last() else {
            return false;
        };
        let mut set = self;
        for element in parents {
            match set.get(element) {
                Some(node) => set = &node.children,
                None => return false,
            }
        }
        set.get(last).is_some_and(|node| node.is_member)
    }

    /// Returns all members in the order of `fieldsV1`, parents before children.
    pub fn paths(&self) -> Vec<FieldPath> {
        let mut out = Vec::new();
        self.collect(&mut Vec::new(), &mut out);
        out
    }

    fn collect(&self, prefix: &mut Vec<PathElement>, out: &mut Vec<FieldPath>) {
        for (element, node) in &self.nodes {
            prefix.push(element.clone());
            if node.is_member {
                out.push(FieldPath(prefix.clone()));
            }
            node.children.collect(prefix, out);
            prefix.pop();
        }
    }

    /// Returns the members that have no members below them.
    pub fn leaves(&self) -> Self {
        Self::from_sorted(self.nodes.iter().map(|(element, node)| {
            let children = node.children.leaves();
            let member = node.is_member && children.is_empty();
            (
                element.clone(),
                SetNode {
                    is_member: member,
                    children,
                },
            )
        }))
    }

    /// Returns the paths that are members of either set.
    pub fn union(&self, other: &Self) -> Self {
        let mut out = Vec::with_capacity(self.nodes.len().max(other.nodes.len()));
        let (mut left, mut right) = (self.nodes.iter().peekable(), other.nodes.iter().peekable());
        while let (Some((l, lnode)), Some((r, rnode))) = (left.peek(), right.peek()) {
            match l.cmp(r) {
                Ordering::Less => out.extend(left.next().cloned()),
                Ordering::Greater => out.extend(right.next().cloned()),
                Ordering::Equal => {
                    out.push((
                        l.clone(),
                        SetNode {
                            is_member: lnode.is_member || rnode.is_member,
                            children: lnode.children.union(&rnode.children),
                        },
                    ));
                    left.next();
                    right.next();
                }
            }
        }
        out.extend(left.cloned());
        out.extend(right.cloned());
        Self { nodes: out }
    }

    /// Returns the paths that are members of both sets.
    pub fn intersection(&self, other: &Self) -> Self {
        Self::from_sorted(self.nodes.iter().filter_map(|(element, node)| {
            let other_node = other.get(element)?;
            Some((
                element.clone(),
                SetNode {
                    is_member: node.is_member && other_node.is_member,
                    children: node.children.intersection(&other_node.children),
                },
            ))
        }))
    }

    /// Returns the members that are not in `other`. Keeps members below a member of `other`.
    pub fn difference(&self, other: &Self) -> Self {
        self.subtract(other, false)
    }

    /// Returns the members that are neither in `other` nor below a member of it.
    pub fn recursive_difference(&self, other: &Self) -> Self {
        self.subtract(other, true)
    }

    fn subtract(&self, other: &Self, recursive: bool) -> Self {
        if other.is_empty() {
            return self.clone();
        }
        Self::from_sorted(self.nodes.iter().filter_map(|(element, node)| {
            let remainder = match other.get(element) {
                None => node.clone(),
                Some(other_node) if recursive && other_node.is_member => return None,
                Some(other_node) => SetNode {
                    is_member: node.is_member && !other_node.is_member,
                    children: node.children.subtract(&other_node.children, recursive),
                },
            };
            Some((element.clone(), remainder))
        }))
    }

    /// Removes the members of `other` in place, which is fast if `other` is small.
    pub(crate) fn remove_all(&mut self, other: &Self) {
        for (element, other_node) in &other.nodes {
            let Ok(index) = self.nodes.binary_search_by(|(key, _)| key.cmp(element)) else {
                continue;
            };
            let is_now_empty = self.nodes.get_mut(index).is_some_and(|(_, node)| {
                node.is_member &= !other_node.is_member;
                node.children.remove_all(&other_node.children);
                node.is_empty()
            });
            if is_now_empty {
                self.nodes.remove(index);
            }
        }
    }

    /// Returns whether every member is also a member of `other`.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.nodes.iter().all(|(element, node)| {
            other.get(element).is_some_and(|other_node| {
                (other_node.is_member || !node.is_member)
                    && node.children.is_subset(&other_node.children)
            })
        })
    }

    fn from_sorted(nodes: impl Iterator<Item = (PathElement, SetNode)>) -> Self {
        Self {
            nodes: nodes.filter(|(_, node)| !node.is_empty()).collect(),
        }
    }

    /// Returns the elements at the root of the set, sorted.
    pub(crate) fn nodes(&self) -> &[(PathElement, SetNode)] {
        &self.nodes
    }

    /// Returns the node of an element.
    pub(crate) fn get(&self, element: &PathElement) -> Option<&SetNode> {
        let index = self
            .nodes
            .binary_search_by(|(key, _)| key.cmp(element))
            .ok()?;
        self.nodes.get(index).map(|(_, node)| node)
    }

    /// Returns the node of the field `name`.
    pub(crate) fn get_field(&self, name: &str) -> Option<&SetNode> {
        let index = self
            .nodes
            .binary_search_by(|(key, _)| key.cmp_field(name))
            .ok()?;
        self.nodes.get(index).map(|(_, node)| node)
    }

    /// Returns the node of an element, inserting an empty one if there is none. The caller must not
    /// leave it empty.
    fn node_mut(&mut self, element: PathElement) -> &mut SetNode {
        let index = match self.nodes.binary_search_by(|(key, _)| key.cmp(&element)) {
            Ok(index) => index,
            Err(index) => {
                self.nodes.insert(index, (element, SetNode::default()));
                index
            }
        };
        &mut self.nodes[index].1
    }

    /// Merges a node into the set. Has no effect if the node is empty.
    pub(crate) fn insert_node(&mut self, element: PathElement, node: SetNode) {
        if node.is_empty() {
            return;
        }
        // Objects are almost always walked in order.
        if self.nodes.last().is_none_or(|(last, _)| *last < element) {
            self.nodes.push((element, node));
            return;
        }
        let existing = self.node_mut(element);
        existing.is_member |= node.is_member;
        existing.children = existing.children.union(&node.children);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remove_all_returns_the_same_as_difference() {
        let set = |paths: &[&[&str]]| {
            FieldSet::from_paths(
                &paths
                    .iter()
                    .map(|path| FieldPath::from_fields(path))
                    .collect::<Vec<_>>(),
            )
        };
        let original = set(&[&["a"], &["a", "b"], &["a", "c", "d"], &["e"]]);
        for other in [
            set(&[]),
            set(&[&["a"]]),
            set(&[&["a", "b"], &["e"]]),
            set(&[&["a", "c"], &["x"]]),
            set(&[&["a", "c", "d"], &["a", "b"]]),
            original.clone(),
        ] {
            let mut remainder = original.clone();
            remainder.remove_all(&other);
            assert_eq!(
                remainder,
                original.difference(&other),
                "{:?}",
                other.paths()
            );
        }
    }
}
