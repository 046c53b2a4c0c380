//! A duration on the command line.

use std::time::Duration;

/// Parses a duration such as `5m` or `1h30m`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, jiff::Error> {
    let duration: jiff::SignedDuration = text.parse()?;
    Duration::try_from(duration)
}
