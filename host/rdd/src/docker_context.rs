//! Resolves the engine endpoint like the docker CLI: by its variables, its
//! current context, or the default socket. No maintained crate reads docker
//! contexts.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// The default endpoint of an engine.
const DEFAULT_SOCKET: &str = "unix:///var/run/docker.sock";

/// The endpoint of the engine, and where it was configured.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ResolvedEndpoint {
    /// The URL, in any form that `DOCKER_HOST` accepts.
    pub(crate) url: String,
    /// The directory with `ca.pem`, `cert.pem`, and `key.pem` if TLS is used.
    pub(crate) tls_dir: Option<PathBuf>,
    /// The setting that selected the endpoint, for messages.
    pub(crate) source: String,
}

/// The settings of the docker CLI.
#[derive(Default)]
pub(crate) struct DockerEnvironment {
    docker_host: Option<String>,
    docker_context: Option<String>,
    config_dir: Option<PathBuf>,
    tls_dir: Option<PathBuf>,
}

impl DockerEnvironment {
    /// Reads `DOCKER_HOST`, `DOCKER_CONTEXT`, `DOCKER_CONFIG`,
    /// `DOCKER_TLS_VERIFY`, and `DOCKER_CERT_PATH`.
    pub(crate) fn read() -> Self {
        let var = |name: &str| std::env::var(name).ok().filter(|value| !is_blank(value));
        let config_dir = var("DOCKER_CONFIG")
            .map(PathBuf::from)
            .or_else(|| Some(std::env::home_dir()?.join(".docker")));
        let tls_dir = var("DOCKER_TLS_VERIFY").and_then(|_| {
            var("DOCKER_CERT_PATH")
                .map(PathBuf::from)
                .or_else(|| config_dir.clone())
        });
        Self {
            docker_host: var("DOCKER_HOST"),
            docker_context: var("DOCKER_CONTEXT"),
            config_dir,
            tls_dir,
        }
    }

    /// Returns the directory of the docker CLI's configuration.
    pub(crate) fn config_dir(&self) -> Option<PathBuf> {
        self.config_dir.clone()
    }

    /// Resolves the endpoint: `flag` (`--engine-endpoint`), `DOCKER_HOST`, the
    /// current context, or the default socket, in this order.
    pub(crate) fn resolve(&self, flag: Option<&str>) -> Result<ResolvedEndpoint> {
        if let Some(url) = flag.filter(|url| !is_blank(url)) {
            return Ok(ResolvedEndpoint {
                url: url.to_owned(),
                tls_dir: self.tls_dir.clone(),
                source: "--engine-endpoint".to_owned(),
            });
        }
        if let Some(url) = &self.docker_host {
            return Ok(ResolvedEndpoint {
                url: url.clone(),
                tls_dir: self.tls_dir.clone(),
                source: "DOCKER_HOST".to_owned(),
            });
        }
        let (context, source) = match (&self.docker_context, &self.config_dir) {
            (Some(context), _) => (Some(context.clone()), "DOCKER_CONTEXT"),
            (None, Some(dir)) => (current_context(dir)?, "the current docker context"),
            (None, None) => (None, ""),
        };
        match (context, &self.config_dir) {
            (Some(context), Some(dir)) if context != "default" => {
                read_context(dir, &context, source)
            }
            _ => Ok(ResolvedEndpoint {
                url: DEFAULT_SOCKET.to_owned(),
                tls_dir: None,
                source: "the default socket".to_owned(),
            }),
        }
    }
}

/// Returns whether a value counts as unset, as in the docker CLI.
fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

#[derive(Deserialize)]
struct ConfigFile {
    #[serde(rename = "currentContext")]
    current_context: Option<String>,
}

#[derive(Deserialize)]
struct ContextFile {
    #[serde(rename = "Endpoints")]
    endpoints: std::collections::BTreeMap<String, ContextEndpoint>,
}

#[derive(Deserialize)]
struct ContextEndpoint {
    #[serde(rename = "Host")]
    host: Option<String>,
}

