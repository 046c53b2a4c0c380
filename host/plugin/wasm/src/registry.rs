//! The import `registry`: the user's credentials for the registry of a pull or
//! push in progress.

use std::time::Duration;

use rdd_core::{EngineError, ErrorCode, RegistryCredentials};
use wasmtime::AsContextMut;
use wasmtime::component::{Accessor, HasSelf};

use crate::bindings::registry;
use crate::bindings::types::{Error, ErrorCode as WitCode};
use crate::call_tracker::{CallState, calling_task};
use crate::host_state::HostState;

/// The time limit for a credential helper, which may ask the user to unlock a
/// keychain.
const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(60);
/// The maximum length of a registry's name in bytes: a host name and a port.
const MAX_REGISTRY_BYTES: usize = 260;

impl registry::Host for HostState {}

impl registry::HostWithStore<HostState> for HasSelf<HostState> {
    async fn get_credentials(
        accessor: &Accessor<HostState, Self>,
        registry: String,
    ) -> wasmtime::Result<Result<Option<registry::Credentials>, Error>> {
        let (credentials, granted, call) = accessor.with(|mut access| {
            let task = calling_task(&mut access.as_context_mut());
            let state = access.get();
            (
                state.host.credentials.clone(),
                state.registry.clone(),
                state.calls.get(task),
            )
        });
        if granted.as_deref() != Some(registry.as_str()) {
            return Ok(Err(denied(&registry, granted.as_deref())));
        }
        // The wait for a helper is a wait outside of the guest.
        let _wait = call.as_ref().map(CallState::begin_wait);
        let found = tokio::time::timeout(CREDENTIALS_TIMEOUT, credentials.credentials(&registry));
        Ok(match found.await {
            Ok(Ok(credentials)) => Ok(credentials.map(to_wit)),
            Ok(Err(error)) => Err(to_wit_error(error)),
            Err(_) => Err(Error {
                code: WitCode::Timeout,
                message: format!(
                    "the credentials for {registry} were not found within {CREDENTIALS_TIMEOUT:?}; check the credential helper of the Docker configuration"
                ),
            }),
        })
    }
}

/// Returns the error for a registry that is not the one in progress.
fn denied(registry: &str, granted: Option<&str>) -> Error {
    let registry = rdd_core::text::quote(registry, MAX_REGISTRY_BYTES);
    Error {
        code: WitCode::PermissionDenied,
        message: match granted {
            Some(granted) => format!(
                "credentials for {registry} are not available: the transfer in progress is with {granted}"
            ),
            None => format!(
                "credentials for {registry} are not available: no pull or push is in progress in this instance"
            ),
        },
    }
}

fn to_wit(credentials: RegistryCredentials) -> registry::Credentials {
    match credentials {
        RegistryCredentials::Password { username, password } => {
            registry::Credentials::Password(registry::PasswordCredentials { username, password })
        }
        RegistryCredentials::IdentityToken(token) => registry::Credentials::IdentityToken(token),
        RegistryCredentials::RegistryToken(token) => registry::Credentials::RegistryToken(token),
    }
}

fn to_wit_error(error: EngineError) -> Error {
    Error {
        code: match error.code {
            ErrorCode::PermissionDenied => WitCode::PermissionDenied,
            ErrorCode::InvalidArgument => WitCode::InvalidArgument,
            ErrorCode::Timeout => WitCode::Timeout,
            _ => WitCode::Unavailable,
        },
        message: error.message,
    }
}
