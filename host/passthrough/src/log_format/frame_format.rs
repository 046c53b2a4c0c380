//! The format of data frames, which a client selects by a subprotocol.

/// The subprotocols of one container's log.
pub(crate) const LOG_SUBPROTOCOLS: [(&str, FrameFormat); 4] = [
    // The same format as without a subprotocol, for clients that have to select
    // one: a browser that sends its token as a subprotocol needs a second one
    // that the server can accept.
    ("rdd.logs.v1+raw", FrameFormat::Raw),
    ("rdd.logs.v1+source", FrameFormat::WithSource),
    ("rdd.logs.v1+json", FrameFormat::Json),
    ("rdd.logs.v1+binary", FrameFormat::Binary),
];

/// The format of data frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameFormat {
    /// Bytes of the log. Both streams are merged in order of arrival.
    Raw,
    /// One byte for the source (1 standard output, 2 standard error), then bytes
    /// of the log.
    WithSource,
    /// Entries as JSON, in text messages.
    Json,
    /// Entries in a binary form.
    Binary,
}

impl FrameFormat {
    /// Returns whether the messages have entries with times and cursors.
    pub(crate) fn has_entries(self) -> bool {
        matches!(self, Self::Json | Self::Binary)
    }
}
