//! A backend's description of itself.

use serde::{Deserialize, Serialize};

use crate::text;

/// The format of a backend's full container IDs.
///
/// ```
/// use rdd_core::IdFormat;
///
/// assert!(IdFormat::LowerHex(4).matches("00ff"));
/// assert!(!IdFormat::LowerHex(4).matches("../x"));
/// assert!(IdFormat::Identifier(16).matches("web_1"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdFormat {
    /// Exactly this number of lower-case hexadecimal digits.
    LowerHex(u32),
    /// A letter or digit, then letters, digits, `_`, `.`, or `-`; at most this
    /// number of bytes.
    Identifier(u32),
}

impl IdFormat {
    /// Returns whether `id` has this format.
    pub fn matches(self, id: &str) -> bool {
        match self {
            Self::LowerHex(digits) => text::is_lower_hex(id, digits as usize),
            Self::Identifier(max_bytes) => text::is_identifier(id, max_bytes as usize),
        }
    }
}

impl std::fmt::Display for IdFormat {
    /// Describes the format for an error message.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::LowerHex(digits) => write!(f, "{digits} lower-case hexadecimal digits"),
            Self::Identifier(max_bytes) => {
                write!(
                    f,
                    "a letter or digit, then letters, digits, '_', '.', or '-', at most {max_bytes} characters in total"
                )
            }
        }
    }
}

/// The optional calls that a backend supports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Capabilities {
    /// Whether [`ContainerEngine::get_logs`](crate::ContainerEngine::get_logs) is supported.
    pub logs: bool,
    /// Whether [`ContainerEngine::get_entries`](crate::ContainerEngine::get_entries) is supported.
    pub entries: bool,
    /// Whether entries have times and a stable order, so that a log can be
    /// resumed with [`EntryOptions::after`](crate::EntryOptions::after).
    pub entry_times: bool,
    /// Whether [`ContainerEngine::act`](crate::ContainerEngine::act) is supported.
    pub actions: bool,
    /// Whether [`ContainerEngine::remove`](crate::ContainerEngine::remove) is supported.
    pub removals: bool,
    /// Whether [`ContainerEngine::create_container`](crate::ContainerEngine::create_container) is supported.
    pub create_containers: bool,
    /// Whether [`ContainerEngine::create_volume`](crate::ContainerEngine::create_volume) is supported.
    pub create_volumes: bool,
    /// Whether [`ContainerEngine::exec`](crate::ContainerEngine::exec) is supported.
    pub exec: bool,
    /// Whether [`ContainerEngine::pull`](crate::ContainerEngine::pull) is supported.
    pub pull: bool,
    /// Whether [`ContainerEngine::push`](crate::ContainerEngine::push) is supported.
    pub push: bool,
}

impl Capabilities {
    /// The capabilities of a backend that supports every call.
    pub const ALL: Self = Self {
        logs: true,
        entries: true,
        entry_times: true,
        actions: true,
        removals: true,
        create_containers: true,
        create_volumes: true,
        exec: true,
        pull: true,
        push: true,
    };

    /// Returns whether logs can be read in any form. The other form is derived by
    /// [`DerivedLogs`](crate::DerivedLogs).
    pub fn has_any_log(self) -> bool {
        self.logs || self.entries
    }

    /// Returns each capability with the name that the WIT package gives it, in
    /// its order.
    ///
    /// ```
    /// use rdd_core::Capabilities;
    ///
    /// let named = Capabilities::ALL.named();
    /// assert_eq!(named.first(), Some(&("logs", true)));
    /// assert!(named.contains(&("create-containers", true)));
    /// ```
    pub fn named(self) -> [(&'static str, bool); 10] {
        let Self {
            logs,
            entries,
            entry_times,
            actions,
            removals,
            create_containers,
            create_volumes,
            exec,
            pull,
            push,
        } = self;
        [
            ("logs", logs),
            ("entries", entries),
            ("entry-times", entry_times),
            ("actions", actions),
            ("removals", removals),
            ("create-containers", create_containers),
            ("create-volumes", create_volumes),
            ("exec", exec),
            ("pull", pull),
            ("push", push),
        ]
    }
}

/// A backend's description of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendInfo {
    /// The name by which the App selects the backend.
    pub name: String,
    /// The backend's own version.
    pub version: String,
    /// The engine's display name, such as `Docker Engine`.
    pub engine: String,
    /// The format of its container IDs.
    pub id_format: IdFormat,
    /// The namespaces that always exist. The first one is the default.
    pub namespaces: Vec<String>,
    /// The optional calls that it supports.
    pub capabilities: Capabilities,
}

impl BackendInfo {
    /// Returns the namespace of requests that name none. Empty only while no
    /// backend is loaded, since a backend without a namespace is refused.
    pub fn default_namespace(&self) -> &str {
        self.namespaces.first().map_or("", String::as_str)
    }
}
