//! Where an engine listens.

use std::fmt;
use std::path::PathBuf;

use http::uri::Authority;

/// The port of an engine without TLS, when none is given.
const TCP_PORT: u16 = 2375;
/// The port of an engine with TLS, when none is given.
const TLS_PORT: u16 = 2376;

/// Where an engine listens, and by which road it is reached. Fixed for one
/// run of the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineEndpoint {
    /// `unix:///path`.
    Unix(PathBuf),
    /// `npipe:////./pipe/name`; the path in Windows' own form.
    NamedPipe(String),
    /// `tcp://host:port`, without encryption.
    Tcp {
        /// A name or an address; IPv6 without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// `tcp://host:port` with certificates of both sides.
    Tls {
        /// A name or an address; IPv6 without brackets.
        host: String,
        /// The port.
        port: u16,
        /// The certificates.
        files: TlsFiles,
    },
    /// `ssh://user@host[:port][/socket]`, by the `ssh` program.
    Ssh {
        /// The user; the one of the `ssh` configuration when `None`.
        user: Option<String>,
        /// A name, an address, or an alias of the `ssh` configuration.
        host: String,
        /// The port; the one of the `ssh` configuration when `None`.
        port: Option<u16>,
        /// The engine's socket over there; where its `docker` looks when `None`.
        socket: Option<String>,
    },
}

/// PEM files, named as the docker CLI names them in `DOCKER_CERT_PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Who may have signed the engine's certificate (`ca.pem`).
    pub ca: PathBuf,
    /// Our certificate (`cert.pem`).
    pub cert: PathBuf,
    /// Its key (`key.pem`).
    pub key: PathBuf,
}

impl TlsFiles {
    /// The files of a directory such as `DOCKER_CERT_PATH` names.
    pub fn in_dir(dir: impl Into<PathBuf>) -> Self {
        let dir = dir.into();
        Self {
            ca: dir.join("ca.pem"),
            cert: dir.join("cert.pem"),
            key: dir.join("key.pem"),
        }
    }
}

/// A text that names no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The scheme is missing or unknown.
    #[error(
        "{0:?} is no engine endpoint: write unix:///path, tcp://host:port, ssh://user@host or npipe:////./pipe/name"
    )]
    Scheme(String),
    /// The part after the scheme is wrong.
    #[error("the engine endpoint {endpoint:?} {problem}")]
    Invalid {
        /// What was given.
        endpoint: String,
        /// What is wrong with it, and what to write.
        problem: &'static str,
    },
    /// Certificates make sense for TCP alone.
    #[error(
        "certificates are for tcp:// endpoints, and the engine endpoint is {0}; leave one of them out"
    )]
    TlsElsewhere(String),
}

impl EngineEndpoint {
    /// Reads one of the forms that `DOCKER_HOST` takes. A `tcp://` endpoint
    /// is without TLS until [`EngineEndpoint::with_tls`].
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let invalid = |problem| EndpointError::Invalid {
            endpoint: text.to_owned(),
            problem,
        };
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(EndpointError::Scheme(text.to_owned()));
        };
        match scheme {
            "unix" if rest.starts_with('/') => Ok(Self::Unix(rest.into())),
            "unix" => Err(invalid("needs an absolute path: unix:///path")),
            "npipe" => {
                let path = rest.replace('/', "\\");
                if path.starts_with(r"\\") {
                    Ok(Self::NamedPipe(path))
                } else {
                    Err(invalid("needs a pipe's path: npipe:////./pipe/name"))
                }
            }
            "tcp" => {
                let rest = rest.strip_suffix('/').unwrap_or(rest);
                if rest.contains('/') {
                    return Err(invalid("must end after the port: tcp://host:port"));
                }
                let Target { user, host, port } =
                    Target::parse(rest).ok_or_else(|| invalid("needs tcp://host:port"))?;
                if user.is_some() {
                    return Err(invalid("must not name a user"));
                }
                Ok(Self::Tcp {
                    host,
                    port: port.unwrap_or(TCP_PORT),
                })
            }
            "ssh" => {
                let (authority, socket) = match rest.split_once('/') {
                    Some((authority, path)) => (authority, Some(path).filter(|it| !it.is_empty())),
                    None => (rest, None),
                };
                let Target { user, host, port } = Target::parse(authority)
                    .ok_or_else(|| invalid("needs ssh://user@host[:port][/socket]"))?;
                if user.as_ref().is_some_and(|user| user.contains(':')) {
                    return Err(invalid("must not hold a password: use a key and an agent"));
                }
                let odd = |text: &str| text.starts_with('-') || text.chars().any(char::is_control);
                if odd(&host) || user.as_deref().is_some_and(odd) {
                    return Err(invalid(
                        "names a user or host that ssh would take for an option",
                    ));
                }
                Ok(Self::Ssh {
                    user,
                    host,
                    port,
                    socket: socket.map(|path| format!("/{path}")),
                })
            }
            _ => Err(EndpointError::Scheme(text.to_owned())),
        }
    }

    /// The same TCP endpoint with TLS, as `DOCKER_TLS_VERIFY` asks for.
    pub fn with_tls(self, files: TlsFiles) -> Result<Self, EndpointError> {
        match self {
            Self::Tcp { host, port } | Self::Tls { host, port, .. } => Ok(Self::Tls {
                host,
                port: if port == TCP_PORT { TLS_PORT } else { port },
                files,
            }),
            other => Err(EndpointError::TlsElsewhere(other.to_string())),
        }
    }
}

