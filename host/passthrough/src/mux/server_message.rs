//! The messages of the daemon to a client of the multiplexer.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::log_format::messages::{GapDescription, MessageTime};

/// A message of `rdd.logs-mux.v1` from the daemon. Entries are binary messages.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "camelCase")]
pub(crate) enum ServerMessage<'a> {
    /// The subscription was accepted.
    Subscribed {
        /// The subscription.
        id: u32,
    },
    /// The log of a container belongs to the subscription from now on.
    Joined {
        /// The subscription.
        id: u32,
        /// The number of the source, unique on the connection.
        source: u32,
        /// The name of the Container object.
        container: &'a str,
        /// The container's own name.
        name: &'a str,
        /// The container's own labels; none if they have more than 64 KiB.
        labels: &'a BTreeMap<String, String>,
    },
    /// The log of a container no longer belongs to the subscription.
    Left {
        /// The subscription.
        id: u32,
        /// The source.
        source: u32,
        /// A sentence.
        reason: &'a str,
    },
    /// Entries are missing here.
    Gap {
        /// The subscription.
        id: u32,
        /// The source.
        source: u32,
        #[serde(flatten)]
        gap: GapDescription,
    },
    /// The container stopped.
    #[serde(rename_all = "camelCase")]
    Stopped {
        /// The subscription.
        id: u32,
        /// The source.
        source: u32,
        /// When it stopped; null if the engine does not tell.
        time: Option<MessageTime>,
        /// The exit code; null if the engine does not tell.
        exit_code: Option<i32>,
    },
    /// The container started.
    Started {
        /// The subscription.
        id: u32,
        /// The source.
        source: u32,
        /// When it started; null if the engine does not tell.
        time: Option<MessageTime>,
    },
    /// The subscription failed and has ended, or a message was not understood.
    Error {
        /// The subscription; null if the message names none.
        id: Option<u32>,
        /// As an HTTP status.
        code: u16,
        /// A sentence.
        message: &'a str,
    },
    /// The subscription has ended.
    End {
        /// The subscription.
        id: u32,
    },
}
