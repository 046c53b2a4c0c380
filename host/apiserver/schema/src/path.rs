//! Paths of fields that are not formatted until an error needs them.

use std::fmt;

/// A path, as a list on the stack that is linked from the leaf to the root.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PathRef<'a> {
    /// The start of the path: empty for an object, the path of the whole schema for a schema.
    Root(&'a str),
    /// `.name`
    Field(&'a PathRef<'a>, &'a str),
    /// `[name]`: an entry of a map, or of `properties` in a schema.
    Key(&'a PathRef<'a>, &'a str),
    /// `[0]`
    Index(&'a PathRef<'a>, usize),
}

impl<'a> PathRef<'a> {
    pub(crate) fn field(&'a self, name: &'a str) -> Self {
        Self::Field(self, name)
    }

    pub(crate) fn key(&'a self, name: &'a str) -> Self {
        Self::Key(self, name)
    }

    pub(crate) fn index(&'a self, index: usize) -> Self {
        Self::Index(self, index)
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::Root(""))
    }
}

impl fmt::Display for PathRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(text) => f.write_str(text),
            Self::Field(parent, name) if parent.is_empty() => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Key(parent, name) => write!(f, "{parent}[{name}]"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}
