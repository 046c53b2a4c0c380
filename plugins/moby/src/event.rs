//! The engine's events: from bytes to what has to be read again.

use rdd_sdk::types::Timestamp;

use crate::model::EventLine;
use crate::time;

/// The query for the kinds of event that can change a mirrored object.
const KINDS: &str =
    "%7B%22type%22%3A%5B%22container%22%2C%22image%22%2C%22volume%22%2C%22network%22%5D%7D";

/// The longest event that is read: labels ride along as attributes.
const MAX_LINE: usize = 1 << 20;

/// Actions on a container that leave it as it is. Health checks alone make
/// three of them each time.
const IDLE_ACTIONS: [&str; 10] = [
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

/// Actions with a command behind a colon that leave the container as it is.
const IDLE_PREFIXES: [&str; 2] = ["exec_create", "exec_start"];

/// What an event makes stale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// A container may look different.
    Container(String),
    /// A container was removed. IDs are never used again.
    ContainerGone(String),
    /// A volume may look different, or be another one.
    Volume(String),
    /// A volume was removed, and another may bear the name already.
    VolumeGone(String),
    /// Any number of containers may have gone.
    Containers,
    /// Any image may have come, gone or changed its tags.
    Images,
    /// Any number of volumes may have gone.
    Volumes,
    /// Something that cannot be read: anything may have changed.
    Anything,
}

/// The path of the event stream. Events since then are sent again, which
/// closes the gap between the answer and the engine's subscription.
pub(crate) fn path(since: Option<Timestamp>) -> String {
    match since {
        Some(since) => format!("/events?filters={KINDS}&since={}", time::to_query(since)),
        None => format!("/events?filters={KINDS}"),
    }
}

/// Splits the stream into events; holds one line at the most.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    line: Vec<u8>,
    /// In a line that is too long to be kept.
    skipping: bool,
}

impl Decoder {
    /// Takes the next bytes, and gives each change that they complete.
    pub(crate) fn push(&mut self, mut bytes: &[u8], mut take: impl FnMut(Change)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (now, later) = bytes.split_at(end);
            self.hold(now);
            if std::mem::take(&mut self.skipping) {
                take(Change::Anything);
            } else {
                decode(&self.line, &mut take);
            }
            self.line.clear();
            bytes = later.get(1..).unwrap_or_default();
        }
        self.hold(bytes);
    }

    fn hold(&mut self, bytes: &[u8]) {
        if self.skipping || self.line.len() + bytes.len() > MAX_LINE {
            self.skipping = true;
            self.line = Vec::new();
        } else {
            self.line.extend_from_slice(bytes);
        }
    }
}

fn decode(line: &[u8], take: &mut impl FnMut(Change)) {
    // Newer engines may begin each event with a record separator.
    let line = line.trim_ascii();
    let line = line.strip_prefix(b"\x1e").unwrap_or(line);
    if line.is_empty() {
        return;
    }
    match serde_json::from_slice(line) {
        Ok(event) => changes(event, take),
        Err(_) => take(Change::Anything),
    }
}

fn changes(event: EventLine, take: &mut impl FnMut(Change)) {
    let EventLine {
        kind,
        action,
        mut actor,
    } = event;
    let id = actor.id;
    match (kind.as_str(), action.as_str()) {
        ("", _) => take(Change::Anything),
        ("container", "prune") => take(Change::Containers),
        ("container" | "volume", _) if id.is_empty() => take(Change::Anything),
        ("container", action) if is_idle(action) => {}
        ("container", "destroy") => {
            take(Change::ContainerGone(id));
            // The only sign of an untagged build: its containers go.
            take(Change::Images);
        }
        ("container", "commit") => take(Change::Images),
        ("container", _) => take(Change::Container(id)),
        ("network", "connect" | "disconnect") => {
            if let Some(container) = actor.attributes.remove("container") {
                take(Change::Container(container));
            }
        }
        ("image", _) => take(Change::Images),
        // Old engines prune without a word about each volume.
        ("volume", "prune") => take(Change::Volumes),
        ("volume", "mount" | "unmount") => {}
        ("volume", "destroy") => take(Change::VolumeGone(id)),
        ("volume", _) => take(Change::Volume(id)),
        _ => {}
    }
}

fn is_idle(action: &str) -> bool {
    let name = action.split(':').next().unwrap_or_default();
    IDLE_ACTIONS.contains(&name) || IDLE_PREFIXES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pieces: &[&[u8]]) -> Vec<Change> {
        let mut decoder = Decoder::default();
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
    fn each_event_names_what_to_read_again() {
        let container = || vec![Change::Container("x".into())];
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
            ("container", "an action of the future", container()),
            (
                "container",
                "destroy",
                vec![Change::ContainerGone("x".into()), Change::Images],
            ),
            ("container", "exec_create: sh -c true", vec![]),
            ("container", "exec_start: sh", vec![]),
            ("container", "exec_die", vec![]),
            ("image", "pull", vec![Change::Images]),
            ("image", "untag", vec![Change::Images]),
            ("image", "prune", vec![Change::Images]),
            ("volume", "create", vec![Change::Volume("x".into())]),
            ("volume", "destroy", vec![Change::VolumeGone("x".into())]),
            ("volume", "mount", vec![]),
            ("volume", "prune", vec![Change::Volumes]),
            ("network", "connect", vec![Change::Container("c9".into())]),
            (
                "network",
                "disconnect",
                vec![Change::Container("c9".into())],
            ),
            ("network", "create", vec![]),
            ("daemon", "reload", vec![]),
        ] {
            let mut line = event(kind, action, "x");
            line.push(b'\n');
            assert_eq!(all(&[&line]), expected, "{kind} {action}");
        }
    }

    #[test]
    fn lines_may_be_cut_anywhere() {
        let mut stream = event("volume", "create", "a");
        stream.extend_from_slice(b"\r\n\n\x1e");
        stream.extend(event("volume", "create", "b"));
        stream.push(b'\n');
        let expected = [Change::Volume("a".into()), Change::Volume("b".into())];
        for cut in 0..stream.len() {
            let (head, tail) = stream.split_at(cut);
            assert_eq!(all(&[head, tail]), expected, "{cut}");
        }
    }

    #[test]
    fn what_cannot_be_read_may_have_changed_anything() {
        let expected = [Change::Anything];
        assert_eq!(all(&[b"{\"Type\":\n"]), expected);
        assert_eq!(all(&[b"[]\n", b""]), expected);
        let empty_id = event("container", "start", "");
        assert_eq!(all(&[&empty_id, b"\n"]), expected);

        let endless = vec![b'x'; MAX_LINE];
        let mut decoder = Decoder::default();
        for _ in 0..8 {
            decoder.push(&endless, |_| panic!("no line has ended"));
            assert!(decoder.line.capacity() <= 2 * MAX_LINE);
        }
        let mut found = Vec::new();
        decoder.push(b"\n", |change| found.push(change));
        assert_eq!(found, expected);
    }
}
