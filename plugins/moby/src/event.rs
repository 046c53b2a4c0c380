//! The decoder of the engine's events. It converts bytes to the objects that
//! must be read again.

use rdd_sdk::types::Timestamp;
use serde_json::{Value, json};

use crate::model::EventMessage;
use crate::{time, url};

/// The maximum size of an event. Events include the labels of their object as
/// attributes.
pub(crate) const MAX_LINE_BYTES: usize = 1 << 20;

/// The actions that do not change a container's record. Each health check
/// produces three of them.
const IGNORED_ACTIONS: [&str; 10] = [
    "archive-path",
    "attach",
    "copy",
    "detach",
    "exec_detach",
    "exec_die",
    "export",
    "extract-to-dir",
    "resize",
    "top",
];

/// The actions that do not change a container's record and are followed by a
/// colon and a command.
const IGNORED_EXEC_ACTIONS: [&str; 2] = ["exec_create", "exec_start"];

/// A change of one object or of all objects of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ChangeEvent {
    /// A container may have changed.
    Container(String),
    /// A container was removed. Its ID is never reused.
    ContainerRemoved(String),
    /// A volume may have changed or been replaced.
    Volume(String),
    /// A volume was removed. Another one may already have its name.
    VolumeRemoved(String),
    /// Any number of containers may have been removed.
    Containers,
    /// Any number of images may have been added, removed, or tagged.
    Images,
    /// Any number of volumes may have been removed.
    Volumes,
    /// An event could not be parsed, so any object may have changed.
    Anything,
}

/// Returns the filters for the events that may change an object's record.
pub(crate) fn watch_filters() -> Value {
    json!({"type": ["container", "image", "volume", "network"]})
}

/// Returns the path of the engine's events. With `since`, the engine first
/// replays the events since then; with `until`, the response ends there.
pub(crate) fn events_path(
    filters: &Value,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) -> String {
    let filters = Some(("filters", filters.to_string()));
    let since = since.map(|since| ("since", time::to_query(since)));
    let until = until.map(|until| ("until", time::to_query(until)));
    url::with_query("/events", [filters, since, until].into_iter().flatten())
}

/// A decoder of the event stream. It buffers at most one line.
#[derive(Debug, Default)]
pub(crate) struct EventDecoder {
    line: Vec<u8>,
    /// Whether the current line is too long and is being skipped.
    is_skipping: bool,
}

impl EventDecoder {
    /// Decodes the next bytes and passes each completed change to `take`.
    pub(crate) fn push(&mut self, mut bytes: &[u8], mut take: impl FnMut(ChangeEvent)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (now, later) = bytes.split_at(end);
            self.buffer(now);
            if std::mem::take(&mut self.is_skipping) {
                take(ChangeEvent::Anything);
            } else {
                decode(&self.line, &mut take);
            }
            self.line.clear();
            bytes = later.get(1..).unwrap_or_default();
        }
        self.buffer(bytes);
    }

    /// Returns the number of bytes that are buffered.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn buffered_bytes(&self) -> usize {
        self.line.len()
    }

    fn buffer(&mut self, bytes: &[u8]) {
        if self.is_skipping || self.line.len() + bytes.len() > MAX_LINE_BYTES {
            self.is_skipping = true;
            self.line = Vec::new();
        } else {
            self.line.extend_from_slice(bytes);
        }
    }
}

fn decode(line: &[u8], take: &mut impl FnMut(ChangeEvent)) {
    // Newer engines may send a record separator before each event.
    let line = line.trim_ascii();
    let line = line.strip_prefix(b"\x1e").unwrap_or(line);
    if line.is_empty() {
        return;
    }
    match serde_json::from_slice(line) {
        Ok(event) => changes(event, take),
        Err(_) => take(ChangeEvent::Anything),
    }
}

fn changes(event: EventMessage, take: &mut impl FnMut(ChangeEvent)) {
    let EventMessage {
        kind,
        action,
        mut actor,
    } = event;
    let id = actor.id;
    match (kind.as_str(), action.as_str()) {
        ("", _) => take(ChangeEvent::Anything),
        ("container", "prune") => take(ChangeEvent::Containers),
        ("container" | "volume", _) if id.is_empty() => take(ChangeEvent::Anything),
        ("container", action) if is_ignored(action) => {}
        ("container", "destroy") => {
            take(ChangeEvent::ContainerRemoved(id));
            // An untagged build sends no other event than the removal of its
            // containers.
            take(ChangeEvent::Images);
        }
        ("container", "commit") => take(ChangeEvent::Images),
        ("container", _) => take(ChangeEvent::Container(id)),
        ("network", "connect" | "disconnect") => {
            if let Some(container) = actor.attributes.remove("container") {
                take(ChangeEvent::Container(container));
            }
        }
        ("image", _) => take(ChangeEvent::Images),
        // Old engines send no event for each pruned volume.
        ("volume", "prune") => take(ChangeEvent::Volumes),
        ("volume", "mount" | "unmount") => {}
        ("volume", "destroy") => take(ChangeEvent::VolumeRemoved(id)),
        ("volume", _) => take(ChangeEvent::Volume(id)),
        _ => {}
    }
}

