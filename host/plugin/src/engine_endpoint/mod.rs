//! Where an engine listens.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;

use http::uri::Authority;

/// The port of an engine without TLS, when none is given.
pub(crate) const TCP_PORT: u16 = 2375;
/// The port of an engine with TLS, when none is given.
const TLS_PORT: u16 = 2376;
/// The host of an engine over TCP, when none is given.
const TCP_HOST: &str = "localhost";
/// The engine's socket, when none is given.
const UNIX_SOCKET: &str = "/var/run/docker.sock";
/// The engine's pipe, when none is given.
const PIPE: &str = r"\\.\pipe\docker_engine";
/// What can be written, where something else was.
#[cfg(not(windows))]
const FORMS: &str = "unix:///path, tcp://host:port or ssh://user@host";
#[cfg(windows)]
const FORMS: &str = "npipe:////./pipe/name, tcp://host:port or ssh://user@host";

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
        /// The port; 2375, and 2376 with TLS, when `None`.
        port: Option<u16>,
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
    /// The scheme is unknown, or a path stands without one.
    #[error("{0:?} is no engine endpoint: write {FORMS}")]
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
    /// Reads one of the forms that `DOCKER_HOST` takes: also a host, a port,
    /// or both without a scheme, which is `tcp://` then, and `unix://` or
    /// `tcp://` alone. A `tcp://` endpoint is without TLS until
    /// [`EngineEndpoint::with_tls`].
    ///
    /// ```
    /// # use rdd_plugin::EngineEndpoint;
    /// let endpoint = EngineEndpoint::parse(":2375")?;
    /// assert_eq!(endpoint.to_string(), "tcp://localhost:2375");
    /// # Ok::<(), rdd_plugin::EndpointError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let text = text.trim();
        let invalid = |problem| EndpointError::Invalid {
            endpoint: without_password(text),
            problem,
        };
        let (scheme, rest) = match text.split_once("://") {
            Some(split) => split,
            None if text.is_empty() || text.starts_with('/') => {
                return Err(EndpointError::Scheme(without_password(text)));
            }
            None => ("tcp", text),
        };
        match scheme {
            "unix" if rest.is_empty() => Ok(Self::Unix(UNIX_SOCKET.into())),
            "unix" if rest.starts_with('/') => Ok(Self::Unix(rest.into())),
            "unix" => Err(invalid("needs an absolute path: unix:///path")),
            "npipe" if rest.is_empty() => Ok(Self::NamedPipe(PIPE.to_owned())),
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
                let rest = if rest.is_empty() || rest.starts_with(':') && !rest.starts_with("::") {
                    format!("{TCP_HOST}{rest}")
                } else if rest.parse::<Ipv6Addr>().is_ok() {
                    format!("[{rest}]")
                } else {
                    rest.to_owned()
                };
                let Target { user, host, port } =
                    Target::parse(&rest).ok_or_else(|| invalid("needs tcp://host:port"))?;
                if user.is_some() {
                    return Err(invalid("must not name a user"));
                }
                Ok(Self::Tcp { host, port })
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
                if rest.contains(['?', '#']) {
                    return Err(invalid("must end after the socket: ssh://user@host/socket"));
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
            _ => Err(EndpointError::Scheme(without_password(text))),
        }
    }

    /// The same TCP endpoint with TLS, as `DOCKER_TLS_VERIFY` asks for.
    pub fn with_tls(self, files: TlsFiles) -> Result<Self, EndpointError> {
        match self {
            Self::Tcp { host, port } => Ok(Self::Tls {
                host,
                port: port.unwrap_or(TLS_PORT),
                files,
            }),
            Self::Tls { host, port, .. } => Ok(Self::Tls { host, port, files }),
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
            Self::Tcp { host, port } => {
                let port = port.unwrap_or(TCP_PORT);
                write!(f, "tcp://{}:{port}", Bracketed(host))
            }
            Self::Tls { host, port, .. } => write!(f, "tcp://{}:{port}", Bracketed(host)),
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

/// The text of an endpoint as it may be shown, also one that cannot be used.
/// None that can be holds a password; what people paste may.
pub fn without_password(text: &str) -> String {
    let hidden = || {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        // A password may hold a slash that somebody forgot to encode.
        let (user, place) = rest.rsplit_once('@')?;
        let (user, _) = user.split_once(':')?;
        let separator = if scheme.is_empty() { "" } else { "://" };
        Some(format!("{scheme}{separator}{user}:***@{place}"))
    };
    hidden().unwrap_or_else(|| text.to_owned())
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
mod tests;
