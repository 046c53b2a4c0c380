//! Every number that the mux goes by, with its reason.

use std::time::Duration;

/// Often enough that a proxy with the usual idle limit of 60 s, or a NAT with
/// one of 30 s, keeps the connection; rare enough to cost nothing.
pub const PING_EVERY: Duration = Duration::from_secs(10);

/// Six pings without a sign of life: a laptop's short sleep or a change of
/// network passes, a dead peer does not hold its place longer than a minute.
pub const PEER_SILENCE: Duration = Duration::from_secs(60);

/// How often silence is looked at: a dead peer is gone within
/// `PEER_SILENCE + SILENCE_CHECK` = 65 s, under the promised 70 s.
pub const SILENCE_CHECK: Duration = Duration::from_secs(5);

/// A viewer has nothing to say: control frames have at most 125 bytes, and
/// this leaves room for a later subscription message. Larger ones get 1009.
pub const INBOUND_MESSAGE: usize = 4 * 1024;

/// Frames are gathered up to this size before they are handed to the socket:
/// one TLS record holds 16 KiB, so a few at a time.
pub const WRITE_BUFFER: usize = 64 * 1024;

/// All bytes that wait for a peer that does not read: what is gathered, and
/// the chunk that did not fit any more. The engine's side waits from then on.
pub const SESSION_BUFFER: usize = 256 * 1024;

/// How often a peer's system is asked whether its buffers are still full: at
/// least twice in `PEER_SILENCE`, so that one question may get lost, and with
/// enough distance from `SILENCE_CHECK` that a daemon which was held up for a
/// few of those does not lose its stalled readers.
pub const ASK_STALLED_EVERY: Duration = Duration::from_secs(30);

/// Once every byte is delivered and the close frames are exchanged, how long
/// the peer may take to end its side of the connection: one round trip, with
/// patience.
pub const LINGER: Duration = Duration::from_secs(2);

/// How long the daemon's end waits for the closing handshakes: one round trip
/// with a peer that reads, with patience.
pub const DRAIN: Duration = Duration::from_secs(2);

/// An engine that does not begin to answer in this time is treated as unreachable.
pub const ENGINE_ANSWER: Duration = Duration::from_secs(10);

/// All streams together. Each costs the memory of a plugin instance and a
/// connection to the engine; engines allow about a thousand connections.
pub const STREAMS_TOTAL: usize = 512;

/// Streams of one user: one user cannot take every place.
pub const STREAMS_PER_USER: usize = 384;

/// The longest reason of a close frame (RFC 6455: 125 bytes less the code).
pub const CLOSE_REASON: usize = 123;

/// When a viewer that found no place may ask again, in seconds.
pub const RETRY_AFTER_PLACES: u32 = 10;

/// When a viewer may ask again that found no engine, in seconds: the host
/// reconnects within two seconds of the engine's return.
pub const RETRY_AFTER_ENGINE: u32 = 2;

/// The longest container ID of any engine that is known, with room to spare:
/// a guard for the time when no backend says what its IDs look like.
pub const ANY_ID: u32 = 255;
