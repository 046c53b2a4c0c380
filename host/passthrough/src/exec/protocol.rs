//! The subprotocols of processes.

use http::HeaderMap;

use crate::upgrade_request::select_subprotocol;

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
        select_subprotocol(headers, &SUBPROTOCOLS).map_or(Self::Raw, |(_, protocol)| protocol)
    }

    /// Returns whether messages begin with their channel.
    pub(crate) fn has_channels(self) -> bool {
        self != Self::Raw
    }

    /// Returns the name of the subprotocol, if it has one.
    pub(crate) fn name(self) -> Option<&'static str> {
        let mut known = SUBPROTOCOLS.into_iter();
        known.find_map(|(name, protocol)| (protocol == self).then_some(name))
    }
}

#[cfg(test)]
mod tests {
    use http::header::SEC_WEBSOCKET_PROTOCOL;

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
    fn a_subprotocol_has_the_name_that_selects_it() {
        for protocol in [ExecProtocol::ChannelV5, ExecProtocol::ChannelV4] {
            assert_eq!(select(&[protocol.name().unwrap()]), protocol);
        }
        assert_eq!(ExecProtocol::Raw.name(), None);
    }
}
