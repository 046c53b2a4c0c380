//! The ID of this daemon among those that write to the same API.

use std::fmt;
use std::sync::Arc;

/// The durable ID of an instance of the daemon: the value of the label
/// [`INSTANCE_LABEL`](rdd_api::INSTANCE_LABEL) on each of its mirrors, and the
/// holder of its Leases. It survives restarts, and no two instances share one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceId(Arc<str>);

/// The error for a text that is not a valid instance ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an instance ID consists of 1 to {max} lowercase letters, digits, and '-', and begins and ends with a letter or digit",
    max = rdd_core::text::MAX_DNS_LABEL
)]
pub struct InstanceIdError;

impl InstanceId {
    /// Parses an ID, such as a UUID.
    ///
    /// # Errors
    /// Fails if the text is not valid as the value of a label.
    ///
    /// ```
    /// use rdd_mirror::InstanceId;
    ///
    /// assert!(InstanceId::parse("4b6c1a52-0d2e-4f4e-9f5f-3a1c9d1e7b10").is_ok());
    /// assert!(InstanceId::parse("").is_err());
    /// assert!(InstanceId::parse("not a label").is_err());
    /// ```
    pub fn parse(text: &str) -> Result<Self, InstanceIdError> {
        if rdd_core::text::is_dns_label(text) {
            Ok(Self(text.into()))
        } else {
            Err(InstanceIdError)
        }
    }

    /// Returns the ID as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
