//! The key of a mirror: kind, namespace, and name.

use std::fmt;
use std::sync::Arc;

/// A mirrored kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum MirrorKind {
    Container,
    Image,
    Volume,
    Namespace,
}

impl MirrorKind {
    pub(crate) const ALL: [Self; 4] = [Self::Container, Self::Image, Self::Volume, Self::Namespace];

    /// Returns the kind as in `kind` of an object.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Container => "Container",
            Self::Image => "Image",
            Self::Volume => "Volume",
            Self::Namespace => "ContainerNamespace",
        }
    }
}

/// The identity of one mirror.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct MirrorKey {
    pub(crate) kind: MirrorKind,
    /// The Kubernetes namespace, not the engine's.
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Arc<str>,
}

impl fmt::Display for MirrorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind.as_str(), self.namespace, self.name)
    }
}
