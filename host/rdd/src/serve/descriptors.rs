//! File descriptors: raised to what the daemon can use, and shared out among
//! connections and log streams, so that neither takes what the rest needs.

use anyhow::{Context as _, Result, bail};
use rdd_gateway::ConnectionLimits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// More than all limits of the daemon together. Not whatever the system
/// allows, which may be a billion: children inherit the limit, and some close
/// every descriptor up to it when they start.
const WANTED: u64 = 65_536;
/// For what must go on when all else is full: standard streams, the runtime,
/// the database, the listener, and the backends' own connections to engines.
const RESERVE: u64 = 128;
/// A log stream's connection to its viewer, and one to the engine.
const PER_STREAM: u64 = 2;
/// Part of the descriptors that connections may take; one in so many.
const CONNECTIONS_PART: u64 = 4;
/// Fewer connections and streams than this are of no use to anybody.
const MIN: u64 = 16;

/// How many connections and log streams there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DescriptorBudget {
    pub(crate) connections: ConnectionLimits,
    pub(crate) streams: usize,
}

impl DescriptorBudget {
    /// Raises the limit of this process, and shares out what it got.
    pub(crate) fn raise() -> Result<Self> {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        // No limit at all is one of `None`.
        let wanted = maximum.map_or(WANTED, |maximum| maximum.min(WANTED));
        let mut limit = current.unwrap_or(WANTED);
        if limit < wanted {
            let raised = Rlimit {
                current: Some(wanted),
                maximum,
            };
            match setrlimit(Resource::Nofile, raised) {
                Ok(()) => limit = wanted,
                Err(error) => {
                    tracing::warn!(%error, limit, "the limit of open files cannot be raised");
                }
            }
        }
        let budget = Self::share(limit).with_context(|| {
            format!("the limit of open files is {limit}; raise it, such as with 'ulimit -n 1024'")
        })?;
        tracing::debug!(limit, ?budget, "shared out the file descriptors");
        Ok(budget)
    }

    fn share(limit: u64) -> Result<Self> {
        let free = limit.saturating_sub(RESERVE);
        let usual = ConnectionLimits::default();
        let most = usual.anonymous + usual.authenticated;
        let connections = to_usize(free / CONNECTIONS_PART).min(most);
        let rest = free.saturating_sub(connections as u64);
        let streams = to_usize(rest / PER_STREAM).min(rdd_passthrough::limits::STREAMS_TOTAL);
        if (connections.min(streams) as u64) < MIN {
            bail!("that is too low");
        }
        // In the usual proportion.
        let anonymous = (connections * usual.anonymous / most).max(1);
        Ok(Self {
            connections: ConnectionLimits {
                anonymous,
                authenticated: connections - anonymous,
                ..usual
            },
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
    fn all_together_stays_below_the_limit_and_grows_to_the_usual_limits() {
        for limit in [256, 512, 1_024, 4_096, WANTED, u64::MAX] {
            let DescriptorBudget {
                connections,
                streams,
            } = DescriptorBudget::share(limit).unwrap();
            let connections = connections.anonymous + connections.authenticated;
            let taken = connections as u64 + PER_STREAM * streams as u64;
            assert!(taken + RESERVE <= limit, "{limit}: {connections} {streams}");
            assert!(streams as u64 >= MIN && connections as u64 >= MIN);
        }
        let plenty = DescriptorBudget::share(WANTED).unwrap();
        assert_eq!(plenty.connections, ConnectionLimits::default());
        assert_eq!(plenty.streams, rdd_passthrough::limits::STREAMS_TOTAL);
    }

    #[test]
    fn a_limit_that_leaves_nothing_is_refused() {
        for limit in [0, 64, RESERVE, RESERVE + MIN] {
            assert!(DescriptorBudget::share(limit).is_err(), "{limit}");
        }
    }
}
