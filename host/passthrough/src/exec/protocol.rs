//! The subprotocols of processes.

use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::{HeaderMap, HeaderValue, Response};

/// What the messages of a process mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExecProtocol {
    /// No subprotocol: bytes of standard input to the process, bytes of both
    /// outputs from it.
    Raw,
    /// Kubernetes' channels: the first byte of each message is its channel.
    ChannelV4,
    /// Channels, of which the client can close one.
    ChannelV5,
}

/// The subprotocols by name.
const SUBPROTOCOLS: [(&str, ExecProtocol); 2] = [
    ("v5.channel.k8s.io", ExecProtocol::ChannelV5),
    ("v4.channel.k8s.io", ExecProtocol::ChannelV4),
];

impl ExecProtocol {
    /// Returns the first of the client's subprotocols that is supported, or
    /// [`ExecProtocol::Raw`] if none is.
    pub(crate) fn select(headers: &HeaderMap) -> Self {
        headers
            .get_all(SEC_WEBSOCKET_PROTOCOL)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .find_map(|offered| {
                let known = |(name, _): &&(&str, Self)| *name == offered.trim();
                SUBPROTOCOLS
                    .iter()
                    .find(known)
                    .map(|&(_, protocol)| protocol)
            })
            .unwrap_or(Self::Raw)
    }

    /// Returns whether messages begin with their channel.
    pub(crate) fn has_channels(self) -> bool {
        self != Self::Raw
    }

    /// Names the subprotocol in the response to the upgrade.
    pub(crate) fn write_to<B>(self, response: &mut Response<B>) {
        let headers = response.headers_mut();
        headers.remove(SEC_WEBSOCKET_PROTOCOL);
        for (name, protocol) in SUBPROTOCOLS {
            if protocol == self {
                headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(name));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(offered: &[&str]) -> ExecProtocol {
        let mut headers = HeaderMap::new();
        for value in offered {
            headers.append(SEC_WEBSOCKET_PROTOCOL, value.parse().unwrap());
        }
        ExecProtocol::select(&headers)
    }

    #[test]
    fn the_clients_first_supported_subprotocol_is_selected() {
        let (v4, v5) = (ExecProtocol::ChannelV4, ExecProtocol::ChannelV5);
        for (offered, selected) in [
            (&["v5.channel.k8s.io"][..], v5),
            (&["v4.channel.k8s.io"], v4),
            (&["v5.channel.k8s.io, v4.channel.k8s.io"], v5),
            (&["v4.channel.k8s.io,v5.channel.k8s.io"], v4),
            (&["v9.channel.k8s.io", "v4.channel.k8s.io"], v4),
            (&["channel.k8s.io", "rdd.logs.v1+raw"], ExecProtocol::Raw),
            (&["V5.CHANNEL.K8S.IO"], ExecProtocol::Raw),
            (&[], ExecProtocol::Raw),
        ] {
            assert_eq!(select(offered), selected, "{offered:?}");
        }
    }

    #[test]
    fn the_response_names_the_selected_subprotocol_only() {
        for (protocol, name) in [
            (ExecProtocol::ChannelV5, Some("v5.channel.k8s.io")),
            (ExecProtocol::ChannelV4, Some("v4.channel.k8s.io")),
            (ExecProtocol::Raw, None),
        ] {
            let mut response = Response::new(());
            let other = HeaderValue::from_static("rdd.logs.v1+raw");
            response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, other);
            protocol.write_to(&mut response);
            let named = response.headers().get(SEC_WEBSOCKET_PROTOCOL);
            assert_eq!(named.map(|name| name.to_str().unwrap()), name);
        }
    }
}
