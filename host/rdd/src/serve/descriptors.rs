//! The limit of file descriptors: raised to what the daemon can use, and divided
//! between connections and log streams, so that neither starves the rest.

use anyhow::{Context as _, Result, bail};
use rdd_gateway::ConnectionLimits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limit that the daemon requests: more than its own limits add up to. Not
/// the system's maximum, which may be a billion: children inherit the limit, and
/// some close every descriptor up to it on start.
const MAX_DESCRIPTORS: u64 = 65_536;
/// The number of descriptors for everything else: standard streams, the runtime,
/// the database, the listener, and the backends' connections to engines.
const RESERVE: u64 = 128;
/// The number of descriptors per stream: the connection to its client, one to the
/// engine, and one of the shared streams of logs, of which there may be as many.
const PER_STREAM: u64 = 3;
/// Connections may use one part of the free descriptors in this many.
const CONNECTIONS_DIVISOR: u64 = 4;
/// The listener of the web page has one connection for this many of the main
/// listener: a browser opens six.
const PAGE_DIVISOR: usize = 8;
/// The minimum number of connections of the page: those of one browser.
const MIN_PAGE_CONNECTIONS: usize = 6;
/// The minimum number of connections and of streams. With fewer, the daemon is
/// not usable.
const MIN_CONNECTIONS: u64 = 16;

/// The maximum number of connections and log streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DescriptorBudget {
    pub(crate) connections: ConnectionLimits,
    /// Those of the web page's listener.
    pub(crate) page: ConnectionLimits,
    pub(crate) streams: usize,
}

impl DescriptorBudget {
    /// Raises the limit of this process and divides the result.
    pub(crate) fn raise() -> Result<Self> {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        // `None` means unlimited.
        let wanted = maximum.map_or(MAX_DESCRIPTORS, |maximum| maximum.min(MAX_DESCRIPTORS));
        let mut limit = current.unwrap_or(MAX_DESCRIPTORS);
        if limit < wanted {
            let raised = Rlimit {
                current: Some(wanted),
                maximum,
            };
            match setrlimit(Resource::Nofile, raised) {
                Ok(()) => limit = wanted,
                Err(error) => {
                    tracing::warn!(%error, limit, "cannot raise the limit of open files");
                }
            }
        }
        let budget = Self::allocate(limit).with_context(|| {
            format!(
                "the limit of open files is {limit}; raise it, for example with 'ulimit -n 1024'"
            )
        })?;
        budget.log(limit);
        Ok(budget)
    }

    /// Logs how many connections and streams there may be, loudly if there may be
    /// fewer than documented.
    fn log(&self, limit: u64) {
        let Self {
            connections:
                ConnectionLimits {
                    anonymous,
                    authenticated,
                    ..
                },
            page: _,
            streams,
        } = *self;
        let defaults = ConnectionLimits::default();
        let is_lowered = streams < rdd_passthrough::limits::MAX_STREAMS
            || authenticated < defaults.authenticated
            || anonymous < defaults.anonymous;
        if is_lowered {
            tracing::warn!(
                limit,
                anonymous,
                authenticated,
                streams,
                "the limit of open files is low, so fewer connections and log streams are allowed"
            );
        } else {
            tracing::debug!(limit, "the limit of open files suffices");
        }
    }

    fn allocate(limit: u64) -> Result<Self> {
        let free = limit.saturating_sub(RESERVE);
        let defaults = ConnectionLimits::default();
        let max_connections = defaults.anonymous + defaults.authenticated;
        let connections = to_usize(free / CONNECTIONS_DIVISOR).min(max_connections);
        let page = (connections / PAGE_DIVISOR).max(MIN_PAGE_CONNECTIONS);
        let rest = free.saturating_sub((connections + page) as u64);
        let streams = to_usize(rest / PER_STREAM).min(rdd_passthrough::limits::MAX_STREAMS);
        if (connections.min(streams) as u64) < MIN_CONNECTIONS {
            bail!("too low to run the daemon");
        }
        // In the proportion of the defaults.
        let limits = |count: usize| {
            let anonymous = (count * defaults.anonymous / max_connections).max(1);
            ConnectionLimits {
                anonymous,
                authenticated: count - anonymous,
                ..defaults
            }
        };
        Ok(Self {
            connections: limits(connections),
            page: limits(page),
            streams,
        })
    }
}

fn to_usize(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_below_the_limit_and_grows_up_to_the_defaults() {
        for limit in [256, 512, 1_024, 4_096, MAX_DESCRIPTORS, u64::MAX] {
            let DescriptorBudget {
                connections,
                page,
                streams,
            } = DescriptorBudget::allocate(limit).unwrap();
            let connections = connections.anonymous
                + connections.authenticated
                + page.anonymous
                + page.authenticated;
            let used = connections as u64 + PER_STREAM * streams as u64;
            assert!(used + RESERVE <= limit, "{limit}: {connections} {streams}");
            assert!(streams as u64 >= MIN_CONNECTIONS && connections as u64 >= MIN_CONNECTIONS);
        }
        let plenty = DescriptorBudget::allocate(MAX_DESCRIPTORS).unwrap();
        assert_eq!(plenty.connections, ConnectionLimits::default());
        assert_eq!(plenty.streams, rdd_passthrough::limits::MAX_STREAMS);
    }

    #[test]
    fn a_limit_that_is_too_low_is_rejected() {
        for limit in [0, 64, RESERVE, RESERVE + MIN_CONNECTIONS] {
            assert!(DescriptorBudget::allocate(limit).is_err(), "{limit}");
        }
    }
}
