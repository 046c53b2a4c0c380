//! Where the engine is: found as the docker CLI finds it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// Where an engine listens when nobody says anything.
const DEFAULT_SOCKET: &str = "unix:///var/run/docker.sock";

/// An engine's address, and why it was chosen.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// In the form of `DOCKER_HOST`.
    pub(crate) url: String,
    /// Directory with `ca.pem`, `cert.pem` and `key.pem`, when the engine is reached over TLS.
    pub(crate) tls_dir: Option<PathBuf>,
    /// For people: what decided.
    pub(crate) source: String,
}

/// What of the environment decides.
#[derive(Default)]
pub(crate) struct Environment {
    docker_host: Option<String>,
    docker_context: Option<String>,
    config_dir: Option<PathBuf>,
    tls_dir: Option<PathBuf>,
}

impl Environment {
    /// Reads `DOCKER_HOST`, `DOCKER_CONTEXT`, `DOCKER_CONFIG`, `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH`.
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

    /// `--engine-endpoint`, `DOCKER_HOST`, the current context, or the usual
    /// socket, in this order.
    pub(crate) fn find(&self, flag: Option<&str>) -> Result<Found> {
        if let Some(url) = flag.filter(|url| !is_blank(url)) {
            return Ok(Found {
                url: url.to_owned(),
                tls_dir: self.tls_dir.clone(),
                source: "--engine-endpoint".to_owned(),
            });
        }
        if let Some(url) = &self.docker_host {
            return Ok(Found {
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
            _ => Ok(Found {
                url: DEFAULT_SOCKET.to_owned(),
                tls_dir: None,
                source: "the usual socket".to_owned(),
            }),
        }
    }
}

/// Nothing but spaces is nothing, as for the docker CLI.
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
    endpoints: std::collections::BTreeMap<String, Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
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
    let config: ConfigFile = serde_json::from_slice(&text)
        .with_context(|| format!("{} is not the docker CLI's configuration; mend it, or name the engine with --engine-endpoint", path.display()))?;
    Ok(config.current_context.filter(|context| !context.is_empty()))
}

fn read_context(dir: &Path, name: &str, source: &str) -> Result<Found> {
    // The docker CLI keeps each context in a folder named after the hash of its name.
    let id: String = Sha256::digest(name)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let contexts = dir.join("contexts");
    let path = contexts.join("meta").join(&id).join("meta.json");
    let remedy = || {
        format!(
            "docker context {name:?} cannot be used (from {}); choose another with 'docker context use', or name the engine with --engine-endpoint",
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
        .context("it names no docker endpoint")
        .with_context(remedy)?;
    let tls_dir = contexts.join("tls").join(&id).join("docker");
    Ok(Found {
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
        let id: String = Sha256::digest("lab")
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let meta = dir.path().join("contexts/meta").join(id);
        std::fs::create_dir_all(&meta).unwrap();
        std::fs::write(meta.join("meta.json"), r#"{"Name":"lab","Metadata":{},"Endpoints":{"docker":{"Host":"ssh://me@lab","SkipTLSVerify":false}}}"#).unwrap();
        dir
    }

    fn environment(dir: &tempfile::TempDir) -> Environment {
        Environment {
            config_dir: Some(dir.path().to_owned()),
            ..Environment::default()
        }
    }

    #[test]
    fn the_order_is_flag_variable_context_socket() {
        let dir = context_dir(Some("lab"));
        let mut environment = environment(&dir);
        environment.docker_host = Some("tcp://h:1".to_owned());
        assert_eq!(
            environment.find(Some("unix:///x")).unwrap().url,
            "unix:///x"
        );
        assert_eq!(environment.find(None).unwrap().url, "tcp://h:1");
        assert_eq!(environment.find(Some(" ")).unwrap().url, "tcp://h:1");
        environment.docker_host = None;
        assert_eq!(environment.find(None).unwrap().url, "ssh://me@lab");
        environment.docker_context = Some("default".to_owned());
        assert_eq!(environment.find(None).unwrap().url, DEFAULT_SOCKET);
    }

    #[test]
    fn without_a_configuration_the_usual_socket_is_meant() {
        let dir = context_dir(None);
        assert_eq!(environment(&dir).find(None).unwrap().url, DEFAULT_SOCKET);
    }

    #[test]
    fn a_context_that_is_not_there_is_named_with_the_remedy() {
        let dir = context_dir(Some("gone"));
        let error = format!("{:#}", environment(&dir).find(None).unwrap_err());
        assert!(
            error.contains("\"gone\"") && error.contains("--engine-endpoint"),
            "{error}"
        );
    }

    #[test]
    fn a_damaged_configuration_is_not_overlooked() {
        let dir = context_dir(None);
        std::fs::write(dir.path().join("config.json"), "{").unwrap();
        assert!(environment(&dir).find(None).is_err());
    }
}
