//! The port of the listener: the requested one, or that of the last run, so that
//! a kubeconfig that a GUI has loaded stays valid.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use rdd_gateway::{BindError, Gateway, GatewayOptions};

use crate::state_dir::StateDir;

/// Binds the gateway and stores its port.
pub(crate) async fn bind(state_dir: &StateDir, options: GatewayOptions) -> Result<Gateway> {
    let requested = options.listen;
    let gateway = match read_last_port(state_dir).filter(|_| requested.port() == 0) {
        None => Gateway::bind(options).await?,
        Some(port) => {
            let last = SocketAddr::new(requested.ip(), port);
            match Gateway::bind(GatewayOptions {
                listen: last,
                ..options.clone()
            })
            .await
            {
                Err(BindError::InUse(address)) => {
                    tracing::warn!(%address, "the port of the last run is in use; selecting another one");
                    Gateway::bind(options).await?
                }
                result => result?,
            }
        }
    };
    let port = gateway.address().port().to_string();
    rdd_core::write_private(&state_dir.port(), port.as_bytes()).context("cannot store the port")?;
    Ok(gateway)
}

/// Returns the port of the last run. A damaged file is not fatal: it is
/// rewritten, and clients only have to use the new address.
fn read_last_port(state_dir: &StateDir) -> Option<u16> {
    let path = state_dir.port();
    let error = match std::fs::read_to_string(&path) {
        Ok(text) => match text.trim().parse() {
            Ok(port) => return Some(port),
            Err(error) => error.to_string(),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => error.to_string(),
    };
    tracing::warn!(error, path = %path.display(), "cannot read the port of the last run; selecting another one");
    None
}
