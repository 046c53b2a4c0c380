//! The text of a cursor: a position in the log of one container, for one selection
//! of sources.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rdd_core::{ContainerRef, EntryPosition, Timestamp};
use sha2::{Digest as _, Sha256};

use super::log_position::LogPosition;

/// The maximum length of a cursor in bytes, from the wire format.
pub(crate) const MAX_CURSOR_BYTES: usize = 255;
const VERSION: u8 = 1;
const HAS_STDOUT: u8 = 1;
const HAS_STDERR: u8 = 1 << 1;
const HAS_POSITION: u8 = 1 << 2;
const HAS_OPEN_STDOUT: u8 = 1 << 3;
const HAS_OPEN_STDERR: u8 = 1 << 4;
/// The bytes of the digests, enough to tell the containers of one engine apart.
const CONTAINER_BYTES: usize = 8;
const CREATION_BYTES: usize = 4;
/// The highest index of an entry in a cursor. No log has so many entries with one
/// time, and those that follow can still be counted.
const MAX_INDEX: u32 = u32::MAX / 2;

/// The sources of a log that a viewer selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SourceSet {
    pub(crate) stdout: bool,
    pub(crate) stderr: bool,
}

impl SourceSet {
    /// Both sources.
    #[cfg(test)]
    pub(crate) const ALL: Self = Self {
        stdout: true,
        stderr: true,
    };

    /// Returns whether `source` is selected.
    pub(crate) fn has(self, source: rdd_core::OutputSource) -> bool {
        match source {
            rdd_core::OutputSource::Stdout => self.stdout,
            rdd_core::OutputSource::Stderr => self.stderr,
        }
    }
}

/// What the cursors of one viewer and container have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CursorScope {
    sources: SourceSet,
    container: [u8; CONTAINER_BYTES],
    /// Zero if the creation time is not known.
    creation: [u8; CREATION_BYTES],
}

/// A decoded cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogCursor {
    /// The position; `None` before the first entry.
    pub(crate) position: Option<LogPosition>,
    /// Whether another container has the name now.
    pub(crate) is_replaced: bool,
}

/// Why a text is not a cursor of this log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CursorError {
    #[error("it is not a cursor; use one exactly as it was received")]
    Malformed,
    #[error("it is a cursor of another container")]
    OtherContainer,
    #[error(
        "it was made for another selection of stdout and stderr; use the same as before, or start without a cursor"
    )]
    OtherSources,
}

impl CursorScope {
    /// Creates the scope of a container and a selection of sources.
    pub(crate) fn new(
        container: &ContainerRef,
        created_at: Option<Timestamp>,
        sources: SourceSet,
    ) -> Self {
        let digest = Sha256::new()
            .chain_update(container.namespace.as_bytes())
            .chain_update([0])
            .chain_update(container.id.as_bytes())
            .finalize();
        let creation = created_at.map_or([0; CREATION_BYTES], |time| {
            let digest = Sha256::digest(format!("{time:.9}"));
            first_bytes(&digest)
        });
        Self {
            sources,
            container: first_bytes(&digest),
            creation,
        }
    }

