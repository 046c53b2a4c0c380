//! The value of `--web`.

use std::net::SocketAddr;
use std::str::FromStr;

/// The address of the page's listener: on the loopback interface, since it speaks
/// plain HTTP.
///
/// ```
/// use rdd_web::WebEndpoint;
///
/// assert!("127.0.0.1:0".parse::<WebEndpoint>().is_ok());
/// assert!("0.0.0.0:8080".parse::<WebEndpoint>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebEndpoint(SocketAddr);

/// A text that is no address for the page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebEndpointError {
    /// Not an address with a port.
    #[error("it is not an address with a port; write 127.0.0.1:PORT, with port 0 for a free one")]
    Malformed,
    /// Another interface.
    #[error(
        "the page is served over plain HTTP, and so on the loopback interface alone; use 127.0.0.1:{}, or open /ui/ on the address of --listen",
        .0.port()
    )]
    NotLoopback(SocketAddr),
}

impl WebEndpoint {
    /// Returns the address to listen on.
    pub fn address(self) -> SocketAddr {
        self.0
    }
}

impl FromStr for WebEndpoint {
    type Err = WebEndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let address: SocketAddr = text.parse().map_err(|_| WebEndpointError::Malformed)?;
        match address.ip().is_loopback() {
            true => Ok(Self(address)),
            false => Err(WebEndpointError::NotLoopback(address)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_accepted() {
        for text in ["127.0.0.1:0", "127.1.2.3:80", "[::1]:8080"] {
            assert!(text.parse::<WebEndpoint>().is_ok(), "{text}");
        }
        for text in [
            "0.0.0.0:1",
            "[::]:1",
            "192.168.1.2:80",
            "[::ffff:127.0.0.1]:80",
        ] {
            let error = text.parse::<WebEndpoint>().unwrap_err();
            assert!(matches!(error, WebEndpointError::NotLoopback(_)), "{text}");
            assert!(error.to_string().contains("use 127.0.0.1:"), "{error}");
        }
        for text in ["localhost:80", "127.0.0.1", ":80", ""] {
            let error = text.parse::<WebEndpoint>().unwrap_err();
            assert_eq!(error, WebEndpointError::Malformed, "{text}");
        }
    }
}
