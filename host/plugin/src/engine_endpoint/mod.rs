//! The URL of an engine, in each form that `DOCKER_HOST` takes.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;

use http::uri::Authority;

/// The default port of an engine without TLS.
pub(crate) const TCP_PORT: u16 = 2375;
/// The default port of an engine with TLS.
const TLS_PORT: u16 = 2376;
/// The default host of an engine over TCP.
const TCP_HOST: &str = "localhost";
/// The default socket of an engine.
const UNIX_SOCKET: &str = "/var/run/docker.sock";
/// The supported forms, for error messages.
const FORMS: &str = "unix:///path, tcp://host:port, or ssh://user@host";

/// The address of an engine and the transport to it. It does not change while
/// the daemon runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineEndpoint {
    /// `unix:///path`.
    Unix(PathBuf),
    /// `tcp://host:port`, without encryption.
    Tcp {
        /// A host name or an IP address; IPv6 without brackets.
        host: String,
        /// The port. `None` means 2375, or 2376 once TLS is added.
        port: Option<u16>,
    },
    /// `tcp://host:port` with TLS, where both sides authenticate.
    Tls {
        /// A host name or an IP address; IPv6 without brackets.
        host: String,
        /// The port.
        port: u16,
        /// The certificates.
        files: TlsFiles,
    },
    /// `ssh://user@host[:port][/socket]`, through the `ssh` program.
    Ssh {
        /// The user; with `None`, the one in the `ssh` configuration.
        user: Option<String>,
        /// A host name, an IP address, or an alias in the `ssh` configuration.
        host: String,
        /// The port; with `None`, the one in the `ssh` configuration.
        port: Option<u16>,
        /// The engine's socket on the remote host; with `None`, the default of
        /// the remote `docker` program.
        socket: Option<String>,
    },
}

/// The PEM files of a TLS endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate authorities of the engine's certificate (`ca.pem`).
    pub ca: PathBuf,
    /// The client's certificate (`cert.pem`).
    pub cert: PathBuf,
    /// The client's private key (`key.pem`).
    pub key: PathBuf,
}

impl TlsFiles {
    /// Returns the files in `dir` under the names that the docker CLI uses in
    /// `DOCKER_CERT_PATH`.
    pub fn in_dir(dir: impl Into<PathBuf>) -> Self {
        let dir = dir.into();
        Self {
            ca: dir.join("ca.pem"),
            cert: dir.join("cert.pem"),
            key: dir.join("key.pem"),
        }
    }
}

/// An engine endpoint that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The scheme is unknown, or it is a path without a scheme.
    #[error("{0:?} is not a valid engine endpoint; use {FORMS}")]
    Scheme(String),
    /// A Windows named pipe.
    #[error(
        "the engine endpoint {0:?} is a named pipe, and named pipes are not supported on this platform; use {FORMS}"
    )]
    NamedPipe(String),
    /// The part after the scheme is not valid.
    #[error("the engine endpoint {endpoint:?} {problem}")]
    Invalid {
        /// The input, without a password.
        endpoint: String,
        /// What is wrong with the input, and the remedy.
        problem: &'static str,
    },
    /// Certificates were given for an endpoint that is not TCP.
    #[error(
        "TLS certificates require a tcp:// endpoint, but the engine endpoint is {0}; remove one of them"
    )]
    TlsNotSupported(String),
}