fn current_context(dir: &Path) -> Result<Option<String>> {
    let path = dir.join("config.json");
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let config: ConfigFile = serde_json::from_slice(&text).with_context(|| {
        format!(
            "{} is not a valid docker CLI configuration file; fix it or pass --engine-endpoint",
            path.display()
        )
    })?;
    Ok(config.current_context.filter(|context| !context.is_empty()))
}

fn read_context(dir: &Path, name: &str, source: &str) -> Result<ResolvedEndpoint> {
    // The docker CLI stores each context in a directory named after the SHA-256
    // of its name.
    let id = format!("{:x}", Sha256::digest(name));
    let contexts = dir.join("contexts");
    let path = contexts.join("meta").join(&id).join("meta.json");
    let remedy = || {
        format!(
            "cannot use docker context {name:?} (from {}); select another with 'docker context use', or pass --engine-endpoint",
            path.display()
        )
    };
    let text = std::fs::read(&path).with_context(remedy)?;
    let context: ContextFile = serde_json::from_slice(&text).with_context(remedy)?;
    let url = context
        .endpoints
        .get("docker")
        .and_then(|endpoint| endpoint.host.clone())
        .filter(|host| !is_blank(host))
        .context("it has no docker endpoint")
        .with_context(remedy)?;
    let tls_dir = contexts.join("tls").join(&id).join("docker");
    Ok(ResolvedEndpoint {
        url,
        tls_dir: tls_dir.is_dir().then_some(tls_dir),
        source: format!("{source} {name:?}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context_dir(current: Option<&str>) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        if let Some(current) = current {
            std::fs::write(
                dir.path().join("config.json"),
                format!(r#"{{"currentContext":"{current}","auths":{{}}}}"#),
            )
            .unwrap();
        }
        let id = format!("{:x}", Sha256::digest("lab"));
        let meta = dir.path().join("contexts/meta").join(id);
        std::fs::create_dir_all(&meta).unwrap();
        std::fs::write(meta.join("meta.json"), r#"{"Name":"lab","Metadata":{},"Endpoints":{"docker":{"Host":"ssh://me@lab","SkipTLSVerify":false}}}"#).unwrap();
        dir
    }

    fn environment(dir: &tempfile::TempDir) -> DockerEnvironment {
        DockerEnvironment {
            config_dir: Some(dir.path().to_owned()),
            ..DockerEnvironment::default()
        }
    }

    #[test]
    fn the_order_is_option_variable_context_socket() {
        let dir = context_dir(Some("lab"));
        let mut environment = environment(&dir);
        environment.docker_host = Some("tcp://h:1".to_owned());
        assert_eq!(
            environment.resolve(Some("unix:///x")).unwrap().url,
            "unix:///x"
        );
        assert_eq!(environment.resolve(None).unwrap().url, "tcp://h:1");
        assert_eq!(environment.resolve(Some(" ")).unwrap().url, "tcp://h:1");
        environment.docker_host = None;
        assert_eq!(environment.resolve(None).unwrap().url, "ssh://me@lab");
        environment.docker_context = Some("default".to_owned());
        assert_eq!(environment.resolve(None).unwrap().url, DEFAULT_SOCKET);
    }

    #[test]
    fn the_default_socket_is_used_without_a_configuration() {
        let dir = context_dir(None);
        assert_eq!(environment(&dir).resolve(None).unwrap().url, DEFAULT_SOCKET);
    }

    #[test]
    fn a_missing_context_is_named_with_the_remedy() {
        let dir = context_dir(Some("missing"));
        let error = format!("{:#}", environment(&dir).resolve(None).unwrap_err());
        assert!(
            error.contains("\"missing\"") && error.contains("--engine-endpoint"),
            "{error}"
        );
    }

    #[test]
    fn a_damaged_configuration_is_an_error() {
        let dir = context_dir(None);
        std::fs::write(dir.path().join("config.json"), "{").unwrap();
        assert!(environment(&dir).resolve(None).is_err());
    }
}
