//! What names a mirror.

use std::fmt;
use std::sync::Arc;

/// The mirrored kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Container,
    Image,
    Volume,
    Namespace,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Container, Self::Image, Self::Volume, Self::Namespace];

    /// The kind's name on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Container => "Container",
            Self::Image => "Image",
            Self::Volume => "Volume",
            Self::Namespace => "ContainerNamespace",
        }
    }
}

/// Names one mirror.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) kind: Kind,
    /// The Kubernetes namespace, not the engine's.
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Arc<str>,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind.as_str(), self.namespace, self.name)
    }
}
