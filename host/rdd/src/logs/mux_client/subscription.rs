//! A subscription, which outlives its connections.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;

use super::messages::{ClientMessage, FollowMode, LogRange, LogSelection};

/// The maximum number of logs whose positions are known: as many as a connection
/// can have sources. The oldest ones are forgotten, since containers come and go.
const MAX_CURSORS: NonZeroUsize = NonZeroUsize::new(512).expect("512 is not zero");

/// The bytes of cursors in one message, of the 4 KiB that it may have.
const CURSOR_BYTES: usize = 3 * 1024;

/// The failures without an entry in between after which a log is given up that the
/// engine or its backend cannot read.
const MAX_FAILURES: u32 = 3;

/// The name of a container's object.
pub(crate) type LogId = Arc<str>;

/// A subscription of a [`MuxClient`](super::MuxClient).
pub(super) struct Subscription {
    pub(super) id: u32,
    pub(super) selection: LogSelection,
    range: LogRange,
    follow: FollowMode,
    cursors: LruCache<LogId, String>,
    /// Whether the daemon has accepted it once.
    pub(super) has_begun: bool,
    /// Whether its logs have ended.
    pub(super) is_over: bool,
    failures: u32,
}

impl Subscription {
    pub(super) fn new(
        id: u32,
        selection: LogSelection,
        range: LogRange,
        follow: FollowMode,
    ) -> Self {
        Self {
            id,
            selection,
            range,
            follow,
            cursors: LruCache::new(MAX_CURSORS),
            has_begun: false,
            is_over: false,
            failures: 0,
        }
    }

    /// Records the position after what was received.
    pub(super) fn advance(&mut self, log: LogId, cursor: String, has_entries: bool) {
        self.cursors.put(log, cursor);
        if has_entries {
            self.failures = 0;
        }
    }

    /// Returns whether the subscription is worth another attempt after an error
    /// with this code.
    pub(super) fn may_retry(&mut self, code: u16) -> bool {
        match code {
            _ if !self.has_begun => false,
            // Too many streams, among them perhaps those of the last connection;
            // or the engine is not available.
            429 | 503 => true,
            // The engine or the backend failed on this log.
            502 => {
                self.failures += 1;
                self.failures < MAX_FAILURES
            }
            _ => false,
        }
    }

    /// Returns the messages that begin the subscription, or continue it.
    pub(super) fn messages(&self, credit: u32) -> Vec<ClientMessage<'_>> {
        let mut messages: Vec<_> = self.cursor_batches().collect();
        // A log that has begun continues at its cursor, and one that was created
        // since is read from its beginning.
        let range = if self.has_begun {
            LogRange {
                until: self.range.until.clone(),
                ..LogRange::default()
            }
        } else {
            self.range.clone()
        };
        messages.push(ClientMessage::Subscribe {
            id: self.id,
            selection: &self.selection,
            range,
            follow: self.follow,
            credit,
        });
        messages
    }

    fn cursor_batches(&self) -> impl Iterator<Item = ClientMessage<'_>> {
        let mut cursors = self.cursors.iter().peekable();
        std::iter::from_fn(move || {
            let mut bytes = 0;
            let mut batch = std::collections::BTreeMap::new();
            while let Some((log, cursor)) = cursors.next_if(|(log, cursor)| {
                // With quotes, a colon, and a comma.
                bytes += log.len() + cursor.len() + 6;
                bytes <= CURSOR_BYTES
            }) {
                batch.insert(&**log, &**cursor);
            }
            (!batch.is_empty()).then_some(ClientMessage::Cursors {
                id: self.id,
                cursors: batch,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription() -> Subscription {
        Subscription::new(
            1,
            LogSelection::Selector("app=x".into()),
            LogRange {
                tail: Some("5".to_owned()),
                since: Some("10m".to_owned()),
                until: Some("-10m".to_owned()),
            },
            FollowMode::Yes,
        )
    }

    fn json(subscription: &Subscription) -> Vec<String> {
        let messages = subscription.messages(7);
        messages
            .iter()
            .map(|message| serde_json::to_string(message).unwrap())
            .collect()
    }

    #[test]
    fn a_log_that_has_begun_continues_at_its_cursor() {
        let mut subscription = subscription();
        assert_eq!(
            json(&subscription),
            [
                r#"{"op":"subscribe","id":1,"selector":"app=x","tail":"5","since":"10m","until":"-10m","follow":true,"credit":7}"#
            ]
        );
        subscription.has_begun = true;
        subscription.advance("web".into(), "c1".to_owned(), true);
        assert_eq!(
            json(&subscription),
            [
                r#"{"op":"cursors","id":1,"cursors":{"web":"c1"}}"#,
                r#"{"op":"subscribe","id":1,"selector":"app=x","until":"-10m","follow":true,"credit":7}"#
            ]
        );
    }

    #[test]
    fn many_cursors_are_divided_into_messages_that_the_daemon_accepts() {
        let mut subscription = subscription();
        for number in 0..600 {
            let log = format!("{number:064}");
            subscription.advance(log.into(), "c".repeat(100), true);
        }
        let messages = json(&subscription);
        assert!(messages.iter().all(|message| message.len() <= 4096));
        let cursors: usize = messages
            .iter()
            .map(|message| message.matches(&"c".repeat(100)).count())
            .sum();
        assert_eq!(cursors, MAX_CURSORS.get());
    }

    #[test]
    fn a_log_that_cannot_be_read_is_given_up() {
        let mut subscription = subscription();
        assert!(!subscription.may_retry(503), "it has not begun");
        subscription.has_begun = true;
        assert!(subscription.may_retry(502));
        assert!(subscription.may_retry(502));
        subscription.advance("web".into(), "c".to_owned(), true);
        assert!(subscription.may_retry(502));
        assert!(subscription.may_retry(502));
        subscription.advance("web".into(), "c".to_owned(), false);
        assert!(!subscription.may_retry(502));
        assert!((0..9).all(|_| subscription.may_retry(503)));
        assert!(!subscription.may_retry(404));
    }
}
