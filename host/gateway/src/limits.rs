//! Every number that connections go by, with its reason.

use std::time::Duration;

/// An HTTP/2 peer that does not answer a ping is gone: a vanished watcher is
/// found within [`HTTP2_PING_EVERY`] + [`HTTP2_PING_TIMEOUT`].
pub(crate) const HTTP2_PING_EVERY: Duration = Duration::from_secs(30);
/// See [`HTTP2_PING_EVERY`].
pub(crate) const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a connection without requests may take to close in order. A peer
/// that reads needs a round trip; this is for one on a busy machine. One that
/// does not read is cut off, also when the daemon ends.
pub(crate) const CLOSE_GRACE: Duration = Duration::from_millis(500);

/// After a failed accept (out of file descriptors, say): trying at once would spin.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A condition that goes on is logged this often, with a count.
pub(crate) const LOG_EVERY: Duration = Duration::from_secs(10);

/// What a client is told to wait while the daemon starts, in seconds.
pub(crate) const STARTING_RETRY_AFTER: u32 = 1;

/// When a client that found no connection free may try again, in seconds.
pub(crate) const CONNECTIONS_RETRY_AFTER: u32 = 5;

/// Limits on connections. A connection is *anonymous* until a request on it
/// has shown good credentials. Anybody on the machine can open anonymous ones,
/// so they have short times and a part of the connections of their own: they
/// cannot keep out those who have credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections with credentials at once.
    pub authenticated: usize,
    /// Anonymous connections at once. One more closes the oldest of them.
    pub anonymous: usize,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long an anonymous connection may go on without a request: to its
    /// first one, and between two. An HTTP/2 ping is no request.
    pub anonymous_idle: Duration,
    /// How long a connection with credentials may go on without a request
    /// under way. A watch is under way until it ends.
    pub idle: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            // Far above what a GUI and a few kubectls open, far below the
            // usual limit of file descriptors.
            authenticated: 768,
            // A connection that means well is anonymous for milliseconds.
            anonymous: 256,
            // It takes milliseconds; a peer that needs longer wastes a connection.
            handshake: Duration::from_secs(10),
            // Clients connect because they have something to ask. Browsers
            // open some ahead of time, and open new ones when they need them.
            anonymous_idle: Duration::from_secs(10),
            // As long as Go's HTTP client, and so kubectl, keeps a connection
            // without requests: it is seldom closed under a request.
            idle: Duration::from_secs(90),
        }
    }
}
