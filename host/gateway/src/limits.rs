//! The limits on connections, each with its reason.

use std::time::Duration;

/// The interval of HTTP/2 pings. A vanished watcher is detected within
/// [`HTTP2_PING_INTERVAL`] + [`HTTP2_PING_TIMEOUT`].
pub(crate) const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(30);
/// The connection of a peer that does not answer a ping within this time is
/// closed.
pub(crate) const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(20);

/// The maximum number of bytes that are buffered of an HTTP/1.1 request: its head,
/// with a URI of up to 64 KiB. 256 connections without credentials then hold 32 MiB.
/// Heads of HTTP/2 have 16 KiB at most.
pub(crate) const MAX_HTTP1_BUFFER: usize = 128 * 1024;

/// How long a connection without requests may take to close gracefully. A peer
/// that reads needs one round trip; this allows for a busy machine. A peer that
/// does not read is disconnected, even when the daemon shuts down.
pub(crate) const CLOSE_GRACE: Duration = Duration::from_millis(500);

/// The delay after a failed accept, such as when the process is out of file
/// descriptors. Retrying at once would spin.
pub(crate) const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// The minimum interval between log lines about an ongoing condition. Each line
/// has a count.
pub(crate) const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// `Retry-After` in seconds while the daemon is starting.
pub(crate) const STARTING_RETRY_AFTER_SECONDS: u32 = 1;

/// `Retry-After` in seconds for a connection above the limit.
pub(crate) const CONNECTIONS_RETRY_AFTER_SECONDS: u32 = 5;

/// Limits on connections. A connection is *anonymous* until a request on it is
/// authenticated. Any local user can open anonymous connections, so they have
/// short timeouts and a separate limit: they cannot lock out authenticated
/// clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// The maximum number of authenticated connections.
    pub authenticated: usize,
    /// The maximum number of anonymous connections. One more evicts the oldest.
    pub anonymous: usize,
    /// The timeout of the TLS handshake.
    pub handshake: Duration,
    /// How long an anonymous connection may be idle before its first request,
    /// and between requests. An HTTP/2 ping does not count as a request.
    pub anonymous_idle: Duration,
    /// How long a request may take to send its body, from its headers on. A peer
    /// that stops in the middle would keep its connection forever.
    pub body: Duration,
    /// How long an authenticated connection may have no request in flight. A
    /// watch is in flight until it ends.
    pub idle: Duration,
}

impl ConnectionLimits {
    /// Returns the maximum number of authenticated connections of one user: three
    /// quarters, so that one user cannot use all of them.
    pub(crate) fn authenticated_per_user(&self) -> usize {
        (self.authenticated * 3 / 4).max(1)
    }
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            // Far more than a GUI and several kubectl processes open, far below
            // the usual limit of file descriptors.
            authenticated: 768,
            // A legitimate connection is anonymous for milliseconds only.
            anonymous: 256,
            // A handshake takes milliseconds.
            handshake: Duration::from_secs(10),
            // Clients send a request as soon as they are connected. Browsers
            // preconnect, but reconnect when they need to.
            anonymous_idle: Duration::from_secs(10),
            // Bodies of the API have 3 MiB at most, and kube-apiserver has a minute
            // for a whole request.
            body: Duration::from_secs(60),
            // The idle timeout of Go's HTTP client, and so of kubectl: a
            // connection is rarely closed just as a request is sent.
            idle: Duration::from_secs(90),
        }
    }
}