fn is_ignored(action: &str) -> bool {
    let name = action.split(':').next().unwrap_or_default();
    IGNORED_ACTIONS.contains(&name) || IGNORED_EXEC_ACTIONS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode_all(pieces: &[&[u8]]) -> Vec<ChangeEvent> {
        let mut decoder = EventDecoder::default();
        let mut found = Vec::new();
        for piece in pieces {
            decoder.push(piece, |change| found.push(change));
        }
        found
    }

    fn event(kind: &str, action: &str, id: &str) -> Vec<u8> {
        format!(r#"{{"Type":"{kind}","Action":"{action}","Actor":{{"ID":"{id}","Attributes":{{"container":"c9"}}}}}}"#)
            .into_bytes()
    }

    #[test]
    fn each_event_leads_to_its_changes() {
        let container = || vec![ChangeEvent::Container("x".into())];
        for (kind, action, expected) in [
            ("container", "create", container()),
            ("container", "start", container()),
            ("container", "stop", container()),
            ("container", "die", container()),
            ("container", "kill", container()),
            ("container", "pause", container()),
            ("container", "unpause", container()),
            ("container", "restart", container()),
            ("container", "rename", container()),
            ("container", "update", container()),
            ("container", "health_status: healthy", container()),
            ("container", "oom", container()),
            ("container", "an action of a later version", container()),
            (
                "container",
                "destroy",
                vec![
                    ChangeEvent::ContainerRemoved("x".into()),
                    ChangeEvent::Images,
                ],
            ),
            ("container", "exec_create: sh -c true", vec![]),
            ("container", "exec_start: sh", vec![]),
            ("container", "exec_die", vec![]),
            ("image", "pull", vec![ChangeEvent::Images]),
            ("image", "untag", vec![ChangeEvent::Images]),
            ("image", "prune", vec![ChangeEvent::Images]),
            ("volume", "create", vec![ChangeEvent::Volume("x".into())]),
            (
                "volume",
                "destroy",
                vec![ChangeEvent::VolumeRemoved("x".into())],
            ),
            ("volume", "mount", vec![]),
            ("volume", "prune", vec![ChangeEvent::Volumes]),
            (
                "network",
                "connect",
                vec![ChangeEvent::Container("c9".into())],
            ),
            (
                "network",
                "disconnect",
                vec![ChangeEvent::Container("c9".into())],
            ),
            ("network", "create", vec![]),
            ("daemon", "reload", vec![]),
        ] {
            let mut line = event(kind, action, "x");
            line.push(b'\n');
            assert_eq!(decode_all(&[&line]), expected, "{kind} {action}");
        }
    }

    #[test]
    fn the_path_has_the_filters_and_the_period() {
        assert_eq!(
            events_path(&watch_filters(), Some(time::from_unix_seconds(5)), None),
            "/events?filters=%7B%22type%22%3A%5B%22container%22%2C%22image%22%2C%22volume%22%2C%22network%22%5D%7D&since=5.000000000"
        );
    }

    #[test]
    fn lines_may_be_split_anywhere() {
        let mut stream = event("volume", "create", "a");
        stream.extend_from_slice(b"\r\n\n\x1e");
        stream.extend(event("volume", "create", "b"));
        stream.push(b'\n');
        let expected = [
            ChangeEvent::Volume("a".into()),
            ChangeEvent::Volume("b".into()),
        ];
        for cut in 0..stream.len() {
            let (head, tail) = stream.split_at(cut);
            assert_eq!(decode_all(&[head, tail]), expected, "{cut}");
        }
    }

    #[test]
    fn an_event_that_cannot_be_parsed_is_a_change_of_anything() {
        let expected = [ChangeEvent::Anything];
        assert_eq!(decode_all(&[b"{\"Type\":\n"]), expected);
        assert_eq!(decode_all(&[b"[]\n", b""]), expected);
        let empty_id = event("container", "start", "");
        assert_eq!(decode_all(&[&empty_id, b"\n"]), expected);

        let endless = vec![b'x'; MAX_LINE_BYTES];
        let mut decoder = EventDecoder::default();
        for _ in 0..8 {
            decoder.push(&endless, |_| panic!("no line has ended"));
            assert!(decoder.line.capacity() <= 2 * MAX_LINE_BYTES);
        }
        let mut found = Vec::new();
        decoder.push(b"\n", |change| found.push(change));
        assert_eq!(found, expected);
    }
}
