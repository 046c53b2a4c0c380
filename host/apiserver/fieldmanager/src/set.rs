//! Sets of field paths: the tree behind `fieldsV1` and its algebra.

use std::cmp::Ordering;

use crate::path::{FieldPath, PathElement};

/// A set of field paths. A parent is a member of its own right: owning `.spec.a` is not owning `.spec`.
///
/// Kept sorted and without empty branches, so two sets are equal exactly when they have the same members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet {
    nodes: Vec<(PathElement, SetNode)>,
}

/// One path element of a set: whether the path that ends here is a member, and the members below.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SetNode {
    pub(crate) is_member: bool,
    pub(crate) children: FieldSet,
}

impl SetNode {
    pub(crate) fn is_empty(&self) -> bool {
        !self.is_member && self.children.is_empty()
    }
}

impl FieldSet {
    /// Whether no path is a member.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The set of these paths.
    pub fn from_paths(paths: &[FieldPath]) -> Self {
        let mut set = Self::default();
        for path in paths {
            set.insert(path);
        }
        set
    }

    /// Adds a path, not its parents. The empty path is never a member: nobody owns the whole object.
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

    /// Whether the path is a member.
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
        set.get(last).is_some_and(|node| node.member)
    }

    /// Every member, parents before children, in the order in which they are printed.
    pub fn paths(&self) -> Vec<FieldPath> {
        let mut out = Vec::new();
        self.collect(&mut Vec::new(), &mut out);
        out
    }

    fn collect(&self, prefix: &mut Vec<PathElement>, out: &mut Vec<FieldPath>) {
        for (element, node) in &self.nodes {
            prefix.push(element.clone());
            if node.member {
                out.push(FieldPath(prefix.clone()));
            }
            node.children.collect(prefix, out);
            prefix.pop();
        }
    }

    /// The members that have no member below them.
    pub fn leaves(&self) -> Self {
        Self::from_sorted(self.nodes.iter().map(|(element, node)| {
            let children = node.children.leaves();
            let member = node.member && children.is_empty();
            (element.clone(), SetNode { is_member: member, children })
        }))
    }

    /// The members of either.
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
                            is_member: lnode.member || rnode.member,
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

    /// The members of both.
    pub fn intersection(&self, other: &Self) -> Self {
        Self::from_sorted(self.nodes.iter().filter_map(|(element, node)| {
            let theirs = other.get(element)?;
            Some((
                element.clone(),
                SetNode {
                    is_member: node.member && theirs.member,
                    children: node.children.intersection(&theirs.children),
                },
            ))
        }))
    }

    /// The members that are not in `other`. A member below a member of `other` stays.
    pub fn difference(&self, other: &Self) -> Self {
        self.subtract(other, false)
    }

    /// The members that neither are in `other` nor below a member of it.
    pub fn recursive_difference(&self, other: &Self) -> Self {
        self.subtract(other, true)
    }

    fn subtract(&self, other: &Self, recursive: bool) -> Self {
        if other.is_empty() {
            return self.clone();
        }
        Self::from_sorted(self.nodes.iter().filter_map(|(element, node)| {
            let left = match other.get(element) {
                None => node.clone(),
                Some(theirs) if recursive && theirs.member => return None,
                Some(theirs) => SetNode {
                    is_member: node.member && !theirs.member,
                    children: node.children.subtract(&theirs.children, recursive),
                },
            };
            Some((element.clone(), left))
        }))
    }

    /// Takes the members of `other` out, in place: quick where `other` is small.
    pub(crate) fn remove_all(&mut self, other: &Self) {
        for (element, theirs) in &other.nodes {
            let Ok(at) = self.nodes.binary_search_by(|(own, _)| own.cmp(element)) else {
                continue;
            };
            let emptied = self.nodes.get_mut(at).is_some_and(|(_, node)| {
                node.member &= !theirs.member;
                node.children.remove_all(&theirs.children);
                node.is_empty()
            });
            if emptied {
                self.nodes.remove(at);
            }
        }
    }

    /// Whether every member is one of `other` too.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.nodes.iter().all(|(element, node)| {
            other.get(element).is_some_and(|theirs| {
                (theirs.member || !node.member) && node.children.is_subset(&theirs.children)
            })
        })
    }

    fn from_sorted(nodes: impl Iterator<Item = (PathElement, SetNode)>) -> Self {
        Self {
            nodes: nodes.filter(|(_, node)| !node.is_empty()).collect(),
        }
    }

    pub(crate) fn nodes(&self) -> &[(PathElement, SetNode)] {
        &self.nodes
    }

    pub(crate) fn get(&self, element: &PathElement) -> Option<&SetNode> {
        let at = self
            .nodes
            .binary_search_by(|(own, _)| own.cmp(element))
            .ok()?;
        self.nodes.get(at).map(|(_, node)| node)
    }

    pub(crate) fn get_field(&self, name: &str) -> Option<&SetNode> {
        let at = self
            .nodes
            .binary_search_by(|(own, _)| own.compare_field(name))
            .ok()?;
        self.nodes.get(at).map(|(_, node)| node)
    }

    /// The node of the element, made if it is not there. Who makes one makes it non-empty, too.
    fn node_mut(&mut self, element: PathElement) -> &mut SetNode {
        let at = match self.nodes.binary_search_by(|(own, _)| own.cmp(&element)) {
            Ok(at) => at,
            Err(at) => {
                self.nodes.insert(at, (element, SetNode::default()));
                at
            }
        };
        &mut self.nodes[at].1
    }

    /// Merges a node in; an empty one leaves no trace.
    pub(crate) fn insert_node(&mut self, element: PathElement, node: SetNode) {
        if node.is_empty() {
            return;
        }
        // Walks over objects come in order almost always.
        if self.nodes.last().is_none_or(|(last, _)| *last < element) {
            self.nodes.push((element, node));
            return;
        }
        let own = self.node_mut(element);
        own.is_member |= node.is_member;
        own.children = own.children.union(&node.children);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removal_in_place_is_difference() {
        let set = |paths: &[&[&str]]| {
            FieldSet::from_paths(
                &paths
                    .iter()
                    .map(|path| FieldPath::from_fields(path))
                    .collect::<Vec<_>>(),
            )
        };
        let own = set(&[&["a"], &["a", "b"], &["a", "c", "d"], &["e"]]);
        for other in [
            set(&[]),
            set(&[&["a"]]),
            set(&[&["a", "b"], &["e"]]),
            set(&[&["a", "c"], &["x"]]),
            set(&[&["a", "c", "d"], &["a", "b"]]),
            own.clone(),
        ] {
            let mut left = own.clone();
            left.remove_all(&other);
            assert_eq!(left, own.difference(&other), "{:?}", other.paths());
        }
    }
}
