//! The records of the contract as JSON.
//!
//! The encoding follows from the WIT package by the rules in docs/abi.md, with
//! its names for fields and cases. The types here have the shape of the records
//! and nothing else: what a library returns is validated as the types of
//! `rdd-core`, as for components.

mod object;
mod parameters;
mod response;

use rdd_core::{RegistryCredentials, Timestamp};
use serde::{Deserialize, Serialize};

pub(crate) use parameters::{
    ActParameters, ContainerParameters, InspectParameters, RemoveParameters, SpecParameters,
};
pub(crate) use response::{backend_info, event, inspection, progress, string};

use crate::library_fault::{LibraryFault, contract_fault};

/// The maximum length of the parser's message in an error.
const MAX_PROBLEM_BYTES: usize = 300;

/// `timestamp`
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TimestampRecord {
    seconds: i64,
    nanoseconds: u32,
}

impl From<Timestamp> for TimestampRecord {
    fn from(time: Timestamp) -> Self {
        Self {
            seconds: time.seconds(),
            nanoseconds: time.nanoseconds(),
        }
    }
}

/// Parses `text`, which is the record `what` of the contract.
fn parse<'a, T: Deserialize<'a>>(what: &str, text: &'a str) -> Result<T, LibraryFault> {
    serde_json::from_str(text).map_err(|error| {
        let error = error.to_string();
        contract_fault!(
            "it returned JSON that is not a valid {what}: {}",
            rdd_core::text::truncate(&error, MAX_PROBLEM_BYTES)
        )
    })
}

/// Encodes parameters.
///
/// # Errors
///
/// Never fails for the types of this module; the caller reports it anyway.
pub(crate) fn encode(parameters: &impl Serialize) -> Result<String, serde_json::Error> {
    serde_json::to_string(parameters)
}

/// `password-credentials`
#[derive(Serialize)]
struct PasswordRecord<'a> {
    username: &'a str,
    password: &'a str,
}

/// `credentials`
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum CredentialsVariant<'a> {
    Password(PasswordRecord<'a>),
    IdentityToken(&'a str),
    RegistryToken(&'a str),
}

/// Encodes `option<credentials>`.
///
/// # Errors
///
/// As for [`encode`].
pub(crate) fn credentials(
    credentials: Option<RegistryCredentials>,
) -> Result<String, serde_json::Error> {
    encode(&credentials.as_ref().map(|credentials| match credentials {
        RegistryCredentials::Password { username, password } => {
            CredentialsVariant::Password(PasswordRecord { username, password })
        }
        RegistryCredentials::IdentityToken(token) => CredentialsVariant::IdentityToken(token),
        RegistryCredentials::RegistryToken(token) => CredentialsVariant::RegistryToken(token),
    }))
}

#[cfg(test)]
mod tests;