    /// Returns the text of the cursor at `position`.
    pub(crate) fn encode(&self, position: Option<&LogPosition>) -> String {
        let mut flags = 0;
        let mut set = |flag, is_set: bool| {
            if is_set {
                flags |= flag;
            }
        };
        set(HAS_STDOUT, self.sources.stdout);
        set(HAS_STDERR, self.sources.stderr);
        let [stdout, stderr] = position.map_or([None; 2], |position| position.open_lines);
        set(HAS_POSITION, position.is_some());
        set(HAS_OPEN_STDOUT, stdout.is_some());
        set(HAS_OPEN_STDERR, stderr.is_some());
        let mut bytes = vec![VERSION, flags];
        bytes.extend_from_slice(&self.container);
        bytes.extend_from_slice(&self.creation);
        let last = position.map(|position| position.last);
        for entry in [last, stdout, stderr].into_iter().flatten() {
            bytes.extend_from_slice(&entry.time.to_be_bytes());
            bytes.extend_from_slice(&entry.index.to_be_bytes());
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Returns the place that a cursor means, which was parsed for the same selection
    /// of sources.
    ///
    /// # Errors
    ///
    /// Fails if it is a cursor of another container.
    pub(crate) fn accept(&self, cursor: &ParsedCursor) -> Result<LogCursor, CursorError> {
        if cursor.container != self.container {
            return Err(CursorError::OtherContainer);
        }
        let none = [0; CREATION_BYTES];
        let is_known = cursor.creation != none && self.creation != none;
        Ok(LogCursor {
            position: cursor.position,
            is_replaced: is_known && cursor.creation != self.creation,
        })
    }
}

impl ParsedCursor {
    /// Decodes the text of a cursor for this selection of sources.
    ///
    /// # Errors
    ///
    /// Fails if the text is not a cursor, or for another selection.
    pub(crate) fn parse(text: &str, sources: SourceSet) -> Result<Self, CursorError> {
        if text.len() > MAX_CURSOR_BYTES {
            return Err(CursorError::Malformed);
        }
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| CursorError::Malformed)?;
        let cursor = CursorReader(&bytes).read().ok_or(CursorError::Malformed)?;
        if cursor.sources != sources {
            return Err(CursorError::OtherSources);
        }
        Ok(cursor)
    }
}

fn first_bytes<const N: usize>(digest: &[u8]) -> [u8; N] {
    // A digest has 32 bytes.
    digest.first_chunk().copied().unwrap_or([0; N])
}

struct CursorReader<'a>(&'a [u8]);

/// A cursor whose container has not been compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ParsedCursor {
    sources: SourceSet,
    container: [u8; CONTAINER_BYTES],
    creation: [u8; CREATION_BYTES],
    position: Option<LogPosition>,
}

#[cfg(any(test, fuzzing))]
impl ParsedCursor {
    /// Returns the scope that the cursor was made for.
    pub(crate) fn scope(&self) -> CursorScope {
        CursorScope {
            sources: self.sources,
            container: self.container,
            creation: self.creation,
        }
    }

    /// Returns the selection that it was made for.
    pub(crate) fn sources(&self) -> SourceSet {
        self.sources
    }
}

