//! Credential helpers: programs named `docker-credential-…` that store secrets
//! in the keychain of the operating system.

use std::process::Stdio;
use std::time::Duration;

use rdd_core::{EngineError, ErrorCode, RegistryCredentials};
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

/// The maximum number of bytes that are read from a helper.
const MAX_OUTPUT_BYTES: u64 = 64 * 1024;
/// The user name with which a helper returns an identity token.
const TOKEN_USER: &str = "<token>";
/// What a helper prints if it has no credentials for a registry.
const NOT_FOUND: &str = "credentials not found in native keychain";

/// A credential helper on `PATH`.
pub(super) struct CredentialHelper {
    program: String,
    timeout: Duration,
}

/// The output of a helper.
#[derive(Deserialize)]
struct HelperResponse {
    #[serde(rename = "Username")]
    username: String,
    #[serde(rename = "Secret")]
    secret: String,
}

impl CredentialHelper {
    /// Selects the helper with this name in `config.json`.
    pub(super) fn new(name: &str, timeout: Duration) -> Result<Self, EngineError> {
        // A path would run a program that is not on PATH.
        let is_plain = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
        if !is_plain {
            return Err(EngineError::new(
                ErrorCode::Internal,
                format!(
                    "{name:?} in the docker CLI's config.json is not the name of a credential helper; correct credsStore or credHelpers"
                ),
            ));
        }
        Ok(Self {
            program: format!("docker-credential-{name}"),
            timeout,
        })
    }

    /// Asks for the credentials of a server. `None` if there are none.
    pub(super) async fn get(
        &self,
        server: &str,
    ) -> Result<Option<RegistryCredentials>, EngineError> {
        match tokio::time::timeout(self.timeout, self.run(server)).await {
            Ok(result) => result,
            // The process is killed when its handle is dropped.
            Err(_) => Err(EngineError::new(
                ErrorCode::Timeout,
                format!(
                    "the credential helper {} did not respond within {} s; run 'docker login' again",
                    self.program,
                    self.timeout.as_secs()
                ),
            )),
        }
    }

    async fn run(&self, server: &str) -> Result<Option<RegistryCredentials>, EngineError> {
        let failed = |problem: String| {
            EngineError::new(
                ErrorCode::Internal,
                format!(
                    "the credential helper {} failed: {problem}; correct credsStore or credHelpers in the docker CLI's config.json",
                    self.program
                ),
            )
        };
        let io_failed = |error: std::io::Error| failed(error.to_string());
        let mut child = Command::new(&self.program)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(io_failed)?;
        if let Some(mut input) = child.stdin.take() {
            // A helper that ends without reading its input is judged by its
            // output.
            input.write_all(server.as_bytes()).await.ok();
        }
        let mut output = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            stdout
                .take(MAX_OUTPUT_BYTES)
                .read_to_end(&mut output)
                .await
                .map_err(io_failed)?;
        }
        let status = child.wait().await.map_err(io_failed)?;
        if !status.success() {
            if String::from_utf8_lossy(&output).trim() == NOT_FOUND {
                return Ok(None);
            }
            // The output could contain a secret.
            return Err(failed(status.to_string()));
        }
        let HelperResponse { username, secret } = serde_json::from_slice(&output)
            .map_err(|_| failed("its output is not valid JSON".to_owned()))?;
        Ok(match (username.as_str(), secret.is_empty()) {
            ("", true) => None,
            (TOKEN_USER, _) => Some(RegistryCredentials::IdentityToken(secret)),
            _ => Some(RegistryCredentials::Password {
                username,
                password: secret,
            }),
        })
    }
}

#[cfg(test)]
impl CredentialHelper {
    /// Replaces the program, so that tests need not change `PATH`.
    pub(super) fn set_program(&mut self, path: &std::path::Path) {
        self.program = path.display().to_string();
    }

    pub(super) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }
}