impl fmt::Display for EngineEndpoint {
    /// The form that [`EngineEndpoint::parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::NamedPipe(path) => write!(f, "npipe://{}", path.replace('\\', "/")),
            Self::Tcp { host, port } | Self::Tls { host, port, .. } => {
                write!(f, "tcp://{}:{port}", Bracketed(host))
            }
            Self::Ssh {
                user,
                host,
                port,
                socket,
            } => {
                f.write_str("ssh://")?;
                if let Some(user) = user {
                    write!(f, "{user}@")?;
                }
                write!(f, "{}", Bracketed(host))?;
                if let Some(port) = port {
                    write!(f, ":{port}")?;
                }
                f.write_str(socket.as_deref().unwrap_or_default())
            }
        }
    }
}

struct Bracketed<'a>(&'a str);

impl fmt::Display for Bracketed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains(':') {
            write!(f, "[{}]", self.0)
        } else {
            f.write_str(self.0)
        }
    }
}

struct Target {
    user: Option<String>,
    host: String,
    port: Option<u16>,
}

impl Target {
    fn parse(text: &str) -> Option<Self> {
        let (user, place) = match text.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, text),
        };
        let authority: Authority = place.parse().ok()?;
        let host = authority.host();
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        let port = match place.rsplit_once(':') {
            Some((_, port)) if !port.contains(']') => Some(port.parse().ok()?),
            _ => None,
        };
        let good = !host.is_empty() && user != Some("");
        good.then(|| Self {
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ssh(
        user: Option<&str>,
        host: &str,
        port: Option<u16>,
        socket: Option<&str>,
    ) -> EngineEndpoint {
        EngineEndpoint::Ssh {
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
            socket: socket.map(str::to_owned),
        }
    }

    fn tcp(host: &str, port: u16) -> EngineEndpoint {
        EngineEndpoint::Tcp {
            host: host.to_owned(),
            port,
        }
    }

    #[test]
    fn reads_and_prints_the_forms_of_docker_host() {
        for (text, endpoint) in [
            (
                "unix:///var/run/docker.sock",
                EngineEndpoint::Unix("/var/run/docker.sock".into()),
            ),
            (
                "npipe:////./pipe/docker_engine",
                EngineEndpoint::NamedPipe(r"\\.\pipe\docker_engine".into()),
            ),
            ("tcp://10.0.0.1:2375", tcp("10.0.0.1", 2375)),
            ("tcp://[::1]:99", tcp("::1", 99)),
            ("tcp://engine.example:2376", tcp("engine.example", 2376)),
            ("ssh://me@there", ssh(Some("me"), "there", None, None)),
            ("ssh://there:22", ssh(None, "there", Some(22), None)),
            (
                "ssh://me@there:22/run/d.sock",
                ssh(Some("me"), "there", Some(22), Some("/run/d.sock")),
            ),
        ] {
            assert_eq!(
                EngineEndpoint::parse(text).as_ref(),
                Ok(&endpoint),
                "{text}"
            );
            assert_eq!(endpoint.to_string(), text);
        }
        assert_eq!(EngineEndpoint::parse("tcp://a"), Ok(tcp("a", 2375)));
        assert_eq!(EngineEndpoint::parse("tcp://[::1]/"), Ok(tcp("::1", 2375)));
        assert_eq!(
            EngineEndpoint::parse("ssh://a/"),
            Ok(ssh(None, "a", None, None))
        );
    }

    #[test]
    fn refuses_what_is_none() {
        for text in [
            "",
            "/var/run/docker.sock",
            "fd://",
            "http://a:1",
            "unix://",
            "unix://relative",
            "npipe://x",
            "tcp://",
            "tcp://a:b",
            "tcp://a:99999",
            "tcp://a:1/path",
            "tcp://me@a:1",
            "ssh://",
            "ssh://@a",
            "ssh://me:secret@a",
            "ssh://-oProxyCommand=x",
            "ssh://-x@a",
        ] {
            let refused = EngineEndpoint::parse(text);
            assert!(refused.is_err(), "{text}: {refused:?}");
        }
    }

    #[test]
    fn a_password_is_not_repeated_as_advice() {
        let refused = EngineEndpoint::parse("ssh://me:pw@a")
            .unwrap_err()
            .to_string();
        assert!(refused.contains("use a key"), "{refused}");
    }

    #[test]
    fn certificates_are_for_tcp_alone() {
        let files = TlsFiles::in_dir("/certs");
        let tls = tcp("a", 2375).with_tls(files.clone()).unwrap();
        assert_eq!(
            tls,
            EngineEndpoint::Tls {
                host: "a".to_owned(),
                port: 2376,
                files: files.clone()
            }
        );
        let refused = ssh(None, "a", None, None).with_tls(files).unwrap_err();
        assert!(refused.to_string().contains("ssh://a"), "{refused}");
    }
}
