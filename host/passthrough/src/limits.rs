//! The limits of the passthrough, each with its reason.

use std::time::Duration;

/// The interval of WebSocket pings. Often enough to keep a connection through a
/// proxy with the usual idle timeout of 60 s, or a NAT with one of 30 s, and
/// rare enough to cost nothing.
pub const PING_INTERVAL: Duration = Duration::from_secs(10);

/// The timeout for a peer without activity: six pings. A laptop's short sleep or
/// a change of network passes, but a dead peer holds its permit for a minute at
/// most.
pub const PEER_TIMEOUT: Duration = Duration::from_secs(60);

/// How often the activity of a peer is checked. A dead peer is disconnected
/// within `PEER_TIMEOUT + PEER_CHECK_INTERVAL` = 65 s, less than the documented
/// 70 s.
pub const PEER_CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// The maximum size of a client's message in bytes; larger ones are closed with
/// 1009. The longest are the subscriptions of the multiplexer, and the cursors for
/// them, of which a client may send several.
pub const MAX_INBOUND_MESSAGE: usize = 4 * 1024;

/// The maximum size of a client's message to a process in bytes; larger ones are
/// closed with 1009. Clients of Kubernetes send what they read at once: kubectl
/// 32 KiB, others a whole file.
pub const MAX_EXEC_MESSAGE: usize = 1024 * 1024;

/// How many bytes of a client's message are passed on to a process at once, so
/// that a backend gets pieces of the size that it also sends.
pub const EXEC_INPUT_CHUNK: usize = 64 * 1024;

/// The maximum number of arguments of a command, and of environment variables:
/// more than people write.
pub const MAX_EXEC_ITEMS: usize = 1024;

/// The maximum number of bytes in the parameters of a process. HTTP libraries
/// allow about 64 KiB for a whole URL, in which a character takes up to three
/// bytes; what is longer belongs in standard input.
pub const MAX_EXEC_PARAMETER_BYTES: usize = 32 * 1024;

/// How often a connection is checked that is not read, because the process does
/// not read its standard input. As soon as the end of a stream is noticed
/// elsewhere.
pub const UNREAD_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The size of the buffer for reading, if messages may be much larger: two TLS
/// records of 16 KiB. Otherwise, it is an eighth of the largest message, which most
/// messages fit into.
pub const READ_BUFFER_SIZE: usize = 32 * 1024;

/// How many bytes of frames are gathered before they are written to the socket:
/// several TLS records of 16 KiB.
pub const WRITE_BUFFER_SIZE: usize = 64 * 1024;

/// The maximum number of bytes that wait for a peer that does not read: the
/// gathered frames and one more chunk. After that, the engine is not read
/// either.
pub const MAX_SESSION_BUFFER: usize = 256 * 1024;

/// The size in bytes above which entries in JSON are divided into messages, unless a
/// single entry is longer.
pub const JSON_MESSAGE_BYTES: usize = 96 * 1024;

/// The same as [`MAX_SESSION_BUFFER`] for entries in JSON, in which a control
/// character takes six bytes: an entry of 64 KiB becomes 384 KiB. Where no cursor is
/// possible within a batch, a message also has the descriptions of its 4,096
/// entries, of 100 bytes each.
pub const MAX_JSON_BUFFER: usize = 1024 * 1024;

/// The timeout for a peer whose receive buffer is full. Linux asks its system
/// whether there is room again, at growing intervals of up to two minutes.
pub const STALLED_PEER_TIMEOUT: Duration = Duration::from_secs(150);

/// How long the peer may take to close its side of the connection after every
/// byte was delivered and the close frames were exchanged: one round trip, and
/// some reserve.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the shutdown of the daemon waits for the closing handshakes: one
/// round trip with a peer that reads, and some reserve.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// An engine that does not respond within this time counts as unreachable.
pub const ENGINE_TIMEOUT: Duration = Duration::from_secs(10);

/// How many lines from the end of a log a shared engine stream begins with: a
/// screen or two of a viewer, so that the usual first view and everybody who joins
/// later read no more from the engine.
pub const FOLLOWED_TAIL: u64 = 512;

/// The maximum number of logs that are opened at the same time, so that a client
/// with hundreds of subscriptions does not flood the engine.
pub const MAX_OPENING_LOGS: usize = 16;

/// The maximum number of bytes of the last entries of a followed log, with their
/// descriptions. Who falls behind further reads from the engine.
pub const MAX_RING_BYTES: usize = 256 * 1024;

/// How much longer the entries of a followed log are gathered for each reader but
/// one: several times what an item costs for a reader, so that however many there
/// are, they use a small part of a processor.
pub const ITEM_PAUSE_PER_READER: Duration = Duration::from_micros(500);

/// The longest time for which the entries of a followed log are gathered: shorter
/// than what people notice on a page.
pub const MAX_ITEM_PAUSE: Duration = Duration::from_millis(50);

/// How long before the next item the engine's stream is read again: a backend that
/// was waiting has one batch ready, and needs a moment for what was written since.
pub const READ_BEFORE_ITEM: Duration = Duration::from_millis(2);

/// Items of a followed log with fewer bytes are short: the log is written so slowly
/// that its stream may rest.
pub const SHORT_ITEM_BYTES: usize = 16 * 1024;

/// How long an engine stream without viewers is kept: a page that is reloaded finds
/// it again.
pub const UNVIEWED_LOG_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a viewer that has read an entry from the engine waits for it in the
/// shared stream, which receives it at about the same time.
pub const RING_LAG_TIMEOUT: Duration = Duration::from_secs(2);

/// The maximum number of subscriptions of a connection.
pub const MAX_MUX_SUBSCRIPTIONS: usize = 64;

/// The maximum number of sources of a connection. Each one may be an engine stream.
pub const MAX_MUX_SOURCES: usize = 512;

/// The maximum number of bytes of the labels of a container in a message about it.
pub const MAX_JOINED_LABELS: usize = 64 * 1024;

/// How many items of sources are gathered before they are written.
pub const MAX_GATHERED_ITEMS: usize = 256;

/// How often a source whose engine stream failed is opened again.
pub const LOST_SOURCE_INTERVAL: Duration = Duration::from_secs(2);

/// How often a stopped container is inspected if the mirror reports no change.
pub const RUN_CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// The pause before the log of a running container is opened again after the engine
/// has ended its stream.
pub const REOPEN_INTERVAL: Duration = Duration::from_millis(200);

/// The maximum number of streams. Each one uses the memory of a plugin instance
/// and a connection to the engine; engines allow about a thousand connections.
pub const MAX_STREAMS: usize = 512;

/// The maximum number of streams per user: one user cannot take all permits.
pub const MAX_STREAMS_PER_USER: usize = 384;

/// The maximum length of a close reason in bytes (RFC 6455: 125 bytes less the
/// code).
pub const MAX_CLOSE_REASON: usize = 123;

/// `Retry-After` in seconds if too many streams are open.
pub const STREAM_LIMIT_RETRY_AFTER_SECONDS: u32 = 10;

/// `Retry-After` in seconds while the engine is unreachable: the host reconnects
/// within two seconds of the engine's return.
pub const ENGINE_RETRY_AFTER_SECONDS: u32 = 2;

/// The maximum length of a container ID in bytes while no backend defines its
/// format: more than the IDs of any known engine.
pub const MAX_ID_LENGTH: u32 = 255;

/// How many bytes of an invalid container ID an error message quotes.
pub const MAX_QUOTED_ID: usize = 80;
