//! The messages of a client of the multiplexer.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A message of `rdd.logs-mux.v1` from the client. Other members are ignored.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "op", rename_all = "camelCase")]
pub(crate) enum ClientMessage {
    /// Begins a subscription.
    Subscribe(Box<SubscribeRequest>),
    /// Lets the daemon send more.
    Credit {
        /// The subscription.
        id: u32,
        /// The number of bytes of entries to add.
        bytes: u64,
    },
    /// Says where logs begin that the subscription with this ID will have. Sent
    /// before `subscribe`, as often as needed, when its own `cursors` would make it
    /// too long.
    Cursors {
        /// The ID of the later subscription.
        id: u32,
        /// Where the logs of containers begin, by container.
        cursors: BTreeMap<String, String>,
    },
    /// Ends a subscription.
    Unsubscribe {
        /// The subscription.
        id: u32,
    },
}

/// A subscription to the logs of one or more containers. Exactly one of
/// `container`, `selector`, and `project` is there.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct SubscribeRequest {
    /// Chosen by the client, and not in use.
    pub(super) id: u32,
    /// The name of a Container object, or the engine's ID.
    pub(super) container: Option<String>,
    /// A label selector in Kubernetes' syntax, over the container's own labels.
    pub(super) selector: Option<String>,
    /// The name of a Docker Compose project.
    pub(super) project: Option<String>,
    /// The number of lines from the end of each log; all lines if it is absent.
    pub(super) tail: Option<TailNumber>,
    /// A time as in the parameter `since`.
    pub(super) since: Option<String>,
    /// A time as in the parameter `until`.
    pub(super) until: Option<String>,
    /// Whether to continue at the end of a log.
    #[serde(default)]
    pub(super) follow: FollowValue,
    /// Whether to send standard output.
    #[serde(default = "default_true")]
    pub(super) stdout: bool,
    /// Whether to send standard error.
    #[serde(default = "default_true")]
    pub(super) stderr: bool,
    /// Where the logs of containers begin, by container.
    #[serde(default)]
    pub(super) cursors: BTreeMap<String, String>,
    /// The number of bytes of entries that may be sent.
    #[serde(default)]
    pub(super) credit: u64,
}

impl SubscribeRequest {
    /// Adds cursors that were sent before. Those of the request have precedence.
    pub(super) fn add_cursors(&mut self, earlier: BTreeMap<String, String>) {
        for (container, cursor) in earlier {
            self.cursors.entry(container).or_insert(cursor);
        }
    }
}

/// A number of lines, or `all`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum TailNumber {
    /// A number of lines.
    Lines(u64),
    /// The same as text, or `all`.
    Text(String),
}

/// Whether a log is followed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum FollowValue {
    /// Whether it is followed until the container stops.
    Boolean(bool),
    /// It is followed until the container is removed.
    Text(RestartWord),
}

/// The word for a log that is followed over restarts.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "camelCase")]
pub(crate) enum RestartWord {
    /// Followed until the container is removed.
    Restart,
}

impl<'de> Deserialize<'de> for RestartWord {
    /// Written by hand: a derived implementation also takes `{"restart":null}`.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "restart" => Ok(Self::Restart),
            word => Err(D::Error::unknown_variant(word, &["restart"])),
        }
    }
}

impl Default for FollowValue {
    fn default() -> Self {
        Self::Boolean(true)
    }
}

fn default_true() -> bool {
    true
}

/// A message that cannot be understood, with the ID that it names.
#[derive(Debug)]
pub(super) struct InvalidMessage {
    pub(super) id: Option<u32>,
    pub(super) reason: String,
}

impl ClientMessage {
    /// Parses a text message.
    pub(super) fn parse(text: &str) -> Result<Self, InvalidMessage> {
        Self::parse_object(text).map_err(|error| InvalidMessage {
            // Only a subscription is answered by its ID.
            id: subscribed_id(text),
            reason: format!("the message is not valid: {error}"),
        })
    }

    fn parse_object(text: &str) -> Result<Self, serde_json::Error> {
        // serde also takes an array for an object, and a number for the name of a
        // variant.
        let value: Value = serde_json::from_str(text)?;
        if !value.get("op").is_some_and(Value::is_string) {
            return Err(serde_json::Error::custom("it has no text op"));
        }
        serde_json::from_str(text)
    }
}

fn subscribed_id(text: &str) -> Option<u32> {
    let value: Value = serde_json::from_str(text).ok()?;
    if value.get("op")?.as_str()? != "subscribe" {
        return None;
    }
    u32::try_from(value.get("id")?.as_u64()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_documented_forms_of_a_message_are_accepted() {
        for text in [
            r#"{"op":"unsubscribe","id":1}"#,
            r#"{"op":"subscribe","id":1,"follow":"restart"}"#,
        ] {
            assert!(ClientMessage::parse(text).is_ok(), "{text}");
        }
        for text in [
            r#"["unsubscribe",1]"#,
            r#"{"op":2,"id":1}"#,
            r#"{"id":1}"#,
            r#"{"op":"subscribe","id":1,"follow":{"restart":null}}"#,
            r#"{"op":"subscribe","id":1,"follow":"Restart"}"#,
        ] {
            assert!(ClientMessage::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_cursors_of_a_subscription_itself_have_precedence() {
        let text = r#"{"op":"subscribe","id":1,"cursors":{"a":"own"}}"#;
        let Ok(ClientMessage::Subscribe(mut request)) = ClientMessage::parse(text) else {
            panic!("{text}");
        };
        let earlier = ["a", "b"].map(|name| (name.to_owned(), "earlier".to_owned()));
        request.add_cursors(earlier.into());
        let expected = [("a", "own"), ("b", "earlier")];
        let expected = expected.map(|(name, cursor)| (name.to_owned(), cursor.to_owned()));
        assert_eq!(request.cursors, expected.into());
    }
}
