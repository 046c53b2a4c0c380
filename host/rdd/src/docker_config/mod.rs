//! The user's credentials for registries, from the docker CLI's `config.json`
//! and the credential helpers that it names.
//!
//! Written by hand: the crate `docker_credential` runs helpers without a time
//! limit and blocks.

mod helper;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use rdd_core::{EngineError, ErrorCode, RegistryCredentialStore, RegistryCredentials};
use serde::Deserialize;

use helper::CredentialHelper;

/// The name of the file in the directory of the docker CLI.
const CONFIG_FILE: &str = "config.json";
/// The maximum size of the file in bytes.
const MAX_CONFIG_BYTES: u64 = 1024 * 1024;
/// Docker Hub, and the name that the docker CLI stores its credentials under.
const DOCKER_HUB: (&str, &str) = ("docker.io", "https://index.docker.io/v1/");
/// How long a credential helper may take. Some ask the user to unlock a keychain.
const HELPER_TIMEOUT: Duration = Duration::from_secs(60);

/// The credentials that the user saved with `docker login`. The file is read at
/// each query, so that a login is effective at once.
pub(crate) struct DockerCredentialStore {
    config_dir: Option<PathBuf>,
    helper_timeout: Duration,
}

/// The keys of `config.json` about credentials.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConfigFile {
    #[serde(default)]
    auths: BTreeMap<String, AuthEntry>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    #[serde(default)]
    creds_store: String,
}

/// The credentials of one registry in the file. With a credential helper, the
/// entry is empty.
#[derive(Default, Deserialize)]
struct AuthEntry {
    /// Base64 of the user name, a colon, and the password.
    #[serde(default)]
    auth: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    identitytoken: String,
    #[serde(default)]
    registrytoken: String,
}

impl DockerCredentialStore {
    /// Creates a store from the docker CLI's directory, which need not exist.
    pub(crate) fn new(config_dir: Option<PathBuf>) -> Self {
        Self {
            config_dir,
            helper_timeout: HELPER_TIMEOUT,
        }
    }

    fn read(&self) -> Result<ConfigFile, EngineError> {
        let Some(dir) = &self.config_dir else {
            return Ok(ConfigFile::default());
        };
        let path = dir.join(CONFIG_FILE);
        let failed = |problem: String| {
            EngineError::new(
                ErrorCode::Internal,
                format!(
                    "cannot read {}: {problem}; correct it, or select another directory with DOCKER_CONFIG",
                    path.display()
                ),
            )
        };
        let mut content = Vec::new();
        let read = std::fs::File::open(&path)
            .and_then(|file| file.take(MAX_CONFIG_BYTES).read_to_end(&mut content));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(ConfigFile::default());
            }
            Err(error) => return Err(failed(error.to_string())),
        }
        // The message of the parser names the position but no value, except
        // where a value has the wrong type, which a secret cannot have.
        serde_json::from_slice(&content).map_err(|error| {
            failed(format!(
                "it is not valid JSON at line {}, column {}",
                error.line(),
                error.column()
            ))
        })
    }
}

#[async_trait]
impl RegistryCredentialStore for DockerCredentialStore {
    async fn credentials(
        &self,
        registry: &str,
    ) -> Result<Option<RegistryCredentials>, EngineError> {
        let config = self.read()?;
        let server = match registry {
            name if name == DOCKER_HUB.0 => DOCKER_HUB.1,
            name => name,
        };
        let helper = find(&config.cred_helpers, registry)
            .or(Some(&config.creds_store))
            .filter(|name| !name.is_empty());
        if let Some(name) = helper {
            let helper = CredentialHelper::new(name, self.helper_timeout)?;
            if let Some(credentials) = helper.get(server).await? {
                return Ok(Some(credentials));
            }
        }
        find(&config.auths, registry)
            .map(|entry| entry.credentials(registry))
            .transpose()
            .map(Option::flatten)
    }
}

/// Returns the entry of a registry. A key may be a host name, or a URL as older
/// docker CLIs wrote it.
fn find<'a, T>(entries: &'a BTreeMap<String, T>, registry: &str) -> Option<&'a T> {
    let host_of = |key: &str| {
        let without_scheme = key.split_once("://").map_or(key, |(_, rest)| rest);
        let host = without_scheme.split('/').next().unwrap_or_default();
        match host.to_ascii_lowercase() {
            host if host == "index.docker.io" => DOCKER_HUB.0.to_owned(),
            host => host,
        }
    };
    entries.get(registry).or_else(|| {
        let same_host = |(key, _): &(&String, &T)| host_of(key) == registry;
        entries.iter().find(same_host).map(|(_, entry)| entry)
    })
}

impl AuthEntry {
    fn credentials(&self, registry: &str) -> Result<Option<RegistryCredentials>, EngineError> {
        let Self {
            auth,
            username,
            password,
            identitytoken,
            registrytoken,
        } = self;
        if !registrytoken.is_empty() {
            return Ok(Some(RegistryCredentials::RegistryToken(
                registrytoken.clone(),
            )));
        }
        if !identitytoken.is_empty() {
            return Ok(Some(RegistryCredentials::IdentityToken(
                identitytoken.clone(),
            )));
        }
        if !username.is_empty() {
            return Ok(Some(RegistryCredentials::Password {
                username: username.clone(),
                password: password.clone(),
            }));
        }
        if auth.is_empty() {
            return Ok(None);
        }
        let invalid = || {
            EngineError::new(
                ErrorCode::Internal,
                format!(
                    "the entry of {registry} in the docker CLI's {CONFIG_FILE} is damaged; run 'docker login {registry}' again"
                ),
            )
        };
        let decoded = base64::engine::general_purpose::STANDARD
            .decode(auth)
            .map_err(|_| invalid())?;
        let text = String::from_utf8(decoded).map_err(|_| invalid())?;
        let (username, password) = text.split_once(':').ok_or_else(invalid)?;
        Ok(Some(RegistryCredentials::Password {
            username: username.to_owned(),
            // Old docker CLIs padded it.
            password: password.trim_matches('\0').to_owned(),
        }))
    }
}