impl EngineEndpoint {
    /// Parses an endpoint in one of the forms that `DOCKER_HOST` takes. Without a
    /// scheme, a host, a port, or both mean `tcp://`; `unix://` and `tcp://`
    /// alone mean the defaults. A `tcp://` endpoint has no TLS until
    /// [`EngineEndpoint::with_tls`] is called.
    ///
    /// # Errors
    ///
    /// Fails if the text is not an endpoint or contains a password.
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
            endpoint: redact_password(text),
            problem,
        };
        let (scheme, rest) = match text.split_once("://") {
            Some(parts) => parts,
            None if text.is_empty() || text.starts_with('/') => {
                return Err(EndpointError::Scheme(redact_password(text)));
            }
            None => ("tcp", text),
        };
        match scheme {
            "unix" if rest.is_empty() => Ok(Self::Unix(UNIX_SOCKET.into())),
            "unix" if rest.starts_with('/') => Ok(Self::Unix(rest.into())),
            "unix" => Err(invalid("needs an absolute path; use unix:///path")),
            "npipe" => Err(EndpointError::NamedPipe(redact_password(text))),
            "tcp" => {
                let rest = rest.strip_suffix('/').unwrap_or(rest);
                if rest.contains('/') {
                    return Err(invalid("must not have a path; use tcp://host:port"));
                }
                let rest = if rest.is_empty() || rest.starts_with(':') && !rest.starts_with("::") {
                    format!("{TCP_HOST}{rest}")
                } else if rest.parse::<Ipv6Addr>().is_ok() {
                    format!("[{rest}]")
                } else {
                    rest.to_owned()
                };
                let HostAndPort { user, host, port } = HostAndPort::parse(&rest)
                    .ok_or_else(|| invalid("is not valid; use tcp://host:port"))?;
                if user.is_some() {
                    return Err(invalid("must not have a user name; use tcp://host:port"));
                }
                Ok(Self::Tcp { host, port })
            }
            "ssh" => {
                let (authority, socket) = match rest.split_once('/') {
                    Some((authority, path)) => (authority, Some(path).filter(|it| !it.is_empty())),
                    None => (rest, None),
                };
                let HostAndPort { user, host, port } = HostAndPort::parse(authority)
                    .ok_or_else(|| invalid("is not valid; use ssh://user@host[:port][/socket]"))?;
                if user.as_ref().is_some_and(|user| user.contains(':')) {
                    return Err(invalid(
                        "must not contain a password; use a key and an agent",
                    ));
                }
                if rest.contains(['?', '#']) {
                    return Err(invalid(
                        "must not have a query or fragment; use ssh://user@host/socket",
                    ));
                }
                let is_unsafe =
                    |text: &str| text.starts_with('-') || text.chars().any(char::is_control);
                if is_unsafe(&host) || user.as_deref().is_some_and(is_unsafe) {
                    return Err(invalid(
                        "has a user or host that ssh would parse as an option; use a name without a leading '-'",
                    ));
                }
                Ok(Self::Ssh {
                    user,
                    host,
                    port,
                    socket: socket.map(|path| format!("/{path}")),
                })
            }
            _ => Err(EndpointError::Scheme(redact_password(text))),
        }
    }

    /// Adds TLS to a TCP endpoint, as with `DOCKER_TLS_VERIFY`.
    ///
    /// # Errors
    ///
    /// Fails if the endpoint is not a TCP endpoint.
    pub fn with_tls(self, files: TlsFiles) -> Result<Self, EndpointError> {
        match self {
            Self::Tcp { host, port } => Ok(Self::Tls {
                host,
                port: port.unwrap_or(TLS_PORT),
                files,
            }),
            Self::Tls { host, port, .. } => Ok(Self::Tls { host, port, files }),
            other => Err(EndpointError::TlsNotSupported(other.to_string())),
        }
    }
}

impl fmt::Display for EngineEndpoint {
    /// Writes the form that [`EngineEndpoint::parse`] accepts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
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

/// Returns `text`, the input for an endpoint, with a password replaced by `***`.
/// A valid endpoint never contains one, but pasted text may.
pub fn redact_password(text: &str) -> String {
    let redacted = || {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        // A password may contain a slash that was not percent-encoded.
        let (user, host) = rest.rsplit_once('@')?;
        let (user, _) = user.split_once(':')?;
        let separator = if scheme.is_empty() { "" } else { "://" };
        Some(format!("{scheme}{separator}{user}:***@{host}"))
    };
    redacted().unwrap_or_else(|| text.to_owned())
}

/// A host for a URL: IPv6 addresses in brackets.
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

/// The part of a URL between scheme and path.
struct HostAndPort {
    user: Option<String>,
    host: String,
    port: Option<u16>,
}

impl HostAndPort {
    fn parse(text: &str) -> Option<Self> {
        let (user, host_and_port) = match text.rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, text),
        };
        let authority: Authority = host_and_port.parse().ok()?;
        let host = authority.host();
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        let port = match host_and_port.rsplit_once(':') {
            Some((_, port)) if !port.contains(']') => Some(port.parse().ok()?),
            _ => None,
        };
        let is_valid = !host.is_empty() && user != Some("");
        is_valid.then(|| Self {
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
        })
    }
}

#[cfg(test)]
mod tests;