impl CursorReader<'_> {
    fn read(mut self) -> Option<ParsedCursor> {
        let [version, flags] = self.take()?;
        let known = HAS_STDOUT | HAS_STDERR | HAS_POSITION | HAS_OPEN_STDOUT | HAS_OPEN_STDERR;
        if version != VERSION || flags & !known != 0 {
            return None;
        }
        let has = |flag| flags & flag != 0;
        let container = self.take()?;
        let creation = self.take()?;
        let position = if has(HAS_POSITION) {
            let last = self.entry()?;
            let stdout = self.entry_if(has(HAS_OPEN_STDOUT))?;
            let stderr = self.entry_if(has(HAS_OPEN_STDERR))?;
            Some(LogPosition {
                last,
                open_lines: [stdout, stderr],
            })
        } else if has(HAS_OPEN_STDOUT) || has(HAS_OPEN_STDERR) {
            return None;
        } else {
            None
        };
        self.0.is_empty().then_some(ParsedCursor {
            sources: SourceSet {
                stdout: has(HAS_STDOUT),
                stderr: has(HAS_STDERR),
            },
            container,
            creation,
            position,
        })
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn entry(&mut self) -> Option<EntryPosition> {
        let time = i64::from_be_bytes(self.take()?);
        let index = u32::from_be_bytes(self.take()?);
        (index <= MAX_INDEX).then_some(EntryPosition { time, index })
    }

    fn entry_if(&mut self, is_set: bool) -> Option<Option<EntryPosition>> {
        if is_set {
            self.entry().map(Some)
        } else {
            Some(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> CursorScope {
        let container = ContainerRef::new("moby", "4c0f");
        CursorScope::new(&container, Some(Timestamp::from_seconds(1)), SourceSet::ALL)
    }

    fn decode(scope: &CursorScope, text: &str) -> Result<LogCursor, CursorError> {
        scope.accept(&ParsedCursor::parse(text, scope.sources)?)
    }

    fn entry(time: i64, index: u32) -> EntryPosition {
        EntryPosition { time, index }
    }

    #[test]
    fn every_position_survives_as_text_of_the_documented_form() {
        let positions = [
            None,
            Some(LogPosition {
                last: entry(i64::MIN, MAX_INDEX),
                open_lines: [None, None],
            }),
            Some(LogPosition {
                last: entry(-1, 0),
                open_lines: [Some(entry(5, 6)), None],
            }),
            Some(LogPosition {
                last: entry(7, 8),
                open_lines: [Some(entry(9, 10)), Some(entry(i64::MAX, 0))],
            }),
        ];
        for position in positions {
            let text = scope().encode(position.as_ref());
            assert!(text.len() <= MAX_CURSOR_BYTES, "{text}");
            let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.~-".contains(&byte);
            assert!(text.bytes().all(is_allowed), "{text}");
            let decoded = decode(&scope(), &text).unwrap();
            assert_eq!(decoded.position, position);
            assert!(!decoded.is_replaced);
        }
    }

    #[test]
    fn a_cursor_of_another_log_or_selection_is_rejected() {
        let text = scope().encode(None);
        let created = Some(Timestamp::from_seconds(1));
        let decode = |namespace, id, created_at, sources| {
            let container = ContainerRef::new(namespace, id);
            decode(&CursorScope::new(&container, created_at, sources), &text)
        };
        let stdout = SourceSet {
            stdout: true,
            stderr: false,
        };
        assert_eq!(
            decode("moby", "4c10", created, SourceSet::ALL),
            Err(CursorError::OtherContainer)
        );
        assert_eq!(
            decode("other", "4c0f", created, SourceSet::ALL),
            Err(CursorError::OtherContainer)
        );
        assert_eq!(
            decode("mob", "y4c0f", created, SourceSet::ALL),
            Err(CursorError::OtherContainer)
        );
        assert_eq!(
            decode("moby", "4c0f", created, stdout),
            Err(CursorError::OtherSources)
        );
        let later = Some(Timestamp::from_seconds(2));
        assert!(
            decode("moby", "4c0f", later, SourceSet::ALL)
                .unwrap()
                .is_replaced
        );
        assert!(
            !decode("moby", "4c0f", None, SourceSet::ALL)
                .unwrap()
                .is_replaced
        );
    }

    #[test]
    fn an_index_after_which_entries_could_not_be_counted_is_rejected() {
        for (last, open) in [(MAX_INDEX + 1, 0), (0, u32::MAX)] {
            let position = LogPosition {
                last: entry(1, last),
                open_lines: [None, Some(entry(2, open))],
            };
            let text = scope().encode(Some(&position));
            assert_eq!(decode(&scope(), &text), Err(CursorError::Malformed));
        }
    }

    #[test]
    fn another_version_and_flags_without_a_meaning_are_rejected() {
        let bytes = URL_SAFE_NO_PAD.decode(scope().encode(None)).unwrap();
        let version = (0, VERSION + 1);
        // An open line is possible after an entry only.
        let flags = [HAS_OPEN_STDOUT, HAS_OPEN_STDERR, 1 << 5, 1 << 7];
        let flags = flags.map(|flag| (1, bytes[1] | flag));
        for (index, byte) in [version].into_iter().chain(flags) {
            let mut bytes = bytes.clone();
            bytes[index] = byte;
            let text = URL_SAFE_NO_PAD.encode(bytes);
            assert_eq!(decode(&scope(), &text), Err(CursorError::Malformed));
        }
    }

    #[test]
    fn a_text_that_is_no_cursor_is_rejected() {
        let position = LogPosition {
            last: entry(1, 2),
            open_lines: [Some(entry(3, 4)), None],
        };
        let text = scope().encode(Some(&position));
        for length in 0..text.len() {
            assert_eq!(
                decode(&scope(), &text[..length]),
                Err(CursorError::Malformed),
                "{length}"
            );
        }
        for wrong in [
            "",
            "x",
            "0",
            "last",
            &"A".repeat(300),
            &format!("{text}AAAA"),
        ] {
            assert_eq!(
                decode(&scope(), wrong),
                Err(CursorError::Malformed),
                "{wrong}"
            );
        }
    }
}
